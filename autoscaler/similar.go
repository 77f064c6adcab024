package autoscaler

import (
	"fmt"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helpers "k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// zonal are the labels in which like pools may differ: the list is the cluster-autoscaler's.
var zonal = []string{
	corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
	"beta.kubernetes.io/fluentd-ds-ready", "kops.k8s.io/instancegroup",
}

// families sorts the offers of pools into those that are balanced, by their places. Pools that have no node or all, and pools between which an expander
// of the chain sees a difference, are none.
//
// Without --balance-similar-node-groups a family are the pools whose new nodes hold the same and have the same taints; with it the cluster-autoscaler's
// rules say which pools are alike.
func (p *pass) families(pools []*cluster.Pool, offers []scheduling.Offer) [][]int {
	all := p.trial.Families(offers)
	if p.opts.BalanceSimilar {
		all = grouped(len(offers), func(a, b int) bool { return p.similar(&offers[a].Shape, &offers[b].Shape) })
	}
	var out [][]int
	for _, family := range all {
		for _, part := range grouped(len(family), func(a, b int) bool { return p.mark(pools[family[a]]) == p.mark(pools[family[b]]) }) {
			for i := range part {
				part[i] = family[part[i]]
			}
			out = append(out, part)
		}
	}
	return out
}

// mark is the same for pools between which no expander of the chain sees a difference, and that may grow together.
func (p *pass) mark(pool *cluster.Pool) string {
	text := ""
	if pool.Settings.ZeroOrMax {
		text = pool.Name
	}
	if slices.Contains(p.a.names, Price) {
		text += fmt.Sprintf(" price %v", priceOf(pool))
	}
	if slices.Contains(p.a.names, Priority) {
		value, ok := p.a.prioritiesOf(p.s).priority(pool.Name)
		text += fmt.Sprintf(" priority %d %v", value, ok)
	}
	return text
}

// grouped sorts the numbers below n: each into the group of the first that it is like.
func grouped(n int, alike func(a, b int) bool) [][]int {
	var groups [][]int
	for i := range n {
		at := slices.IndexFunc(groups, func(g []int) bool { return alike(g[0], i) })
		if at < 0 {
			groups = append(groups, []int{i})
			continue
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

// similar tells whether two pools are alike by the cluster-autoscaler's rules: the same labels, save those in which like pools may differ, and nearly the same
// room. If labels are named by --balancing-label, they alone decide.
func (p *pass) similar(a, b *scheduling.Shape) bool {
	if len(p.opts.BalancingLabels) > 0 {
		return !slices.ContainsFunc(p.opts.BalancingLabels, func(key string) bool {
			x, has := a.Node.Labels[key]
			y, hasToo := b.Node.Labels[key]
			return has != hasToo || x != y
		})
	}
	return p.sameLabels(a.Node.Labels, b.Node.Labels) && p.sameLabels(b.Node.Labels, a.Node.Labels) &&
		within(a.Node.Status.Capacity, b.Node.Status.Capacity, func(name corev1.ResourceName) float64 {
			if name == corev1.ResourceMemory {
				return p.opts.MemoryDifferenceRatio
			}
			return 0
		}) &&
		within(a.Node.Status.Allocatable, b.Node.Status.Allocatable, func(corev1.ResourceName) float64 { return p.opts.MaxAllocatableDifferenceRatio }) &&
		within(freeOf(a), freeOf(b), func(corev1.ResourceName) float64 { return p.opts.MaxFreeDifferenceRatio })
}

// sameLabels tells whether all labels of the one that count are those of the other.
func (p *pass) sameLabels(a, b map[string]string) bool {
	for key, value := range a {
		if slices.Contains(zonal, key) || slices.Contains(p.opts.BalancingIgnoreLabels, key) {
			continue
		}
		if other, has := b[key]; !has || other != value {
			return false
		}
	}
	return true
}

// within tells whether no amount differs by more than its share of the larger one.
func within(a, b corev1.ResourceList, ratio func(corev1.ResourceName) float64) bool {
	for _, lists := range [2][2]corev1.ResourceList{{a, b}, {b, a}} {
		for name, amount := range lists[0] {
			other := lists[1][name]
			x, y := amount.AsApproximateFloat64(), other.AsApproximateFloat64()
			if math.Abs(x-y) > ratio(name)*max(x, y) {
				return false
			}
		}
	}
	return true
}

// freeOf is what a new node has left beside the pods that come with it.
func freeOf(shape *scheduling.Shape) corev1.ResourceList {
	free := shape.Node.Status.Allocatable.DeepCopy()
	take := func(name corev1.ResourceName, amount resource.Quantity) {
		if left, has := free[name]; has {
			left.Sub(amount)
			free[name] = left
		}
	}
	for _, pod := range shape.Pods {
		take(corev1.ResourcePods, *resource.NewQuantity(1, resource.DecimalSI))
		for name, amount := range helpers.PodRequests(pod.Object(), helpers.PodResourcesOptions{}) {
			take(name, amount)
		}
	}
	return free
}
