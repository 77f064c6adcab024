package explain

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// node says what becomes of a node, or of an instance that is none, and why it stays if it does.
func (b book) node(name string) (Answer, error) {
	node, ok := b.snapshot.Nodes.Get(name)
	if !ok {
		if instance, is := b.snapshot.Instances.Get(name); is {
			if node := b.snapshot.NodeBy(name); node != nil {
				return b.node(node.Name)
			}
			return b.stray(instance), nil
		}
		if a, is := b.formerNode(name); is {
			return a, nil
		}
		return Answer{}, &NotFoundError{Kind: plan.Node, Name: name, Alike: alike(name, func(yield func(string) bool) {
			for key := range b.snapshot.Nodes.All() {
				if !yield(key) {
					return
				}
			}
		})}
	}
	a := b.answer(plan.Node, name)
	pool := b.snapshot.PoolOf(node)
	a.Facts = append(a.Facts, b.whatItIs(node, pool))
	a.Facts = append(a.Facts, b.load(node))
	if node.Spec.Unschedulable {
		a.Facts = append(a.Facts, "It is cordoned.")
	}
	ref := cluster.Ref(node)
	a.Facts = append(a.Facts, b.taken(ref)...)
	a.Facts = append(a.Facts, b.illness(ref)...)
	a.Facts = append(a.Facts, b.steps(func(step plan.Step) bool { return step.Node.Key() == ref.Key() })...)
	a.Words = append(b.words(plan.Node, name, ref.ProviderID), b.held(func(p plan.Proposal) bool { return p.Node.Key() == ref.Key() })...)
	return a, nil
}

// stray is the answer about an instance without a node.
func (b book) stray(instance *cluster.Instance) Answer {
	a := b.answer(plan.Node, instance.ID)
	ref := ledger.NodeRef{ProviderID: instance.ID}
	a.Facts = append(a.Facts, fmt.Sprintf("The instance belongs to pool %s, and no node has registered for it in %s; the cloud says %s.",
		instance.Pool, b.ago(instance.Appeared), instance.Status.State))
	a.Facts = append(a.Facts, b.taken(ref)...)
	a.Facts = append(a.Facts, b.illness(ref)...)
	a.Words = append(b.words(plan.Node, instance.ID), b.held(func(p plan.Proposal) bool { return p.Node.ProviderID == instance.ID })...)
	return a
}

func (b book) whatItIs(node *corev1.Node, pool *cluster.Pool) string {
	status, since := cluster.Ready(node)
	state := "not ready"
	switch status {
	case corev1.ConditionTrue:
		state = "ready"
	case corev1.ConditionUnknown:
		state = "silent (Ready is Unknown)"
	}
	text := fmt.Sprintf("The node has been %s for %s, and is %s old", state, b.ago(since), b.ago(node.CreationTimestamp.Time))
	if pool == nil {
		return text + "; it belongs to no pool, and is never touched."
	}
	text += "; it belongs to pool " + pool.Name
	if zone := node.Labels[corev1.LabelTopologyZone]; zone != "" {
		text += " in zone " + zone
	}
	if version := node.Status.NodeInfo.KubeletVersion; version != "" {
		text += ", and its kubelet is " + version
	}
	return text + "."
}

// load is how full the node is by its pods' requests.
func (b book) load(node *corev1.Node) string {
	pods := b.snapshot.PodsOn(node.Name)
	if len(pods) == 0 {
		return "It runs no pods."
	}
	var cpu, memory int64
	for _, pod := range pods {
		request := resource.PodRequests(pod.Object(), resource.PodResourcesOptions{})
		cpu += request.Cpu().MilliValue()
		memory += request.Memory().Value()
	}
	return fmt.Sprintf("It runs %s, with requests for %s of its CPU and %s of its memory.", count(len(pods), "pod", "pods"),
		percent(cpu, node.Status.Allocatable.Cpu().MilliValue()), percent(memory, node.Status.Allocatable.Memory().Value()))
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "an unknown share"
	}
	return fmt.Sprintf("%d%%", 100*part/whole)
}

// taken says who takes the node out, or for whom it comes.
func (b book) taken(ref ledger.NodeRef) []string {
	var facts []string
	for _, c := range b.plan.Claims {
		switch ref.Key() {
		case c.Node.Key():
			facts = append(facts, b.claim(c))
		case c.Replacement.Key():
			facts = append(facts, fmt.Sprintf("It replaces %s for the %s, and is protected until that is done.", c.Node, c.Owner))
		}
	}
	return facts
}

