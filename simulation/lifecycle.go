package simulation

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The node lifecycle controller's defaults since Kubernetes 1.32.
const (
	monitorPeriod      = 5 * time.Second
	monitorGrace       = 50 * time.Second
	startupGrace       = 60 * time.Second
	unhealthyZoneShare = 0.55
	largeZone          = 50
	taintPeriod        = 10 * time.Second // 0.1 nodes a second
	// excludeDisruption is the label that takes a node out of the sums.
	excludeDisruption    = "node.kubernetes.io/exclude-disruption"
	secondaryTaintPeriod = 100 * time.Second // 0.01 nodes a second, in a large zone that is partly down
)

// lifecycle plays the node lifecycle controller. A node without heartbeats becomes Unknown and its pods unready; conditions become NoSchedule
// taints at once, and NoExecute taints at the zone's rate:
//
//	zone              | rate of new NoExecute taints
//	normal            | one in 10 s
//	≥ 55% and > 2 bad | none, or one in 100 s above 50 nodes
//	all bad           | one in 10 s, unless every zone is: then all such taints are taken off, and none is set
//
// It looks every five seconds while anything is amiss, and sleeps otherwise.
type lifecycle struct {
	w     *World
	marks map[string]bool
	mark  alarm
	tick  alarm
	taint alarm
	// seen is the Ready condition of each node at the last look, never ones that the world's beginning counts as healthy.
	seen map[string]corev1.ConditionStatus
	// probes are when a node last gave a sign of life by the controller's own reckoning, where that is later than its heartbeat.
	probes  map[string]time.Duration
	zones   map[string]*zone
	allDown bool
}

// zone is one zone as the controller sees it.
type zone struct {
	state  zoneState
	period time.Duration // between two taints; zero is never
	next   time.Duration
	queue  []string
}

type zoneState int

const (
	zoneNormal zoneState = iota
	zonePartly
	zoneDown
)

func newLifecycle(w *World) *lifecycle {
	l := &lifecycle{
		w: w, marks: map[string]bool{}, seen: map[string]corev1.ConditionStatus{}, probes: map[string]time.Duration{}, zones: map[string]*zone{},
	}
	l.mark = alarm{w: w, who: "lifecycle/mark", needsAPI: true, run: l.markAll}
	l.tick = alarm{w: w, who: "lifecycle/tick", needsAPI: true, run: l.monitor}
	l.taint = alarm{w: w, who: "lifecycle/taint", needsAPI: true, run: l.taintSome}
	return l
}

func (l *lifecycle) saw(c Change) {
	node, ok := c.any().(*corev1.Node)
	if !ok {
		return
	}
	if c.New == nil {
		delete(l.seen, node.Name)
		delete(l.probes, node.Name)
		delete(l.marks, node.Name)
		l.look()
		return
	}
	if !sameTaints(noScheduleTaints(node), ownTaints(node, corev1.TaintEffectNoSchedule)) {
		l.marks[node.Name] = true
		if !l.mark.set.waiting() {
			l.mark.within(l.w.between(l.w.timing.Reaction, "lifecycle/"+node.Name))
		}
	}
	status := readyStatus(node)
	if seen, known := l.seen[node.Name]; !known || seen != status || status != corev1.ConditionTrue {
		l.look()
	}
}

// look makes the controller look at its next tick.
func (l *lifecycle) look() { l.tick.by(nextTick(l.w.elapsed)) }

func nextTick(now time.Duration) time.Duration { return now.Truncate(monitorPeriod) + monitorPeriod }

// fellSilent makes the controller look when the node's grace has passed.
func (l *lifecycle) fellSilent(k *kubelet) { l.tick.by(l.probe(k) + monitorGrace) }

// probe is when the controller last saw a sign of life: the first of its looks after a heartbeat.
func (l *lifecycle) probe(k *kubelet) time.Duration {
	beat := k.heartbeat()
	if beat%monitorPeriod != 0 {
		beat = nextTick(beat)
	}
	return max(beat, l.probes[k.node])
}

// monitor is one look at all nodes.
func (l *lifecycle) monitor() {
	again := false
	counts := map[string][2]int{}
	for _, k := range l.w.kubelets.all() {
		node, err := find[*corev1.Node](l.w.Store, "", k.node)
		if err != nil {
			continue
		}
		if k.silent {
			node = l.judge(k, node)
			again = true
		}
		status := readyStatus(node)
		if seen := l.seen[k.node]; seen == corev1.ConditionTrue && status != corev1.ConditionTrue {
			l.unreadyPods(k.node)
		}
		l.seen[k.node] = status
		l.taintOrNot(node)
		if status != corev1.ConditionTrue {
			again = true
		}
		if _, excluded := node.Labels[excludeDisruption]; !excluded {
			count := counts[zoneOf(node)]
			count[0]++
			if status != corev1.ConditionTrue {
				count[1]++
			}
			counts[zoneOf(node)] = count
		}
	}
	l.disruption(counts)
	if again {
		l.look()
	}
	l.taintSome()
}

// judge makes a silent node Unknown once its grace has passed.
func (l *lifecycle) judge(k *kubelet, node *corev1.Node) *corev1.Node {
	ready := nodeCondition(node, corev1.NodeReady)
	grace := monitorGrace
	if ready == nil {
		grace = startupGrace
	}
	if l.w.elapsed < l.probe(k)+grace || ready != nil && ready.Status == corev1.ConditionUnknown {
		return node
	}
	l.w.Log.add(Brief, "node %s is unknown: no heartbeat for %v", k.node, (l.w.elapsed - k.heartbeat()).Truncate(time.Second))
	return change(l.w.Store, node, func(c *corev1.Node) {
		for _, kind := range []corev1.NodeConditionType{
			corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure,
		} {
			unknown := corev1.NodeCondition{
				Type: kind, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.",
			}
			if nodeCondition(c, kind) == nil {
				unknown.Reason, unknown.Message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
			}
			setNodeCondition(c, unknown, l.w.Store.now())
		}
	})
}

