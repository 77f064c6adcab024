package kwok_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

func TestANewNodeHasWhatThePoolsTemplateSays(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	got := b.node("front-1")
	wantLabels := map[string]string{
		"tier": "web", "poolkeeper.io/pool": "front", "kubernetes.io/hostname": "front-1", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
		"topology.kubernetes.io/zone": "eu-1a", "topology.kubernetes.io/region": "eu-1", "node.kubernetes.io/instance-type": "m4",
	}
	if diff := cmp.Diff(wantLabels, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"kwok.x-k8s.io/node": "fake"}, got.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if got.Spec.ProviderID != "kwok://front/front-1" {
		t.Errorf("provider ID %q", got.Spec.ProviderID)
	}
	if diff := cmp.Diff(front().Template.Taints, got.Spec.Taints); diff != "" {
		t.Errorf("taints (-want +got):\n%s", diff)
	}
	wantCapacity := corev1.ResourceList{"cpu": resource.MustParse("4"), "memory": resource.MustParse("16Gi"), "pods": resource.MustParse("110")}
	if diff := cmp.Diff(wantCapacity, got.Status.Capacity); diff != "" {
		t.Errorf("capacity (-want +got):\n%s", diff)
	}
	wantAllocatable := corev1.ResourceList{"cpu": resource.MustParse("3800m"), "memory": resource.MustParse("16Gi"), "pods": resource.MustParse("110")}
	if diff := cmp.Diff(wantAllocatable, got.Status.Allocatable); diff != "" {
		t.Errorf("allocatable (-want +got):\n%s", diff)
	}
	if got.Status.NodeInfo.KubeletVersion != "v1.35.4" {
		t.Errorf("kubelet version %q", got.Status.NodeInfo.KubeletVersion)
	}
}

func TestMachinesThatWereBootingWhileTheDaemonWasDeadAreUpWhenItIsBack(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.must(b.group("front").IncreaseSize(t.Context(), 1))
	b.restart()
	b.after(time.Hour)
	b.wantTarget("front", 3)
	b.wantInstances("front", states{"front-1": running, "front-2": running, "front-3": running})
	b.wantNodes("front-1", "front-2", "front-3")
	list, err := b.group("front").Nodes(t.Context())
	b.must(err)
	if want := start.Add(time.Minute + 30*time.Second); !list[2].Started.Equal(want) {
		t.Errorf("front-3 started at %v, want %v: when its boot delay had passed and not when somebody looked", list[2].Started, want)
	}
}

func TestADeletedInstanceTakesItsNodeAlongOnceTheDeleteDelayHasPassed(t *testing.T) {
	pool := front()
	pool.DeleteDelay = 20 * time.Second
	b := newBench(t, pool)
	b.after(time.Minute)
	b.must(b.group("front").DeleteNodes(t.Context(), []*corev1.Node{b.node("front-1")}))
	b.wantInstances("front", states{"front-1": deleting, "front-2": running})
	b.after(19 * time.Second)
	b.wantInstances("front", states{"front-1": deleting, "front-2": running})
	b.wantNodes("front-1", "front-2")
	b.after(time.Second)
	b.wantInstances("front", states{"front-2": running})
	b.wantNodes("front-2")
}

func TestANameIsNeverUsedTwice(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.must(b.group("front").DeleteNodes(t.Context(), []*corev1.Node{b.node("front-2")}))
	b.after(time.Minute)
	b.must(b.group("front").IncreaseSize(t.Context(), 1))
	b.after(time.Minute)
	b.wantNodes("front-1", "front-3")

	b.must(b.memory.DeleteConfigMap(t.Context(), namespace, kwok.ConfigMapName("front")))
	b.after(time.Minute)
	b.after(time.Minute)
	b.wantInstances("front", states{"front-4": running, "front-5": running})
}

