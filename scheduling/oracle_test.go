package scheduling_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	schedulercache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	"k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

// The plugins are the kube-scheduler's, but what runs them here is ours: the order, what is skipped, what they are shown. So the
// kube-scheduler's own framework, with its own snapshot and client-go's own indexers, is asked the same questions.
func TestTheKubeSchedulersFrameworkGivesTheSameAnswers(t *testing.T) {
	metrics.Register()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, true)
		c.still = append(c.still, driver(), capacity("a", "1Ti"), csiNode("n0", 1), namespace("guests", "kind", "loud"))
		want := oracle(t, c)
		if diff := cmp.Diff(want, c.answers(mustOpen(t, newEngine(t), c.snapshot()))); diff != "" {
			t.Fatalf("(-kube-scheduler +Fits):\n%s", diff)
		}
	})
}

// oracle is what the kube-scheduler's framework says about every pod and node.
func oracle(t *rapid.T, c *model) map[string]scheduling.Misfit {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
	defer cancel()
	var nodes []*corev1.Node
	var bound []*corev1.Pod
	factory := informers.NewSharedInformerFactory(nil, 0)
	for _, thing := range c.things() {
		switch o := thing.(type) {
		case *corev1.Node:
			nodes = append(nodes, o)
		case *corev1.Pod:
			if o.Spec.NodeName != "" {
				bound = append(bound, o)
			}
		default:
			addTo(t, factory, o)
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
	snapshot := schedulercache.NewSnapshot(bound, nodes)
	scheduler, err := runtime.NewFramework(ctx, plugins.NewInTreeRegistry(), &profile, runtime.WithSnapshotSharedLister(snapshot),
		runtime.WithInformerFactory(factory), runtime.WithSharedCSIManager(nodevolumelimits.NewCSIManager(factory.Storage().V1().CSINodes().Lister())))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]scheduling.Misfit{}
	for key, pod := range c.pods {
		pod = pod.DeepCopy()
		pod.Spec.NodeName, pod.DeletionTimestamp, pod.Status = "", nil, corev1.PodStatus{}
		state := framework.NewCycleState()
		result, refused, by := scheduler.RunPreFilterPlugins(ctx, state, pod)
		for _, name := range []string{"n0", "n1", "n2", "n3", "added-0", "added-1", "web-new-1", "web-new-2"} {
			on := key + " on " + name
			info, err := snapshot.Get(name)
			switch {
			case err != nil && c.nodes[name] == nil && (name[0] != 'n'):
				out[on] = scheduling.Misfit{Message: fmt.Sprintf("there is no node %q", name)}
			case err != nil:
			case !refused.IsSuccess():
				out[on] = scheduling.Misfit{Plugin: refused.Plugin(), Message: strings.Join(refused.Reasons(), ", ")}
			case !result.AllNodes() && !result.NodeNames.Has(name):
				out[on] = scheduling.Misfit{Message: fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", by.UnsortedList())}
			default:
				if status := scheduler.RunFilterPlugins(ctx, state, pod, info); !status.IsSuccess() {
					out[on] = scheduling.Misfit{Plugin: status.Plugin(), Message: strings.Join(slices.Sorted(slices.Values(status.Reasons())), ", ")}
				}
			}
		}
	}
	return out
}

func addTo(t *rapid.T, factory informers.SharedInformerFactory, object any) {
	var indexer cache.Indexer
	switch object.(type) {
	case *corev1.PersistentVolume:
		indexer = factory.Core().V1().PersistentVolumes().Informer().GetIndexer()
	case *corev1.PersistentVolumeClaim:
		indexer = factory.Core().V1().PersistentVolumeClaims().Informer().GetIndexer()
	case *corev1.Namespace:
		indexer = factory.Core().V1().Namespaces().Informer().GetIndexer()
	case *storagev1.StorageClass:
		indexer = factory.Storage().V1().StorageClasses().Informer().GetIndexer()
	case *storagev1.CSINode:
		indexer = factory.Storage().V1().CSINodes().Informer().GetIndexer()
	case *storagev1.CSIDriver:
		indexer = factory.Storage().V1().CSIDrivers().Informer().GetIndexer()
	case *storagev1.CSIStorageCapacity:
		indexer = factory.Storage().V1().CSIStorageCapacities().Informer().GetIndexer()
	default:
		t.Fatalf("the oracle has no place for a %T", object)
	}
	if err := indexer.Add(object); err != nil {
		t.Fatal(err)
	}
}
