// Package store keeps the ledger in a fixed number of ConfigMaps (shards) of the daemon's namespace, by compare-and-swap.
//
// Every entry is one key of one shard: a readable form of the entry's key, with the entry as JSON. What belongs to one pool and refers to
// each other (claims, operations, the rollout, the back-off, moments) is in one shard, so one write makes a claim and its operation
// known together; all else is spread by its own key. An entry stays in the shard in which it was first written.
//
// An older and a newer daemon can both read: entries of unknown kinds and unknown fields of known entries are kept as they are.
package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/ledger"
)

// ErrConflict says that another writer, usually another leader, changed the stored ledger. Nothing that was read before is to be trusted:
// call Load and decide anew.
var ErrConflict = errors.New("the stored ledger was changed by another writer")

// ErrNotLoaded says that the ledger has to be loaded before it can be saved: at the start, and after every Save that failed.
var ErrNotLoaded = errors.New("the stored ledger has to be loaded first")

// Options of a store. The zero value is good for use.
type Options struct {
	// Interval is how long changes that only move timers may wait for a write; 30 seconds if zero.
	Interval time.Duration
	// CallTimeout bounds each call of the API; 10 seconds if zero.
	CallTimeout time.Duration
	// Wait waits between the tries of a call that failed in passing; nil sleeps. An error ends the tries.
	Wait func(ctx context.Context, d time.Duration) error
}

// Store is the stored ledger. It is for one goroutine.
type Store struct {
	api       api.ConfigMaps
	namespace string
	options   Options

	loaded bool
	// shards are as they were last read or written; a shard that does not exist yet has no resourceVersion.
	shards [Shards]*corev1.ConfigMap
	// home is the shard of each entry that is stored, stored what is stored.
	home   map[string]int
	stored ledger.Ledger
	// deferred are changes that wait for the next write of their shard, by key, and due is when they are written at the latest.
	deferred map[string]ledger.Change
	due      time.Time
	warned   [Shards]bool
}

// New is a store of the ledger in the namespace. It reads and writes nothing yet.
func New(configMaps api.ConfigMaps, namespace string, options Options) *Store {
	if options.Interval == 0 {
		options.Interval = 30 * time.Second
	}
	if options.CallTimeout == 0 {
		options.CallTimeout = 10 * time.Second
	}
	if options.Wait == nil {
		options.Wait = sleep
	}
	return &Store{api: configMaps, namespace: namespace, options: options}
}

// Load reads the whole ledger. Shards that don't exist are empty, and made by the first Save that needs them. If entries can't be read
// the error names each with its ConfigMap and key ([CorruptError]); the ledger then has the others and is good for reports only, and Save
// stays refused.
func (s *Store) Load(ctx context.Context) (ledger.Ledger, error) {
	s.loaded = false
	s.home, s.deferred = map[string]int{}, map[string]ledger.Change{}
	var entries []ledger.Entry
	var problems []error
	for i := range s.shards {
		cm, err := s.read(ctx, i)
		if err != nil {
			return ledger.Ledger{}, fmt.Errorf("load the ledger: read ConfigMap %s/%s: %w", s.namespace, shardName(i), err)
		}
		s.shards[i] = cm
		if err := checkSchema(cm); err != nil {
			return ledger.Ledger{}, fmt.Errorf("load the ledger: %w", err)
		}
		for _, name := range slices.Sorted(maps.Keys(cm.Data)) {
			e, known, err := decode(name, cm.Data[name])
			if err != nil {
				problems = append(problems, &CorruptError{ConfigMap: s.namespace + "/" + cm.Name, Key: name, Err: err})
				continue
			}
			if !known {
				continue
			}
			if other, twice := s.home[e.Key()]; twice {
				err := fmt.Errorf("the same entry is also in %s", shardName(other))
				problems = append(problems, &CorruptError{ConfigMap: s.namespace + "/" + cm.Name, Key: name, Err: err})
				continue
			}
			s.home[e.Key()] = i
			entries = append(entries, e)
		}
	}
	s.stored = ledger.New(entries...)
	if len(problems) > 0 {
		return s.stored, fmt.Errorf("load the ledger: %w", errors.Join(problems...))
	}
	s.loaded = true
	return s.stored, nil
}

// Urgent tells whether the changes hold anything that has to be stored before the pass that made them may act: all but timers, moments,
// the stopwatches of incidents, and entries that are stored as they are already.
func (s *Store) Urgent(changes []ledger.Change) bool {
	last := map[string]ledger.Change{} // of several changes of one entry only the last counts
	for _, c := range changes {
		last[c.Key] = c
	}
	for _, c := range last {
		if s.urgent(c) {
			return true
		}
	}
	return false
}

// Save stores the changes; now is the time of the pass. When it returns nil, every change that is [Store.Urgent] is stored. The others wait
// until their shard is written anyway, or for the interval at most; the caller goes on with a ledger that has them all. Changes that
// are urgent and belong to one pool become known together; those of several pools may be stored in part when a write fails.
//
// On [ErrConflict] another leader wrote, and on any other error it is unknown what was stored: in both cases the caller must start nothing
// that it decided with these changes, and has to Load.
func (s *Store) Save(ctx context.Context, now time.Time, changes []ledger.Change) error {
	if !s.loaded {
		return ErrNotLoaded
	}
	if len(s.deferred) == 0 {
		s.due = now.Add(s.options.Interval)
	}
	for _, c := range changes {
		s.deferred[c.Key] = c
	}
	write := map[int]bool{}
	for _, c := range s.deferred {
		if s.urgent(c) || !now.Before(s.due) {
			write[s.shardOf(c)] = true
		}
	}
	return s.store(ctx, write)
}

