package simulation

import (
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// taintEviction plays the taint eviction controller: a pod that does not tolerate a NoExecute taint of its node is deleted, at once or when
// the seconds of its toleration have passed since the controller saw the taint. It deletes, so no budget holds it.
type taintEviction struct {
	w       *World
	started map[types.UID]time.Duration
	due     map[types.UID]*item
}

func newTaintEviction(w *World) *taintEviction {
	return &taintEviction{w: w, started: map[types.UID]time.Duration{}, due: map[types.UID]*item{}}
}

func (t *taintEviction) saw(c Change) {
	switch o := c.any().(type) {
	case *corev1.Node:
		old, _ := c.Old.(*corev1.Node)
		if old != nil && c.New != nil && sameTaints(noExecute(old), noExecute(o)) {
			return
		}
		for _, pod := range t.w.Store.podsOnNode(o.Name) {
			t.judge(pod, o, c.New != nil)
		}
	case *corev1.Pod:
		if c.New == nil {
			t.forget(o.UID)
			return
		}
		if len(t.due) == 0 && c.Old != nil && c.Old.(*corev1.Pod).Spec.NodeName == o.Spec.NodeName {
			return
		}
		if node, err := find[*corev1.Node](t.w.Store, "", o.Spec.NodeName); err == nil {
			t.judge(o, node, true)
		}
	}
}

func noExecute(node *corev1.Node) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(node.Spec.Taints), func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectNoExecute })
}

// judge sets, keeps or cancels the pod's deletion.
func (t *taintEviction) judge(pod *corev1.Pod, node *corev1.Node, there bool) {
	taints := noExecute(node)
	if !there || len(taints) == 0 || pod.DeletionTimestamp != nil {
		t.forget(pod.UID)
		return
	}
	after, ever := patience(pod, taints)
	if !ever {
		t.forget(pod.UID)
		return
	}
	if _, running := t.started[pod.UID]; !running {
		t.started[pod.UID] = t.w.elapsed
	}
	at := t.started[pod.UID] + after
	if it := t.due[pod.UID]; it.waiting() && it.at <= at {
		return
	}
	t.due[pod.UID].cancel()
	t.due[pod.UID] = t.w.queue.add(max(at, t.w.elapsed+t.w.between(t.w.timing.Reaction, "taints/"+pod.Name)), "taints/"+pod.Name, true,
		func() { t.evict(pod) })
}

func (t *taintEviction) forget(pod types.UID) {
	t.due[pod].cancel()
	delete(t.due, pod)
	delete(t.started, pod)
}

func (t *taintEviction) evict(pod *corev1.Pod) {
	t.forget(pod.UID)
	now, err := find[*corev1.Pod](t.w.Store, pod.Namespace, pod.Name)
	if err != nil || now.UID != pod.UID || now.DeletionTimestamp != nil {
		return
	}
	t.w.Log.add(Normal, "pod %s deleted: it does not tolerate the taints of %s", cluster.Key(pod), pod.Spec.NodeName)
	t.w.Store.disrupt(now, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", nil)
}

// patience is how long the pod tolerates the taints; ever is false if it tolerates all of them for ever.
func patience(pod *corev1.Pod, taints []corev1.Taint) (after time.Duration, ever bool) {
	least := int64(math.MaxInt64)
	for _, taint := range taints {
		tolerated := false
		for _, toleration := range pod.Spec.Tolerations {
			if !tolerates(toleration, taint) {
				continue
			}
			tolerated = true
			if toleration.TolerationSeconds != nil {
				least = min(least, max(*toleration.TolerationSeconds, 0))
			}
		}
		if !tolerated {
			return 0, true
		}
	}
	if least == math.MaxInt64 {
		return 0, false
	}
	return seconds(least), true
}