func TestANodeThatSomebodyDeletedComesBackWithTheNextRebootAndNotBefore(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	node := b.node("front-1")
	b.must(b.memory.DeleteNode(t.Context(), node.Name, node.UID))
	b.after(time.Hour)
	b.wantNodes("front-2")
	b.wantInstances("front", states{"front-1": running, "front-2": running})
	b.must(b.group("front").(cloudprovider.Rebooter).RebootNode(t.Context(), node))
	b.after(time.Second)
	b.wantNodes("front-1", "front-2")
	node = b.node("front-1")
	b.must(b.memory.DeleteNode(t.Context(), node.Name, node.UID))
	b.after(time.Second)
	b.wantNodes("front-2")
}

func TestANodeThatWasMadeJustBeforeACrashIsTakenForWhatItIs(t *testing.T) {
	b := newBench(t, front())
	lost, err := b.memory.GetConfigMap(t.Context(), namespace, kwok.ConfigMapName("front"))
	b.must(err)
	b.after(time.Minute)
	uid := b.node("front-1").UID
	now, err := b.memory.GetConfigMap(t.Context(), namespace, kwok.ConfigMapName("front"))
	b.must(err)
	now.Data = lost.Data // as if the daemon had died before it wrote down that the nodes are there
	_, err = b.memory.UpdateConfigMap(t.Context(), now)
	b.must(err)
	b.restart()
	b.refresh()
	b.wantNodes("front-1", "front-2")
	if b.node("front-1").UID != uid {
		t.Error("the node was made anew")
	}
}

func TestANodeOfAnotherMachineUnderTheSameNameIsLeftAloneAndSaid(t *testing.T) {
	back := front()
	back.Name = "back"
	b := newBench(t, front(), back)
	_, err := b.memory.CreateNode(t.Context(), &corev1.Node{ObjectMeta: b.meta("front-1"), Spec: corev1.NodeSpec{ProviderID: "metal://7"}})
	b.must(err)
	b.after(time.Minute)
	_, err = b.group("front").TargetSize(t.Context())
	b.wantError(err, "register node front-1", `with provider ID "metal://7"`)
	b.wantInstances("back", states{"back-1": running, "back-2": running}) // one pool's trouble doesn't stop the others
	if b.node("front-1").Spec.ProviderID != "metal://7" {
		t.Error("the other machine's node was touched")
	}
}

func TestDueIsTheNextMomentAtWhichSomethingHappensByItself(t *testing.T) {
	pool := front()
	pool.DeleteDelay = 10 * time.Second
	b := newBench(t, pool)
	want := func(want time.Time) {
		t.Helper()
		if got := b.provider.Due(); !got.Equal(want) {
			t.Fatalf("due %v, want %v", got, want)
		}
	}
	want(start.Add(30 * time.Second))
	b.after(time.Minute)
	want(time.Time{})
	b.must(b.group("front").DeleteNodes(t.Context(), []*corev1.Node{standIn("front", "front-1")}))
	want(start.Add(70 * time.Second))
}

func TestAPersonWhoChangesTheTargetInTheConfigMapWins(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.edit("front", "target: 2", "target: 4")
	b.after(time.Minute)
	b.after(time.Minute)
	b.wantTarget("front", 4)
	b.wantNodes("front-1", "front-2", "front-3", "front-4")
	b.edit("front", "target: 4", "target: 1")
	b.after(time.Minute)
	b.wantTarget("front", 1)
	b.wantNodes("front-1")
}

