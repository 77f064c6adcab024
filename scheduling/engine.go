package scheduling

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Options of an engine.
type Options struct {
	// Schedulers are the names of schedulers besides the default one that go by the same rules: kube-schedulers with the default profile.
	Schedulers []string
}

// engine answers by the Filter plugins of the kube-scheduler's default profile, with every feature gate at its default.
type engine struct {
	rules *rules
	known map[string]bool
	// view is what the plugins look at: the open trial.
	view *view
	// volumes are the bindings that the volume plugin believes in for the open trial.
	volumes *reservations
	// base are the nodes of the last snapshot with what the plugins need of them, in the order of names.
	base []baseNode
}

// baseNode is a node as it was in a snapshot. Its info is shared by all trials and never changed.
type baseNode struct {
	node *corev1.Node
	pods []*cluster.Pod
	info *framework.NodeInfo
}

// New makes an engine. It starts nothing and talks to nobody. An error means that the plugins could not be built, which no input causes.
func New(opts Options) (Engine, error) {
	v := newView()
	r, binder, err := newRules(v)
	if err != nil {
		return nil, err
	}
	e := &engine{rules: r, view: v, volumes: &reservations{binder: binder}, known: map[string]bool{"": true, corev1.DefaultSchedulerName: true}}
	for _, name := range opts.Schedulers {
		e.known[name] = true
	}
	return e, nil
}

// Knows implements [Engine].
func (e *engine) Knows(pod *cluster.Pod) bool { return e.known[pod.Spec.SchedulerName] }

// Open implements [Engine]. It costs a walk over the nodes; only nodes that changed since the last Open, or whose pods did, are looked into.
func (e *engine) Open(s *cluster.Snapshot) (Trial, error) {
	if s == nil {
		return nil, errors.New("opening a trial: there is no snapshot")
	}
	e.volumes.apply(nil)
	e.base = renew(e.base, s)
	t := newTrial(e, s)
	e.view.show(t)
	return t, nil
}

// renew gives the nodes of the snapshot, with those that did not change taken over from before.
func renew(before []baseNode, s *cluster.Snapshot) []baseNode {
	after := make([]baseNode, 0, s.Nodes.Len())
	for name, node := range s.Nodes.All() {
		for len(before) > 0 && before[0].node.Name < name {
			before = before[1:]
		}
		pods := s.PodsOn(name)
		if len(before) > 0 && before[0].node == node && same(before[0].pods, pods) {
			after = append(after, before[0])
			continue
		}
		after = append(after, baseNode{node: node, pods: pods, info: newInfo(node, pods)})
	}
	return after
}

// same tells whether two slices are one and the same. A snapshot never changes a slice, so the same slice has the same pods.
func same(a, b []*cluster.Pod) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// newInfo is what the plugins need of a node and its pods.
func newInfo(node *corev1.Node, pods []*cluster.Pod) *framework.NodeInfo {
	info := framework.NewNodeInfo()
	for _, pod := range pods {
		info.AddPod(pod.Object())
	}
	info.SetNode(node)
	return info
}
