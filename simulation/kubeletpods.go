package simulation

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// see begins what the kubelet has to do for a pod: start it, make it ready, end it.
func (k *kubelet) see(pod *corev1.Pod) {
	if !k.online() {
		return
	}
	t := k.work[pod.UID]
	b := k.w.workloads.of(pod)
	switch {
	case pod.DeletionTimestamp != nil && ended(pod): // finalizers hold it, and nothing runs any more
	case pod.DeletionTimestamp != nil:
		takes := min(k.or(b.Stop, k.w.timing.PodStop, "stop/"+pod.Name), seconds(*pod.DeletionGracePeriodSeconds))
		if t != nil && t.it.waiting() && t.ending && t.it.at <= k.w.elapsed+takes {
			return
		}
		k.plan(pod, takes, true, k.finish)
	case t != nil && t.it.waiting():
	case pod.Status.Phase == corev1.PodPending && !k.w.disks.ready(pod):
	case pod.Status.Phase == corev1.PodPending:
		k.plan(pod, k.or(b.Start, k.w.timing.PodStart, "start/"+pod.Name), false, k.start)
	case pod.Status.Phase == corev1.PodRunning && podReady(pod) != k.shouldBeReady(pod):
		takes := k.w.between(k.w.timing.Reaction, "report/"+pod.Name)
		if !podReady(pod) {
			takes = k.or(b.Ready, k.w.timing.PodReady, "ready/"+pod.Name)
		}
		k.plan(pod, takes, false, k.report)
	case pod.Status.Phase == corev1.PodRunning && b.Lasts > 0:
		k.plan(pod, max(pod.Status.StartTime.Add(b.Lasts).Sub(k.w.Now()), 0), false, k.succeed)
	}
}

// or is the given delay, or else one of the world's.
func (k *kubelet) or(given time.Duration, usual Range, who string) time.Duration {
	if given > 0 {
		return given
	}
	return k.w.between(usual, who)
}

// plan lets do happen to the pod as it is then, if the kubelet lives and the pod is still there.
func (k *kubelet) plan(pod *corev1.Pod, after time.Duration, ending bool, do func(*corev1.Pod)) {
	if old := k.work[pod.UID]; old != nil {
		old.it.cancel()
	}
	k.work[pod.UID] = &task{ending: ending, it: k.w.act(after, "pod/"+pod.Name, func() {
		delete(k.work, pod.UID)
		now, err := find[*corev1.Pod](k.w.Store, pod.Namespace, pod.Name)
		if k.online() && err == nil && now.UID == pod.UID {
			do(now)
		}
	})}
}

func (k *kubelet) start(pod *corev1.Pod) {
	change(k.w.Store, pod, func(c *corev1.Pod) {
		now := k.w.Store.now()
		c.Status.Phase = corev1.PodRunning
		c.Status.StartTime = &now
		for _, kind := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady} {
			setPodCondition(c, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue}, now)
		}
		setPodCondition(c, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady"}, now)
	})
	k.w.disks.mount(pod)
	k.w.machines.starts(k.machine, pod)
	k.w.Log.add(Full, "pod %s runs on %s", cluster.Key(pod), k.node)
}

// shouldBeReady is what the pod's probes say.
func (k *kubelet) shouldBeReady(pod *corev1.Pod) bool {
	return !k.w.workloads.of(pod).NeverReady && !k.w.workloads.held[string(pod.UID)]
}

func (k *kubelet) report(pod *corev1.Pod) {
	c := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	if !k.shouldBeReady(pod) {
		c.Status, c.Reason = corev1.ConditionFalse, "ContainersNotReady"
	}
	change(k.w.Store, pod, func(p *corev1.Pod) { setPodCondition(p, c, k.w.Store.now()) })
	k.w.Log.add(Full, "pod %s on %s is ready: %v", cluster.Key(pod), k.node, c.Status == corev1.ConditionTrue)
}

func (k *kubelet) succeed(pod *corev1.Pod) {
	change(k.w.Store, pod, func(c *corev1.Pod) {
		c.Status.Phase = corev1.PodSucceeded
		setPodCondition(c, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "PodCompleted"}, k.w.Store.now())
	})
	k.ends(pod)
	k.w.Log.add(Normal, "pod %s on %s has ended well", cluster.Key(pod), k.node)
}

func (k *kubelet) finish(pod *corev1.Pod) {
	k.w.Log.add(Normal, "pod %s is gone from %s", cluster.Key(pod), k.node)
	k.ends(pod)
	if len(pod.Finalizers) > 0 {
		pod = change(k.w.Store, pod, func(c *corev1.Pod) { c.Status.Phase = corev1.PodFailed })
	}
	remove(k.w.Store, pod)
}

// ends is what the end of a pod's containers means beneath the API.
func (k *kubelet) ends(pod *corev1.Pod) {
	k.w.disks.unmount(pod)
	k.w.machines.ends(k.machine, pod)
}
