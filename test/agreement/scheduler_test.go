package agreement

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	schedulercache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	schedulerruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

// What the fast path is compared with are the kube-scheduler's plugins, but what runs them is ours, and they are shown what we keep of a pod and no more. So the
// kube-scheduler's own framework, with its own snapshot, client-go's own indexers and whole pods, is asked about some of the cases. Pods that want devices are
// left out: those are not simulated.
func TestTheKubeSchedulersFrameworkSaysTheSame(t *testing.T) {
	metrics.Register()
	verdicts := 0
	for number := range uint64(enough / 5000) {
		c := draw(3, number)
		c.Script = nil
		forget := func(p *corev1.Pod) bool { return len(p.Spec.ResourceClaims) > 0 || len(p.Spec.SchedulingGates) > 0 }
		c.Pods, c.Others = slices.DeleteFunc(c.Pods, forget), slices.DeleteFunc(c.Others, isDevice)
		a := &arena{picture: c}
		a.plugins, a.fast = both()
		a.begin()
		if d := a.open(0); d != nil {
			t.Fatal(report(3, number, c, d, both))
		}
		says := whatTheSchedulerSays(t, c)
		for i, key := range a.keys {
			if a.fresh[key] != nil {
				continue
			}
			for j, node := range a.nodes {
				got := say(a.answers[i*len(a.nodes)+j])
				want := says(asNew(a.raw[key]), node)
				if verdicts++; got != want {
					t.Fatalf("case %d of seed 3, pod %s, node %s:\n  kube-scheduler: %s\n  engine:         %s\n%s", number, key, node, want, got, c)
				}
			}
		}
	}
	t.Logf("%d verdicts compared", verdicts)
}

func isDevice(o metav1.Object) bool { return strings.HasPrefix(o.GetName(), "class-") }

// asNew is the pod as its controller would make it anew, without a node and a state: that is what the engine is asked about.
func asNew(p *corev1.Pod) *corev1.Pod {
	if p.Spec.NodeName == "" && p.DeletionTimestamp == nil {
		return p
	}
	fresh := *p
	fresh.Spec.NodeName, fresh.DeletionTimestamp, fresh.Status = "", nil, corev1.PodStatus{Phase: corev1.PodPending}
	return &fresh
}

// whatTheSchedulerSays builds the kube-scheduler's framework over the cluster.
func whatTheSchedulerSays(t *testing.T, c *picture) func(p *corev1.Pod, node string) string {
	t.Helper()
	ctx := klog.NewContext(t.Context(), logr.Discard())
	var bound []*corev1.Pod
	for _, p := range c.Pods {
		if slices.ContainsFunc(c.Nodes, func(n *corev1.Node) bool { return n.Name == p.Spec.NodeName }) {
			bound = append(bound, p)
		}
	}
	factory := informers.NewSharedInformerFactory(nil, 0)
	for _, o := range c.Others {
		if err := indexer(t, factory, o).Add(o); err != nil {
			t.Fatal(err)
		}
	}
	config, err := latest.Default()
	if err != nil {
		t.Fatal(err)
	}
	profile := config.Profiles[0]
	profile.Plugins.MultiPoint.Enabled = slices.DeleteFunc(profile.Plugins.MultiPoint.Enabled, func(p schedulerconfig.Plugin) bool {
		return p.Name == names.DynamicResources
	})
	snapshot := schedulercache.NewSnapshot(bound, c.Nodes)
	scheduler, err := schedulerruntime.NewFramework(ctx, plugins.NewInTreeRegistry(), &profile, schedulerruntime.WithSnapshotSharedLister(snapshot),
		schedulerruntime.WithInformerFactory(factory),
		schedulerruntime.WithSharedCSIManager(nodevolumelimits.NewCSIManager(factory.Storage().V1().CSINodes().Lister())))
	if err != nil {
		t.Fatal(err)
	}
	return func(p *corev1.Pod, node string) string {
		state := framework.NewCycleState()
		result, status, by := scheduler.RunPreFilterPlugins(ctx, state, p)
		info, err := snapshot.Get(node)
		switch {
		case err != nil:
			return say(&scheduling.Misfit{Message: fmt.Sprintf("there is no node %q", node)})
		case status.Code() == fwk.Error:
			return failed(status)
		case !status.IsSuccess():
			return status.Plugin() + ": " + strings.Join(status.Reasons(), ", ")
		case !result.AllNodes() && !result.NodeNames.Has(node):
			return fmt.Sprintf("%s: node(s) didn't satisfy plugin(s) %v", strings.Join(by.UnsortedList(), ", "), by.UnsortedList())
		}
		if status := scheduler.RunFilterPlugins(ctx, state, p, info); !status.IsSuccess() {
			return status.Plugin() + ": " + strings.Join(slices.Sorted(slices.Values(status.Reasons())), ", ")
		}
		return say(nil)
	}
}

// failed is a plugin's own error in the engine's words.
func failed(status *fwk.Status) string {
	var plugin string
	text := status.Message()
	if _, err := fmt.Sscanf(text, "running PreFilter plugin %q:", &plugin); err != nil {
		return text
	}
	_, text, _ = strings.Cut(text, fmt.Sprintf("%q: ", plugin))
	return fmt.Sprintf("%s: running plugin %s: %s", plugin, plugin, text)
}

func indexer(t *testing.T, factory informers.SharedInformerFactory, object metav1.Object) cache.Indexer {
	t.Helper()
	switch object.(type) {
	case *corev1.PersistentVolume:
		return factory.Core().V1().PersistentVolumes().Informer().GetIndexer()
	case *corev1.PersistentVolumeClaim:
		return factory.Core().V1().PersistentVolumeClaims().Informer().GetIndexer()
	case *corev1.Namespace:
		return factory.Core().V1().Namespaces().Informer().GetIndexer()
	case *storagev1.StorageClass:
		return factory.Storage().V1().StorageClasses().Informer().GetIndexer()
	case *storagev1.CSINode:
		return factory.Storage().V1().CSINodes().Informer().GetIndexer()
	}
	t.Fatalf("the kube-scheduler has no place for a %T here", object)
	return nil
}
