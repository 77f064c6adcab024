package cluster

import (
	"encoding/binary"
	"slices"
	"weak"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod makes a pod of an API object, with the template that it shares with its equals.
func (t *Trimmer) pod(o *corev1.Pod) *Pod {
	pod := podOf(o)
	pod.NodeName = t.shared.text(pod.NodeName)
	pod.NominatedNodeName = t.shared.text(pod.NominatedNodeName)
	pod.Phase = corev1.PodPhase(t.shared.text(string(pod.Phase)))
	pod.Controller = t.owners.one(pod.Controller)
	pod.PodTemplate = t.templates.one(o)
	return pod
}

// known is a pod that may come from elsewhere, with the template and the controller that pods here have.
func (t *Trimmer) known(pod *Pod) *Pod {
	template, owner := t.templates.one(pod.Object()), t.owners.one(pod.Controller)
	if template == pod.PodTemplate && owner == pod.Controller {
		return pod
	}
	here := *pod
	here.PodTemplate, here.Controller = template, owner
	return &here
}

// fewest is how many entries there may be before it is worth looking which of them nobody needs any more.
const fewest = 1 << 10

// weakly is a table of what is alive: it holds nothing back from the garbage collector, and forgets what that took away.
type weakly[K comparable, V any] struct {
	entries map[K]weak.Pointer[V]
	// full is the number of entries at which the dead ones are taken out.
	full int
}

func newWeakly[K comparable, V any]() weakly[K, V] {
	return weakly[K, V]{entries: map[K]weak.Pointer[V]{}, full: fewest}
}

// put enters a value. It takes out the dead whenever the table has doubled since the last time, so that a value costs the same in a table of
// any size.
func (w *weakly[K, V]) put(key K, value *V) {
	if len(w.entries) >= w.full {
		for key, entry := range w.entries {
			if entry.Value() == nil {
				delete(w.entries, key)
			}
		}
		w.full = max(2*len(w.entries), fewest)
	}
	w.entries[key] = weak.Make(value)
}

// templates hands out one template for all pods of equal content. They are known by their content, mostly in the API's own encoding, which leaves
// out no field of what is kept, and has one form for one content.
type templates struct {
	weakly[string, PodTemplate]
	scratch scratch
	// identity and names are room for those of one pod.
	identity []byte
	names    []corev1.ResourceName
}

func newTemplates() templates { return templates{weakly: newWeakly[string, PodTemplate]()} }

// one is the template of a pod. For one that is known it builds nothing.
func (t *templates) one(o *corev1.Pod) *PodTemplate {
	defer t.scratch.forget()
	t.scratch.trim(o)
	if err := t.identify(); err != nil {
		return t.scratch.template() // nothing in a pod can't be encoded; if it could, such pods would share nothing
	}
	if known := t.entries[string(t.identity)].Value(); known != nil {
		return known
	}
	fresh := t.scratch.template()
	t.put(string(t.identity), fresh)
	return fresh
}

// identify makes the identity of what is in the scratch: containers' amounts, of which every pod has many, as numbers; all else in the API's own
// encoding, in which they would be texts.
func (t *templates) identify() error {
	t.identity = t.identity[:0]
	spec := &t.scratch.of.Spec
	for _, containers := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		t.identity = binary.AppendUvarint(t.identity, uint64(len(containers)))
		for i := range containers {
			t.amounts(containers[i].Resources.Requests)
			t.amounts(containers[i].Resources.Limits)
		}
	}
	from, size := len(t.identity), t.scratch.pod.Size()
	t.identity = slices.Grow(t.identity, size)[:from+size]
	_, err := t.scratch.pod.MarshalToSizedBuffer(t.identity[from:])
	return err
}

// amounts writes a list of resources so that equal ones are written equally.
func (t *templates) amounts(list corev1.ResourceList) {
	t.names = t.names[:0]
	for name := range list {
		t.names = append(t.names, name)
	}
	slices.Sort(t.names)
	t.identity = binary.AppendUvarint(t.identity, uint64(len(list)))
	for _, name := range t.names {
		quantity := list[name]
		t.text(string(name))
		whole, isWhole := quantity.AsInt64()
		thousandths := quantity.MilliValue()
		switch {
		case isWhole:
			t.identity = binary.AppendVarint(append(t.identity, 'w'), whole)
		case quantity.Cmp(*resource.NewMilliQuantity(thousandths, resource.DecimalSI)) != 0:
			t.identity = append(t.identity, 't')
			t.text(quantity.String())
		case thousandths%1000 == 0:
			t.identity = binary.AppendVarint(append(t.identity, 'w'), thousandths/1000)
		default:
			t.identity = binary.AppendVarint(append(t.identity, 'm'), thousandths)
		}
	}
}

func (t *templates) text(s string) {
	t.identity = append(binary.AppendUvarint(t.identity, uint64(len(s))), s...)
}

// owners hands out one reference for all pods of a controller.
type owners struct {
	weakly[types.UID, metav1.OwnerReference]
}

func newOwners() owners { return owners{newWeakly[types.UID, metav1.OwnerReference]()} }

func (w *owners) one(o *metav1.OwnerReference) *metav1.OwnerReference {
	if o == nil {
		return nil
	}
	known := w.entries[o.UID].Value()
	if known != nil && known.Kind == o.Kind && known.Name == o.Name && known.APIVersion == o.APIVersion {
		return known
	}
	yes := true
	fresh := &metav1.OwnerReference{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: o.UID, Controller: &yes}
	w.put(fresh.UID, fresh)
	return fresh
}
