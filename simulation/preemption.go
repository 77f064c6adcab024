package simulation

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// victims are the pods that would have to go from a node.
type victims struct {
	node string
	pods []*cluster.Pod
	// guarded counts those whose budget has nothing to spare.
	guarded int
	highest int32
}

// preempt makes room for a pod by deleting pods of lower priority, on the node where that hurts least, and nominates the pod for it. It does nothing
// while pods are still going from the node that the pod was nominated for.
func (s *scheduler) preempt(trial scheduling.Trial, snapshot *cluster.Snapshot, seen *cluster.Pod, pod *corev1.Pod) {
	t := s.tries[pod.UID]
	if ptr.Deref(pod.Spec.PreemptionPolicy, corev1.PreemptLowerPriority) == corev1.PreemptNever || s.making(t.nominated) {
		return
	}
	var best *victims
	for _, node := range s.candidates(snapshot, pod) {
		v := s.victimsOn(trial, snapshot, seen, node)
		if v != nil && (best == nil || v.compare(best) < 0) {
			best = v
		}
	}
	if best == nil {
		t.nominated = ""
		return
	}
	t.nominated = best.node
	s.w.Log.add(Normal, "pod %s preempts %d pods on %s", cluster.Key(pod), len(best.pods), best.node)
	for _, victim := range best.pods {
		trial.Take(victim)
		if now, err := find[*corev1.Pod](s.w.Store, victim.Namespace, victim.Name); err == nil && now.DeletionTimestamp == nil {
			s.w.Store.disrupt(now, "PreemptionByScheduler", "preempted by a pod of higher priority", nil)
		}
	}
	trial.Put(seen, best.node)
	if now, err := find[*corev1.Pod](s.w.Store, pod.Namespace, pod.Name); err == nil {
		change(s.w.Store, now, func(c *corev1.Pod) { c.Status.NominatedNodeName = best.node })
	}
}

// making tells whether pods are still going from the node.
func (s *scheduler) making(node string) bool {
	if node == "" {
		return false
	}
	return slices.ContainsFunc(s.w.Store.podsOnNode(node), func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// victimsOn finds the fewest pods of lower priority whose going lets the pod onto the node; nil if there are none. The trial is left as it was.
func (s *scheduler) victimsOn(trial scheduling.Trial, snapshot *cluster.Snapshot, pod *cluster.Pod, node string) *victims {
	var lower []*cluster.Pod
	for _, p := range snapshot.PodsOn(node) {
		if priority(p) < priority(pod) && p.DeletionTimestamp == nil {
			lower = append(lower, p)
		}
	}
	if len(lower) == 0 {
		return nil
	}
	before := trial.Mark()
	defer trial.Undo(before)
	for _, p := range lower {
		trial.Take(p)
	}
	if trial.Fits(pod, node) != nil {
		return nil
	}
	slices.SortStableFunc(lower, func(a, b *cluster.Pod) int { return -cmp.Compare(priority(a), priority(b)) })
	v := &victims{node: node}
	for _, p := range lower {
		trial.Put(p, node)
		if trial.Fits(pod, node) == nil {
			continue
		}
		trial.Take(p)
		v.pods = append(v.pods, p)
		v.highest = max(v.highest, priority(p))
		if s.guarded(p) {
			v.guarded++
		}
	}
	return v
}

func priority(pod *cluster.Pod) int32 { return ptr.Deref(pod.Spec.Priority, 0) }

// guarded tells whether a budget of the pod has nothing to spare.
func (s *scheduler) guarded(pod *cluster.Pod) bool {
	for _, budget := range s.w.Store.budgetsOf(pod.Object()) {
		if budget.Status.DisruptionsAllowed <= 0 {
			return true
		}
	}
	return false
}

func (v *victims) compare(o *victims) int {
	return cmp.Or(cmp.Compare(v.guarded, o.guarded), cmp.Compare(v.highest, o.highest), cmp.Compare(len(v.pods), len(o.pods)))
}
