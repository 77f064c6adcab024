package simulation

import (
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// The API server's limits for one object.
const (
	maxConfigMapBytes  = 1 << 20 // of its values
	maxAnnotationBytes = 256 << 10
	// defaultTolerationSeconds is how long every pod tolerates a node that is not ready or unreachable, unless it says otherwise.
	defaultTolerationSeconds = 300
	defaultGraceSeconds      = 30
)

// admit does to a new object what defaulting, admission plugins and validation of the API server do, as far as anybody here depends on it.
func admit(o Object) error {
	switch o := o.(type) {
	case *corev1.Pod:
		admitPod(o)
	case *corev1.Node:
		admitNode(o)
	case *policyv1.PodDisruptionBudget:
		o.Status = policyv1.PodDisruptionBudgetStatus{}
	}
	return validate(o)
}

func admitPod(pod *corev1.Pod) {
	if pod.Spec.SchedulerName == "" {
		pod.Spec.SchedulerName = corev1.DefaultSchedulerName
	}
	if pod.Spec.RestartPolicy == "" {
		pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	if pod.Spec.TerminationGracePeriodSeconds == nil {
		pod.Spec.TerminationGracePeriodSeconds = ptr.To(int64(defaultGraceSeconds))
	}
	if pod.Spec.Priority == nil {
		pod.Spec.Priority = ptr.To(int32(0))
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		taint := corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute}
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return tolerates(t, taint) }) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
				Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute,
				TolerationSeconds: ptr.To(int64(defaultTolerationSeconds)),
			})
		}
	}
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
}

// admitNode taints a new node until the node lifecycle controller has seen it ready, so that nothing is bound to it before.
func admitNode(node *corev1.Node) {
	notReady := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	if !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&notReady) }) {
		node.Spec.Taints = append(node.Spec.Taints, notReady)
	}
}

// validate checks what the API server would refuse and a client could do wrong.
func validate(o Object) error {
	var errs field.ErrorList
	size := 0
	for key, value := range o.GetAnnotations() {
		size += len(key) + len(value)
	}
	if size > maxAnnotationBytes {
		errs = append(errs, field.TooLong(field.NewPath("metadata", "annotations"), "", maxAnnotationBytes))
	}
	switch o := o.(type) {
	case *corev1.Node:
		errs = append(errs, validateTaints(o.Spec.Taints)...)
	case *corev1.ConfigMap:
		size := 0
		for _, value := range o.Data {
			size += len(value)
		}
		for _, value := range o.BinaryData {
			size += len(value)
		}
		if size > maxConfigMapBytes {
			errs = append(errs, field.TooLong(field.NewPath(""), "", maxConfigMapBytes))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	resource := kindOf(o).resource
	return apierrors.NewInvalid(schema.GroupKind{Group: resource.Group, Kind: resource.Resource}, o.GetName(), errs)
}

func validateTaints(taints []corev1.Taint) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, t := range taints {
		id := t.Key + ":" + string(t.Effect)
		if seen[id] {
			errs = append(errs, field.Duplicate(field.NewPath("spec", "taints").Index(i), id))
		}
		seen[id] = true
		switch t.Effect {
		case corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute:
		default:
			errs = append(errs, field.NotSupported(field.NewPath("spec", "taints").Index(i).Child("effect"), t.Effect, []string{"NoSchedule"}))
		}
	}
	return errs
}

// overwrite makes the store's object equal to what a client sent, but for what a client can't change. Whoever changes the spec makes a new
// generation.
func overwrite[T Object](mine, sent T) {
	uid, created := mine.GetUID(), mine.GetCreationTimestamp()
	deleted, grace, generation := mine.GetDeletionTimestamp(), mine.GetDeletionGracePeriodSeconds(), mine.GetGeneration()
	if !apiequality.Semantic.DeepEqual(specOf(mine), specOf(sent)) {
		generation++
	}
	reflect.ValueOf(mine).Elem().Set(reflect.ValueOf(copyOf(sent)).Elem())
	mine.SetUID(uid)
	mine.SetCreationTimestamp(created)
	mine.SetDeletionTimestamp(deleted)
	mine.SetDeletionGracePeriodSeconds(grace)
	mine.SetGeneration(generation)
}

// specOf is the spec of an object; nil for a kind without one.
func specOf(o Object) any {
	spec := reflect.ValueOf(o).Elem().FieldByName("Spec")
	if !spec.IsValid() {
		return nil
	}
	return spec.Interface()
}

// tolerates tells whether the toleration matches the taint, whatever its seconds.
func tolerates(t corev1.Toleration, taint corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect {
		return false
	}
	if t.Key != "" && t.Key != taint.Key {
		return false
	}
	if t.Operator == corev1.TolerationOpExists {
		return true
	}
	return t.Key != "" && t.Value == taint.Value
}
