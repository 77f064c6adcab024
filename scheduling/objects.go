package scheduling

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	appsinformers "k8s.io/client-go/informers/apps"
	coreinformers "k8s.io/client-go/informers/core"
	"k8s.io/client-go/informers/internalinterfaces"
	storageinformers "k8s.io/client-go/informers/storage"
	"k8s.io/client-go/tools/cache"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// objects are the API objects that the plugins read, in the form in which they want them: an informer factory. Nothing in it is ever
// started; its indexers look things up in the open trial's snapshot. A plugin that asks for a kind that it did not ask for when this was
// written meets an empty list, and one that asks for a whole group that it did not ask for, a nil pointer when the engine is built: both
// are for whoever moves to the next Kubernetes version, and the tests of the plugins, to find.
type objects struct {
	informers.SharedInformerFactory
	kinds map[reflect.Type]*informer
}

func newObjects(v *view) *objects {
	o := &objects{kinds: map[reflect.Type]*informer{}}
	offer[*corev1.Namespace](o, func() cluster.Table[*corev1.Namespace] { return v.trial.snapshot.Namespaces })
	offer[*corev1.Node](o, func() cluster.Table[*corev1.Node] { return v.trial.snapshot.Nodes })
	pods := offer[*corev1.Pod](o, nil)
	pods.get = func(key string) (any, bool) {
		if pod, ok := v.trial.snapshot.Pods.Get(key); ok {
			return pod.Object(), true
		}
		return nil, false
	}
	pods.all = func() []any {
		all := make([]any, 0, v.trial.snapshot.Pods.Len())
		for pod := range v.trial.snapshot.Pods.Values() {
			all = append(all, pod.Object())
		}
		return all
	}
	offer[*corev1.PersistentVolume](o, func() cluster.Table[*corev1.PersistentVolume] { return v.trial.snapshot.PersistentVolumes })
	offer[*corev1.PersistentVolumeClaim](o, func() cluster.Table[*corev1.PersistentVolumeClaim] {
		return v.trial.snapshot.PersistentVolumeClaims
	})
	offer[*storagev1.StorageClass](o, func() cluster.Table[*storagev1.StorageClass] { return v.trial.snapshot.StorageClasses })
	offer[*storagev1.CSIDriver](o, func() cluster.Table[*storagev1.CSIDriver] { return v.trial.snapshot.CSIDrivers })
	offer[*storagev1.CSIStorageCapacity](o, func() cluster.Table[*storagev1.CSIStorageCapacity] {
		return v.trial.snapshot.CSIStorageCapacities
	})
	offer[*storagev1.VolumeAttachment](o, func() cluster.Table[*storagev1.VolumeAttachment] { return v.trial.snapshot.VolumeAttachments })
	nodes := offer[*storagev1.CSINode](o, func() cluster.Table[*storagev1.CSINode] { return v.trial.snapshot.CSINodes })
	nodes.get = func(key string) (any, bool) { return v.trial.csiNode(key) }
	// These are asked for when a profile has spread constraints for all pods, which the default one has not as hard ones.
	offer[*corev1.Service](o, nil)
	offer[*corev1.ReplicationController](o, nil)
	offer[*appsv1.ReplicaSet](o, nil)
	offer[*appsv1.StatefulSet](o, nil)
	return o
}

// offer makes the indexer of one kind over the table that the snapshot has of it; without a table there are no such objects.
func offer[V metav1.Object](o *objects, table func() cluster.Table[V]) *indexer {
	if table == nil {
		table = func() cluster.Table[V] { return cluster.Table[V]{} }
	}
	i := &indexer{
		get: func(key string) (any, bool) { return table().Get(key) },
		all: func() []any {
			all := make([]any, 0, table().Len())
			for v := range table().Values() {
				all = append(all, v)
			}
			return all
		},
		functions: cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
	}
	o.kinds[reflect.TypeFor[V]()] = &informer{indexer: i}
	return i
}

// forget lets every indexer look again.
func (o *objects) forget() {
	for _, kind := range o.kinds {
		kind.indexer.listed, kind.indexer.indexed = nil, nil
	}
}

