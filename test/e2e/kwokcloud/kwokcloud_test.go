// Package kwokcloud_test runs the kwok provider against a real API server, and its Nodes with the real kwok controller as their kubelet.
package kwokcloud_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// limit is how long anything may take; on a quiet machine all of it takes a second or two.
const limit = 2 * time.Minute

var (
	plane  *controlplane.ControlPlane
	clouds atomic.Int32 // numbers the clouds: Nodes have no namespace, so that each cloud needs pool names of its own
)

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{}, func(c *controlplane.ControlPlane) { plane = c }))
}

// pool is a pool of three, of one to six.
func pool(name string) kwok.Pool {
	return kwok.Pool{
		Name: name, Min: 1, Max: 6, InitialSize: 3, StartupDelay: 30 * time.Second, DeleteDelay: 5 * time.Second,
		Template: kwok.Template{
			Version: "v1.35.4", Zone: "eu-1a", Price: 0.1, Labels: map[string]string{"tier": "web"},
			Taints:   []corev1.Taint{{Key: "dedicated", Value: "web", Effect: corev1.TaintEffectNoSchedule}},
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")},
		},
	}
}

// newCloud is a cloud in a namespace of its own, with two pools. Its Nodes are deleted in the end.
func newCloud(t conformance.TB, clock clock.PassiveClock) (connect func() *kwok.Provider, namespace string, front, back string) {
	t.Helper()
	number := clouds.Add(1)
	namespace, front, back = fmt.Sprintf("cloud-%d", number), fmt.Sprintf("front%d", number), fmt.Sprintf("back%d", number)
	_, err := plane.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make a namespace: %v", err)
	}
	config := kwok.Config{Versions: []cloudprovider.Version{{Name: "v1.35.4"}, {Name: "v1.36.3"}}, Pools: []kwok.Pool{pool(front), pool(back)}}
	t.Cleanup(func() {
		err := plane.Client().CoreV1().Nodes().DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: kwok.PoolLabel})
		if err != nil {
			t.Errorf("delete the nodes: %v", err)
		}
	})
	return func() *kwok.Provider {
		provider, err := kwok.NewFromConfig(config, registry.Options{API: api.NewClient(plane.Client()), Clock: clock, Namespace: namespace})
		if err != nil {
			t.Fatalf("connect: %v", err)
		}
		return provider
	}, namespace, front, back
}

func TestTheFakeCloudIsAProviderOnARealAPIServer(t *testing.T) {
	conformance.Run(t, conformance.Harness{New: func(t conformance.TB) conformance.Fixture {
		clock := clocktesting.NewFakePassiveClock(time.Now())
		connect, namespace, front, back := newCloud(t, clock)
		set := func(fault string) {
			t.Helper()
			if err := kwok.SetFaults(t.Context(), api.NewClient(plane.Client()), namespace, front, kwok.Fault(fault)); err != nil {
				t.Fatalf("set the fault %s: %v", fault, err)
			}
		}
		return conformance.Fixture{
			Provider: connect(), Group: front, Other: back,
			Reconnect: func() cloudprovider.CloudProvider { return connect() },
			Settle:    func() { clock.SetTime(clock.Now().Add(time.Minute)) },
			Vanish:    func(id string) { set("vanish=" + id[len(kwok.ProviderIDPrefix+front+"/"):]) },
			Withhold:  func() { set("pending") },
			FailCreation: func(class cloudprovider.Class) {
				set(map[cloudprovider.Class]string{cloudprovider.ClassOutOfResources: "outOfStock=late", cloudprovider.ClassQuota: "quota=late"}[class])
			},
		}
	}})
}

// untilReady refreshes until the node's Ready condition has the status, and gives the node.
func untilReady(t *testing.T, provider *kwok.Provider, name string, want corev1.ConditionStatus) *corev1.Node {
	t.Helper()
	var node *corev1.Node
	controlplane.Eventually(t, limit, func(ctx context.Context) (err error) {
		if err := provider.Refresh(ctx); err != nil {
			return err
		}
		if node, err = plane.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == want {
				return nil
			}
		}
		return fmt.Errorf("node %s is not Ready=%s: %+v", name, want, node.Status.Conditions)
	})
	return node
}

func TestKwokBringsANodeToLifeAndLeavesWhatTheCloudSaidOfIt(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	connect, _, front, _ := newCloud(t, clock)
	provider := connect()
	if err := provider.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.SetTime(clock.Now().Add(time.Minute))
	node := untilReady(t, provider, front+"-1", corev1.ConditionTrue)
	if got := node.Status.NodeInfo.KubeletVersion; got != "v1.35.4" {
		t.Errorf("the kubelet's version is %s", got)
	}
	for key, want := range map[corev1.ResourceName]string{corev1.ResourceCPU: "4", corev1.ResourceMemory: "16Gi", corev1.ResourcePods: "110"} {
		capacity, allocatable := node.Status.Capacity[key], node.Status.Allocatable[key]
		if capacity.Cmp(resource.MustParse(want)) != 0 || allocatable.Cmp(capacity) != 0 {
			t.Errorf("%s: capacity %s, allocatable %s, want %s", key, capacity.String(), allocatable.String(), want)
		}
	}
	if node.Labels["tier"] != "web" || node.Labels[corev1.LabelTopologyZone] != "eu-1a" {
		t.Errorf("labels %v", node.Labels)
	}
}

func TestARebootMakesASickNodeAndASilentOneWellAgain(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	connect, _, front, _ := newCloud(t, clock)
	provider := connect()
	if err := provider.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.SetTime(clock.Now().Add(time.Minute))
	sick, silent := front+"-1", front+"-2"
	untilReady(t, provider, sick, corev1.ConditionTrue)
	untilReady(t, provider, silent, corev1.ConditionTrue)
	if err := plane.SickenNode(t.Context(), sick, "PLEG is not healthy"); err != nil {
		t.Fatal(err)
	}
	group := provider.NodeGroups()[0].(interface {
		cloudprovider.Rebooter
		cloudprovider.Stopper
	})
	node := &corev1.Node{Spec: corev1.NodeSpec{ProviderID: kwok.ProviderID(front, silent)}}
	if err := group.StopNode(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	untilReady(t, provider, sick, corev1.ConditionFalse)
	untilReady(t, provider, silent, corev1.ConditionUnknown)
	clock.SetTime(clock.Now().Add(time.Minute))
	for _, name := range []string{sick, silent} {
		if err := group.RebootNode(t.Context(), &corev1.Node{Spec: corev1.NodeSpec{ProviderID: kwok.ProviderID(front, name)}}); err != nil {
			t.Fatal(err)
		}
	}
	untilReady(t, provider, sick, corev1.ConditionTrue)
	untilReady(t, provider, silent, corev1.ConditionTrue)
}