// unreadyPods marks the pods of a node that stopped being ready: nobody can tell whether they serve.
func (l *lifecycle) unreadyPods(node string) {
	for _, pod := range l.w.Store.podsOnNode(node) {
		if podReady(pod) {
			change(l.w.Store, pod, func(c *corev1.Pod) {
				setPodCondition(c, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "NodeNotReady"}, l.w.Store.now())
			})
		}
	}
}

// taintOrNot takes the NoExecute taints off a ready node, swaps the one for the other, or puts the node into its zone's queue.
func (l *lifecycle) taintOrNot(node *corev1.Node) {
	want := noExecuteTaint(node)
	has := ownTaints(node, corev1.TaintEffectNoExecute)
	z := l.zone(zoneOf(node))
	switch {
	case want == nil:
		z.queue = slices.DeleteFunc(z.queue, func(name string) bool { return name == node.Name })
		if len(has) > 0 {
			l.setTaints(node, corev1.TaintEffectNoExecute, nil)
		}
	case len(has) > 0 && has[0].Key != want.Key:
		l.setTaints(node, corev1.TaintEffectNoExecute, want)
	case len(has) == 0 && !slices.Contains(z.queue, node.Name):
		z.queue = append(z.queue, node.Name)
	}
}

// disruption gives each zone its rate by the numbers of its nodes and of those that are not ready.
func (l *lifecycle) disruption(counts map[string][2]int) {
	allDown := len(counts) > 0
	for _, name := range sortedKeys(counts) {
		z := l.zone(name)
		nodes, bad := counts[name][0], counts[name][1]
		state, period := zoneNormal, taintPeriod
		switch {
		case bad == nodes:
			state = zoneDown
		case bad > 2 && float64(bad)/float64(nodes) >= unhealthyZoneShare:
			state, period = zonePartly, 0
			if nodes > largeZone {
				period = secondaryTaintPeriod
			}
		}
		if state != zoneDown {
			allDown = false
		}
		if z.state != state {
			l.w.Log.add(Normal, "zone %q: %d of %d nodes are not ready", name, bad, nodes)
		}
		z.state, z.period = state, period
	}
	switch {
	case allDown && !l.allDown:
		l.w.Log.add(Brief, "all nodes are not ready: pods are no longer deleted for their nodes' sake")
		for node := range each[*corev1.Node](l.w.Store) {
			l.setTaints(node, corev1.TaintEffectNoExecute, nil)
		}
	case !allDown && l.allDown:
		l.w.Log.add(Brief, "some nodes are ready again: the clocks of all nodes start anew")
		for node := range each[*corev1.Node](l.w.Store) {
			l.probes[node.Name] = l.w.elapsed
		}
	}
	l.allDown = allDown
	for _, z := range l.zones {
		if allDown {
			z.period = 0
		}
	}
}

// taintSome taints the nodes in the queues as the zones' rates allow.
func (l *lifecycle) taintSome() {
	for _, name := range sortedKeys(l.zones) {
		z := l.zones[name]
		for len(z.queue) > 0 && z.period > 0 && l.w.elapsed >= z.next {
			node, err := find[*corev1.Node](l.w.Store, "", z.queue[0])
			z.queue = z.queue[1:]
			if err != nil {
				continue
			}
			if taint := noExecuteTaint(node); taint != nil {
				l.setTaints(node, corev1.TaintEffectNoExecute, taint)
				z.next = l.w.elapsed + z.period
			}
		}
		if len(z.queue) > 0 && z.period > 0 {
			l.taint.by(z.next)
		}
	}
}

func (l *lifecycle) zone(name string) *zone {
	if l.zones[name] == nil {
		l.zones[name] = &zone{period: taintPeriod}
	}
	return l.zones[name]
}

// markAll makes the NoSchedule taints of the changed nodes follow their conditions.
func (l *lifecycle) markAll() {
	for _, name := range sortedKeys(l.marks) {
		delete(l.marks, name)
		if node, err := find[*corev1.Node](l.w.Store, "", name); err == nil {
			l.setTaints(node, corev1.TaintEffectNoSchedule, noScheduleTaints(node)...)
		}
	}
}

func readyStatus(node *corev1.Node) corev1.ConditionStatus {
	if c := nodeCondition(node, corev1.NodeReady); c != nil {
		return c.Status
	}
	return corev1.ConditionUnknown
}

func setNodeCondition(node *corev1.Node, c corev1.NodeCondition, now metav1.Time) {
	c.LastTransitionTime, c.LastHeartbeatTime = now, now
	old := nodeCondition(node, c.Type)
	if old == nil {
		node.Status.Conditions = append(node.Status.Conditions, c)
		return
	}
	if old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	if c.Status == corev1.ConditionUnknown {
		c.LastHeartbeatTime = old.LastHeartbeatTime
	}
	*old = c
}

// zoneOf is the key of a node's zone, by its labels.
func zoneOf(node *corev1.Node) string {
	return node.Labels[corev1.LabelTopologyRegion] + ":" + node.Labels[corev1.LabelTopologyZone]
}
