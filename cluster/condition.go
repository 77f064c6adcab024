package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ConditionRule says which node condition speaks of an illness, when that is long enough, and what is then done.
type ConditionRule struct {
	Type   corev1.NodeConditionType
	Status corev1.ConditionStatus
	// Reasons are those of the condition that count; with none all do.
	Reasons []string
	// After is for how long it is so before the node is repaired.
	After time.Duration
	// Remedy is how far up the ladder the repair begins.
	Remedy Remedy
}

// Remedy is what is done about an illness.
type Remedy string

// The remedies. The empty one reboots first where the pool has that, and else replaces.
const (
	// OnlyLook does nothing, and tells.
	OnlyLook Remedy = "look"
	// RebootOnce reboots the machine where the provider can, and replaces it when that did not help.
	RebootOnce Remedy = "reboot"
	// ReplaceAtOnce replaces it.
	ReplaceAtOnce Remedy = "replace"
)

// String is the rule as it is written: "KernelDeadlock=True(DockerHung) 10m0s reboot".
func (r ConditionRule) String() string {
	text := r.Name()
	if len(r.Reasons) > 0 {
		text += "(" + strings.Join(r.Reasons, "|") + ")"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", text, r.After, r.Remedy))
}

// Name is the condition without reasons: "KernelDeadlock=True".
func (r ConditionRule) Name() string { return fmt.Sprintf("%s=%s", r.Type, r.Status) }

// Matches tells whether the condition is one that the rule is about.
func (r ConditionRule) Matches(c *corev1.NodeCondition) bool {
	return c.Type == r.Type && c.Status == r.Status && (len(r.Reasons) == 0 || slices.Contains(r.Reasons, c.Reason))
}

// ParseConditions reads rules that are separated by commas, each as Type=Status(Reason|Reason) duration [look|reboot|replace]; the reasons may be left out. The
// condition Ready has a threshold of its own, and is refused.
func ParseConditions(text string) ([]ConditionRule, error) {
	var rules []ConditionRule
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		rule, err := parseCondition(words)
		if err != nil {
			return nil, fmt.Errorf("%q: %w; write it like \"KernelDeadlock=True(DockerHung|TaskHung) 10m reboot\"", strings.TrimSpace(part), err)
		}
		if slices.ContainsFunc(rules, func(r ConditionRule) bool { return r.Name() == rule.Name() && slices.Equal(r.Reasons, rule.Reasons) }) {
			return nil, fmt.Errorf("%q: the condition is named twice; make one rule of the two", strings.TrimSpace(part))
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func parseCondition(words []string) (ConditionRule, error) {
	var rule ConditionRule
	what, reasons, filtered := strings.Cut(words[0], "(")
	kind, status, ok := strings.Cut(what, "=")
	rule.Type, rule.Status = corev1.NodeConditionType(kind), corev1.ConditionStatus(status)
	switch {
	case !ok || kind == "":
		return rule, fmt.Errorf("%q is no condition and its status", words[0])
	case rule.Type == corev1.NodeReady:
		return rule, fmt.Errorf("the condition Ready has a threshold of its own: set unhealthyAfter")
	case !slices.Contains([]corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown}, rule.Status):
		return rule, fmt.Errorf("%q is no status of a condition: it is True, False or Unknown", status)
	case filtered && (!strings.HasSuffix(reasons, ")") || len(reasons) < 2):
		return rule, fmt.Errorf("the reasons in %q are not closed, or there are none", words[0])
	}
	if filtered {
		rule.Reasons = strings.Split(strings.TrimSuffix(reasons, ")"), "|")
		if slices.Contains(rule.Reasons, "") {
			return rule, fmt.Errorf("one of the reasons in %q is empty", words[0])
		}
	}
	if len(words) < 2 {
		return rule, fmt.Errorf("it says not for how long")
	}
	after, err := time.ParseDuration(words[1])
	if err != nil || after <= 0 {
		return rule, fmt.Errorf("%q is no duration, or not longer than nothing", words[1])
	}
	rule.After = after
	switch {
	case len(words) > 3:
		return rule, fmt.Errorf("%q is too much", strings.Join(words[3:], " "))
	case len(words) == 3:
		rule.Remedy = Remedy(words[2])
		if !slices.Contains([]Remedy{OnlyLook, RebootOnce, ReplaceAtOnce}, rule.Remedy) {
			return rule, fmt.Errorf("%q is no remedy: it is look, reboot or replace", words[2])
		}
	}
	return rule, nil
}

// kubeletConditions are those that a kubelet and the node controllers write; all others come from programs such as node-problem-detector.
var kubeletConditions = []corev1.NodeConditionType{
	corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable,
}

// ByKubelet tells whether the condition is written by the kubelet or a node controller. Kubernetes makes those Unknown when the kubelet falls silent; others
// keep their last value.
func ByKubelet(kind corev1.NodeConditionType) bool { return slices.Contains(kubeletConditions, kind) }

// HeartbeatGrain is how fine the time is at which a condition that is not the kubelet's was last written: a heartbeat within the same span is no change.
const HeartbeatGrain = 5 * time.Minute
