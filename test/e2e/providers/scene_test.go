package providers

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// scene is one scenario with one provider: its cloud with one pool, and Poolkeeper installed for it.
type scene struct {
	*stage.Stage
	*installation.Installation
	// name is the name of the namespace and of the pool.
	name  string
	cloud cloud
	pool  *stage.Pool
}

// newScene puts the cloud up and installs the chart for it. It is all taken down with the test: first the daemon, then the cloud, then what is left.
func newScene(t *testing.T, provider string, story scenario, put func(*scene, wish) cloud) *scene {
	t.Helper()
	number, _, _ := strings.Cut(story.name, " ")
	name := provider + "-" + number
	s := &scene{Stage: stage.New(t, plane), Installation: installation.New(t, plane, daemon, name), name: name}
	s.cloud = put(s, story.wish)
	if s.cloud.provider == "" {
		s.cloud.provider = provider
	}
	s.pool = s.Pool(name, s.cloud.owns)
	s.Apply(&installation.Chart{
		Mode: "act", Provider: s.cloud.provider, CloudConfig: s.cloud.config, CloudConfigs: s.cloud.configs,
		Flags: slices.Concat(installation.QuickTimers(), s.cloud.flags), Values: s.cloud.values, Env: s.cloud.env,
	})
	return s
}

// created counts the Nodes that an account in the scene's namespace has made: of a cloud that makes them itself, its machines.
func (s *scene) created(account string) int {
	s.T.Helper()
	return len(s.RequestsOf(account, func(q controlplane.Request) bool { return q.Verb == "create" && q.Resource == "nodes" }))
}

// join makes the node; one of that name is there already when the cloud asks twice.
func join(ctx context.Context, node *corev1.Node) error {
	_, err := plane.Client().CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// leave takes the node away with its machine.
func leave(ctx context.Context, name string) error {
	err := plane.Client().CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
