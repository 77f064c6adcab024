package simulation

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// The pod garbage collector's defaults.
const (
	gcPeriod     = 20 * time.Second
	gcQuarantine = 40 * time.Second
)

// podGC plays the pod garbage collector: pods whose Node is gone are deleted by force once it was seen to be gone for 40 seconds, and pods that are being
// deleted on a node that is not ready and has the out-of-service taint, at its next look. It looks while there are such pods.
type podGC struct {
	w       *World
	look    alarm
	missing map[string]time.Duration
}

func newPodGC(w *World) *podGC {
	g := &podGC{w: w, missing: map[string]time.Duration{}}
	g.look = alarm{w: w, who: "podgc", needsAPI: true, run: g.collect}
	return g
}

func (g *podGC) saw(c Change) {
	switch o := c.any().(type) {
	case *corev1.Node:
		if c.New == nil || outOfService(o) {
			g.look.by(nextGC(g.w.elapsed))
		}
	case *corev1.Pod:
		if c.New == nil || o.Spec.NodeName == "" {
			return
		}
		if _, err := find[*corev1.Node](g.w.Store, "", o.Spec.NodeName); err != nil || o.DeletionTimestamp != nil {
			g.look.by(nextGC(g.w.elapsed))
		}
	}
}

func nextGC(now time.Duration) time.Duration { return now.Truncate(gcPeriod) + gcPeriod }

func outOfService(node *corev1.Node) bool {
	for _, t := range node.Spec.Taints {
		if t.Key == corev1.TaintNodeOutOfService {
			return true
		}
	}
	return false
}

func (g *podGC) collect() {
	again := false
	seen := map[string]bool{}
	for pod := range each[*corev1.Pod](g.w.Store) {
		name := pod.Spec.NodeName
		if name == "" {
			continue
		}
		node, err := find[*corev1.Node](g.w.Store, "", name)
		switch {
		case err != nil:
			seen[name] = true
			if _, known := g.missing[name]; !known {
				g.missing[name] = g.w.elapsed
			}
			if g.w.elapsed < g.missing[name]+gcQuarantine {
				again = true
				continue
			}
			g.force(pod, "its node is gone")
		case pod.DeletionTimestamp != nil && outOfService(node):
			again = true
			if readyStatus(node) != corev1.ConditionTrue {
				g.force(pod, "its node is out of service")
			}
		}
	}
	for name := range g.missing {
		if !seen[name] {
			delete(g.missing, name)
		}
	}
	if again {
		g.look.by(nextGC(g.w.elapsed))
	}
}

// force ends a pod that no kubelet will end.
func (g *podGC) force(pod *corev1.Pod, why string) {
	g.w.Log.add(Normal, "pod %s deleted by force: %s", cluster.Key(pod), why)
	failed := change(g.w.Store, pod, func(c *corev1.Pod) {
		c.Status.Phase = corev1.PodFailed
		setPodCondition(c, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByPodGC", Message: "PodGC: " + why,
		}, g.w.Store.now())
	})
	g.w.Store.deletePod(failed, ptr.To(int64(0)))
}
