package report

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// The reasons of Events that the ecosystem knows from the cluster-autoscaler. All others are from the closed list of package reason.
const (
	triggeredScaleUp  = "TriggeredScaleUp"
	notTriggerScaleUp = "NotTriggerScaleUp"
	scaleDown         = "ScaleDown"
)

const (
	// repeatAfter is when an Event is told again that still holds, and hushFor the shortest time between two Events of one reason about
	// one object whose words differ, so that a number that counts down doesn't make an Event a pass.
	repeatAfter = time.Hour
	hushFor     = time.Minute
	// longestEvent is what the API server takes as an Event's message.
	longestEvent = 1024
)

// events tells Events, each once per change. What Kubernetes' own recorder aggregates comes on top.
type events struct {
	recorder record.EventRecorder
	status   *corev1.ObjectReference
	told     map[told]saying
}

// told is what an Event is about: of one object, reason and topic there is one at a time. Only the status ConfigMap, which stands for all
// pools, has topics.
type told struct {
	kind, namespace, name string
	uid                   types.UID
	reason, topic         string
}

type saying struct {
	message string
	at      time.Time
	pass    time.Time
}

func newEvents(recorder record.EventRecorder, status *corev1.ObjectReference) *events {
	return &events{recorder: recorder, status: status, told: map[told]saying{}}
}

// statusRef is the status ConfigMap, which stands for the pools.
func statusRef(namespace string) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: StatusName}
}

// tell makes the Events of a plan.
func (e *events) tell(now time.Time, p *plan.Plan, s *cluster.Snapshot, groups []waiting) {
	if e.recorder == nil {
		return
	}
	for _, n := range p.Notes { // these happen once, and are not remembered
		e.tellNote(p, s, n)
	}
	for _, g := range groups {
		if quiet[g.Reason] {
			continue
		}
		message := "pod didn't trigger scale-up: " + g.Why
		for _, pod := range g.Pods {
			e.still(now, podRef(s, pod), "", notTriggerScaleUp, message)
		}
	}
	for _, h := range p.Held {
		if h.Proposal.Action != plan.Grow || h.Reason == reason.OperationInFlight {
			continue
		}
		why := fmt.Sprintf("pod didn't trigger scale-up: pool %s: %s", h.Proposal.Pool, because(h.Reason, h.Message))
		for _, pod := range h.Proposal.Pods {
			e.still(now, podRef(s, pod.String()), "", notTriggerScaleUp, why)
		}
	}
	for _, g := range heldProposals(p) {
		e.still(now, e.status, g.key(), string(g.Reason), string(g.Owner)+": "+g.text())
	}
	for _, v := range p.Verdicts {
		if v.Kind == plan.Setting || v.Reason == reason.OrphanInstance {
			e.still(now, e.status, v.Name, string(v.Reason), string(v.Owner)+": "+v.Message)
		}
	}
	for key, saying := range e.told { // what does not hold any more is a change when it holds again
		if !saying.pass.Equal(now) && now.Sub(saying.at) > hushFor {
			delete(e.told, key)
		}
	}
}

func (e *events) tellNote(p *plan.Plan, s *cluster.Snapshot, n plan.Note) {
	level := corev1.EventTypeNormal
	if n.Warning {
		level = corev1.EventTypeWarning
	}
	if len(n.Pods) > 0 {
		message := "pod triggered scale-up: [{" + n.Message + "}]"
		if op, ok := operationOf(p, n.Pool); ok {
			message = fmt.Sprintf("pod triggered scale-up: [{%s %d->%d (max: %d)}]", n.Pool, op.From, op.To, poolLine(p, n.Pool).Max)
		}
		for _, pod := range n.Pods {
			e.event(podRef(s, pod.String()), corev1.EventTypeNormal, triggeredScaleUp, message)
		}
	}
	why := string(n.Reason)
	if n.Owner == ledger.Autoscaler && slices.Contains([]reason.Reason{reason.Underutilized, reason.Empty, reason.UnreadyUnneeded}, n.Reason) {
		why = scaleDown
	}
	about := e.status
	if n.Node.UID != "" {
		about = &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: n.Node.Name, UID: n.Node.UID}
	}
	e.event(about, level, why, string(n.Owner)+": "+n.Message)
}

// still tells what holds, when it is new, when its words changed, or once in an hour.
func (e *events) still(now time.Time, about *corev1.ObjectReference, topic, why, message string) {
	if about == nil {
		return
	}
	key := told{about.Kind, about.Namespace, about.Name, about.UID, why, topic}
	last, known := e.told[key]
	age := now.Sub(last.at)
	if known && age < repeatAfter && (last.message == message || age < hushFor) {
		last.pass = now
		e.told[key] = last
		return
	}
	e.told[key] = saying{message: message, at: now, pass: now}
	e.event(about, corev1.EventTypeNormal, why, message)
}

func (e *events) event(about *corev1.ObjectReference, level, why, message string) {
	if about == nil {
		return
	}
	e.recorder.Event(about, level, why, cluster.Clip(message, longestEvent))
}

// podRef names a live pod; nil if it is gone.
func podRef(s *cluster.Snapshot, key string) *corev1.ObjectReference {
	pod, ok := s.Pods.Get(key)
	if !ok {
		return nil
	}
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
}
