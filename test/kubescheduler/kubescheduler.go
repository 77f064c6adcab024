// Package kubescheduler is the kube-scheduler as a witness: its own framework, with its own snapshot and client-go's own indexers, over a cluster that a test
// made. Our engine runs the same plugins, but the order, what is skipped and what the plugins are shown is ours: so tests ask both the same questions.
package kubescheduler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/dynamic-resource-allocation/resourceslice/tracker"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	schedulercache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/dynamicresources"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	"k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"k8s.io/kubernetes/pkg/scheduler/util/assumecache"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Scheduler is the default profile's framework over one cluster.
type Scheduler struct {
	ctx       context.Context
	snapshot  *schedulercache.Snapshot
	framework framework.Framework
}

// New takes in a cluster; ctx ends with the test. Pods are those of the cluster, bound and pending; others are namespaces and what volumes need.
func New[T any](ctx context.Context, nodes []*corev1.Node, pods []*corev1.Pod, others []T) (*Scheduler, error) {
	metrics.Register() // once, however often it is called
	ctx = klog.NewContext(ctx, logr.Discard())
	factory := informers.NewSharedInformerFactory(nil, 0)
	for _, o := range others {
		indexer := indexerOf(factory, o)
		if indexer == nil {
			return nil, fmt.Errorf("the kube-scheduler has no place for a %T here", o)
		}
		if err := indexer.Add(o); err != nil {
			return nil, err
		}
	}
	config, err := latest.Default()
	if err != nil {
		return nil, err
	}
	profile := config.Profiles[0]
	devices, err := devicesOf(ctx, factory, others)
	if err != nil {
		return nil, err
	}
	s := &Scheduler{ctx: ctx, snapshot: schedulercache.NewEmptySnapshot()}
	s.Look(nodes, pods)
	s.framework, err = runtime.NewFramework(ctx, plugins.NewInTreeRegistry(), &profile,
		runtime.WithSnapshotSharedLister(s.snapshot), runtime.WithInformerFactory(factory),
		runtime.WithSharedDRAManager(devices), runtime.WithSharedCSIManager(nodevolumelimits.NewCSIManager(factory.Storage().V1().CSINodes().Lister())))
	return s, err
}

// devicesOf is the kube-scheduler's own manager of devices. It learns of claims and of classes by events.
func devicesOf[T any](ctx context.Context, factory informers.SharedInformerFactory, objects []T) (*dynamicresources.DefaultDRAManager, error) {
	logger := klog.FromContext(ctx)
	claims := assumecache.NewAssumeCache(logger, nil, "claims", "", nil)
	tracker, err := tracker.StartTracker(ctx, tracker.Options{SliceInformer: factory.Resource().V1().ResourceSlices()})
	if err != nil {
		return nil, err
	}
	manager := dynamicresources.NewDRAManager(ctx, claims, tracker, factory)
	classes, hears := manager.DeviceClassResolver().(cache.ResourceEventHandler)
	if !hears {
		return nil, fmt.Errorf("the resolver of device classes, a %T, takes no events", manager.DeviceClassResolver())
	}
	for _, o := range objects {
		switch o := any(o).(type) {
		case *resourcev1.ResourceClaim:
			assumecache.AddTestObject(claims, o)
		case *resourcev1.DeviceClass:
			classes.OnAdd(o, true)
		}
	}
	return manager, nil
}

// Look shows another picture of nodes and pods; all else stays.
func (s *Scheduler) Look(nodes []*corev1.Node, pods []*corev1.Pod) {
	known := make(map[string]bool, len(nodes))
	for _, n := range nodes {
		known[n.Name] = true
	}
	bound := slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !known[p.Spec.NodeName] })
	*s.snapshot = *schedulercache.NewSnapshot(bound, nodes) // the plugins hold on to the place
}

