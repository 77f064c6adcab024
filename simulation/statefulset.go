package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// statefulSets plays the StatefulSet controller with ordered pods: one is made when all before it are ready, and the same name again only
// when the old pod is gone from the API, however dead its node is.
type statefulSets struct {
	w     *World
	dirty map[string]bool
	wake  alarm
}

func newStatefulSets(w *World) *statefulSets {
	s := &statefulSets{w: w, dirty: map[string]bool{}}
	s.wake = alarm{w: w, who: "statefulsets", needsAPI: true, run: s.sync}
	return s
}

func (s *statefulSets) saw(c Change) {
	for _, o := range []Object{c.Old, c.New} {
		switch o := o.(type) {
		case *appsv1.StatefulSet:
			s.touch(o.Namespace + "/" + o.Name)
		case *corev1.Pod:
			if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == "StatefulSet" {
				s.touch(o.Namespace + "/" + owner.Name)
			}
		}
	}
}

func (s *statefulSets) touch(key string) {
	s.dirty[key] = true
	if !s.wake.set.waiting() {
		s.wake.within(s.w.between(s.w.timing.Reaction, "statefulsets/"+key))
	}
}

func (s *statefulSets) sync() {
	for _, key := range sortedKeys(s.dirty) {
		delete(s.dirty, key)
		namespace, name := splitKey(key)
		if set, err := find[*appsv1.StatefulSet](s.w.Store, namespace, name); err == nil {
			s.scale(set)
		}
	}
}

// scale does one thing at most: it makes the first pod that is missing, if all before it are ready, or deletes the last one too many, as the controller does: while one that is wanted is missing or not ready, none goes.
func (s *statefulSets) scale(set *appsv1.StatefulSet) {
	want := int(ptr.Deref(set.Spec.Replicas, 1))
	for i := range want {
		name := fmt.Sprintf("%s-%d", set.Name, i)
		pod, err := find[*corev1.Pod](s.w.Store, set.Namespace, name)
		if err != nil {
			s.w.createPod(set, "StatefulSet", name, s.withDisks(set, name))
			return
		}
		if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			s.w.Store.deletePod(pod, nil)
			return
		}
		if !podReady(pod) || pod.DeletionTimestamp != nil {
			return
		}
	}
	// Condemned are the pods beyond the last that is wanted, also where one below them was lost on the way down: db-3 goes when there is no db-2.
	condemned := slices.DeleteFunc(s.w.Store.podsOfController(set.UID), func(p *corev1.Pod) bool { return ordinal(p) < want })
	if len(condemned) == 0 {
		return
	}
	last := slices.MaxFunc(condemned, func(a, b *corev1.Pod) int { return ordinal(a) - ordinal(b) })
	if last.DeletionTimestamp == nil {
		s.w.Store.deletePod(last, nil)
	}
}

// withDisks is the template of one pod, with the claims of its own, which are made with the first pod of that name and outlive it.
func (s *statefulSets) withDisks(set *appsv1.StatefulSet, pod string) corev1.PodTemplateSpec {
	template := *set.Spec.Template.DeepCopy()
	for _, claim := range set.Spec.VolumeClaimTemplates {
		name := claim.Name + "-" + pod
		s.w.addDisk(set.Namespace, name)
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
	}
	return template
}

// ordinal is the number at the end of a pod's name.
func ordinal(pod *corev1.Pod) int {
	return must(strconv.Atoi(pod.Name[strings.LastIndexByte(pod.Name, '-')+1:]))
}
