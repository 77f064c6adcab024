package scheduling

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// kind is what a packing has to know of the pods of one template beside the verdicts: by what to sort them, and what arithmetic can say.
type kind struct {
	form *form
	// quick says that the fast path speaks for them.
	quick bool
	// asks is what one pod requests, by dimension; what lies beyond its end is zero.
	asks []int64
	// vector is the same for all kinds with equal asks.
	vector *amount
	// group numbers the pods of which a node takes one at most; 0 for none.
	group int
	// rank says how hard the pods are to please: the hardest are placed first.
	rank int
	// swayed pods may come to fit a node that refused them, because other pods were placed or nodes added. For all others a node only fills up.
	swayed bool
	// byHost says that where pods of the kind can be depends on single nodes and not only on zones.
	byHost bool
	// wish numbers what the pods want of the node itself: its labels, and no taints that they don't bear.
	wish int
	// spread are the topology keys, hosts apart, over which the pods have to be spread.
	spread []string
	prefer *preference
}

// The ranks.
const (
	rankAlone    = iota // one a node: they decide how many nodes there have to be
	rankTogether        // beside others
	rankSpread          // spread over zones or hosts
	rankFree
)

// packer is what all packings of one trial share.
type packer struct {
	trial   *trial
	kinds   map[*cluster.PodTemplate]*kind
	numbers map[string]int
	wishes  []wish
	frees   map[*corev1.Node]*free
	models  map[*corev1.Node]*model
}

func (t *trial) packs() *packer {
	if t.engine.packer == nil || t.engine.packer.trial != t {
		t.engine.packer = &packer{
			trial: t, kinds: map[*cluster.PodTemplate]*kind{}, numbers: map[string]int{},
			frees: map[*corev1.Node]*free{}, models: map[*corev1.Node]*model{},
		}
	}
	return t.engine.packer
}

// byDimension is amounts as a list with a place for each dimension up to the last that is asked for.
func byDimension(all []amount) []int64 {
	var out []int64
	for _, a := range all {
		for int(a.dim) >= len(out) {
			out = append(out, 0)
		}
		out[a.dim] += a.n
	}
	return out
}

// number gives equal texts equal numbers, from one on.
func (k *packer) number(text string) int {
	n, ok := k.numbers[text]
	if !ok {
		n = len(k.numbers) + 1
		k.numbers[text] = n
	}
	return n
}

// kind is the kind of a pod.
func (k *packer) kind(pod *cluster.Pod) *kind {
	if known := k.kinds[pod.PodTemplate]; known != nil {
		return known
	}
	f := k.trial.board.formOf(pod)
	one := &kind{form: f, quick: k.trial.quick(f), asks: byDimension(f.asks), vector: &f.asks[0], rank: rankFree, swayed: Swayed(pod), prefer: preferenceOf(f.object())}
	k.constrain(one, pod)
	one.wish = k.wishOf(f.object())
	k.kinds[pod.PodTemplate] = one
	return one
}

// constrain reads what the pods want of each other.
func (k *packer) constrain(one *kind, pod *cluster.Pod) {
	for _, c := range pod.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		one.rank = min(one.rank, rankSpread)
		if c.TopologyKey == corev1.LabelHostname {
			one.byHost = true
			continue
		}
		one.spread = append(one.spread, c.TopologyKey)
	}
	if a := pod.Spec.Affinity; a != nil && a.PodAffinity != nil {
		for _, t := range a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			one.rank = min(one.rank, rankTogether)
			one.byHost = one.byHost || t.TopologyKey == corev1.LabelHostname
		}
	}
	if a := pod.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		for i := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			t := &a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[i]
			if t.TopologyKey != corev1.LabelHostname {
				continue
			}
			one.byHost = true
			if one.group == 0 && meansItself(t, pod) {
				one.group, one.rank = k.number("apart "+pod.Namespace+" "+t.LabelSelector.String()), rankAlone
			}
		}
	}
	for i := range pod.Spec.Containers {
		for _, port := range pod.Spec.Containers[i].Ports {
			if port.HostPort != 0 && one.group == 0 {
				one.byHost = true
				one.group, one.rank = k.number(fmt.Sprintf("port %s %d", port.Protocol, port.HostPort)), rankAlone
			}
		}
	}
}

// meansItself tells whether a term of the pod is about its equals, as far as can be said without looking at namespaces.
func meansItself(t *corev1.PodAffinityTerm, pod *cluster.Pod) bool {
	if len(t.Namespaces) > 0 && !slices.Contains(t.Namespaces, pod.Namespace) {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
	return err == nil && selector.Matches(labels.Set(pod.Labels))
}

// wish is what pods want of a node by its object alone.
type wish struct {
	required    nodeaffinity.RequiredNodeAffinity
	picky       bool
	tolerations []corev1.Toleration
}

// wishOf numbers the wishes of a pod.
func (k *packer) wishOf(pod *corev1.Pod) int {
	var text strings.Builder
	picky := len(pod.Spec.NodeSelector) > 0
	text.WriteString("wish " + labels.Set(pod.Spec.NodeSelector).String())
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		picky = true
		text.WriteString(" " + a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.String())
	}
	for i := range pod.Spec.Tolerations {
		text.WriteString(" " + pod.Spec.Tolerations[i].String())
	}
	before := len(k.numbers)
	n := k.number(text.String())
	if len(k.numbers) > before {
		for len(k.wishes) <= n {
			k.wishes = append(k.wishes, wish{})
		}
		k.wishes[n] = wish{required: nodeaffinity.GetRequiredNodeAffinity(pod), picky: picky, tolerations: pod.Spec.Tolerations}
	}
	return n
}
