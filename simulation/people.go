package simulation

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// What people do, and what goes wrong. Whatever can't be done, such as something to a node that is not there, panics: the story is wrong then.

// AddNode makes a Node of no pool, such as one of the control plane. Its kubelet is played like the others.
func (w *World) AddNode(node *corev1.Node) { must(create(w.Store, node)) }

// Cordon makes the node unschedulable, as kubectl cordon does. The invariant that nobody else takes it off holds until Uncordon. Of a node that is cordoned already
// kubectl says so and changes nothing: nobody can know of that cordon, and whoever set the first may take it off.
func (w *World) Cordon(node string) {
	w.Log.add(Brief, "somebody cordons node %s", node)
	w.cordon(node, true)
}

// Uncordon takes the cordon off.
func (w *World) Uncordon(node string) {
	w.Log.add(Brief, "somebody uncordons node %s", node)
	w.cordon(node, false)
}

func (w *World) cordon(name string, on bool) {
	node := must(find[*corev1.Node](w.Store, "", name))
	if !on || !node.Spec.Unschedulable {
		w.checker.cordoned(node.UID, on)
	}
	change(w.Store, node, func(c *corev1.Node) { c.Spec.Unschedulable = on })
}

// DeleteNode deletes the Node object, and leaves the machine alone.
func (w *World) DeleteNode(name string) {
	w.Log.add(Brief, "somebody deletes node %s", name)
	if k := w.kubelets.of[name]; k != nil {
		w.machines.lost(k.machine) // from here on two of one identity are that person's doing
	}
	remove(w.Store, must(find[*corev1.Node](w.Store, "", name)))
}

// Annotate sets an annotation of a node; an empty value takes it off.
func (w *World) Annotate(name, key, value string) {
	w.Log.add(Brief, "somebody annotates node %s: %s=%s", name, key, value)
	w.annotate(name, key, value)
}

func (w *World) annotate(name, key, value string) {
	change(w.Store, must(find[*corev1.Node](w.Store, "", name)), func(c *corev1.Node) {
		delete(c.Annotations, key)
		if value != "" {
			metav1.SetMetaDataAnnotation(&c.ObjectMeta, key, value)
		}
	})
}

// Relabel sets a label of a node, as its kubelet may do with most of them.
func (w *World) Relabel(name, key, value string) {
	w.Log.add(Brief, "somebody labels node %s: %s=%s", name, key, value)
	change(w.Store, must(find[*corev1.Node](w.Store, "", name)), func(c *corev1.Node) { metav1.SetMetaDataLabel(&c.ObjectMeta, key, value) })
}

// GoDark switches the node's machine off: no heartbeat, no pod starts or ends. Nothing in the API shows it, and the cloud takes the instance for
// running. A reboot brings it back.
func (w *World) GoDark(node string) {
	k := w.kubelet(node)
	k.dark, k.machine.dark = true, true
	w.machines.lost(k.machine)
	k.check()
}

// Hang kills the node's kubelet alone: nothing in the API tells it from a machine that is off, but its containers run on until the machine is stopped.
func (w *World) Hang(node string) {
	w.Log.add(Brief, "the kubelet of %s hangs, and its containers run on", node)
	k := w.kubelet(node)
	k.dark = true
	k.check()
}

// Revive switches the node's machine on again.
func (w *World) Revive(node string) {
	w.Log.add(Brief, "node %s is back", node)
	k := w.kubelet(node)
	if k.machine.dark {
		k.restart()
	}
	k.dark = false
	k.check()
}

func (w *World) kubelet(node string) *kubelet {
	k := w.kubelets.of[node]
	if k == nil {
		panic(fmt.Sprintf("simulation: there is no node %q", node))
	}
	return k
}

// IsDark tells whether the node's machine is off; also one that is gone.
func (w *World) IsDark(node string) bool {
	k := w.kubelets.of[node]
	return k == nil || !k.awake()
}

// Sicken makes the node's kubelet report that it is not ready, with that message; an empty message makes it well.
func (w *World) Sicken(node, message string) {
	w.Log.add(Brief, "node %s falls sick: %q", node, message)
	w.annotate(node, kwok.SickAnnotation, message)
}

// HoldNotReady keeps the nodes of a pool that register from now on from becoming ready, until it is called with false; then all of them become so.
func (w *World) HoldNotReady(pool string, hold bool) {
	w.Log.add(Brief, "new nodes of pool %s become ready: %v", pool, !hold)
	w.kubelets.holds[pool] = hold
	if hold {
		return
	}
	for _, k := range w.kubelets.all() {
		if k.pool == pool {
			k.held = false
			k.status.within(w.between(w.timing.Reaction, "status/"+k.node))
		}
	}
}

// SetFaults sets the faults of a pool, as in package kwok, in place of those before; of the whole cloud if the pool is empty.
func (w *World) SetFaults(pool string, faults ...kwok.Fault) {
	w.Log.add(Brief, "faults of %s: %v", or2(pool, "the cloud"), faults)
	if err := kwok.SetFaults(context.Background(), w.Store, Namespace, pool, faults...); err != nil {
		panic(fmt.Sprintf("simulation: %v", err))
	}
}

