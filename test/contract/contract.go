// Package contract says what Poolkeeper relies on at an API server, as a suite that is run against two: the simulation's store, and a real
// kube-apiserver (test/e2e/contract). Each contract has one expected result for both. What the simulated cluster proves is worth as much as that.
//
// The suite sees a server as the daemon does: writes and live reads go through cluster/api, and a watch is what arrives as cluster.Event.
package contract

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// A Server is an API server without controllers, schedulers and kubelets: nothing changes but by the contracts.
type Server interface {
	api.Interface
	// Namespace makes a namespace in which pods can be made.
	Namespace(t *testing.T) string
	// PlacePod and PlaceBudget make an object and give it the status that it has here, as its kubelet or controller would.
	PlacePod(t *testing.T, pod *corev1.Pod) *corev1.Pod
	PlaceBudget(t *testing.T, budget *policyv1.PodDisruptionBudget)
	// PlaceAttachment makes a VolumeAttachment.
	PlaceAttachment(t *testing.T, attachment *storagev1.VolumeAttachment) *storagev1.VolumeAttachment
	// Budget reads a budget live.
	Budget(t *testing.T, namespace, name string) *policyv1.PodDisruptionBudget
	// Contend has somebody else write the budget's status all the time, until the test ends: whoever spends it loses every race.
	Contend(t *testing.T, namespace, name string)
	// Follow watches the ConfigMaps of a namespace barely, as the protocol has it, and asks for bookmarks: from a version on, or from all that there are if it is empty. Until is
	// that of the watch. The sink may be called from another goroutine. It ends with the test, or when it is stopped.
	Follow(t *testing.T, namespace, version string, sink func(apiwatch.Event)) (following Following, err error)
	// Forgotten is a version that is too old for the server to go on from.
	Forgotten(t *testing.T) string
	// Watch has sink told what there is and what changes, and returns once what there is was told. The sink may be called from other goroutines, but never by
	// two at a time.
	Watch(t *testing.T, sink func(cluster.Event)) Watch
}

// A Watch is one that is under way.
type Watch struct {
	// Until waits, with a limit, for something that follows from what the sink was told.
	Until func(holds func() bool) bool
	// Broken breaks the watch, and mends it when what happens meanwhile has happened.
	Broken func(meanwhile func())
}

// Following is a bare watch that is under way.
type Following struct {
	// Until waits, for as long as bookmarks take at most, for something that follows from what the sink was told.
	Until func(holds func() bool) bool
	Stop  func()
}

// Run runs all contracts.
func Run(t *testing.T, server Server) {
	for _, group := range []struct {
		name string
		run  func(*testing.T, Server)
	}{
		{"eviction", evictions},
		{"a dry run sees the budget whole", wholeForEach},
		{"an eviction that was refused may have spent the budget", spentInVain},
		{"updates", updates},
		{"taints are one list", taints},
		{"creations", creations},
		{"deletions", deletions},
		{"reads", reads},
		{"watches", watches},
		{"watches that broke", gaps},
		{"bookmarks", bookmarks},
	} {
		t.Run(group.name, func(t *testing.T) { group.run(t, server) })
	}
}

// answer is an error of the API in short: its code, and where there are some its cause and the seconds after which to try again.
func answer(err error) string {
	if err == nil {
		return "done"
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	s := status.Status()
	text := fmt.Sprint(s.Code)
	if s.Details == nil || s.Code != 429 {
		return text
	}
	for _, cause := range s.Details.Causes {
		text += fmt.Sprintf(" %s: %s", cause.Type, cause.Message)
	}
	if s.Details.RetryAfterSeconds > 0 {
		text += fmt.Sprintf(" (after %ds)", s.Details.RetryAfterSeconds)
	}
	return text
}

// expect fails the test where the answer is another.
func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := answer(err); got != want {
		t.Errorf("%s: %s, want %s (%v)", what, got, want, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// podOn is a ready pod of the app web on a node that need not exist.
func podOn(node, namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: node, SchedulerName: "nobody", Containers: []corev1.Container{{Name: "app", Image: "app"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
}
