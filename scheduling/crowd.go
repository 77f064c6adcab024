package scheduling

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	operators "k8s.io/apimachinery/pkg/selection"
	fwk "k8s.io/kube-scheduler/framework"
)

// look is what a pod looks like to the selectors of others: namespace and labels. Pods share it.
type look struct {
	namespace string
	labels    labels.Set
	// counted are the tallies that count such a pod, shunned those of running pods' anti-affinity terms that keep such a pod away.
	counted, shunned []*tally
}

// term is a set of namespaces and a selector of pods in them.
type term struct {
	namespaces []string
	// everywhere says that all namespaces are meant, by the labels (or by the absence) of which only the running pods' own terms go.
	everywhere bool
	by         labels.Selector
	pods       labels.Selector
}

func (t *term) matches(b *board, l *look) bool {
	if !t.everywhere && !slices.Contains(t.namespaces, l.namespace) && (t.by == nil || !t.by.Matches(b.namespaceLabels(l.namespace))) {
		return false
	}
	return t.pods.Matches(l.labels)
}

// crowd are the pods that all of the terms select; without a term they are none.
type crowd []term

func (c crowd) matches(b *board, l *look) bool {
	for i := range c {
		if !c[i].matches(b, l) {
			return false
		}
	}
	return len(c) > 0
}

// ownTerm is a term as the pod with it is looked at: the namespaces that its selector selects are named (interpodaffinity/plugin.go,
// mergeAffinityTermNamespacesIfNotEmpty). The plugin also asks the selector about no labels, whatever the namespace's are, so one that is content with
// those selects every namespace.
func (b *board) ownTerm(t *fwk.AffinityTerm) term {
	out := term{pods: t.Selector, everywhere: t.NamespaceSelector.Matches(labels.Set(nil)), namespaces: t.Namespaces.UnsortedList()}
	if requirements, selectable := t.NamespaceSelector.Requirements(); !selectable || len(requirements) == 0 {
		return out
	}
	b.byNamespace = true
	for name, namespace := range b.snapshot.Namespaces.All() {
		if t.NamespaceSelector.Matches(labels.Set(namespace.Labels)) {
			out.namespaces = append(out.namespaces, name)
		}
	}
	return out
}

// theirTerm is a term of a running pod as others are looked at: the namespace selector goes by the labels of the other pod's namespace, and by none if
// there is no such namespace (framework.AffinityTerm.Matches).
func (b *board) theirTerm(t *fwk.AffinityTerm) term {
	out := term{pods: t.Selector, everywhere: t.NamespaceSelector.Empty(), namespaces: t.Namespaces.UnsortedList()}
	if requirements, selectable := t.NamespaceSelector.Requirements(); selectable && len(requirements) > 0 {
		b.byNamespace = true
		out.by = t.NamespaceSelector
	}
	return out
}

// namespaceLabels are the labels of a namespace; nil if there is none.
func (b *board) namespaceLabels(name string) labels.Set {
	if namespace, ok := b.snapshot.Namespaces.Get(name); ok {
		return namespace.Labels
	}
	return nil
}

// trait is where looks and crowds meet without all of the ones being held against all of the others: a namespace, or "*" for crowds that go by
// more, and a label, or none for crowds that name no single one.
type trait struct{ namespace, key, value string }

const anywhere = "*"

// traits are all the places where crowds can be that the look could belong to.
func (l *look) traits() []trait {
	out := make([]trait, 0, 2*len(l.labels)+2)
	out = append(out, trait{namespace: l.namespace}, trait{namespace: anywhere})
	for key, value := range l.labels {
		out = append(out, trait{l.namespace, key, value}, trait{anywhere, key, value})
	}
	return out
}

// traits are the places where the looks are that could belong to the crowd.
func (c crowd) traits() []trait {
	if len(c) == 0 {
		return nil
	}
	first := &c[0]
	key, value := oneLabel(first.pods)
	if first.everywhere || first.by != nil {
		return []trait{{anywhere, key, value}}
	}
	namespaces := slices.Compact(slices.Sorted(slices.Values(first.namespaces)))
	out := make([]trait, len(namespaces))
	for i, namespace := range namespaces {
		out[i] = trait{namespace, key, value}
	}
	return out
}

// oneLabel is a label that all pods of the selector have; empty if it names none.
func oneLabel(s labels.Selector) (key, value string) {
	requirements, _ := s.Requirements()
	for i := range requirements {
		switch r := &requirements[i]; r.Operator() {
		case operators.In, operators.Equals, operators.DoubleEquals:
			if values := r.ValuesUnsorted(); len(values) == 1 {
				return r.Key(), values[0]
			}
		}
	}
	return "", ""
}

// hostPort is a port of the node that a pod wants for itself.
type hostPort struct {
	ip       string
	protocol string
	port     int32
}

// asHostPort reads a container's port with the defaults of the scheduler's HostPortInfo.
func asHostPort(p *corev1.ContainerPort) hostPort {
	out := hostPort{ip: p.HostIP, protocol: string(p.Protocol), port: p.HostPort}
	if out.ip == "" {
		out.ip = fwk.DefaultBindAllHostIP
	}
	if out.protocol == "" {
		out.protocol = string(corev1.ProtocolTCP)
	}
	return out
}

// meets tells whether two pods with these ports can't be on one node (framework.HostPortInfo.CheckConflict).
func (p hostPort) meets(o hostPort) bool {
	return p.port == o.port && p.protocol == o.protocol &&
		(p.ip == o.ip || p.ip == fwk.DefaultBindAllHostIP || o.ip == fwk.DefaultBindAllHostIP)
}
