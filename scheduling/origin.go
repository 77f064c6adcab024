package scheduling

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Field is one thing that is known of what new nodes of a pool look like, and where it comes from.
type Field struct {
	// Name is the name of an amount, as in "cpu", or "label" or "taint" and a key; Value is empty for a taint without one.
	Name, Value string
	// Node is the live node that shows it; empty if the provider's template says it.
	Node string
	// At is when that node was made, or when the provider was read.
	At time.Time
}

// Fields are what is known of new nodes of a pool: amounts, labels and taints, in the order of their names; none if nobody tells what they look like. Taints that one of the
// functions says yes to are left out, as in [Shapes].
func Fields(s *cluster.Snapshot, pool *cluster.Pool, passes ...func(corev1.Taint) bool) []Field {
	m := samplesOf(s)[pool.Name]
	shape, known := shapeBy(s, pool, m, nil, passes...)
	if !known {
		return nil
	}
	template := &corev1.Node{}
	if pool.Template != nil && pool.Template.Node != nil {
		template = pool.Template.Node
	}
	var all []Field
	add := func(name, value string, live bool) {
		field := Field{Name: name, Value: value, At: pool.Observed}
		if live {
			field.Node, field.At = m.node.Name, m.node.CreationTimestamp.Time
		}
		all = append(all, field)
	}
	for _, name := range sorted(shape.Node.Status.Allocatable) {
		amount := shape.Node.Status.Allocatable[name]
		add(string(name), amount.String(), m != nil && shows(m.node, name))
	}
	for _, key := range sorted(shape.Node.Labels) {
		if _, said := template.Labels[key]; key != corev1.LabelHostname {
			add("label "+key, shape.Node.Labels[key], !said)
		}
	}
	for _, taint := range shape.Node.Spec.Taints {
		add(taintName(taint), taint.Value, !hasTaint(template, taint))
	}
	return all
}

// shows tells whether a live node has some of a resource.
func shows(node *corev1.Node, name corev1.ResourceName) bool {
	amount := node.Status.Allocatable[name]
	return amount.Sign() > 0
}

// taintName is what a taint is called where it is one of several things.
func taintName(t corev1.Taint) string { return fmt.Sprintf("taint %s:%s", t.Key, t.Effect) }

func hasTaint(node *corev1.Node, taint corev1.Taint) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) })
}

func sorted[K ~string, V any](of map[K]V) []K { return slices.Sorted(maps.Keys(of)) }

// mostDiffers is the share by which an amount of a template may be off: what kubelet and system keep for themselves is estimated.
const mostDiffers = 0.1

// Differences are what the provider's template of a pool says otherwise than a live node of it shows, a sentence each. The node is ready and past its start. Amounts that are
// nearly the same don't differ, nor do devices whose plugin has not spoken yet, labels that every node has its own of, and those with beta in their names.
func Differences(template, live *corev1.Node, passes ...func(corev1.Taint) bool) []string {
	var all []string
	says := template.Status.Allocatable
	if len(says) == 0 {
		says = template.Status.Capacity
	}
	for _, name := range sorted(says) {
		amount := says[name]
		has, there := live.Status.Allocatable[name]
		x, y := amount.AsApproximateFloat64(), has.AsApproximateFloat64()
		if there && math.Abs(x-y) > mostDiffers*max(x, y) {
			all = append(all, fmt.Sprintf("%s is %s and not %s", name, has.String(), amount.String()))
		}
	}
	for _, name := range sorted(live.Status.Allocatable) {
		if _, said := says[name]; !said && cluster.IsDevice(name) && shows(live, name) {
			amount := live.Status.Allocatable[name]
			all = append(all, fmt.Sprintf("%s is %s and not named", name, amount.String()))
		}
	}
	for _, key := range sorted(template.Labels) {
		value, there := live.Labels[key]
		switch {
		case ofOneNode(key, value, live) || value == template.Labels[key] && there:
		case there:
			all = append(all, fmt.Sprintf("label %s is %q and not %q", key, value, template.Labels[key]))
		default:
			all = append(all, fmt.Sprintf("label %s=%s is missing", key, template.Labels[key]))
		}
	}
	labels := maps.Clone(live.Labels)
	cluster.StripMarks(labels)
	for _, key := range sorted(labels) {
		if _, said := template.Labels[key]; !said && !ofOneNode(key, labels[key], live) && !strings.Contains(key, "beta.kubernetes.io/") {
			all = append(all, fmt.Sprintf("label %s=%s is there and not named", key, labels[key]))
		}
	}
	stays := func(t corev1.Taint) bool {
		return !passing(t) && !slices.ContainsFunc(passes, func(p func(corev1.Taint) bool) bool { return p(t) })
	}
	for _, taint := range template.Spec.Taints {
		if stays(taint) && !hasTaint(live, taint) {
			all = append(all, taintName(taint)+" is missing")
		}
	}
	for _, taint := range live.Spec.Taints {
		if stays(taint) && !hasTaint(template, taint) {
			all = append(all, taintName(taint)+" is there and not named")
		}
	}
	return all
}
