package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Pool is a pool as Kubernetes sees it: its nodes.
type Pool struct {
	stage *Stage
	name  string
	owns  func(*corev1.Node) bool
}

// Pool is a pool by what its nodes are known by. The name is for messages.
func (s *Stage) Pool(name string, owns func(*corev1.Node) bool) *Pool {
	return &Pool{stage: s, name: name, owns: owns}
}

// Owns tells whether the node is one of the pool's.
func (p *Pool) Owns(node *corev1.Node) bool { return p.owns(node) }

// Nodes are the pool's nodes.
func (p *Pool) Nodes(ctx context.Context) ([]corev1.Node, error) {
	all, err := p.stage.Plane.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(node corev1.Node) bool { return !p.owns(&node) }), nil
}

// Sized waits until the pool has n nodes, all ready and none with a mark of ours.
func (p *Pool) Sized(n int, limit time.Duration) []corev1.Node {
	p.stage.T.Helper()
	var found []corev1.Node
	p.stage.Eventually(limit, func(ctx context.Context) error {
		if err := p.Settled(n)(ctx); err != nil {
			return err
		}
		nodes, err := p.Nodes(ctx)
		found = nodes
		return err
	})
	return found
}

// Settled checks that the pool has n nodes, all ready and none with a mark of ours.
func (p *Pool) Settled(n int) Check {
	return func(ctx context.Context) error {
		nodes, err := p.Nodes(ctx)
		if err != nil {
			return err
		}
		ready := 0
		for i := range nodes {
			if cluster.IsReady(&nodes[i]) && !isMarked(&nodes[i]) {
				ready++
			}
		}
		if len(nodes) != n || ready != n {
			return fmt.Errorf("pool %s has %d nodes, %d of them ready and unmarked; want %d", p.name, len(nodes), ready, n)
		}
		return nil
	}
}

// Has checks that the pool has n nodes, in whatever state.
func (p *Pool) Has(n int) Check {
	return func(ctx context.Context) error {
		nodes, err := p.Nodes(ctx)
		if err != nil {
			return err
		}
		if len(nodes) != n {
			return fmt.Errorf("pool %s has %d nodes, want %d", p.name, len(nodes), n)
		}
		return nil
	}
}

// Current checks that the pool has exactly n nodes, all of the version.
func (p *Pool) Current(n int, version string) Check {
	return func(ctx context.Context) error {
		nodes, err := p.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, node := range nodes {
			if v := node.Status.NodeInfo.KubeletVersion; v != version {
				return fmt.Errorf("node %s has %s, want %s", node.Name, v, version)
			}
		}
		return p.Has(n)(ctx)
	}
}

// NeverFewerThan watches the pool until the function that it gives back is called, which fails the test if there were ever fewer ready nodes.
func (p *Pool) NeverFewerThan(n int) (end func()) { return p.Between(n, 1<<30) }

// Between is NeverFewerThan, and fails as well if there were ever more nodes than most, ready or not.
func (p *Pool) Between(least, most int) (end func()) {
	t := p.stage.T
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	watcher, err := p.stage.Plane.Client().CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	p.stage.must(err)
	done := make(chan struct{})
	fewest, greatest := 1<<30, 0
	go func() {
		defer close(done)
		ready, there := map[string]bool{}, map[string]bool{}
		for e := range watcher.ResultChan() {
			node, ok := e.Object.(*corev1.Node)
			if !ok || !p.owns(node) {
				continue
			}
			ready[node.Name] = e.Type != watch.Deleted && cluster.IsReady(node) && !node.Spec.Unschedulable
			count := 0
			for _, is := range ready {
				if is {
					count++
				}
			}
			if len(ready) >= least {
				fewest = min(fewest, count)
			}
			if there[node.Name] = true; e.Type == watch.Deleted {
				delete(there, node.Name)
			}
			greatest = max(greatest, len(there))
		}
	}()
	return func() {
		t.Helper()
		cancel()
		<-done
		if greatest > most {
			t.Errorf("%d nodes of pool %s were there at a time, want at most %d", greatest, p.name, most)
		}
		if fewest < least {
			t.Errorf("pool %s once had only %d ready and schedulable nodes, want never fewer than %d", p.name, fewest, least)
		}
	}
}

// Kill switches off the machine of a node.
func (s *Stage) Kill(node string) {
	s.T.Helper()
	s.must(s.Plane.KillNode(s.T.Context(), node))
}

// Gone checks that there is no such node any more.
func (s *Stage) Gone(node string) Check {
	return func(ctx context.Context) error {
		_, err := s.Plane.Client().CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("node %s is still there", node), err)
	}
}

// Marked tells whether the node carries a mark of ours or is gone: something is under way.
func (s *Stage) Marked(ctx context.Context, node string) bool {
	found, err := s.Plane.Client().CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	return err != nil || isMarked(found)
}

func isMarked(node *corev1.Node) bool {
	_, claimed := node.Annotations[cluster.AnnotationClaim]
	return claimed || slices.ContainsFunc(node.Spec.Taints, cluster.IsOurTaint)
}
