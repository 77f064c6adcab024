package autoscaler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// ScaleUpDelay is the annotation by which a pod asks for a longer delay than --new-pod-scale-up-delay, as a Go duration.
const ScaleUpDelay = "cluster-autoscaler.kubernetes.io/pod-scale-up-delay"

// wants are the classes of pods that want room: those that the scheduler found none for, those that it has not looked at yet, and those
// that will want it soon. Higher priority comes first; among equals come the pods that nodes were already asked for, so that those nodes stay theirs.
func (p *pass) wants() []scheduling.Class {
	var pods []*cluster.Pod
	for key, pod := range p.s.Pending.All() {
		if pod.DeletionTimestamp != nil {
			continue
		}
		if why, message := p.leaves(pod); why != "" {
			p.say(plan.Pod, key, why, message)
			continue
		}
		pods = append(pods, pod)
	}
	pods = append(pods, p.foreseen()...)
	return p.classesOf(append(pods, p.leavers()...))
}

// classesOf sorts pods into classes, those that are served first first.
func (p *pass) classesOf(pods []*cluster.Pod) []scheduling.Class {
	slices.SortStableFunc(pods, func(a, b *cluster.Pod) int { return p.rank(a).compare(p.rank(b)) })
	var classes []scheduling.Class
	for start := 0; start < len(pods); {
		end := start + 1
		for end < len(pods) && p.rank(pods[start]) == p.rank(pods[end]) {
			end++
		}
		classes = append(classes, scheduling.Classes(pods[start:end])...)
		start = end
	}
	return classes
}

// leaves says why a pod doesn't want room from us; empty if it does.
func (p *pass) leaves(pod *cluster.Pod) (reason.Reason, string) {
	switch {
	case drain.IsDaemonSetPod(pod):
		return reason.DaemonSetPod, "DaemonSet pods come with their nodes"
	case p.ending(pod.Namespace):
		return reason.NamespaceEnding, fmt.Sprintf("its namespace %s is being deleted", pod.Namespace)
	case len(pod.Spec.SchedulingGates) > 0:
		return reason.SchedulingGated, fmt.Sprintf("the pod waits for its scheduling gate %s", pod.Spec.SchedulingGates[0].Name)
	case p.opts.Drain.Expendable(pod):
		return reason.ExpendablePod, fmt.Sprintf("its priority of %d is below the cutoff of %d", priority(pod), p.opts.Drain.ExpendablePodsPriorityCutoff)
	case !p.a.engine.Knows(pod):
		return reason.UnknownScheduler, fmt.Sprintf("the rules of its scheduler, %s, are not known here", pod.Spec.SchedulerName)
	case p.isUsable(pod.NominatedNodeName):
		p.reserve(pod.NominatedNodeName, pod)
		return reason.FitsExisting, fmt.Sprintf("the scheduler is making room for it on node %s", pod.NominatedNodeName)
	}
	return "", ""
}

// ending tells whether a namespace is being deleted, and all that is in it.
func (p *pass) ending(name string) bool {
	namespace, known := p.s.Namespaces.Get(name)
	return known && namespace.DeletionTimestamp != nil
}

// tooYoung tells whether the pod has not waited for its delay. A delay that can't be read counts as none.
func (p *pass) tooYoung(pod *cluster.Pod) (until time.Time, young bool) {
	delay := p.opts.NewPodScaleUpDelay
	if own, err := time.ParseDuration(pod.Annotations[ScaleUpDelay]); err == nil {
		delay = max(delay, own)
	}
	until = pod.CreationTimestamp.Add(delay)
	return until, delay > 0 && !p.reached(until)
}

// displacedBy finds the open breaker that keeps the pod from bringing nodes: an outage must not replace the fleet under another name.
func (p *pass) displacedBy(pod *cluster.Pod) (outage string, displaced bool) {
	owner := pod.Controller
	if owner == nil {
		return "", false
	}
	outage, displaced = p.displaced[owner.UID]
	return outage, displaced
}

// rank is the order in which pods are served.
type rank struct {
	priority int32
	promised bool
}

func (p *pass) rank(pod *cluster.Pod) rank {
	return rank{priority: priority(pod), promised: p.promised[pod.Key()]}
}

func (r rank) compare(other rank) int {
	return cmp.Or(cmp.Compare(other.priority, r.priority), order(r.promised, other.promised))
}

func priority(pod *cluster.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}
