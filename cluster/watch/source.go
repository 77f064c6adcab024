package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// source lists and watches one kind, with what is known of its troubles.
type source struct {
	kind      kind
	reflector *cache.Reflector
	feed      *feed

	mutex sync.Mutex
	// The last errors of list and watch, each nil once it goes well again.
	listing, watching error
	// reported says that a missing permission was told of, which is done once for each time it goes missing.
	reported bool
}

// pageSize is how many objects of a kind with many of them are asked for at a time.
const pageSize = 500

// newSource makes a source that does nothing yet. The server is the clientset, which tells whether it can stream lists.
func newSource(server any, k kind, emit func(cluster.Event)) *source {
	s := &source{kind: k, feed: newFeed(k.example, emit)}
	calls := &cache.ListWatch{ListWithContextFunc: s.list, WatchFuncWithContext: s.watch}
	s.reflector = cache.NewReflectorWithOptions(
		cache.ToListWatcherWithWatchListSemantics(calls, server), k.example, s.feed, cache.ReflectorOptions{Name: k.String()})
	if k.many {
		s.reflector.WatchListPageSize = pageSize
	}
	return s
}

// How long to wait after a list or watch that failed: longer each time, up to half a minute, and short again after two good minutes. The
// figures are client-go's, which treats the server gently.
func pauses() wait.DelayFunc {
	backoff := wait.Backoff{Duration: 800 * time.Millisecond, Cap: 30 * time.Second, Steps: 38, Factor: 2, Jitter: 1}
	return backoff.DelayWithReset(clock.RealClock{}, 2*time.Minute)
}

// run lists and watches, or lists again and again, until the context ends.
func (s *source) run(ctx context.Context) {
	if s.kind.pace != nil {
		s.poll(ctx)
		return
	}
	// What ends it is the context alone, and then there is nothing to be told.
	_ = pauses().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		if err := s.reflector.ListAndWatchWithContext(ctx); err != nil {
			failed(ctx, s.reflector, err)
		}
		return false, nil
	})
}

// poll lists at the kind's pace, from the server's cache.
func (s *source) poll(ctx context.Context) {
	afterFailure := pauses()
	timer := clock.RealClock{}.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		all, err := s.all(ctx)
		if err != nil {
			failed(ctx, s.reflector, err)
			timer.Reset(afterFailure())
			continue
		}
		s.feed.put(all)
		timer.Reset(s.kind.pace(all))
	}
}

// all are the objects that there are, as what the picture keeps of them.
func (s *source) all(ctx context.Context) ([]cluster.Object, error) {
	list, err := s.list(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	all := make([]cluster.Object, 0, meta.LenList(list))
	err = meta.EachListItem(list, func(object runtime.Object) error {
		trimmed, err := s.feed.trim(object)
		all = append(all, trimmed)
		return err
	})
	return all, err
}

// list gives a page as what the picture keeps of it, so that the next page finds room.
func (s *source) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	options.FieldSelector = s.kind.selector
	if s.kind.many && options.ResourceVersion == "0" {
		// Asked for any version, a server answers from its cache, and then with all in one piece, whatever the limit: ninety thousand pods would
		// take a gigabyte here. It costs the server a read of what it stores, once, and only if it can't stream.
		options.ResourceVersion = ""
	}
	list, err := s.kind.list(ctx, options)
	s.heard(ctx, &s.listing, err)
	if err != nil {
		return nil, err
	}
	return s.feed.trimmedList(list)
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

// failed tells of every error once more; it is tried again by itself, with a growing pause. What was reported is left out.
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
	return s.feed.complete()
}
