package clusterapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// memory is a management cluster in memory: it knows resource versions, generations, UIDs, finalizers and preconditions, and the scale subresource.
type memory struct {
	mutex   sync.Mutex
	objects map[schema.GroupVersionResource]map[string]*unstructured.Unstructured
	version int64
	reads   int
	away    error
	// lost makes the next write of what is no Machine happen, and its answer get lost.
	lost bool
	// hidden is a Machine that lists leave out; cut makes them break off after the first page.
	hidden string
	cut    bool
	// before is called, without the lock, before each write.
	before func(verb, resource, name string)
	log    []string
}

func newMemory() *memory {
	return &memory{objects: map[schema.GroupVersionResource]map[string]*unstructured.Unstructured{}}
}

func (m *memory) Resource(gvr schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return door{memory: m, gvr: gvr}
}

type door struct {
	dynamic.NamespaceableResourceInterface // what nobody uses
	memory                                 *memory
	gvr                                    schema.GroupVersionResource
	namespace                              string
}

func (d door) Namespace(namespace string) dynamic.ResourceInterface {
	d.namespace = namespace
	return d
}

func (d door) key(name string) string { return d.namespace + "/" + name }

func (d door) missing(name string) error { return apierrors.NewNotFound(d.gvr.GroupResource(), name) }

func (d door) read(ctx context.Context) error {
	d.memory.reads++
	return errors(ctx, d.memory.away)
}

func errors(ctx context.Context, away error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return away
}

func (d door) Get(ctx context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	d.memory.mutex.Lock()
	defer d.memory.mutex.Unlock()
	if err := d.read(ctx); err != nil {
		return nil, err
	}
	o := d.memory.objects[d.gvr][d.key(name)]
	if o == nil {
		return nil, d.missing(name)
	}
	return o.DeepCopy(), nil
}

func (d door) List(ctx context.Context, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	d.memory.mutex.Lock()
	defer d.memory.mutex.Unlock()
	if err := d.read(ctx); err != nil {
		return nil, err
	}
	if options.Continue != "" {
		return nil, apierrors.NewResourceExpired("the list has expired")
	}
	list := &unstructured.UnstructuredList{}
	for _, key := range slices.Sorted(maps.Keys(d.memory.objects[d.gvr])) {
		o := d.memory.objects[d.gvr][key]
		if (d.namespace == "" || o.GetNamespace() == d.namespace) && o.GetName() != d.memory.hidden {
			list.Items = append(list.Items, *o.DeepCopy())
		}
	}
	if d.memory.cut && len(list.Items) > 1 {
		list.Items = list.Items[:1]
		list.SetContinue("next")
	}
	return list, nil
}

// write does a write under the lock, and may lose its answer.
func (d door) write(ctx context.Context, verb, name string, do func() error) error {
	if d.memory.before != nil {
		d.memory.before(verb, d.gvr.Resource, name)
	}
	d.memory.mutex.Lock()
	defer d.memory.mutex.Unlock()
	if err := errors(ctx, d.memory.away); err != nil {
		return err
	}
	err := do()
	if err == nil {
		d.memory.log = append(d.memory.log, verb+" "+d.gvr.Resource)
	}
	if err == nil && d.memory.lost && d.gvr.Resource != "machines" {
		d.memory.lost = false
		return context.DeadlineExceeded
	}
	return err
}

func (m *memory) next() string {
	m.version++
	return fmt.Sprint(m.version)
}

func (d door) Create(ctx context.Context, o *unstructured.Unstructured, _ metav1.CreateOptions, _ ...string) (created *unstructured.Unstructured, err error) {
	err = d.write(ctx, "create", o.GetName(), func() error {
		fresh := o.DeepCopy()
		fresh.SetNamespace(d.namespace)
		fresh.SetResourceVersion(d.memory.next())
		if fresh.GetName() == "" {
			fresh.SetName(fresh.GetGenerateName() + fresh.GetResourceVersion())
		}
		if d.memory.objects[d.gvr][d.key(fresh.GetName())] != nil {
			return apierrors.NewAlreadyExists(d.gvr.GroupResource(), fresh.GetName())
		}
		fresh.SetUID(types.UID("uid-" + fresh.GetResourceVersion()))
		fresh.SetGeneration(1)
		fresh.SetCreationTimestamp(metav1.NewTime(time.Unix(1_780_000_000+d.memory.version, 0)))
		if d.memory.objects[d.gvr] == nil {
			d.memory.objects[d.gvr] = map[string]*unstructured.Unstructured{}
		}
		d.memory.objects[d.gvr][d.key(fresh.GetName())] = fresh
		created = fresh.DeepCopy()
		return nil
	})
	return created, err
}

