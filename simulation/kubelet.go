package simulation

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

// Heartbeats as the kubelet has them by default.
const (
	leaseRenewal  = 10 * time.Second
	leaseDuration = 40 * time.Second
	// leaseRetry is how long a kubelet waits at most before it tries again once the API is back.
	leaseRetry = 7 * time.Second
)

// kubelets plays the kubelet of every Node object. It goes by the marks that the kwok provider puts on Nodes (see package kwok) and by what a
// test does to a machine, which nothing in the API shows.
type kubelets struct {
	w  *World
	of map[string]*kubelet
	// holds are the pools whose new nodes do not become ready.
	holds map[string]bool
}

// kubelet is the machine behind one Node object.
type kubelet struct {
	w          *World
	node, pool string
	uid        types.UID
	machine    *machine
	// dark says that a test has switched the machine off, off that the cloud has.
	dark, off bool
	// cut is until when the kubelet can't reach the API after an outage.
	cut time.Duration
	// held says that a test keeps the node from becoming ready.
	held bool
	// silent says that no heartbeat comes. While it is false they come from beats on, once every renewal; otherwise the last was at last.
	silent bool
	beats  time.Duration
	last   time.Duration
	// readyAt is when the node becomes ready after it was registered.
	readyAt  time.Duration
	rebooted string
	status   alarm
	work     map[types.UID]*task
}

// task is what a kubelet is about to do to a pod.
type task struct {
	it     *item
	ending bool
}

func newKubelets(w *World) *kubelets {
	return &kubelets{w: w, of: map[string]*kubelet{}, holds: map[string]bool{}}
}

func (ks *kubelets) saw(c Change) {
	switch o := c.any().(type) {
	case *corev1.Node:
		ks.sawNode(c, o)
	case *corev1.Pod:
		if k := ks.of[o.Spec.NodeName]; k != nil && c.New != nil {
			k.see(o)
		}
	}
}

func (ks *kubelets) sawNode(c Change, node *corev1.Node) {
	k := ks.of[node.Name]
	if c.New == nil {
		if k != nil && k.uid == node.UID {
			k.end()
			delete(ks.of, node.Name)
			ks.w.Log.add(Brief, "node %s is gone", node.Name)
		}
		return
	}
	if k == nil || k.uid != node.UID {
		k = &kubelet{
			w: ks.w, node: node.Name, uid: node.UID, beats: ks.w.elapsed,
			readyAt: ks.w.elapsed + ks.w.between(ks.w.timing.NodeReady, "ready/"+node.Name), work: map[types.UID]*task{},
			rebooted: node.Annotations[kwok.RebootedAnnotation], pool: node.Labels[kwok.PoolLabel], machine: ks.w.machines.at(node),
		}
		k.held = ks.holds[k.pool] && k.pool != ""
		k.status = alarm{w: ks.w, who: "kubelet/" + node.Name, needsAPI: true, run: k.post}
		ks.of[node.Name] = k
		k.last = k.beats
		ks.w.Log.add(Brief, "node %s registered", node.Name)
		k.status.within(ks.w.between(ks.w.timing.Reaction, "status/"+node.Name))
		for _, pod := range ks.w.Store.podsOnNode(node.Name) {
			k.see(pod)
		}
	}
	old, _ := c.Old.(*corev1.Node)
	if old != nil && old.Annotations[kwok.SickAnnotation] != node.Annotations[kwok.SickAnnotation] {
		k.status.within(ks.w.between(ks.w.timing.Reaction, "status/"+node.Name))
	}
	_, k.off = node.Labels[kwok.OffLabel]
	if at := node.Annotations[kwok.RebootedAnnotation]; at != k.rebooted {
		k.rebooted = at
		k.dark = false
		k.restart()
		ks.w.Log.add(Brief, "node %s has rebooted", node.Name)
	}
	k.check()
}

// restart is what a machine forgets when its power was cut and came back.
func (k *kubelet) restart() {
	k.machine.dark = false
	k.w.machines.lost(k.machine)
	k.w.disks.restarted(k.node)
}

// look makes the kubelet of a node go through its pods again.
func (ks *kubelets) look(node string) {
	if k := ks.of[node]; k != nil && k.online() {
		for _, pod := range ks.w.Store.podsOnNode(node) {
			k.see(pod)
		}
	}
}

// all are the kubelets in the order of their nodes' names.
func (ks *kubelets) all() []*kubelet {
	all := make([]*kubelet, 0, len(ks.of))
	for _, name := range sortedKeys(ks.of) {
		all = append(all, ks.of[name])
	}
	return all
}

// awake tells whether the machine is on, online whether its kubelet reaches the API as well.
func (k *kubelet) awake() bool { return !k.dark && !k.off }

func (k *kubelet) online() bool { return k.awake() && k.w.elapsed >= k.cut }

// end stops all that the kubelet was about to do.
func (k *kubelet) end() {
	k.status.cancel()
	for _, t := range k.work {
		t.it.cancel()
	}
	k.dark = true
}

// check makes the heartbeats follow the machine's state.
func (k *kubelet) check() {
	silent := !k.online()
	switch {
	case silent == k.silent:
	case silent:
		k.last = k.heartbeat()
		k.silent = true
		k.w.lifecycle.fellSilent(k)
		if !k.awake() {
			k.w.Log.add(Brief, "node %s goes dark", k.node)
		}
	default:
		k.silent = false
		k.beats = k.w.elapsed
		k.last = k.w.elapsed
		k.status.within(k.w.between(Range{time.Second, 5 * time.Second}, "back/"+k.node))
		k.w.Log.add(Full, "node %s sends heartbeats again", k.node)
		k.w.kubelets.look(k.node)
	}
}

// heartbeat is when the lease was last renewed.
func (k *kubelet) heartbeat() time.Duration {
	if k.silent {
		return k.last
	}
	return k.beats + (k.w.elapsed - k.beats).Truncate(leaseRenewal)
}

// post writes the node's status if it is not what the kubelet finds.
func (k *kubelet) post() {
	if !k.online() {
		return
	}
	node, err := find[*corev1.Node](k.w.Store, "", k.node)
	if err != nil || node.UID != k.uid {
		return
	}
	ready := k.readiness(node)
	if k.w.elapsed < k.readyAt {
		k.status.by(k.readyAt)
	}
	old := nodeCondition(node, corev1.NodeReady)
	if old != nil && old.Status == ready.Status && old.Reason == ready.Reason && old.Message == ready.Message {
		return
	}
	change(k.w.Store, node, func(c *corev1.Node) {
		now := k.w.Store.now()
		setNodeCondition(c, ready, now)
		for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
			if had := nodeCondition(c, kind); had == nil || had.Status == corev1.ConditionUnknown {
				setNodeCondition(c, corev1.NodeCondition{Type: kind, Status: corev1.ConditionFalse, Reason: "KubeletHasNo" + string(kind)}, now)
			}
		}
	})
	if ready.Status == corev1.ConditionTrue {
		k.w.Log.add(Brief, "node %s is ready", k.node)
	} else {
		k.w.Log.add(Normal, "node %s is not ready: %s", k.node, ready.Message)
	}
}

// readiness is the condition Ready as the kubelet finds it.
func (k *kubelet) readiness(node *corev1.Node) corev1.NodeCondition {
	c := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"}
	sick := node.Annotations[kwok.SickAnnotation]
	switch {
	case k.w.elapsed < k.readyAt || k.held:
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "KubeletNotReady", "container runtime network not ready"
	case sick != "":
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "KubeletNotReady", sick
	}
	return c
}

func nodeCondition(node *corev1.Node, of corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == of {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}
