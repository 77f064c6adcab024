package watch

import (
	"context"
	"errors"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// source is the informer of one kind, with what is known of its troubles.
type source struct {
	kind     kind
	informer cache.SharedIndexInformer
	handler  cache.ResourceEventHandlerRegistration

	mutex   sync.Mutex
	trimmer *cluster.Trimmer
	// The last errors of list and watch, each nil once it goes well again.
	listing, watching error
	// reported says that a missing permission was told of, which is done once for each time it goes missing.
	reported bool
}

// newSource makes a source that does nothing yet. The server is the clientset, which tells whether it can stream lists.
func newSource(server any, k kind, emit func(cluster.Event)) (*source, error) {
	s := &source{kind: k, trimmer: cluster.NewTrimmer()}
	calls := &cache.ListWatch{ListWithContextFunc: s.list, WatchFuncWithContext: s.watch}
	s.informer = cache.NewSharedIndexInformerWithOptions(
		cache.ToListWatcherWithWatchListSemantics(calls, server), k.example, cache.SharedIndexInformerOptions{})
	if err := s.informer.SetTransform(s.trim); err != nil {
		return nil, err
	}
	if err := s.informer.SetWatchErrorHandlerWithContext(failed); err != nil {
		return nil, err
	}
	var err error
	s.handler, err = s.informer.AddEventHandler(handler(emit))
	return s, err
}

func (s *source) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	options.FieldSelector = s.kind.selector
	list, err := s.kind.list(ctx, options)
	s.heard(ctx, &s.listing, err)
	return list, err
}

func (s *source) watch(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
	options.FieldSelector = s.kind.selector
	watch, err := s.kind.watch(ctx, options)
	s.heard(ctx, &s.watching, err)
	return watch, err
}

// heard remembers how a call ended, and tells of a missing permission when it goes missing.
func (s *source) heard(ctx context.Context, last *error, err error) {
	if errors.Is(err, context.Canceled) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return // we are stopping, or have to begin with a new list: neither is a trouble
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	*last = err
	switch denied := s.denied(); {
	case denied == nil:
		s.reported = false
	case !s.reported:
		s.reported = true
		klog.FromContext(ctx).Error(denied, "A permission is missing: add the rule to the role of Poolkeeper",
			"kind", s.kind.String(), "rule", s.kind.rule(), "optional", s.kind.optional)
	}
}

// denied is the error of a missing permission. The caller holds the mutex.
func (s *source) denied() error {
	if apierrors.IsForbidden(s.listing) {
		return s.listing
	}
	if apierrors.IsForbidden(s.watching) {
		return s.watching
	}
	return nil
}

// failed is told of every error once more by the informer, which tries again by itself, with a growing pause. What was reported is left out.
func failed(ctx context.Context, r *cache.Reflector, err error) {
	if !apierrors.IsForbidden(err) {
		cache.DefaultWatchErrorHandler(ctx, r, err)
	}
}

func (s *source) problem() *Problem {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	p := &Problem{Kind: s.kind.String(), Optional: s.kind.optional}
	if p.Err = s.denied(); p.Err != nil {
		p.Forbidden, p.Rule = true, s.kind.rule()
		return p
	}
	if p.Err = errors.Join(s.listing, s.watching); p.Err != nil {
		return p
	}
	return nil
}

func (s *source) synced() bool {
	if p := s.problem(); p != nil && p.Forbidden {
		return s.kind.optional
	}
	return s.handler.HasSynced()
}

// trim keeps the informer's own store as small as the snapshot: both hold the same objects.
func (s *source) trim(object any) (any, error) {
	full, ok := object.(metav1.Object)
	if !ok {
		return object, nil
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch trimmed, known := s.trimmer.Trim(full); t := trimmed.(type) {
	case *cluster.Pod:
		return t.Object(), nil // the informer's store takes the API's types alone
	default:
		if known {
			return trimmed, nil
		}
	}
	return object, nil
}

// handler turns an informer's calls into events.
func handler(emit func(cluster.Event)) cache.ResourceEventHandlerFuncs {
	set := func(object any) {
		if o, ok := object.(metav1.Object); ok {
			_, whole := object.(*corev1.Pod)
			emit(cluster.Set{Object: o, Trimmed: !whole})
		}
	}
	unset := func(object any) {
		if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = tombstone.Obj // the deletion itself was missed; this is what the object was when it was last seen
		}
		if o, ok := object.(metav1.Object); ok {
			emit(cluster.Unset{Object: o})
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: set,
		UpdateFunc: func(before, after any) {
			// An object that was deleted and made anew under its name while nobody looked comes as an update.
			if uid(before) != uid(after) {
				unset(before)
			}
			set(after)
		},
		DeleteFunc: unset,
	}
}

func uid(object any) string {
	o, ok := object.(metav1.Object)
	if !ok {
		return ""
	}
	return string(o.GetUID())
}
