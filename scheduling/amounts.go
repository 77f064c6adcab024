package scheduling

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Resources are counted in dimensions: small numbers in the place of names. The first four are fixed, the others are given away as names
// turn up. Amounts are integers in the units of the scheduler's framework.Resource: CPU in thousandths, all else in ones.
const (
	dimPods = iota
	dimCPU
	dimMemory
	dimStorage
	fixedDims
)

// dims are the resources that are known, by dimension.
type dims struct {
	names []corev1.ResourceName
	index map[corev1.ResourceName]int32
	known map[string][]amount
}

func newDims() *dims {
	d := &dims{index: map[corev1.ResourceName]int32{}, known: map[string][]amount{}}
	for _, name := range []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		d.of(name)
	}
	return d
}

// of is the dimension of a resource; a name that was not seen before gets the next one.
func (d *dims) of(name corev1.ResourceName) int32 {
	if i, ok := d.index[name]; ok {
		return i
	}
	i := int32(len(d.names)) //nolint:gosec // There are a handful of resources.
	d.names, d.index[name] = append(d.names, name), i
	return i
}

// amount is how much of one dimension.
type amount struct {
	dim int32
	n   int64
}

// amounts are what a resource of the scheduler's framework has, by dimension, without zeros. It counts as that many pods.
func (d *dims) amounts(r *framework.Resource, pods int) []amount {
	all := []amount{{dimPods, int64(pods)}, {dimCPU, r.MilliCPU}, {dimMemory, r.Memory}, {dimStorage, r.EphemeralStorage}}
	for name, n := range r.ScalarResources {
		all = append(all, amount{d.of(name), n})
	}
	all = slices.DeleteFunc(all, func(a amount) bool { return a.n == 0 })
	slices.SortFunc(all, func(a, b amount) int { return int(a.dim - b.dim) })
	return slices.Clip(all)
}

// one gives equal amounts one place in memory: whoever compares them compares where they are.
func (d *dims) one(all []amount) []amount {
	key := fmt.Sprint(all)
	if known, ok := d.known[key]; ok {
		return known
	}
	d.known[key] = all
	return all
}

// short is what the scheduler says of a node that has too little of a resource (package noderesources).
func (d *dims) short(dim int32) string {
	if dim == dimPods {
		return "Too many pods"
	}
	return "Insufficient " + string(d.names[dim])
}