func (b book) claim(c ledger.Claim) string {
	text := fmt.Sprintf("The %s has been taking it out for %s (%s)", c.Owner, b.ago(c.Since), because(c.Reason, c.Message))
	if b.plan.Time.Sub(c.Since) < time.Second && (c.Phase == ledger.Surging || c.Phase == ledger.Draining) {
		text = fmt.Sprintf("The %s begins to take it out (%s)", c.Owner, because(c.Reason, c.Message))
	}
	switch c.Phase {
	case ledger.Surging:
		text += "; it waits for the node that replaces it"
	case ledger.Draining:
		text += "; its pods are moving away"
		if b.plan.Time.Sub(c.PhaseSince) >= time.Second {
			text = strings.TrimSuffix(text, " are moving away") + " have been moving away for " + b.ago(c.PhaseSince)
		}
		if !c.Until.IsZero() {
			text += ", and have " + b.in(c.Until) + " more"
		}
	case ledger.Stopping:
		text += "; nothing answers there any more, and its machine is being switched off"
	case ledger.Releasing:
		text += "; its machine is known to be off, and its pods and volumes are let go"
	case ledger.Rebooting:
		text += "; its machine is being rebooted, and its node is awaited"
	case ledger.Deleting:
		text += "; its instance is being deleted, past the point of no return"
	case ledger.Refilling:
		text += "; it is gone, and the pool waits for its new node"
	case ledger.Aborting:
		text += "; that is being undone"
	}
	if c.Replacement != (ledger.NodeRef{}) {
		text += "; the new node is " + c.Replacement.String()
	}
	if c.Trouble != "" {
		text += "; trouble: " + string(c.Trouble)
	}
	return text + "."
}

// illness is the node's incident, in words.
func (b book) illness(ref ledger.NodeRef) []string {
	var facts []string
	for _, i := range b.snapshot.Ledger.Incidents() {
		if i.Node.Key() != ref.Key() {
			continue
		}
		text := fmt.Sprintf("An incident is open since %s (%s ago): %s, seen so for %s in all", moment(i.Began), b.ago(i.Began), i.Sign, i.Ill.Observed.Round(time.Second))
		if i.State == ledger.Healthy {
			text += fmt.Sprintf(", and healthy again for %s", i.Well.Observed.Round(time.Second))
		}
		if i.Lineage > 0 {
			text += fmt.Sprintf("; %s failed already", count(i.Lineage, "replacement has", "replacements have"))
		}
		facts = append(facts, strings.TrimSuffix(text, ".")+".")
		facts = append(facts, b.newborn(i)...)
		facts = append(facts, record(i)...)
	}
	for _, i := range b.snapshot.Ledger.Records() {
		switch ref.Key() {
		case i.Node.Key():
			facts = append(facts, "It was ill before, until "+moment(i.Ended)+": "+plan.Story(i)+".")
		case i.Replacement.Key():
			facts = append(facts, fmt.Sprintf("It came in place of %s at %s: %s.", i.Node, moment(i.Ended), plan.Story(i)))
		}
	}
	return facts
}

// newborn says why an illness so soon after the birth of the node waits longer than others.
func (b book) newborn(i ledger.Incident) []string {
	pool, known := b.snapshot.Pools.Get(i.Pool)
	if i.Sign != reason.NeverReady || i.State != ledger.Suspected || !known {
		return nil
	}
	return []string{fmt.Sprintf("It has not been ready for longer than its first minute, so it counts as a node that is still starting: its repair waits for --max-node-startup-time (%s), and not for --heal-unhealthy-after (%s).",
		pool.Settings.MaxNodeStartupTime, pool.Settings.UnhealthyAfter)}
}

// formerNode answers about a node that is gone, while its incident is open or its record is kept.
func (b book) formerNode(name string) (Answer, bool) {
	a := b.answer(plan.Node, name)
	for _, i := range b.snapshot.Ledger.Incidents() {
		if i.Node.Name == name {
			a.Facts = append(a.Facts, "It is no more, and belonged to pool "+i.Pool+".")
			a.Facts = append(a.Facts, b.taken(i.Node)...)
			a.Facts = append(a.Facts, b.illness(i.Node)...)
		}
	}
	for _, i := range b.snapshot.Ledger.Records() {
		if i.Node.Name == name || i.Node.ProviderID == name {
			a.Facts = append(a.Facts, fmt.Sprintf("It is no more, and belonged to pool %s. At %s: %s.", i.Pool, moment(i.Ended), plan.Story(i)))
			a.Facts = append(a.Facts, record(i)...)
		}
	}
	return a, len(a.Facts) > 0
}

// record is what was seen and done in an incident, a line each.
func record(i ledger.Incident) []string {
	var facts []string
	for _, step := range i.Steps {
		facts = append(facts, fmt.Sprintf("%s  %s", moment(step.At), because(step.Reason, step.Message)))
	}
	return facts
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
