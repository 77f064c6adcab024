package kwok_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

const namespace = "poolkeeper"

// start is when the tests' clocks begin.
var start = time.Date(2026, 8, 3, 10, 0, 0, 0, time.UTC)

// bench is a fake cloud on an API server in memory, with a clock that stands still unless it is moved.
type bench struct {
	t        *testing.T
	memory   *memory
	clock    *clocktesting.FakePassiveClock
	config   kwok.Config
	provider *kwok.Provider
}

func newBench(t *testing.T, pools ...kwok.Pool) *bench {
	t.Helper()
	b := &bench{t: t, memory: newMemory(), clock: clocktesting.NewFakePassiveClock(start), config: kwok.Config{Pools: pools}}
	b.restart()
	b.refresh()
	return b
}

// restart is another life of the daemon.
func (b *bench) restart() {
	b.t.Helper()
	provider, err := kwok.NewFromConfig(b.config, b.options())
	if err != nil {
		b.t.Fatal(err)
	}
	b.provider = provider
}

func (b *bench) options() registry.Options {
	return registry.Options{API: b.memory, Clock: b.clock, Namespace: namespace}
}

func (b *bench) refresh() {
	b.t.Helper()
	if err := b.provider.Refresh(b.t.Context()); err != nil {
		b.t.Fatalf("refresh: %v", err)
	}
}

// after moves the clock and refreshes.
func (b *bench) after(d time.Duration) {
	b.t.Helper()
	b.clock.SetTime(b.clock.Now().Add(d))
	b.refresh()
}

func (b *bench) group(name string) cloudprovider.NodeGroup {
	b.t.Helper()
	for _, group := range b.provider.NodeGroups() {
		if group.Id() == name {
			return group
		}
	}
	b.t.Fatalf("there is no group %s", name)
	return nil
}

// instances are the states of the pool's instances by name.
func (b *bench) instances(pool string) map[string]cloudprovider.InstanceState {
	b.t.Helper()
	list, err := b.group(pool).Nodes(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	states := map[string]cloudprovider.InstanceState{}
	for _, one := range list {
		states[one.NodeName] = one.Status.State
	}
	return states
}

func (b *bench) wantInstances(pool string, want map[string]cloudprovider.InstanceState) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.instances(pool)); diff != "" {
		b.t.Fatalf("instances of %s (-want +got):\n%s", pool, diff)
	}
}

func (b *bench) wantTarget(pool string, want int) {
	b.t.Helper()
	got, err := b.group(pool).TargetSize(b.t.Context())
	if err != nil || got != want {
		b.t.Fatalf("target of %s is %d (%v), want %d", pool, got, err, want)
	}
}

// wantNodes are the names of all Nodes.
func (b *bench) wantNodes(want ...string) {
	b.t.Helper()
	list, err := b.memory.ListNodes(context.Background(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	var got []string
	for _, node := range list {
		got = append(got, node.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Fatalf("nodes (-want +got):\n%s", diff)
	}
}

func (b *bench) node(name string) *corev1.Node {
	b.t.Helper()
	node, err := b.memory.GetNode(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	return node
}

// edit changes the text of the pool in its ConfigMap, as a person does.
func (b *bench) edit(pool, old, fresh string) {
	b.t.Helper()
	cm, err := b.memory.GetConfigMap(b.t.Context(), namespace, kwok.ConfigMapName(pool))
	b.must(err)
	if !strings.Contains(cm.Data["pool"], old) {
		b.t.Fatalf("there is no %q in\n%s", old, cm.Data["pool"])
	}
	cm.Data["pool"] = strings.Replace(cm.Data["pool"], old, fresh, 1)
	_, err = b.memory.UpdateConfigMap(b.t.Context(), cm)
	b.must(err)
}

// wantError wants an error with these texts in it.
func (b *bench) wantError(err error, texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			b.t.Fatalf("error %v, want %q in it", err, text)
		}
	}
}

func (b *bench) meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// fault sets the pool's faults.
func (b *bench) fault(pool string, list ...kwok.Fault) {
	b.t.Helper()
	if err := kwok.SetFaults(b.t.Context(), b.memory, namespace, pool, list...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// standIn is a node that never registered.
func standIn(pool, name string) *corev1.Node {
	return &corev1.Node{Spec: corev1.NodeSpec{ProviderID: kwok.ProviderID(pool, name)}}
}

// front is a pool of two, of one to six, whose instances take half a minute to boot.
func front() kwok.Pool {
	return kwok.Pool{
		Name: "front", Min: 1, Max: 6, InitialSize: 2, StartupDelay: 30 * time.Second,
		Template: kwok.Template{
			Labels: map[string]string{"tier": "web"}, Zone: "eu-1a", Region: "eu-1", InstanceType: "m4", Version: "v1.35.4", Price: 0.2,
			Taints: []corev1.Taint{{Key: "web", Effect: corev1.TaintEffectNoSchedule}},
			Capacity: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"),
			},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3800m")},
		},
	}
}

const (
	creating = cloudprovider.InstanceCreating
	running  = cloudprovider.InstanceRunning
	stopped  = cloudprovider.InstanceStopped
	deleting = cloudprovider.InstanceDeleting
)

type states = map[string]cloudprovider.InstanceState

func TestAnInstanceRunsAndRegistersWhenItsBootDelayHasPassed(t *testing.T) {
	b := newBench(t, front())
	b.wantTarget("front", 2)
	b.wantInstances("front", states{"front-1": creating, "front-2": creating})
	b.wantNodes()
	b.after(29 * time.Second)
	b.wantInstances("front", states{"front-1": creating, "front-2": creating})
	b.wantNodes()
	b.after(time.Second)
	b.wantInstances("front", states{"front-1": running, "front-2": running})
	b.wantNodes("front-1", "front-2")
}
