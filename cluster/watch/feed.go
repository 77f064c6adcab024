package watch

import (
	"fmt"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// feed is what client-go's reflector takes for its store: it trims what comes, hands it on as events, and keeps none of it. The picture has the
// only copy of each object. All that stays here are the names and UIDs of what is there, since a list says nothing of what has gone since the
// list before.
type feed struct {
	example runtime.Object
	emit    func(cluster.Event)
	synced  atomic.Bool

	// The reflector calls from one goroutine at a time, but not always from the same.
	mutex   sync.Mutex
	trimmer *cluster.Trimmer
	there   map[string]types.UID
}

func newFeed(example runtime.Object, emit func(cluster.Event)) *feed {
	return &feed{example: example, emit: emit, trimmer: cluster.NewTrimmer(), there: map[string]types.UID{}}
}

// complete tells whether the sink has been given all that there was.
func (f *feed) complete() bool { return f.synced.Load() }

// Add implements the reflector's store.
func (f *feed) Add(object any) error { return f.Update(object) }

// Update implements the reflector's store.
func (f *feed) Update(object any) error {
	trimmed, err := f.trim(object)
	if err != nil {
		return err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.set(trimmed)
	return nil
}

// set hands an object on. One that was deleted and made anew under its name while nobody looked is told of as gone first.
func (f *feed) set(object cluster.Object) {
	key, uid := cluster.Key(object), object.GetUID()
	before, had := f.there[key]
	if had && before != uid {
		f.emit(cluster.Unset{Object: f.gone(key, before)})
	}
	if !had || before != uid {
		f.there[key] = uid
	}
	f.emit(cluster.Set{Object: object, Trimmed: true})
}

// Delete implements the reflector's store.
func (f *feed) Delete(object any) error {
	gone, ok := object.(cluster.Object)
	if !ok {
		return fmt.Errorf("a %T is no object", object)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.there, cluster.Key(gone))
	f.emit(cluster.Unset{Object: gone})
	return nil
}

// Replace implements the reflector's store: these are all objects that there are, and what is not among them is gone.
func (f *feed) Replace(objects []any, _ string) error {
	all := make([]cluster.Object, 0, len(objects))
	for _, object := range objects {
		trimmed, err := f.trim(object)
		if err != nil {
			return err
		}
		all = append(all, trimmed)
	}
	f.put(all)
	return nil
}

// put hands on all objects that there are, trimmed.
func (f *feed) put(all []cluster.Object) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.forget(all)
	for _, object := range all {
		f.set(object)
	}
	f.synced.Store(true)
}

// forget tells of the objects that are not among those given.
func (f *feed) forget(all []cluster.Object) {
	if len(f.there) == 0 {
		return
	}
	still := make(map[string]bool, len(all))
	for _, object := range all {
		still[cluster.Key(object)] = true
	}
	for key, uid := range f.there {
		if !still[key] {
			delete(f.there, key)
			f.emit(cluster.Unset{Object: f.gone(key, uid)})
		}
	}
}

// gone is an object of the kind of which only the name and the UID are known.
func (f *feed) gone(key string, uid types.UID) cluster.Object {
	object, ok := f.example.DeepCopyObject().(metav1.Object)
	if !ok {
		panic(fmt.Sprintf("watch: a %T has no name", f.example)) // the kinds are those of kinds.go
	}
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		panic("watch: " + err.Error()) // the key was made of a namespace and a name
	}
	object.SetNamespace(namespace)
	object.SetName(name)
	object.SetUID(uid)
	return object
}

// Resync implements the reflector's store; there is nothing to do.
func (f *feed) Resync() error { return nil }

// Transformer implements the reflector's TransformingStore: while a list is streamed the reflector gathers what this makes of each object.
func (f *feed) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return f.trim(object) }
}

// trimmedList is a list of what the picture keeps.
func (f *feed) trimmedList(list runtime.Object) (runtime.Object, error) {
	listed, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	out := &metainternal.List{ListMeta: metav1.ListMeta{
		ResourceVersion: listed.GetResourceVersion(), Continue: listed.GetContinue(), RemainingItemCount: listed.GetRemainingItemCount(),
	}}
	out.Items = make([]runtime.Object, 0, meta.LenList(list))
	err = meta.EachListItem(list, func(object runtime.Object) error {
		trimmed, err := f.trim(object)
		out.Items = append(out.Items, listItem{trimmed})
		return err
	})
	return out, err
}

// listItem is a trimmed object on its way through client-go, which wants one of its own.
type listItem struct{ cluster.Object }

// GetObjectKind implements runtime.Object.
func (listItem) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. The copy is the same: nobody changes it.
func (i listItem) DeepCopyObject() runtime.Object { return i }

// trim is what the picture keeps of an object, which may be trimmed already.
func (f *feed) trim(object any) (cluster.Object, error) {
	switch o := object.(type) {
	case listItem:
		return o.Object, nil
	case *cluster.Pod:
		return o, nil
	case cluster.Object:
		f.mutex.Lock()
		defer f.mutex.Unlock()
		if trimmed, known := f.trimmer.Trim(o); known {
			return trimmed, nil
		}
	}
	return nil, fmt.Errorf("a %T is not of the kind that is watched", object)
}
