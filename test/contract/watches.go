package contract

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// heard is what a watch told about the pods of one namespace and about the nodes whose names begin with it, in words.
type heard struct {
	mutex     sync.Mutex
	namespace string
	words     []string
}

func (h *heard) hear(e cluster.Event) {
	word := ""
	switch e := e.(type) {
	case cluster.Set:
		word = h.about(e.Object)
	case cluster.Unset:
		if h.concerns(e.Object) {
			word = e.Object.GetName() + " gone"
		}
	}
	if word == "" {
		return
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.words = append(h.words, word)
}

func (h *heard) concerns(o cluster.Object) bool {
	_, isNode := o.(*corev1.Node)
	return isNode && strings.HasPrefix(o.GetName(), h.namespace) || isPod(o) && o.GetNamespace() == h.namespace
}

func isPod(o cluster.Object) bool {
	switch o.(type) {
	case *corev1.Pod, *cluster.Pod:
		return true
	}
	return false
}

// about says what matters of an object; the picture's own form of a pod and the API's say the same.
func (h *heard) about(o cluster.Object) string {
	if !h.concerns(o) {
		return ""
	}
	if pod, ok := o.(*corev1.Pod); ok {
		o = cluster.PodOf(pod)
	}
	switch o := o.(type) {
	case *corev1.Node:
		return fmt.Sprintf("%s cordoned=%v", o.Name, o.Spec.Unschedulable)
	case *cluster.Pod:
		return fmt.Sprintf("%s %s leaving=%v", o.Name, o.Phase, o.DeletionTimestamp != nil)
	}
	return ""
}

func (h *heard) all() []string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return slices.Clone(h.words)
}

// of are the words about one object, without those that repeat the one before: a write may come in two events, or a status that says nothing new.
func (h *heard) of(name string) string {
	var mine []string
	for _, word := range h.all() {
		if rest, ok := strings.CutPrefix(word, name+" "); ok {
			mine = append(mine, rest)
		}
	}
	return strings.Join(slices.Compact(mine), ", ")
}

func watches(t *testing.T, s Server) {
	namespace := s.Namespace(t)
	before := s.PlacePod(t, podOn("somewhere", namespace, "before"))
	h := &heard{namespace: namespace}
	watch := s.Watch(t, h.hear)
	if got, want := h.of("before"), "Running leaving=false"; got != want {
		t.Errorf("what was there when the watch began: %q, want %q", got, want)
	}

	// Every state of one object is told in its order, and the end of it.
	node, err := s.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace + "-node"}})
	must(t, err)
	for _, cordoned := range []bool{true, false, true} {
		node.Spec.Unschedulable = cordoned
		node, err = s.UpdateNode(t.Context(), node)
		must(t, err)
	}
	_, err = s.UpdateNode(t.Context(), node) // changes nothing: nobody hears of it
	must(t, err)
	must(t, s.DeleteNode(t.Context(), node.Name, node.UID))

	// An eviction is a pod that leaves and, once its kubelet is done, is gone.
	must(t, s.EvictPod(t.Context(), namespace, before.Name, before.UID, false))
	must(t, s.DeletePod(t.Context(), namespace, before.Name, before.UID, ptr.To(int64(0))))

	// A refused write is heard of by nobody; the one after it shows that the watch has come so far.
	after := s.PlacePod(t, podOn("somewhere", namespace, "after"))
	expect(t, "evicting another pod", s.EvictPod(t.Context(), namespace, after.Name, another, false), "409")
	must(t, s.DeletePod(t.Context(), namespace, after.Name, after.UID, ptr.To(int64(0))))

	for _, c := range []struct{ name, want string }{
		{node.Name, "cordoned=false, cordoned=true, cordoned=false, cordoned=true, gone"},
		{"before", "Running leaving=false, Running leaving=true, gone"},
		{"after", "Pending leaving=false, Running leaving=false, Running leaving=true, gone"},
	} {
		if !watch.Until(func() bool { return strings.HasSuffix(h.of(c.name), "gone") }) || h.of(c.name) != c.want {
			t.Errorf("%s: heard %q, want %q", c.name, h.of(c.name), c.want)
		}
	}
}

// gaps is what a watch tells about what happened while it was broken: not each step, but what is and what is no more.
func gaps(t *testing.T, s Server) {
	namespace := s.Namespace(t)
	changed, err := s.CreateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace + "-node"}})
	must(t, err)
	gone, anew := s.PlacePod(t, podOn("somewhere", namespace, "gone")), s.PlacePod(t, podOn("somewhere", namespace, "anew"))
	h := &heard{namespace: namespace}
	watch := s.Watch(t, h.hear)
	now := ptr.To(int64(0))
	watch.Broken(func() {
		for _, cordoned := range []bool{true, false, true} {
			changed.Spec.Unschedulable = cordoned
			changed, err = s.UpdateNode(t.Context(), changed)
			must(t, err)
		}
		must(t, s.DeletePod(t.Context(), namespace, gone.Name, gone.UID, now))
		must(t, s.DeletePod(t.Context(), namespace, anew.Name, anew.UID, now))
		s.PlacePod(t, podOn("somewhere", namespace, "anew"))
		s.PlacePod(t, podOn("somewhere", namespace, "new"))
	})
	for _, c := range []struct {
		name, last string
		ended      bool // an object of this name ended meanwhile
	}{
		{name: changed.Name, last: "cordoned=true"},
		{name: "gone", last: "gone", ended: true},
		{name: "anew", last: "Running leaving=false", ended: true},
		{name: "new", last: "Running leaving=false"},
	} {
		told := func() bool {
			all := h.of(c.name)
			return strings.HasSuffix(all, c.last) && strings.Contains(all, "gone") == c.ended
		}
		if !watch.Until(told) {
			t.Errorf("%s: heard %q, want it to end with %q, and to say that something is gone: %v", c.name, h.of(c.name), c.last, c.ended)
		}
	}
}
