package agreement

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// whereabouts are the nodes of a trial and the pods on them, as the steps should have left them.
type whereabouts struct {
	nodes map[string]*corev1.Node
	// on is the node of each pod that is on one, by key.
	on map[string]string
	// first are the snapshot's nodes that have been there all the time.
	first map[string]bool
}

func (w whereabouts) clone() whereabouts {
	return whereabouts{maps.Clone(w.nodes), maps.Clone(w.on), maps.Clone(w.first)}
}

// whereaboutsIn are those of a fresh trial on the snapshot.
func whereaboutsIn(s *cluster.Snapshot) whereabouts {
	w := whereabouts{map[string]*corev1.Node{}, map[string]string{}, map[string]bool{}}
	maps.Insert(w.nodes, s.Nodes.All())
	for name := range w.nodes {
		w.first[name] = true
	}
	for key, p := range s.Pods.All() {
		w.put(key, p.NodeName)
	}
	return w
}

// put puts the pod on the node; on one that is not there it is on none.
func (w whereabouts) put(key, node string) {
	if w.nodes[node] == nil {
		delete(w.on, key)
		return
	}
	w.on[key] = node
}

func (w whereabouts) remove(node string) {
	delete(w.nodes, node)
	delete(w.first, node)
	maps.DeleteFunc(w.on, func(_, on string) bool { return on == node })
}

func (w whereabouts) add(node *corev1.Node, pods []*corev1.Pod) {
	w.remove(node.Name)
	w.nodes[node.Name] = node
	for _, p := range pods {
		w.put(cluster.Key(p), node.Name)
	}
}

// anew asks about a snapshot in which nodes and pods are where the steps have left them in the trials: what a trial says must follow from the picture
// that it shows, however it came about. Both engines share much of what keeps that picture, so that they could be wrong together. Volumes and devices are
// left out: what a pod that was put somewhere takes of them is nowhere in a snapshot.
func (a *arena) anew(step int) *disagreement {
	if slices.ContainsFunc(a.picture.Others, isClaim) {
		return nil
	}
	world := clustertest.New()
	for _, o := range a.others {
		world.Add(o)
	}
	for _, n := range a.at.nodes {
		world.Add(n)
	}
	for key, node := range a.at.on {
		p := *a.raw[key]
		p.Spec.NodeName = node
		world.Add(&p)
	}
	trial, err := a.plugins.Open(world.Snapshot())
	if err != nil {
		return &disagreement{at: step, want: "no error", got: err.Error()}
	}
	for i, key := range a.keys {
		p := a.pod(key)
		if p == nil {
			continue
		}
		for j, node := range a.nodes {
			if want, got := trial.Fits(p, node), a.answers[i*len(a.nodes)+j]; !equal(want, got) {
				return &disagreement{at: step, pod: key, node: node, want: "as in a new snapshot: " + say(want), got: say(got)}
			}
		}
	}
	return nil
}

func isClaim(o metav1.Object) bool {
	switch o.(type) {
	case *corev1.PersistentVolumeClaim, *resourcev1.ResourceSlice:
		return true
	}
	return false
}