func (d door) Update(ctx context.Context, o *unstructured.Unstructured, _ metav1.UpdateOptions, subresources ...string) (updated *unstructured.Unstructured, err error) {
	return d.put(ctx, "update "+strings.Join(subresources, ""), o, func(old *unstructured.Unstructured) *unstructured.Unstructured {
		fresh := o.DeepCopy()
		if slices.Equal(subresources, []string{"scale"}) {
			n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
			fresh = old.DeepCopy()
			_ = unstructured.SetNestedField(fresh.Object, n, "spec", "replicas")
		}
		fresh.Object["status"] = old.DeepCopy().Object["status"]
		return fresh
	})
}

func (d door) UpdateStatus(ctx context.Context, o *unstructured.Unstructured, _ metav1.UpdateOptions) (*unstructured.Unstructured, error) {
	return d.put(ctx, "update status", o, func(old *unstructured.Unstructured) *unstructured.Unstructured {
		fresh := old.DeepCopy()
		fresh.Object["status"] = o.DeepCopy().Object["status"]
		return fresh
	})
}

// put replaces an object under the precondition of its resource version.
func (d door) put(ctx context.Context, verb string, o *unstructured.Unstructured, renew func(old *unstructured.Unstructured) *unstructured.Unstructured) (updated *unstructured.Unstructured, err error) {
	err = d.write(ctx, strings.TrimSpace(verb), o.GetName(), func() error {
		old := d.memory.objects[d.gvr][d.key(o.GetName())]
		switch {
		case old == nil:
			return d.missing(o.GetName())
		case o.GetResourceVersion() != "" && o.GetResourceVersion() != old.GetResourceVersion():
			return apierrors.NewConflict(d.gvr.GroupResource(), o.GetName(), fmt.Errorf("it has changed"))
		}
		updated = d.keep(old, renew(old)).DeepCopy()
		return nil
	})
	return updated, err
}

// keep stores the object in the place of the old one, as an API server does.
func (d door) keep(old, fresh *unstructured.Unstructured) *unstructured.Unstructured {
	fresh.SetUID(old.GetUID())
	fresh.SetCreationTimestamp(old.GetCreationTimestamp())
	fresh.SetDeletionTimestamp(old.GetDeletionTimestamp())
	fresh.SetGeneration(old.GetGeneration())
	fresh.SetResourceVersion(old.GetResourceVersion())
	if reflect.DeepEqual(old.Object, fresh.Object) {
		return old
	}
	if !reflect.DeepEqual(old.Object["spec"], fresh.Object["spec"]) {
		fresh.SetGeneration(old.GetGeneration() + 1)
	}
	fresh.SetResourceVersion(d.memory.next())
	if fresh.GetDeletionTimestamp() != nil && len(fresh.GetFinalizers()) == 0 {
		delete(d.memory.objects[d.gvr], d.key(fresh.GetName()))
		return fresh
	}
	d.memory.objects[d.gvr][d.key(fresh.GetName())] = fresh
	return fresh
}

func (d door) Patch(ctx context.Context, name string, _ types.PatchType, patch []byte, _ metav1.PatchOptions, _ ...string) (patched *unstructured.Unstructured, err error) {
	err = d.write(ctx, "patch", name, func() error {
		old := d.memory.objects[d.gvr][d.key(name)]
		if old == nil {
			return d.missing(name)
		}
		before, err := json.Marshal(old.Object)
		if err != nil {
			return err
		}
		after, err := jsonpatch.MergePatch(before, patch)
		if err != nil {
			return err
		}
		fresh := &unstructured.Unstructured{}
		if err := fresh.UnmarshalJSON(after); err != nil {
			return err
		}
		if fresh.GetResourceVersion() != old.GetResourceVersion() || fresh.GetUID() != old.GetUID() {
			return apierrors.NewConflict(d.gvr.GroupResource(), name, fmt.Errorf("it has changed"))
		}
		patched = d.keep(old, fresh).DeepCopy()
		return nil
	})
	return patched, err
}

func (d door) Delete(ctx context.Context, name string, options metav1.DeleteOptions, _ ...string) error {
	return d.write(ctx, "delete", name, func() error {
		old := d.memory.objects[d.gvr][d.key(name)]
		switch {
		case old == nil:
			return d.missing(name)
		case options.Preconditions != nil && options.Preconditions.UID != nil && *options.Preconditions.UID != old.GetUID():
			return apierrors.NewConflict(d.gvr.GroupResource(), name, fmt.Errorf("its UID is another one"))
		case len(old.GetFinalizers()) == 0:
			delete(d.memory.objects[d.gvr], d.key(name))
		case old.GetDeletionTimestamp() == nil:
			fresh := old.DeepCopy()
			now := metav1.NewTime(time.Unix(1_790_000_000, 0))
			fresh.SetDeletionTimestamp(&now)
			fresh.SetResourceVersion(d.memory.next())
			d.memory.objects[d.gvr][d.key(name)] = fresh
		}
		return nil
	})
}

func (m *memory) set(change func()) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	change()
}
