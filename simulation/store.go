package simulation

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/btree"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Store is an API server's storage in memory: objects of any kind with UIDs and resource versions, optimistic concurrency, graceful
// deletion, finalizers, and the Eviction API. It implements cluster/api.Interface as the real server would answer.
//
// Its exported methods are safe for concurrent use. What they return are copies; what watchers get is shared and must not be changed.
// An object in the store is never changed in place: every write puts a new one in its stead.
type Store struct {
	mu       sync.Mutex
	clock    clock.PassiveClock
	version  uint64
	made     uint64
	tables   map[string]*btree.Map[string, Object]
	podsOn   map[string]*btree.Map[string, *corev1.Pod]
	podsOf   map[types.UID]*btree.Map[string, *corev1.Pod]
	podsWith map[label]*btree.Map[string, *corev1.Pod]
	watchers []func(Change)
	// past are the last changes, for watches that go on where they were.
	past []passed
	// selectors are those of the budgets, and contended the budgets that somebody else writes all the time.
	selectors map[types.UID]parsed
	contended map[types.UID]bool
}

// label is a label with its value, in one namespace.
type label struct{ namespace, key, value string }

// Change is one change of one object. Old is nil for a new object, New for one that is gone.
type Change struct {
	Old, New Object
}

// NewStore makes an empty store whose objects get their times from the clock.
func NewStore(c clock.PassiveClock) *Store {
	return &Store{
		clock:  c,
		tables: map[string]*btree.Map[string, Object]{},
		podsOn: map[string]*btree.Map[string, *corev1.Pod]{},
		podsOf: map[types.UID]*btree.Map[string, *corev1.Pod]{}, podsWith: map[label]*btree.Map[string, *corev1.Pod]{}, selectors: map[types.UID]parsed{}, contended: map[types.UID]bool{},
	}
}

// Subscribe calls watcher with every change from now on, in order, in the middle of the write that made it. The watcher must not call the
// store. A [World] has watches that lag, as informers do.
func (s *Store) Subscribe(watcher func(Change)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, watcher)
}

