package autoscaler_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// story is a world in which something happens at random, again and again.
type story struct {
	*rapid.T
	*World
	pods  map[string]*corev1.Pod
	nodes map[string]*corev1.Node
	made  int
}

func newStory(t *rapid.T) *story {
	s := &story{T: t, World: New(), pods: map[string]*corev1.Pod{}, nodes: map[string]*corev1.Node{}}
	for _, thing := range anyWorld(t) {
		switch o := thing.(type) {
		case *corev1.Pod:
			s.pods[cluster.Key(o)] = o
		case *corev1.Node:
			s.nodes[o.Name] = o
		}
		s.Add(thing)
	}
	return s
}

// happen lets one thing happen.
func (s *story) happen() {
	switch rapid.SampledFrom([]string{
		"pod", "pod", "pod", "pod gone", "pod gone", "pod changed", "node", "node changed", "node gone", "budget", "no budget", "controller", "no controller",
		"pool", "broken", "instance", "instance gone", "remembered", "time", "time", "hours", "back in time", "heartbeat",
	}).Draw(s.T, "event") {
	case "pod":
		if node := s.anyNode(); node != nil {
			s.made++
			s.setPod(anyPodOn(s.T, fmt.Sprintf("made-%d", s.made), node.Name, quantityOf(rapid.SampledFrom(podSizes).Draw(s.T, "size"))))
		}
	case "pod gone":
		if pod := s.anyPod(); pod != nil {
			delete(s.pods, cluster.Key(pod))
			s.Remove(pod)
		}
	case "pod changed":
		if pod := s.anyPod(); pod != nil {
			s.setPod(s.changedPod(pod.DeepCopy()))
		}
	case "node":
		s.made++
		pool := fmt.Sprintf("pool-%c", 'a'+rapid.IntRange(0, 2).Draw(s.T, "pool"))
		s.setNode(Node(fmt.Sprintf("n%02d-%d", rapid.IntRange(0, 20).Draw(s.T, "place"), s.made), In(pool), Holds("8", "64Gi"), Label("pool", pool)))
	case "node changed":
		if node := s.anyNode(); node != nil {
			s.setNode(s.changedNode(node.DeepCopy()))
		}
	case "node gone":
		if node := s.anyNode(); node != nil {
			delete(s.nodes, node.Name)
			s.Remove(node)
		}
	case "budget":
		s.Add(Budget("web", "app", "web", int32(rapid.IntRange(0, 1).Draw(s.T, "allowed"))))
	case "no budget":
		s.Remove(Budget("web", "app", "web", 0))
	case "controller":
		s.Add(Deployed("web", 50))
	case "no controller":
		s.Remove(Deployed("web", 50))
	case "pool":
		name := fmt.Sprintf("pool-%c", 'a'+rapid.IntRange(0, 2).Draw(s.T, "pool"))
		threshold := rapid.SampledFrom([]float64{0, 0.3, 0.5, 0.9}).Draw(s.T, "threshold")
		s.Add(Pool(name, rapid.IntRange(0, 2).Draw(s.T, "min"), 6, Template(Holds("8", "64Gi"), Label("pool", name)), Set(func(settings *cluster.Settings) {
			settings.UtilizationThreshold = threshold
			settings.Autoscale = rapid.IntRange(0, 4).Draw(s.T, "autoscale") > 0
		})))
	case "broken":
		s.Add(Pool("pool-a", 0, 6, Broken("503")))
	case "instance":
		s.made++
		s.Add(Instance("pool-a", fmt.Sprintf("late-%d", s.made), cloudprovider.InstanceCreating))
	case "instance gone":
		if node := s.anyNode(); node != nil && node.Spec.ProviderID != "" {
			s.Remove(&cluster.Instance{Instance: cloudprovider.Instance{ID: node.Spec.ProviderID}})
		}
	case "remembered":
		if node := s.anyNode(); node != nil {
			claim := ledger.Claim{
				ID: "claim-" + node.Name, Owner: rapid.SampledFrom([]ledger.Owner{ledger.Autoscaler, ledger.Healer}).Draw(s.T, "owner"), Pool: "pool-a",
				Node: cluster.Ref(node), Reason: reason.Empty, Message: "nobody needed it", Since: Start,
				Phase: rapid.SampledFrom([]ledger.Phase{ledger.Draining, ledger.Deleting, ledger.Aborting}).Draw(s.T, "phase"),
			}
			if rapid.Bool().Draw(s.T, "closed") {
				s.Add(ledger.Drop(claim))
			} else {
				s.Add(claim)
			}
		}
	case "time":
		s.Pass(time.Duration(rapid.IntRange(1, 90).Draw(s.T, "seconds")) * time.Second)
	case "hours":
		s.Pass(time.Duration(rapid.IntRange(1, 30).Draw(s.T, "hours")) * 20 * time.Minute)
	case "back in time":
		s.Pass(-time.Duration(rapid.IntRange(1, 90).Draw(s.T, "seconds")) * time.Second)
	case "heartbeat":
		s.setPod(Pod("nobody-knows", On("no-such-node")))
	}
}