func TestThePoolsVersionIsTheOneThatWasChangedLast(t *testing.T) {
	b := newBench(t, front())
	versioned := func() string {
		t.Helper()
		version, err := b.group("front").(cloudprovider.Versioned).TemplateVersion(t.Context())
		b.must(err)
		return version
	}
	b.edit("front", "version: v1.35.4", "version: v1.36.0")
	b.refresh()
	if got := versioned(); got != "v1.36.0" {
		t.Errorf("after an edit of the ConfigMap the version is %s", got)
	}
	b.must(b.group("front").(cloudprovider.Versioned).SetTemplateVersion(t.Context(), "v1.36.1"))
	b.restart()
	b.refresh()
	if got := versioned(); got != "v1.36.1" {
		t.Errorf("after SetTemplateVersion and a restart the version is %s", got)
	}
	b.config.Pools[0].Template.Version = "v1.36.3"
	b.restart()
	b.refresh()
	if got := versioned(); got != "v1.36.3" {
		t.Errorf("after a change of the configuration the version is %s", got)
	}
	b.must(b.group("front").IncreaseSize(t.Context(), 1))
	b.after(time.Minute)
	if got := b.node("front-3").Status.NodeInfo.KubeletVersion; got != "v1.36.3" {
		t.Errorf("a new node's kubelet has version %s", got)
	}
	if got := b.node("front-1").Status.NodeInfo.KubeletVersion; got != "v1.35.4" {
		t.Errorf("an old node's kubelet has version %s", got)
	}
}

func TestAVersionIsOfferedFromItsRelease(t *testing.T) {
	b := newBench(t, front())
	b.config.Versions = []cloudprovider.Version{{Name: "v1.36.3", Released: start.Add(time.Hour)}, {Name: "v1.35.4"}}
	b.restart()
	b.refresh()
	offered := func() []string {
		list, err := b.provider.AvailableVersions(t.Context())
		b.must(err)
		var all []string
		for _, version := range list {
			all = append(all, version.Name)
		}
		return all
	}
	if got := offered(); !slices.Equal(got, []string{"v1.35.4"}) {
		t.Errorf("before the release: %v", got)
	}
	err := b.group("front").(cloudprovider.Versioned).SetTemplateVersion(t.Context(), "v1.36.3")
	b.wantError(err, "set pool front to version v1.36.3", "Invalid", "those that are: v1.35.4")
	b.after(time.Hour)
	if got := offered(); !slices.Equal(got, []string{"v1.35.4", "v1.36.3"}) {
		t.Errorf("after the release: %v", got)
	}
	b.must(b.group("front").(cloudprovider.Versioned).SetTemplateVersion(t.Context(), "v1.36.3"))
}

func TestANativeUpgradeGoesOnWithoutTheDaemonOneInstanceAfterTheOther(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.must(b.group("front").(cloudprovider.NativeUpgrader).UpgradeNatively(t.Context(), "v1.36.3"))
	b.wantInstances("front", states{"front-2": running, "front-3": creating})
	b.restart()
	b.after(10 * time.Minute)
	b.wantInstances("front", states{"front-3": running, "front-4": running})
	b.wantNodes("front-3", "front-4")
	list, err := b.group("front").Nodes(t.Context())
	b.must(err)
	if want := start.Add(time.Minute + 30*time.Second); !list[1].Created.Equal(want) {
		t.Errorf("front-4 was made at %v, want %v: when front-3 was up", list[1].Created, want)
	}
}

func TestAPoolThatWasMadeOutlivesTheDaemon(t *testing.T) {
	b := newBench(t, front())
	_, err := b.provider.CreateNodeGroup(t.Context(), b.group("front"), "extra")
	b.must(err)
	b.must(b.group("extra").IncreaseSize(t.Context(), 1))
	b.restart()
	b.after(time.Minute)
	b.wantTarget("extra", 1)
	b.wantNodes("extra-1", "front-1", "front-2")
	b.must(b.group("extra").DeleteNodes(t.Context(), []*corev1.Node{b.node("extra-1")}))
	b.after(time.Minute)
	b.must(b.provider.DeleteNodeGroup(t.Context(), "extra"))
	_, err = b.provider.CreateNodeGroup(t.Context(), b.group("front"), "extra")
	b.must(err)
	b.must(b.group("extra").IncreaseSize(t.Context(), 1))
	b.wantInstances("extra", states{"extra-2": creating}) // no name is used twice
	err = b.provider.DeleteNodeGroup(t.Context(), "front")
	b.wantError(err, "delete pool front", "take it out there")
}