// Likes gives, of the nodes that the pod fits, those that the framework gives its best score, by name: the kube-scheduler takes any of them.
func (s *Scheduler) Likes(p *corev1.Pod, nodes []*corev1.Node) (best []string, err error) {
	pod := asNew(p)
	state := framework.NewCycleState()
	result, refused, _ := s.framework.RunPreFilterPlugins(s.ctx, state, pod)
	if !refused.IsSuccess() {
		return nil, ignored(refused)
	}
	var fitting []fwk.NodeInfo
	for _, node := range nodes {
		info, err := s.snapshot.Get(node.Name)
		if err != nil {
			return nil, err
		}
		if (result.AllNodes() || result.NodeNames.Has(node.Name)) && s.framework.RunFilterPlugins(s.ctx, state, pod, info).IsSuccess() {
			fitting = append(fitting, info)
		}
	}
	if len(fitting) == 0 {
		return nil, nil
	}
	if status := s.framework.RunPreScorePlugins(s.ctx, state, pod, fitting); !status.IsSuccess() {
		return nil, status.AsError()
	}
	scores, status := s.framework.RunScorePlugins(s.ctx, state, pod, fitting)
	if !status.IsSuccess() {
		return nil, status.AsError()
	}
	most := slices.MaxFunc(scores, func(a, b fwk.NodePluginScores) int { return cmp.Compare(a.TotalScore, b.TotalScore) }).TotalScore
	for _, score := range scores {
		if score.TotalScore == most {
			best = append(best, score.Name)
		}
	}
	slices.Sort(best)
	return best, nil
}

// ignored is nil for a pod that fits nowhere, and what went wrong otherwise.
func ignored(refused *fwk.Status) error {
	if refused.IsRejected() {
		return nil
	}
	return refused.AsError()
}

// Fits gives what the framework says about the pod and each node: nil where it fits. A pod of the cluster is asked about as its controller would make it
// anew: that is what the engine is asked about too.
func (s *Scheduler) Fits(p *corev1.Pod) func(node string) *scheduling.Misfit {
	pod := asNew(p)
	state := framework.NewCycleState()
	result, refused, by := s.framework.RunPreFilterPlugins(s.ctx, state, pod)
	return func(node string) *scheduling.Misfit {
		info, err := s.snapshot.Get(node)
		switch {
		case err != nil:
			return &scheduling.Misfit{Message: fmt.Sprintf("there is no node %q", node)}
		case refused.Code() == fwk.Error:
			return failed(refused)
		case !refused.IsSuccess():
			return &scheduling.Misfit{Plugin: refused.Plugin(), Message: strings.Join(refused.Reasons(), ", ")}
		case !result.AllNodes() && !result.NodeNames.Has(node):
			narrowed := by.UnsortedList()
			return &scheduling.Misfit{Plugin: strings.Join(narrowed, ", "), Message: fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", narrowed)}
		}
		if status := s.framework.RunFilterPlugins(s.ctx, state, pod, info); !status.IsSuccess() {
			return &scheduling.Misfit{Plugin: status.Plugin(), Message: strings.Join(slices.Sorted(slices.Values(status.Reasons())), ", ")}
		}
		return nil
	}
}

// asNew is the pod without a node and a state.
func asNew(p *corev1.Pod) *corev1.Pod {
	if p.Spec.NodeName == "" && p.DeletionTimestamp == nil {
		return p
	}
	fresh := *p
	fresh.Spec.NodeName, fresh.DeletionTimestamp = "", nil
	fresh.Status = corev1.PodStatus{Phase: corev1.PodPending, ResourceClaimStatuses: p.Status.ResourceClaimStatuses}
	return &fresh
}

// failed is a plugin's own error in the engine's words.
func failed(status *fwk.Status) *scheduling.Misfit {
	var plugin string
	text := status.Message()
	if _, err := fmt.Sscanf(text, "running PreFilter plugin %q:", &plugin); err != nil {
		return &scheduling.Misfit{Message: text}
	}
	_, text, _ = strings.Cut(text, fmt.Sprintf("%q: ", plugin))
	return &scheduling.Misfit{Plugin: plugin, Message: fmt.Sprintf("running plugin %s: %s", plugin, text)}
}

// indexerOf is where the plugins look for objects of that kind.
func indexerOf(factory informers.SharedInformerFactory, object any) cache.Indexer {
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
	case *storagev1.CSIDriver:
		return factory.Storage().V1().CSIDrivers().Informer().GetIndexer()
	case *storagev1.CSIStorageCapacity:
		return factory.Storage().V1().CSIStorageCapacities().Informer().GetIndexer()
	case *resourcev1.ResourceClaim:
		return factory.Resource().V1().ResourceClaims().Informer().GetIndexer()
	case *resourcev1.ResourceSlice:
		return factory.Resource().V1().ResourceSlices().Informer().GetIndexer()
	case *resourcev1.DeviceClass:
		return factory.Resource().V1().DeviceClasses().Informer().GetIndexer()
	}
	return nil
}
