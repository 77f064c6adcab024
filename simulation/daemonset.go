package simulation

import (
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// daemonSets plays the DaemonSet controller: one pod on each node that the template's selector, affinity and tolerations allow. The pods
// are pinned to their nodes by affinity and bound by the scheduler, as the real controller does it.
type daemonSets struct {
	w    *World
	wake alarm
}

func newDaemonSets(w *World) *daemonSets {
	d := &daemonSets{w: w}
	d.wake = alarm{w: w, who: "daemonsets", needsAPI: true, run: d.sync}
	return d
}

func (d *daemonSets) saw(c Change) {
	switch o := c.any().(type) {
	case *appsv1.DaemonSet:
	case *corev1.Node:
		if old, ok := c.Old.(*corev1.Node); ok && c.New != nil && !placementChanged(old, o) {
			return
		}
	case *corev1.Pod:
		owner := metav1.GetControllerOf(o)
		if owner == nil || owner.Kind != "DaemonSet" || !counted(c) {
			return
		}
	default:
		return
	}
	if !d.wake.set.waiting() {
		d.wake.within(d.w.between(d.w.timing.Reaction, "daemonsets/"+cluster.Key(c.any())))
	}
}

// any is the object that changed: the new one, or the old one if it is gone.
func (c Change) any() Object {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

func placementChanged(a, b *corev1.Node) bool {
	return !maps.Equal(a.Labels, b.Labels) || !sameTaints(a.Spec.Taints, b.Spec.Taints)
}

func (d *daemonSets) sync() {
	for set := range each[*appsv1.DaemonSet](d.w.Store) {
		on := map[string]*corev1.Pod{}
		for _, pod := range d.w.Store.podsOfController(set.UID) {
			node := pinnedTo(pod)
			if pod.Status.Phase == corev1.PodFailed {
				d.w.Store.deletePod(pod, nil)
				continue
			}
			on[node] = pod
		}
		for node := range each[*corev1.Node](d.w.Store) {
			pod := on[node.Name]
			delete(on, node.Name)
			runs, stays := belongs(set, node)
			switch {
			case pod == nil && runs:
				d.create(set, node.Name)
			case pod != nil && !stays && pod.DeletionTimestamp == nil:
				d.w.Store.deletePod(pod, nil)
			}
		}
		for _, node := range sortedKeys(on) {
			if on[node].DeletionTimestamp == nil {
				d.w.Store.deletePod(on[node], nil)
			}
		}
	}
}

// create makes the DaemonSet's pod for a node.
func (d *daemonSets) create(set *appsv1.DaemonSet, node string) {
	template := set.Spec.Template.DeepCopy()
	pinTo(&template.Spec, node)
	template.Spec.Tolerations = append(template.Spec.Tolerations, daemonTolerations()...)
	name := fmt.Sprintf("%s-%s", set.Name, node)
	d.w.createPod(set, "DaemonSet", name, *template)
}

// daemonTolerations are what the controller adds to every pod of a DaemonSet: it stays when its node is lost.
func daemonTolerations() []corev1.Toleration {
	exists := func(key string, effect corev1.TaintEffect) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
	}
	return []corev1.Toleration{
		exists(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute), exists(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute),
		exists(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule), exists(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule),
		exists(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule), exists(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule),
	}
}

// belongs tells whether the set's pod should run on the node, and whether one that is there may stay.
func belongs(set *appsv1.DaemonSet, node *corev1.Node) (runs, stays bool) {
	pod := &corev1.Pod{Spec: *set.Spec.Template.Spec.DeepCopy()}
	if fits, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !fits {
		return false, false
	}
	tolerations := slices.Concat(pod.Spec.Tolerations, daemonTolerations())
	runs, stays = true, true
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectPreferNoSchedule || toleratedBy(tolerations, taint) {
			continue
		}
		runs = false
		if taint.Effect == corev1.TaintEffectNoExecute {
			stays = false
		}
	}
	return runs, stays
}

func toleratedBy(tolerations []corev1.Toleration, taint corev1.Taint) bool {
	for _, t := range tolerations {
		if tolerates(t, taint) {
			return true
		}
	}
	return false
}

// pinTo adds the affinity to one node by name.
func pinTo(spec *corev1.PodSpec, node string) {
	only := corev1.NodeSelectorRequirement{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.NodeAffinity == nil {
		spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	required := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		required = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
		spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = required
	}
	for i := range required.NodeSelectorTerms {
		required.NodeSelectorTerms[i].MatchFields = []corev1.NodeSelectorRequirement{only}
	}
}

// pinnedTo is the node that the pod is pinned to by name; empty if it is not.
func pinnedTo(pod *corev1.Pod) string {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, field := range term.MatchFields {
			if field.Key == metav1.ObjectNameField && len(field.Values) == 1 {
				return field.Values[0]
			}
		}
	}
	return ""
}
