package explain

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// pod says why a pod is pending and what is done about it; and of one that runs, whether it keeps its node.
func (b book) pod(name string) (Answer, error) {
	if !strings.Contains(name, "/") {
		name = "default/" + name
	}
	pod, ok := b.snapshot.Pods.Get(name)
	if !ok {
		return Answer{}, &NotFoundError{Kind: plan.Pod, Name: name, Alike: alike(name, func(yield func(string) bool) {
			for key := range b.snapshot.Pods.All() {
				if !yield(key) {
					return
				}
			}
		})}
	}
	a := b.answer(plan.Pod, name)
	if pod.NodeName != "" {
		a.Facts = append(a.Facts, b.running(pod)...)
		a.Words = b.holdingWords(pod)
		return a, nil
	}
	a.Facts = append(a.Facts, b.pending(pod)...)
	for _, op := range b.plan.Operations {
		if slices.Contains(op.Pods, name) {
			a.Facts = append(a.Facts, fmt.Sprintf("Pool %s grows from %d to %d for it and %s: asked for %s ago, %s; given up after %s more.",
				op.Pool, op.From, op.To, count(len(op.Pods)-1, "other pod", "other pods"), b.ago(op.Requested), strings.ToLower(string(op.State)), b.in(op.Until)))
		}
	}
	a.Words = append(b.words(plan.Pod, name), b.held(func(p plan.Proposal) bool {
		return slices.ContainsFunc(p.Pods, func(ref plan.PodRef) bool { return ref.String() == name })
	})...)
	for _, step := range b.plan.Steps {
		if step.Do == plan.Increase && slices.ContainsFunc(step.Pods, func(ref plan.PodRef) bool { return ref.String() == name }) {
			a.Facts = append(a.Facts, fmt.Sprintf("Right now pool %s is asked to grow from %d to %d for it.", step.Pool, step.From, step.From+step.Delta))
		}
	}
	return a, nil
}

func (b book) pending(pod *cluster.Pod) []string {
	request := resource.PodRequests(pod.Object(), resource.PodResourcesOptions{})
	facts := []string{fmt.Sprintf("The pod has been pending for %s; it asks for %s CPU and %s of memory.",
		b.ago(pod.CreationTimestamp.Time), request.Cpu().String(), request.Memory().String())}
	switch {
	case !pod.Unschedulable.IsZero():
		facts = append(facts, fmt.Sprintf("The scheduler has found no node for it for %s.", b.ago(pod.Unschedulable.Time)))
	default:
		facts = append(facts, "The scheduler has not said yet that it finds no node for it.")
	}
	if pod.NominatedNodeName != "" {
		facts = append(facts, "The scheduler is making room for it on node "+pod.NominatedNodeName+".")
	}
	return facts
}

// hasRoom says how much a new node of a pool has, beside the answer that it is too little.
func (b book) hasRoom(pool string) string {
	p, ok := b.snapshot.Pools.Get(pool)
	if !ok {
		return ""
	}
	var has []string
	for _, field := range scheduling.Fields(b.snapshot, p) {
		if field.Value != "" && !strings.Contains(field.Name, " ") { // labels and taints say nothing of room
			has = append(has, field.Name+" "+field.Value)
		}
	}
	if len(has) == 0 {
		return ""
	}
	return "; a new node has " + strings.Join(has, ", ")
}

func (b book) running(pod *cluster.Pod) []string {
	facts := []string{fmt.Sprintf("The pod has a node: it is bound to %s, and %s.", pod.NodeName, readyText(pod))}
	if pod.DeletionTimestamp != nil {
		facts = append(facts, fmt.Sprintf("It was deleted, and has until %s to end.", pod.DeletionTimestamp.UTC().Format("15:04:05 MST")))
	}
	for _, step := range b.plan.Steps {
		if step.Do == plan.Evict && slices.ContainsFunc(step.Pods, func(ref plan.PodRef) bool { return ref.UID == pod.UID }) {
			facts = append(facts, fmt.Sprintf("Right now the %s evicts it (%s).", step.Owner, because(step.Reason, step.Message)))
		}
	}
	for _, c := range b.plan.Claims {
		if c.Node.Name == pod.NodeName {
			facts = append(facts, fmt.Sprintf("Its node is being taken out by the %s (%s, %s).", c.Owner, c.Phase, because(c.Reason, c.Message)))
		}
	}
	return facts
}

func readyText(pod *cluster.Pod) string {
	if pod.Ready {
		return "ready"
	}
	return "not ready"
}

// holdingWords are what is said about the pod where somebody looked at its node.
func (b book) holdingWords(pod *cluster.Pod) []Word {
	var all []Word
	for _, v := range b.plan.Verdicts {
		if v.Kind != plan.Node || v.Name != pod.NodeName {
			continue
		}
		for _, held := range v.Pods {
			if held.Pod != pod.Key() {
				continue
			}
			word := b.word(v.Owner, held.Reason, held.Message, v.Due)
			word.Text = "it keeps node " + pod.NodeName + " in the pool: " + word.Text
			all = append(all, word)
		}
	}
	return all
}
