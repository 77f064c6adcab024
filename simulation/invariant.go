package simulation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// checker watches over what must hold whatever happens:
//
//   - no action of the daemon takes a pool's size outside its min and max;
//   - ready pods never fall below a budget by what the daemon does to them;
//   - when the daemon has an instance deleted or stopped, no pod that should have been evicted is left on it, unless it is dark;
//   - no two pods of one identity run at a time (see machines.starts), no node is taken out of service whose machine is on, and the daemon never takes a pod's grace away;
//   - a cordon that a person has set stays until a person takes it off;
//   - the daemon comes to rest.
//
// It looks at the world's own truth, not at what the daemon sees.
type checker struct {
	w          *World
	cordons    map[types.UID]bool
	violations []Violation
}

// Violation is an invariant that was broken.
type Violation struct {
	What string
	// Log are the last lines before it.
	Log []string
}

// linesBefore is how much of the log a violation shows.
const linesBefore = 30

// String is the violation with the log that led to it.
func (v Violation) String() string { return v.What + "\n  " + strings.Join(v.Log, "\n  ") }

// Violations are the invariants that were broken so far, in order.
func (w *World) Violations() []Violation { return w.checker.violations }

func (c *checker) violated(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	c.w.Log.add(Brief, "VIOLATED: %s", what)
	c.violations = append(c.violations, Violation{What: what, Log: append([]string(nil), c.w.Log.Last(linesBefore)...)})
}

func (c *checker) saw(change Change) {
	if node, ok := change.Old.(*corev1.Node); ok && change.New == nil {
		delete(c.cordons, node.UID)
	}
}

// cordoned notes what a person did.
func (c *checker) cordoned(node types.UID, on bool) {
	if c.cordons == nil {
		c.cordons = map[types.UID]bool{}
	}
	if on {
		c.cordons[node] = true
		return
	}
	delete(c.cordons, node)
}

// nodeWritten is called when the daemon has written a node.
func (c *checker) nodeWritten(old, node *corev1.Node) {
	if outOfService(node) && !outOfService(old) {
		switch one := c.w.machines.at(node); {
		case readyStatus(node) == corev1.ConditionTrue:
			c.violated("the daemon takes node %s out of service, which is ready", node.Name)
		case !c.w.machines.off(one):
			c.violated("the daemon takes node %s out of service, and the cloud does not say that its machine is off", node.Name)
		}
	}
	if c.cordons[node.UID] && !node.Spec.Unschedulable {
		c.violated("the daemon took off the cordon that a person had set on node %s", node.Name)
		delete(c.cordons, node.UID)
	}
}

// sizeOf is the pool's target at the cloud.
func (c *checker) sizeOf(pool string) int { return c.w.Target(pool) }

// resized is called when the daemon has asked for a change of a pool.
func (c *checker) resized(pool string, minSize, maxSize, before, after int) {
	limits := c.w.limits
	if limits != nil {
		minSize, maxSize = limits(pool, minSize, maxSize)
	}
	switch {
	case after > before && after > maxSize:
		c.violated("the daemon took pool %s from %d to %d, above its max of %d", pool, before, after, maxSize)
	case after < before && after < minSize:
		c.violated("the daemon took pool %s from %d to %d, below its min of %d", pool, before, after, minSize)
	}
}

// deleting is called before the daemon has instances deleted.
func (c *checker) deleting(pool string, nodes []*corev1.Node) {
	for _, asked := range nodes {
		for node := range each[*corev1.Node](c.w.Store) {
			if node.Spec.ProviderID != asked.Spec.ProviderID || c.w.IsDark(node.Name) {
				continue
			}
			if readyStatus(node) == corev1.ConditionUnknown {
				continue // its machine is back, and has told nobody yet
			}
			for _, pod := range c.w.Store.podsOnNode(node.Name) {
				if c.shouldBeGone(pod) {
					c.violated("the daemon lets instance %s of pool %s go while pod %s is on it", node.Name, pool, cluster.Key(pod))
				}
			}
		}
	}
}

// shouldBeGone tells whether a drain has to wait for the pod: all but those of DaemonSets, mirror pods, those that have ended, and those whose grace is over.
func (c *checker) shouldBeGone(pod *corev1.Pod) bool {
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "DaemonSet" {
		return false
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror || ended(pod) {
		return false
	}
	return pod.DeletionTimestamp == nil || c.w.Now().Before(pod.DeletionTimestamp.Time)
}

// taken is a pod that the daemon is about to take away, with its budgets before that.
type taken struct {
	c       *checker
	pod     *corev1.Pod
	budgets []*policyv1.PodDisruptionBudget
}

// taking is called before the daemon evicts or deletes a pod.
func (c *checker) taking(namespace, name string) taken {
	pod, err := find[*corev1.Pod](c.w.Store, namespace, name)
	if err != nil {
		return taken{c: c}
	}
	return taken{c: c, pod: pod, budgets: c.w.Store.budgetsOf(pod)}
}

// from says where the pod is.
func (t taken) from() string {
	if t.pod == nil {
		return ""
	}
	return " from " + t.pod.Spec.NodeName
}

// judge is called after it. A pod that was not ready, or is on a dark node, serves nobody, and its going costs nothing.
func (t taken) judge(err error) {
	if err != nil || t.pod == nil || !podReady(t.pod) || t.pod.DeletionTimestamp != nil || t.c.w.IsDark(t.pod.Spec.NodeName) {
		return
	}
	for _, budget := range t.budgets {
		ready := int32(0)
		pods := t.c.w.Store.podsUnder(budget)
		for _, pod := range pods {
			if podReady(pod) && pod.DeletionTimestamp == nil {
				ready++
			}
		}
		_, desired, err := t.c.w.Store.expectations(budget, pods)
		if err == nil && ready < desired {
			t.c.violated("the daemon took pod %s away, and budget %s has %d ready pods of %d that it needs",
				cluster.Key(t.pod), cluster.Key(budget), ready, desired)
		}
	}
}
