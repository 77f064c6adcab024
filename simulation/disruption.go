package simulation

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// disruption plays the disruption controller: it keeps the status of the budgets up to date, a moment after what they count has changed.
type disruption struct {
	w     *World
	dirty map[string]bool
	wake  alarm
}

func newDisruption(w *World) *disruption {
	d := &disruption{w: w, dirty: map[string]bool{}}
	d.wake = alarm{w: w, who: "disruption", needsAPI: true, run: d.sync}
	return d
}

func (d *disruption) saw(c Change) {
	switch o := c.any().(type) {
	case *policyv1.PodDisruptionBudget:
		if c.New != nil {
			d.touch(cluster.Key(o))
		}
	case *corev1.Pod:
		old, _ := c.Old.(*corev1.Pod)
		if old != nil && c.New != nil && podReady(old) == podReady(o) && (old.DeletionTimestamp == nil) == (o.DeletionTimestamp == nil) {
			return
		}
		for budget := range eachIn[*policyv1.PodDisruptionBudget](d.w.Store, o.Namespace) {
			if d.w.Store.selects(budget, o) {
				d.touch(cluster.Key(budget))
			}
		}
	case *appsv1.ReplicaSet, *appsv1.StatefulSet:
		for budget := range eachIn[*policyv1.PodDisruptionBudget](d.w.Store, o.GetNamespace()) {
			d.touch(cluster.Key(budget))
		}
	}
}

func (d *disruption) touch(key string) {
	d.dirty[key] = true
	if !d.wake.set.waiting() {
		d.wake.within(d.w.between(d.w.timing.Reaction, "disruption/"+key))
	}
}

func (d *disruption) sync() {
	for _, key := range sortedKeys(d.dirty) {
		delete(d.dirty, key)
		namespace, name := splitKey(key)
		budget, err := find[*policyv1.PodDisruptionBudget](d.w.Store, namespace, name)
		if err != nil {
			continue
		}
		was := budget.Status.DisruptionsAllowed
		if again := d.w.Store.refreshBudget(budget); !again.IsZero() {
			d.w.queue.add(d.w.moment(again)+d.w.between(d.w.timing.Reaction, "disruption/"+key), "disruption", false, func() { d.touch(key) })
		}
		now, err := find[*policyv1.PodDisruptionBudget](d.w.Store, namespace, name)
		if err == nil && now.Status.DisruptionsAllowed != was {
			d.w.Log.add(Full, "budget %s allows %d disruptions", key, now.Status.DisruptionsAllowed)
		}
	}
}