// Flush stores what waits. It is for a clean stop.
func (s *Store) Flush(ctx context.Context) error {
	if !s.loaded {
		return nil
	}
	write := map[int]bool{}
	for _, c := range s.deferred {
		write[s.shardOf(c)] = true
	}
	return s.store(ctx, write)
}

// store writes everything that waits for these shards, one shard after the other.
func (s *Store) store(ctx context.Context, write map[int]bool) error {
	byShard := map[int][]ledger.Change{}
	for _, key := range slices.Sorted(maps.Keys(s.deferred)) {
		c := s.deferred[key]
		if i := s.shardOf(c); write[i] {
			byShard[i] = append(byShard[i], c)
		}
	}
	order := slices.Sorted(maps.Keys(byShard))
	next := map[int]*corev1.ConfigMap{}
	for _, i := range order { // all are made before the first is written: one that can't be must not leave the others half done
		cm, err := changed(s.shards[i], byShard[i])
		if err != nil {
			return fmt.Errorf("save the ledger: %w", err)
		}
		if err := s.checkSize(ctx, i, cm); err != nil {
			return fmt.Errorf("save the ledger: %w", err)
		}
		next[i] = cm
	}
	for _, i := range order {
		if !maps.Equal(next[i].Data, s.shards[i].Data) {
			written, err := s.write(ctx, next[i])
			if err != nil {
				s.loaded = false
				return fmt.Errorf("save the ledger: write ConfigMap %s/%s: %w", s.namespace, next[i].Name, err)
			}
			s.shards[i] = written
		}
		s.settle(i, byShard[i])
	}
	return nil
}

// settle notes that the changes of a shard are stored.
func (s *Store) settle(i int, changes []ledger.Change) {
	s.stored = s.stored.With(changes...)
	for _, c := range changes {
		delete(s.deferred, c.Key)
		if c.Entry == nil {
			delete(s.home, c.Key)
		} else {
			s.home[c.Key] = i
		}
	}
}

func (s *Store) urgent(c ledger.Change) bool {
	old, stored := s.stored.Get(c.Key)
	if c.Entry == nil {
		return stored && old.Timer == nil && old.Moment == nil
	}
	switch e := c.Entry; {
	case e.Timer != nil, e.Moment != nil:
		return false
	case stored && e.Incident != nil && old.Incident != nil:
		a, b := *old.Incident, *e.Incident
		a.Ill, a.Well, b.Ill, b.Well = ledger.Stopwatch{}, ledger.Stopwatch{}, ledger.Stopwatch{}, ledger.Stopwatch{}
		return !equal(ledger.Entry{Incident: &a}, ledger.Entry{Incident: &b})
	}
	return !stored || !equal(old, *c.Entry)
}

// shardOf is where the entry is stored, or will be.
func (s *Store) shardOf(c ledger.Change) int {
	if i, ok := s.home[c.Key]; ok {
		return i
	}
	return homeOf(c)
}

func (s *Store) checkSize(ctx context.Context, i int, cm *corev1.ConfigMap) error {
	size := 0
	for key, value := range cm.Data {
		size += len(key) + len(value)
	}
	if size > sizeLimit {
		return fmt.Errorf("ConfigMap %s/%s would hold %d bytes, above the limit of %d: look for what fills it (kubectl get cm %s -n %s -o yaml)",
			s.namespace, cm.Name, size, sizeLimit, cm.Name, s.namespace)
	}
	if large := size > sizeLimit/2; large != s.warned[i] {
		s.warned[i] = large
		if large {
			klog.FromContext(ctx).Info("A shard of the ledger grows large", "configMap", klog.KRef(s.namespace, cm.Name), "bytes", size, "limit", sizeLimit)
		}
	}
	return nil
}

// read reads a shard, and gives an empty one if it does not exist.
func (s *Store) read(ctx context.Context, i int) (*corev1.ConfigMap, error) {
	var cm *corev1.ConfigMap
	err := s.try(ctx, func(ctx context.Context) (err error) {
		cm, err = s.api.GetConfigMap(ctx, s.namespace, shardName(i))
		return err
	})
	if apierrors.IsNotFound(err) {
		return newShard(s.namespace, i), nil
	}
	return cm, err
}

// write makes or updates a shard. After a call whose answer was lost, the API server refuses the next try as a conflict with ourselves: the
// content tells.
func (s *Store) write(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	var written *corev1.ConfigMap
	err := s.try(ctx, func(ctx context.Context) (err error) {
		if cm.ResourceVersion == "" {
			written, err = s.api.CreateConfigMap(ctx, cm.DeepCopy())
		} else {
			written, err = s.api.UpdateConfigMap(ctx, cm.DeepCopy())
		}
		return err
	})
	if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
		return written, err
	}
	conflict := fmt.Errorf("%w: %w", ErrConflict, err)
	err = s.try(ctx, func(ctx context.Context) (err error) {
		written, err = s.api.GetConfigMap(ctx, cm.Namespace, cm.Name)
		return err
	})
	if err == nil && maps.Equal(written.Data, cm.Data) {
		return written, nil
	}
	return nil, conflict
}
