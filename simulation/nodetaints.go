package simulation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// setTaints replaces the controller's own taints of one effect.
func (l *lifecycle) setTaints(node *corev1.Node, effect corev1.TaintEffect, want ...*corev1.Taint) {
	want = slices.DeleteFunc(want, func(t *corev1.Taint) bool { return t == nil })
	if sameTaints(want, ownTaints(node, effect)) {
		return
	}
	change(l.w.Store, node, func(c *corev1.Node) {
		c.Spec.Taints = slices.DeleteFunc(c.Spec.Taints, func(t corev1.Taint) bool { return t.Effect == effect && isLifecycleTaint(t.Key) })
		for _, t := range want {
			fresh := *t
			if now := l.w.Store.now(); effect == corev1.TaintEffectNoExecute || fresh.Key == corev1.TaintNodeUnschedulable {
				fresh.TimeAdded = &now
			}
			c.Spec.Taints = append(c.Spec.Taints, fresh)
			l.w.Log.add(Full, "node %s is tainted %s:%s", node.Name, fresh.Key, effect)
		}
	})
}

// noScheduleTaints are the taints that a node's conditions and cordon call for.
func noScheduleTaints(node *corev1.Node) []*corev1.Taint {
	var taints []*corev1.Taint
	add := func(key string) {
		taints = append(taints, &corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
	switch readyStatus(node) {
	case corev1.ConditionTrue:
	case corev1.ConditionUnknown:
		if nodeCondition(node, corev1.NodeReady) == nil {
			add(corev1.TaintNodeNotReady) // set at the creation, before anybody has posted a status
			break
		}
		add(corev1.TaintNodeUnreachable)
	default:
		add(corev1.TaintNodeNotReady)
	}
	for _, c := range []struct {
		condition corev1.NodeConditionType
		key       string
	}{
		{corev1.NodeMemoryPressure, corev1.TaintNodeMemoryPressure},
		{corev1.NodeDiskPressure, corev1.TaintNodeDiskPressure},
		{corev1.NodePIDPressure, corev1.TaintNodePIDPressure},
		{corev1.NodeNetworkUnavailable, corev1.TaintNodeNetworkUnavailable},
	} {
		if had := nodeCondition(node, c.condition); had != nil && had.Status == corev1.ConditionTrue {
			add(c.key)
		}
	}
	if node.Spec.Unschedulable {
		add(corev1.TaintNodeUnschedulable)
	}
	return taints
}

// noExecuteTaint is the taint that makes the pods of the node go; nil for a ready node.
func noExecuteTaint(node *corev1.Node) *corev1.Taint {
	c := nodeCondition(node, corev1.NodeReady)
	switch {
	case c == nil || c.Status == corev1.ConditionTrue:
		return nil
	case c.Status == corev1.ConditionUnknown:
		return &corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute}
	}
	return &corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute}
}

func isLifecycleTaint(key string) bool {
	switch key {
	case corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable, corev1.TaintNodeMemoryPressure,
		corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable:
		return true
	}
	return false
}

// ownTaints are the taints of one effect that this controller sets.
func ownTaints(node *corev1.Node, effect corev1.TaintEffect) []*corev1.Taint {
	var own []*corev1.Taint
	for i := range node.Spec.Taints {
		if t := &node.Spec.Taints[i]; t.Effect == effect && isLifecycleTaint(t.Key) {
			own = append(own, t)
		}
	}
	return own
}
