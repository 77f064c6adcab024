package actuator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// severity orders the classes of failed evictions, so that a step with several of them has the one that a person should see.
var severity = []cloudprovider.Class{cluster.ClassBudget, cluster.ClassConflict, cluster.ClassAPI, cluster.ClassSeveralBudgets, cluster.ClassNotLeader}

// evict asks for the eviction of every pod of the step. A budget that has nothing to spare for one pod doesn't stop the others.
func (a *Actuator) evict(ctx context.Context, step plan.Step) error {
	var worst cloudprovider.Error
	var failed []string
	for _, pod := range step.Pods {
		err := a.evictOne(ctx, pod, step.Node.Name, step.Force)
		if err == nil {
			continue
		}
		failed = append(failed, err.Error())
		class := cloudprovider.ClassOf(err)
		if len(failed) == 1 || slices.Index(severity, class) > slices.Index(severity, worst.Class) {
			worst.Class = class
		}
		if typed, ok := errors.AsType[*cloudprovider.Error](err); ok {
			worst.RetryAfter = max(worst.RetryAfter, typed.RetryAfter)
		}
		if class == cluster.ClassNotLeader || ctx.Err() != nil {
			break
		}
	}
	if len(failed) == 0 {
		return nil
	}
	const shown = 5
	more := ""
	if n := len(failed) - shown; n > 0 {
		failed, more = failed[:shown], fmt.Sprintf("; and %d more", n)
	}
	worst.Doing = "evict pods from node " + step.Node.String()
	worst.Err = errors.New(strings.Join(failed, "; ") + more)
	return &worst
}

// evictOne looks at the live pod first: an eviction with the UID of a pod that is gone would spend the budget of its namesake.
//
// By force the pod is deleted instead, which asks no budget.
func (a *Actuator) evictOne(ctx context.Context, ref plan.PodRef, node string, force bool) error {
	doing := "evict pod " + ref.String()
	leaves, err := a.leaves(ctx, ref, node)
	if leaves || err != nil {
		return apiError(doing, err)
	}
	err = a.effect(ctx, func(ctx context.Context) error {
		if force {
			return a.api.DeletePod(ctx, ref.Namespace, ref.Name, ref.UID, nil)
		}
		return a.api.EvictPod(ctx, ref.Namespace, ref.Name, ref.UID, false)
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsConflict(err): // the UID is another one by now, or somebody wrote to the pod in between
		if leaves, lookErr := a.leaves(ctx, ref, node); leaves && lookErr == nil {
			return nil
		}
	}
	return apiError(doing, err)
}

// tryEvict asks the Eviction API about the pods without evicting them, the live pod first. One that has left meanwhile is no answer, and an error.
func (a *Actuator) tryEvict(ctx context.Context, step plan.Step) error {
	for _, ref := range step.Pods {
		doing := "try to evict pod " + ref.String()
		leaves, err := a.leaves(ctx, ref, step.Node.Name)
		if err != nil {
			return apiError(doing, err)
		}
		if leaves {
			return &cloudprovider.Error{Class: cluster.ClassConflict, Doing: doing, Err: errors.New("it has left")}
		}
		if err := a.effect(ctx, func(ctx context.Context) error { return a.api.EvictPod(ctx, ref.Namespace, ref.Name, ref.UID, true) }); err != nil {
			return apiError(doing, err)
		}
	}
	return nil
}

// leaves tells whether the pod that is meant has left the node, or is on its way.
func (a *Actuator) leaves(ctx context.Context, ref plan.PodRef, node string) (bool, error) {
	var pod *corev1.Pod
	err := a.look(ctx, func(ctx context.Context) (err error) {
		pod, err = a.api.GetPod(ctx, ref.Namespace, ref.Name)
		return err
	})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, err
	}
	return ref.UID != "" && pod.UID != ref.UID || node != "" && pod.Spec.NodeName != node || pod.DeletionTimestamp != nil || ended(pod), nil
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
