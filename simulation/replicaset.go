package simulation

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// replicaSets plays the ReplicaSet controller: as many pods as are wanted, counting neither those that have ended nor those that are being
// deleted. Pods are numbered and no number is used twice.
type replicaSets struct {
	w       *World
	dirty   map[types.UID]string
	numbers map[types.UID]int
	wake    alarm
}

func newReplicaSets(w *World) *replicaSets {
	r := &replicaSets{w: w, dirty: map[types.UID]string{}, numbers: map[types.UID]int{}}
	r.wake = alarm{w: w, who: "replicasets", needsAPI: true, run: r.sync}
	return r
}

func (r *replicaSets) saw(c Change) {
	for _, o := range []Object{c.Old, c.New} {
		switch o := o.(type) {
		case *appsv1.ReplicaSet:
			r.touch(o.UID, cluster.Key(o))
		case *corev1.Pod:
			if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == "ReplicaSet" && counted(c) {
				r.touch(owner.UID, o.Namespace+"/"+owner.Name)
			}
		}
	}
}

// counted tells whether a pod's change can matter to its controller's count.
func counted(c Change) bool {
	old, _ := c.Old.(*corev1.Pod)
	pod, _ := c.New.(*corev1.Pod)
	return old == nil || pod == nil || active(old) != active(pod)
}

func (r *replicaSets) touch(uid types.UID, key string) {
	r.dirty[uid] = key
	if !r.wake.set.waiting() {
		r.wake.within(r.w.between(r.w.timing.Reaction, "replicasets/"+key))
	}
}

func (r *replicaSets) sync() {
	dirty := sortedKeys(r.dirty)
	for _, uid := range dirty {
		key := r.dirty[uid]
		delete(r.dirty, uid)
		namespace, name := splitKey(key)
		rs, err := find[*appsv1.ReplicaSet](r.w.Store, namespace, name)
		if err != nil || rs.UID != uid {
			r.collect(uid)
			continue
		}
		r.scale(rs)
	}
}

// collect deletes the pods of a ReplicaSet that is gone, as the garbage collector does.
func (r *replicaSets) collect(uid types.UID) {
	for _, pod := range r.w.Store.podsOfController(uid) {
		if pod.DeletionTimestamp == nil {
			r.w.Store.deletePod(pod, nil)
		}
	}
}

func (r *replicaSets) scale(rs *appsv1.ReplicaSet) {
	var pods []*corev1.Pod
	for _, pod := range r.w.Store.podsOfController(rs.UID) {
		if active(pod) {
			pods = append(pods, pod)
		}
	}
	want := int(ptr.Deref(rs.Spec.Replicas, 1))
	for range want - len(pods) {
		r.numbers[rs.UID]++
		r.w.createPod(rs, "ReplicaSet", fmt.Sprintf("%s-%d", rs.Name, r.numbers[rs.UID]), rs.Spec.Template)
	}
	if len(pods) <= want {
		return
	}
	slices.SortStableFunc(pods, leastWorthFirst)
	for _, pod := range pods[:len(pods)-want] {
		r.w.Log.add(Normal, "pod %s deleted: the replicaset shrinks", cluster.Key(pod))
		r.w.Store.deletePod(pod, nil)
	}
}

// leastWorthFirst orders pods as the ReplicaSet controller deletes them: without a node, pending, unready, and then the younger first.
func leastWorthFirst(a, b *corev1.Pod) int {
	return cmp.Or(
		compareBool(a.Spec.NodeName != "", b.Spec.NodeName != ""),
		compareBool(a.Status.Phase == corev1.PodRunning, b.Status.Phase == corev1.PodRunning),
		compareBool(podReady(a), podReady(b)),
		-cmp.Compare(len(a.Name), len(b.Name)), -cmp.Compare(a.Name, b.Name),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// active tells whether a controller counts the pod.
func active(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// createPod makes a pod of a controller.
func (w *World) createPod(owner Object, kind, name string, template corev1.PodTemplateSpec) {
	pod := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = owner.GetNamespace(), name
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind(kind))}
	made, err := create(w.Store, pod)
	if err != nil {
		return // the one before is still there: the controller comes again when it is gone
	}
	w.Log.add(Normal, "pod %s created", cluster.Key(made))
}
