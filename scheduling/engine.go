package scheduling

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Options of an engine.
type Options struct {
	// Schedulers are the names of schedulers besides the default one that go by the same rules: kube-schedulers with the default profile.
	Schedulers []string
	// OnlyPlugins has the kube-scheduler's plugins asked about every pod, as if the fast path spoke for none. It is what the fast path is held
	// against in tests, and a hundred times slower.
	OnlyPlugins bool
}

// engine answers as the Filter plugins of the kube-scheduler's default profile do, with every feature gate at its default: by its board for the pods that [Claims]
// says yes to, and by the plugins themselves for the others.
type engine struct {
	rules *rules
	known map[string]bool
	// view is what the plugins look at: the open trial.
	view *view
	// volumes are the bindings that the volume plugin believes in for the open trial.
	volumes *reservations
	// board is the open trial's nodes and pods.
	board *board
	// onlyPlugins asks the plugins about every pod.
	onlyPlugins bool
	// packer is what the packings of the open trial share; nil before the first.
	packer *packer
}

// New makes an engine. It starts nothing and talks to nobody. An error means that the plugins could not be built, which no input causes.
func New(opts Options) (Engine, error) {
	v := newView()
	r, binder, err := newRules(v)
	if err != nil {
		return nil, err
	}
	b, err := newBoard(r)
	if err != nil {
		return nil, err
	}
	v.nodes = newNodes(b)
	e := &engine{
		rules: r, view: v, board: b, onlyPlugins: opts.OnlyPlugins, volumes: &reservations{binder: binder},
		known: map[string]bool{"": true, corev1.DefaultSchedulerName: true},
	}
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
	t := newTrial(e, s)
	e.view.show(t)
	e.board.reopen(s)
	e.view.nodes.forget()
	return t, nil
}

// same tells whether two slices are one and the same. A snapshot never changes a slice, so the same slice has the same pods.
func same(a, b []*cluster.Pod) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