// create is Create without the lock; the object that it returns is the store's own.
func create[T Object](s *Store, o T) (T, error) {
	c := copyOf(o)
	if c.GetName() == "" && c.GetGenerateName() != "" {
		c.SetName(c.GetGenerateName() + strconv.FormatUint(s.made+1, 36))
	}
	k := kindOf(c)
	if k.namespaced && c.GetNamespace() == "" {
		c.SetNamespace(metav1.NamespaceDefault)
	}
	if _, had := s.table(k).Get(cluster.Key(c)); had {
		return c, apierrors.NewAlreadyExists(k.resource, c.GetName())
	}
	if c.GetResourceVersion() != "" {
		return c, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	if err := admit(c); err != nil {
		return c, err
	}
	c.SetUID(s.uid())
	c.SetCreationTimestamp(s.now())
	c.SetGeneration(1)
	c.SetDeletionTimestamp(nil)
	s.put(nil, c)
	return c, nil
}

// uid makes the next UID: they differ, and are the same in every run.
func (s *Store) uid() types.UID {
	s.made++
	return types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012x", s.made, s.made))
}

// change puts a changed copy in an object's stead.
func change[T Object](s *Store, old T, by func(T)) T {
	c := copyOf(old)
	by(c)
	s.put(old, c)
	if c.GetDeletionTimestamp() != nil && len(c.GetFinalizers()) == 0 && graceOver(c) {
		s.drop(c)
	}
	return c
}

// remove takes an object out at once, or marks it for deletion while finalizers hold it.
func remove[T Object](s *Store, o T) {
	if len(o.GetFinalizers()) == 0 {
		s.drop(o)
		return
	}
	change(s, o, func(c T) {
		if c.GetDeletionTimestamp() == nil {
			now := s.now()
			c.SetDeletionTimestamp(&now)
		}
		c.SetDeletionGracePeriodSeconds(new(int64))
	})
}

// graceOver tells whether nothing but finalizers holds an object that is marked for deletion.
func graceOver(o Object) bool {
	grace := o.GetDeletionGracePeriodSeconds()
	return grace == nil || *grace == 0
}

// put stores the object under a new resource version and tells the watchers.
func (s *Store) put(old, o Object) {
	s.version++
	o.SetResourceVersion(strconv.FormatUint(s.version, 10))
	s.table(kindOf(o)).Set(cluster.Key(o), o)
	s.index(old, o)
	s.tell(Change{Old: old, New: o})
}

// drop takes the object out and tells the watchers.
func (s *Store) drop(o Object) {
	s.version++
	s.table(kindOf(o)).Delete(cluster.Key(o))
	delete(s.selectors, o.GetUID())
	s.index(o, nil)
	s.tell(Change{Old: o})
}

func (s *Store) tell(c Change) {
	s.remember(c)
	for _, watcher := range s.watchers {
		watcher(c)
	}
}

func (s *Store) table(k kind) *btree.Map[string, Object] {
	t := s.tables[k.resource.String()]
	if t == nil {
		t = &btree.Map[string, Object]{}
		s.tables[k.resource.String()] = t
	}
	return t
}

// index keeps the pods by node, by controller and by label.
func (s *Store) index(old, o Object) {
	if pod, ok := old.(*corev1.Pod); ok {
		indexed(s.podsOn, pod.Spec.NodeName).Delete(cluster.Key(pod))
		if owner := metav1.GetControllerOf(pod); owner != nil {
			indexed(s.podsOf, owner.UID).Delete(cluster.Key(pod))
		}
		for key, value := range pod.Labels {
			indexed(s.podsWith, label{pod.Namespace, key, value}).Delete(cluster.Key(pod))
		}
	}
	if pod, ok := o.(*corev1.Pod); ok {
		indexed(s.podsOn, pod.Spec.NodeName).Set(cluster.Key(pod), pod)
		if owner := metav1.GetControllerOf(pod); owner != nil {
			indexed(s.podsOf, owner.UID).Set(cluster.Key(pod), pod)
		}
		for key, value := range pod.Labels {
			indexed(s.podsWith, label{pod.Namespace, key, value}).Set(cluster.Key(pod), pod)
		}
	}
}

func indexed[K comparable](index map[K]*btree.Map[string, *corev1.Pod], key K) *btree.Map[string, *corev1.Pod] {
	pods := index[key]
	if pods == nil {
		pods = &btree.Map[string, *corev1.Pod]{}
		index[key] = pods
	}
	return pods
}

// find gives the store's own object, or the API's not-found error.
func find[T Object](s *Store, namespace, name string) (T, error) {
	var none T
	k := kindOf(none)
	key := name
	if k.namespaced {
		key = namespace + "/" + name
	}
	o, ok := s.table(k).Get(key)
	if !ok {
		return none, apierrors.NewNotFound(k.resource, name)
	}
	return o.(T), nil
}

// each walks over the store's own objects of a kind in the order of their keys, as they were when the walk began.
func each[T Object](s *Store) iter.Seq[T] {
	var none T
	frozen := s.table(kindOf(none)).Copy()
	return func(yield func(T) bool) {
		frozen.Scan(func(_ string, o Object) bool { return yield(o.(T)) })
	}
}

// eachIn walks over the store's own objects of a kind in one namespace.
func eachIn[T Object](s *Store, namespace string) iter.Seq[T] {
	var none T
	frozen := s.table(kindOf(none)).Copy()
	return func(yield func(T) bool) {
		frozen.Ascend(namespace+"/", func(_ string, o Object) bool {
			return o.GetNamespace() == namespace && yield(o.(T))
		})
	}
}

// podsOnNode are the store's own pods that are bound to a node; an empty name gives those that are bound to none.
func (s *Store) podsOnNode(node string) []*corev1.Pod {
	if s.podsOn[node] == nil {
		return nil
	}
	return s.podsOn[node].Values()
}

// podsOfController are the store's own pods with this controller.
func (s *Store) podsOfController(uid types.UID) []*corev1.Pod {
	if s.podsOf[uid] == nil {
		return nil
	}
	return s.podsOf[uid].Values()
}

// podsUnder are the store's own pods that a budget selects, in the order of their keys.
func (s *Store) podsUnder(budget *policyv1.PodDisruptionBudget) []*corev1.Pod {
	var some iter.Seq[*corev1.Pod]
	if selector := s.selector(budget); selector.plain && len(selector.of.MatchLabels) > 0 {
		key := slices.Min(slices.Collect(maps.Keys(selector.of.MatchLabels)))
		some = slices.Values(indexed(s.podsWith, label{budget.Namespace, key, selector.of.MatchLabels[key]}).Values())
	} else {
		some = eachIn[*corev1.Pod](s, budget.Namespace)
	}
	var pods []*corev1.Pod
	for pod := range some {
		if s.selects(budget, pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// precondition compares UID and resource version, where given, with those of the object.
func precondition(o Object, uid types.UID, version string) error {
	if uid != "" && uid != o.GetUID() {
		return apierrors.NewConflict(kindOf(o).resource, o.GetName(), fmt.Errorf(
			"the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated",
			uid, o.GetUID()))
	}
	if version != "" && version != o.GetResourceVersion() {
		return apierrors.NewConflict(kindOf(o).resource, o.GetName(), fmt.Errorf(
			"the object has been modified; please apply your changes to the latest version and try again"))
	}
	return nil
}

// now is the time as the API keeps it: whole seconds.
func (s *Store) now() metav1.Time { return metav1.NewTime(s.clock.Now().Truncate(time.Second)) }