func or2(a, b string) string {
	if a == "" {
		return b
	}
	return "pool " + a
}

// SetVersion gives the pool's new instances another version.
func (w *World) SetVersion(pool, version string) {
	w.Log.add(Brief, "pool %s gets version %s", pool, version)
	group := must(w.cloud.group(pool)).(cloudprovider.Versioned)
	if err := group.SetTemplateVersion(context.Background(), version); err != nil {
		panic(fmt.Sprintf("simulation: %v", err))
	}
}

// SetServerVersion gives the API server another version, as a person or the cloud does who upgrades the control plane. The daemon hears of it.
func (w *World) SetServerVersion(version string) {
	w.Log.add(Brief, "the API server has version %s", version)
	w.version = version
	if p := w.host.now; p != nil {
		p.apply(cluster.ServerVersionSeen{Version: version})
	}
}

// ServerVersion is the API server's version.
func (w *World) ServerVersion() string { return w.version }

// Version is the version of the pool's new instances.
func (w *World) Version(pool string) string {
	return must(must(w.cloud.group(pool)).(cloudprovider.VersionTeller).TemplateVersion(context.Background()))
}

// Resize sets the pool's target at the cloud, as a person does by hand.
func (w *World) Resize(pool string, target int) {
	w.Log.add(Brief, "somebody resizes pool %s to %d", pool, target)
	must(w.cloud.group(pool))
	cm := must(find[*corev1.ConfigMap](w.Store, Namespace, kwok.ConfigMapName(pool)))
	change(w.Store, cm, func(c *corev1.ConfigMap) {
		lines := strings.Split(c.Data[poolKey], "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, targetPrefix) {
				lines[i] = fmt.Sprintf("%s %d", targetPrefix, target)
			}
		}
		c.Data[poolKey] = strings.Join(lines, "\n")
	})
}

// Target is the pool's target at the cloud; zero for a pool that the cloud has not made yet.
func (w *World) Target(pool string) int {
	cm, err := find[*corev1.ConfigMap](w.Store, Namespace, kwok.ConfigMapName(pool))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(cm.Data[poolKey]) {
		if digits, is := strings.CutPrefix(strings.TrimSpace(line), targetPrefix); is {
			return must(strconv.Atoi(strings.TrimSpace(digits)))
		}
	}
	return 0
}

// poolKey and targetPrefix are where the kwok provider writes a pool's target, for people to edit.
const (
	poolKey      = "pool"
	targetPrefix = "target:"
)

// Instances are the pool's instances at the cloud.
func (w *World) Instances(pool string) []cloudprovider.Instance {
	return must(must(w.cloud.group(pool)).Nodes(context.Background()))
}

// SkewClock puts the daemon's clock forward, or back. Everybody else's stays right.
func (w *World) SkewClock(by time.Duration) {
	w.Log.add(Brief, "the daemon's clock jumps by %v", by)
	w.host.skew += by
	w.host.rouse()
}

// Pods are the pods of a workload, in the order of their names.
func (w *World) Pods(app string) []*corev1.Pod {
	var pods []*corev1.Pod
	for pod := range each[*corev1.Pod](w.Store) {
		if pod.Labels["app"] == app {
			pods = append(pods, pod)
		}
	}
	return pods
}

// DeleteBudget deletes a PodDisruptionBudget.
func (w *World) DeleteBudget(namespace, name string) {
	w.Log.add(Brief, "somebody deletes the budget %s/%s", namespace, name)
	remove(w.Store, must(find[*policyv1.PodDisruptionBudget](w.Store, namespace, name)))
}

// WriteConfigMap writes a ConfigMap, as kubectl apply does.
func (w *World) WriteConfigMap(namespace, name string, data map[string]string) {
	if old, err := find[*corev1.ConfigMap](w.Store, namespace, name); err == nil {
		change(w.Store, old, func(c *corev1.ConfigMap) { c.Data = data })
		return
	}
	must(create(w.Store, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data}))
}

// SwitchOn has the cloud switch on the node's machine again, by hand: it boots with nothing on it.
func (w *World) SwitchOn(node string) {
	w.Log.add(Brief, "somebody switches on the machine of %s", node)
	object := must(find[*corev1.Node](w.Store, "", node))
	group := must(w.cloud.group(object.Labels[kwok.PoolLabel])).(cloudprovider.Rebooter)
	if err := group.RebootNode(context.Background(), object); err != nil {
		panic(fmt.Sprintf("simulation: %v", err))
	}
}

// SetCondition writes a condition of a node, as node-problem-detector does once, now.
func (w *World) SetCondition(node string, c corev1.NodeCondition) {
	w.SetConditionAt(node, c, w.Store.now().Time)
}

// SetConditionAt writes a condition that whoever writes it last wrote at that moment.
func (w *World) SetConditionAt(node string, c corev1.NodeCondition, at time.Time) {
	w.Log.add(Brief, "the condition %s of node %s is %s (%s)", c.Type, node, c.Status, c.Reason)
	change(w.Store, must(find[*corev1.Node](w.Store, "", node)), func(n *corev1.Node) {
		setNodeCondition(n, c, metav1.NewTime(at))
	})
}