// Core implements the informer factory.
func (o *objects) Core() coreinformers.Interface { return coreinformers.New(o, "", nil) }

// Apps implements the informer factory.
func (o *objects) Apps() appsinformers.Interface { return appsinformers.New(o, "", nil) }

// Storage implements the informer factory.
func (o *objects) Storage() storageinformers.Interface { return storageinformers.New(o, "", nil) }

// InformerName implements the informer factory.
func (o *objects) InformerName() *cache.InformerName { return nil }

// InformerFor implements the informer factory.
func (o *objects) InformerFor(kind runtime.Object, _ internalinterfaces.NewInformerFunc) cache.SharedIndexInformer {
	if known, ok := o.kinds[reflect.TypeOf(kind)]; ok {
		return known
	}
	return &informer{indexer: &indexer{
		get: func(string) (any, bool) { return nil, false }, all: func() []any { return nil }, functions: cache.Indexers{},
	}}
}

// informer has an indexer and no events. The one listener in the Filter plugins is the volume plugin's, which wants to know when a binding
// that it assumed has come true; here all that was assumed is taken back before another snapshot is shown.
type informer struct {
	cache.SharedIndexInformer
	indexer *indexer
}

// AddEventHandler implements the informer: there will be no event.
func (i *informer) AddEventHandler(cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	return nil, nil
}

// AddIndexers implements the informer.
func (i *informer) AddIndexers(functions cache.Indexers) error {
	return i.indexer.AddIndexers(functions)
}

// GetIndexer implements the informer.
func (i *informer) GetIndexer() cache.Indexer { return i.indexer }

// GetStore implements the informer.
func (i *informer) GetStore() cache.Store { return i.indexer }

// HasSynced implements the informer.
func (i *informer) HasSynced() bool { return true }

// indexer looks objects up in the open trial's snapshot. Its lists are in the order of the keys, which those of client-go are not: the
// volume plugin takes the first of several equal volumes, and the same picture must give the same answer. It can't be written to.
type indexer struct {
	cache.Indexer
	get       func(key string) (any, bool)
	all       func() []any
	functions cache.Indexers
	listed    []any
	indexed   map[string]map[string][]any
}

// List implements the store.
func (i *indexer) List() []any {
	if i.listed == nil {
		i.listed = i.all()
	}
	return i.listed
}

// Get implements the store.
func (i *indexer) Get(object any) (any, bool, error) {
	key, err := cache.MetaNamespaceKeyFunc(object)
	if err != nil {
		return nil, false, err
	}
	return i.GetByKey(key)
}

// GetByKey implements the store.
func (i *indexer) GetByKey(key string) (any, bool, error) {
	object, ok := i.get(key)
	return object, ok, nil
}

// Index implements the indexer.
func (i *indexer) Index(name string, object any) ([]any, error) {
	function, err := i.function(name)
	if err != nil {
		return nil, err
	}
	values, err := function(object)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, value := range values {
		some, err := i.ByIndex(name, value)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// ByIndex implements the indexer.
func (i *indexer) ByIndex(name, value string) ([]any, error) {
	if index, ok := i.indexed[name]; ok {
		return index[value], nil
	}
	function, err := i.function(name)
	if err != nil {
		return nil, err
	}
	index := map[string][]any{}
	for _, object := range i.List() {
		values, err := function(object)
		if err != nil {
			return nil, err
		}
		for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
			index[v] = append(index[v], object)
		}
	}
	if i.indexed == nil {
		i.indexed = map[string]map[string][]any{}
	}
	i.indexed[name] = index
	return index[value], nil
}

// GetIndexers implements the indexer.
func (i *indexer) GetIndexers() cache.Indexers { return i.functions }

// AddIndexers implements the indexer.
func (i *indexer) AddIndexers(functions cache.Indexers) error {
	maps.Copy(i.functions, functions)
	return nil
}

func (i *indexer) function(name string) (cache.IndexFunc, error) {
	if function, ok := i.functions[name]; ok {
		return function, nil
	}
	return nil, fmt.Errorf("there is no index called %q", name)
}
