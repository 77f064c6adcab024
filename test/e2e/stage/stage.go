// Package stage is what an end-to-end test has in common with the play: workloads that come and go, pools that it watches, nodes that it kills. Each
// method does one thing to the cluster or waits, with a limit, until one thing is true of it, so that a test reads as sentences:
//
//	s, web := stage.New(t, plane), s.KwokPool("web")
//	s.Deploy("front", 7, "1500m")
//	s.Running("front", 7, time.Minute)
//	web.Sized(4, 10*time.Second)
//
// The pods are in the default namespace, and the stage's tests have it to themselves, one after the other.
package stage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// namespace is where the pods are.
const namespace = metav1.NamespaceDefault

// Stage is a control plane on which a test plays.
type Stage struct {
	// T is the test.
	T testing.TB
	// Plane is the control plane.
	Plane *controlplane.ControlPlane
}

// New takes the control plane for the test, and takes its workloads and all nodes but a real one away with it.
func New(t testing.TB, plane *controlplane.ControlPlane) *Stage {
	t.Helper()
	s := &Stage{T: t, Plane: plane}
	t.Cleanup(s.clear)
	return s
}

// clear takes away what the test made: pods first, then nodes, and once more the pods that came meanwhile.
func (s *Stage) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, all := s.Plane.Client(), metav1.ListOptions{}
	usual, now := metav1.DeleteOptions{}, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	_ = c.AppsV1().Deployments(namespace).DeleteCollection(ctx, usual, all)
	_ = c.AppsV1().StatefulSets(namespace).DeleteCollection(ctx, usual, all)
	_ = c.StorageV1().VolumeAttachments().DeleteCollection(ctx, now, all)
	_ = c.PolicyV1().PodDisruptionBudgets(namespace).DeleteCollection(ctx, usual, all)
	_ = c.AppsV1().ReplicaSets(namespace).DeleteCollection(ctx, usual, all)
	_ = c.CoreV1().Events(namespace).DeleteCollection(ctx, usual, all)
	_ = c.CoreV1().Pods(namespace).DeleteCollection(ctx, now, all)
	_ = c.CoreV1().Nodes().DeleteCollection(ctx, now, metav1.ListOptions{LabelSelector: "!" + controlplane.MachineLabel})
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 5*time.Minute, true, func(ctx context.Context) (bool, error) {
		pods, err := c.CoreV1().Pods(namespace).List(ctx, all)
		if err != nil {
			return false, nil //nolint:nilerr // a server that is slow just now is asked again
		}
		if len(pods.Items) == 0 {
			return true, nil
		}
		_ = c.CoreV1().Pods(namespace).DeleteCollection(ctx, now, all)
		return false, nil
	})
	if err != nil {
		s.T.Errorf("the test's pods did not go: %v", err)
	}
}

// A Check is nil for what is true, and otherwise says what is the case instead.
type Check func(context.Context) error

// Eventually waits until the check holds; see [controlplane.Eventually].
func (s *Stage) Eventually(limit time.Duration, check Check) {
	s.T.Helper()
	controlplane.Eventually(s.T, limit, check)
}

// Stays fails the test as soon as the check does, and returns after the time.
func (s *Stage) Stays(d time.Duration, check Check) {
	s.T.Helper()
	over := time.Now().Add(d)
	s.Eventually(d+10*time.Second, func(ctx context.Context) error {
		if err := check(ctx); err != nil {
			s.T.Fatal(err)
		}
		if time.Now().Before(over) {
			return errors.New("waiting to see whether it stays so")
		}
		return nil
	})
}

// Events waits until there are n Events with that reason about pods.
func (s *Stage) Events(reason string, n int) {
	s.T.Helper()
	s.Eventually(30*time.Second, func(ctx context.Context) error {
		list, err := s.Plane.Client().CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return err
		}
		if len(list.Items) < n {
			return fmt.Errorf("%d Events %s, want %d", len(list.Items), reason, n)
		}
		return nil
	})
}

func (s *Stage) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}
