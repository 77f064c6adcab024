package simulation

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// bookmarkEvery is the time between two bookmarks of a watch, as of a real server.
const bookmarkEvery = time.Minute

// past is how many changes the store can tell again. A watch that would begin before them is told that its version is too old, as a real server does whose
// history was compacted.
const past = 1000

// passed is a change that was made, under the version that it made.
type passed struct {
	version uint64
	change  Change
}

// remember keeps a change for those who ask later.
func (s *Store) remember(c Change) {
	if len(s.past) >= 2*past {
		s.past = append(s.past[:0:0], s.past[past:]...)
	}
	s.past = append(s.past, passed{s.version, c})
}

// since are the changes after a version, or that it is too old.
func (s *Store) since(version uint64) ([]passed, error) {
	kept := s.past[max(0, len(s.past)-past):]
	if len(kept) > 0 && version+1 < kept[0].version {
		return nil, apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", version, kept[0].version-1))
	}
	for i, p := range kept {
		if p.version > version {
			return kept[i:], nil
		}
	}
	return nil, nil
}

// Follow watches the ConfigMaps of a namespace as the protocol has it, bare of what an informer makes of it, and asks for bookmarks: from a version on, or, where that is
// empty, from all that there are, of which the last is followed by a bookmark. An error is one of the API's. What is told is shared, and is told in the middle of the write that made it.
// (The daemon's own watches, see [World.Watch], are informers: they lag, and after a break they begin anew.)
func (w *World) Follow(namespace, version string, told func(apiwatch.Event)) (stop func(), err error) {
	ended := false
	tell := func(p passed) {
		if e, ok := eventIn(namespace, p); ok && !ended {
			told(e)
		}
	}
	missed, err := w.Store.follow(namespace, version, tell)
	if err != nil {
		return nil, err
	}
	for _, e := range missed {
		told(e)
	}
	var next func()
	next = func() {
		if !ended {
			told(w.Store.bookmark(false))
			w.After(bookmarkEvery, next)
		}
	}
	w.After(bookmarkEvery, next)
	return func() { ended = true }, nil
}

// follow gives what a new follower has missed, and has it told of everything after that.
func (s *Store) follow(namespace, version string, tell func(passed)) ([]apiwatch.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missed []apiwatch.Event
	if version == "" {
		for cm := range eachIn[*corev1.ConfigMap](s, namespace) {
			missed = append(missed, apiwatch.Event{Type: apiwatch.Added, Object: cm})
		}
		missed = append(missed, s.marked(true))
	} else {
		from, err := strconv.ParseUint(version, 10, 64)
		if err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("resource version %q: %v", version, err))
		}
		changes, err := s.since(from)
		if err != nil {
			return nil, err
		}
		for _, p := range changes {
			if e, ok := eventIn(namespace, p); ok {
				missed = append(missed, e)
			}
		}
	}
	s.watchers = append(s.watchers, func(c Change) { tell(passed{s.version, c}) })
	return missed, nil
}

// eventIn is a change of a ConfigMap in the namespace as the protocol tells it: what is gone carries the version of its end.
func eventIn(namespace string, p passed) (apiwatch.Event, bool) {
	cm, ok := p.change.any().(*corev1.ConfigMap)
	if !ok || cm.Namespace != namespace {
		return apiwatch.Event{}, false
	}
	switch {
	case p.change.Old == nil:
		return apiwatch.Event{Type: apiwatch.Added, Object: cm}, true
	case p.change.New != nil:
		return apiwatch.Event{Type: apiwatch.Modified, Object: cm}, true
	}
	last := cm.DeepCopy()
	last.ResourceVersion = strconv.FormatUint(p.version, 10)
	return apiwatch.Event{Type: apiwatch.Deleted, Object: last}, true
}

func (s *Store) bookmark(end bool) apiwatch.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marked(end)
}

// marked is a bookmark: an empty object with the version up to which all was told; it may be the end of all that there was at first.
func (s *Store) marked(end bool) apiwatch.Event {
	o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: strconv.FormatUint(s.version, 10)}}
	if end {
		o.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	return apiwatch.Event{Type: apiwatch.Bookmark, Object: o}
}