func (s *story) anyPod() *corev1.Pod   { return anyOf(s.T, "pod", s.pods) }
func (s *story) anyNode() *corev1.Node { return anyOf(s.T, "node", s.nodes) }

func anyOf[V any](t *rapid.T, what string, all map[string]V) (none V) {
	if len(all) == 0 {
		return none
	}
	return all[rapid.SampledFrom(sortedKeys(all)).Draw(t, what)]
}

func (s *story) setPod(pod *corev1.Pod) {
	s.pods[cluster.Key(pod)] = pod
	s.Add(pod)
}

func (s *story) setNode(node *corev1.Node) {
	s.nodes[node.Name] = node
	s.Add(node)
}

func (s *story) changedPod(pod *corev1.Pod) *corev1.Pod {
	switch rapid.SampledFrom([]string{"ends", "annotated", "free", "larger", "bare", "system", "expendable", "nominated"}).Draw(s.T, "change") {
	case "ends":
		at := s.Now.Add(time.Minute)
		Ending(at)(pod)
	case "annotated":
		Annotate(drain.SafeToEvict, "false")(pod)
	case "free":
		delete(pod.Annotations, drain.SafeToEvict)
	case "larger":
		Asks("2", "1Mi")(pod)
	case "bare":
		pod.OwnerReferences = nil
	case "expendable":
		Priority(-11)(pod)
	case "nominated":
		if node := s.anyNode(); node != nil && pod.Spec.NodeName == "" {
			pod.Status.NominatedNodeName = node.Name
		}
	}
	return pod
}

func (s *story) changedNode(node *corev1.Node) *corev1.Node {
	switch rapid.SampledFrom([]string{"cordoned", "silent", "ready", "tainted", "booting", "asks", "foreign", "moved", "smaller"}).Draw(s.T, "change") {
	case "cordoned":
		node.Spec.Unschedulable = !node.Spec.Unschedulable
	case "silent":
		Silent(s.Now)(node)
	case "ready":
		name := node.Name
		id := node.Spec.ProviderID
		node = Node(name, Label("pool", node.Labels["pool"]), Holds("8", "64Gi"))
		node.Spec.ProviderID = id
	case "tainted":
		Tainted("dedicated", "x", corev1.TaintEffectNoSchedule)(node)
	case "booting":
		Tainted(corev1.TaintNodeNotReady, "", corev1.TaintEffectNoSchedule)(node)
	case "asks":
		Annotate(drain.DoNotDisruptMark, "true")(node)
	case "foreign":
		Tainted("ToBeDeletedByClusterAutoscaler", "", corev1.TaintEffectNoSchedule)(node)
	case "moved":
		if other := s.anyNode(); other != nil { // two nodes may claim one machine
			node.Spec.ProviderID = other.Spec.ProviderID
		}
	case "smaller":
		Holds("2", "1Gi")(node)
	}
	return node
}

// What an autoscaler keeps from pass to pass makes it faster, and changes no answer.
func TestAnAutoscalerWithAPastDecidesAsOneWithout(t *testing.T) {
	e, other := engine(t), engine(t)
	rapid.Check(t, func(t *rapid.T) {
		s := newStory(t)
		a := newFor(t, e)
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			for range rapid.IntRange(1, 3).Draw(t, "at once") {
				s.happen()
			}
			picture := s.Snapshot()
			got := a.Decide(picture, s.Now)
			want := newFor(t, other).Decide(picture, s.Now)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("without a past (-) and with one (+):\n%s", diff)
			}
			if rapid.Bool().Draw(t, "remembers") {
				s.Add(got.Changes)
			}
		}
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
