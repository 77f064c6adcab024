package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/ledger"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

var atOnce = Options{Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}

func open(t testing.TB, cms *configMaps) (*Store, ledger.Ledger) {
	t.Helper()
	s := New(cms, "poolkeeper", atOnce)
	l, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return s, l
}

func claim(id, pool string) ledger.Change {
	return ledger.Put(ledger.Claim{ID: id, Owner: ledger.Upgrader, Pool: pool, Node: ledger.NodeRef{Name: "n-" + id, UID: "u", ProviderID: "kwok://" + pool + "/" + id}, Phase: ledger.Draining, Since: noon})
}

func operation(id, pool string) ledger.Change {
	return ledger.Put(ledger.Operation{ID: id, Pool: pool, From: 1, To: 2, State: ledger.Requested, Requested: noon})
}

func timer(key string, observed time.Duration) ledger.Change {
	return ledger.Put(ledger.Timer{Key: key, Stopwatch: ledger.Stopwatch{Observed: observed, Last: noon.Add(observed)}})
}

func same(a, b ledger.Ledger) string {
	return cmp.Diff(a.Entries(), b.Entries(), cmp.Comparer(func(x, y time.Time) bool { return x.Equal(y) }))
}

func TestWhatWasSavedIsLoadedByTheNextLeader(t *testing.T) {
	cms := newConfigMaps()
	s, l := open(t, cms)
	changes := []ledger.Change{
		claim("c1", "small"), operation("o1", "small"), timer("unneeded/kwok://small/1", time.Minute),
		ledger.Put(ledger.Incident{ID: "i/1", Node: ledger.NodeRef{ProviderID: "aws:///eu/i-1"}, Began: noon}),
		ledger.Put(ledger.Rollout{Pool: "größe", Target: "v1.36.3", Began: noon}),
		ledger.Put(ledger.Backoff{Pool: "small", Failed: noon, Length: time.Minute}),
		ledger.Put(ledger.Moment{Key: "scale-up/small", At: noon}),
		ledger.Put(ledger.Breaker{Scope: "cluster", Opened: noon}),
	}
	if err := s.Save(t.Context(), noon, changes); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, got := open(t, cms)
	if diff := same(l.With(changes...), got); diff != "" {
		t.Errorf("the loaded ledger is another one (-saved +loaded):\n%s", diff)
	}
	for name, cm := range cms.objects {
		if cm.Labels[LabelManagedBy] != "poolkeeper" || cm.Annotations[AnnotationSchema] != "1" {
			t.Errorf("%s lacks label or annotation: %v %v", name, cm.Labels, cm.Annotations)
		}
		if _, ok := cm.Labels[LabelLedger]; !ok {
			t.Errorf("%s lacks the ledger's label", name)
		}
	}
}

func TestAClaimAndItsOperationBecomeKnownInOneWrite(t *testing.T) {
	cms := newConfigMaps()
	s, _ := open(t, cms)
	err := s.Save(t.Context(), noon, []ledger.Change{
		claim("c1", "small"), operation("o1", "small"), ledger.Put(ledger.Rollout{Pool: "small"}), ledger.Put(ledger.Moment{Key: "scale-up/small", At: noon}),
	})
	if err != nil || len(cms.writes) != 1 {
		t.Errorf("writes %v, error %v; want one write", cms.writes, err)
	}
}

func TestAnotherLeadersWriteIsAConflictAndNothingIsSavedUntilTheLedgerIsLoadedAgain(t *testing.T) {
	cms := newConfigMaps()
	first, _ := open(t, cms)
	if err := first.Save(t.Context(), noon, []ledger.Change{claim("c1", "small")}); err != nil {
		t.Fatal(err)
	}
	second, _ := open(t, cms)
	if err := second.Save(t.Context(), noon, []ledger.Change{claim("c2", "small")}); err != nil {
		t.Fatal(err)
	}
	err := first.Save(t.Context(), noon, []ledger.Change{claim("c3", "small")})
	if !errors.Is(err, ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	if !strings.Contains(err.Error(), "poolkeeper/poolkeeper-ledger-") {
		t.Errorf("the error does not name the ConfigMap: %v", err)
	}
	if err := first.Save(t.Context(), noon, nil); !errors.Is(err, ErrNotLoaded) {
		t.Errorf("a second save gives %v, want ErrNotLoaded", err)
	}
	l, err := first.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, has1 := l.Claim("c1")
	_, has2 := l.Claim("c2")
	_, has3 := l.Claim("c3")
	if !has1 || !has2 || has3 {
		t.Errorf("after the conflict the ledger has c1=%v c2=%v c3=%v, want the first two", has1, has2, has3)
	}
	if err := first.Save(t.Context(), noon, []ledger.Change{claim("c3", "small")}); err != nil {
		t.Errorf("save after load: %v", err)
	}
}

func TestAShardThatAnotherLeaderMadeFirstIsAConflict(t *testing.T) {
	cms := newConfigMaps()
	first, _ := open(t, cms)
	second, _ := open(t, cms)
	if err := second.Save(t.Context(), noon, []ledger.Change{claim("c2", "small")}); err != nil {
		t.Fatal(err)
	}
	if err := first.Save(t.Context(), noon, []ledger.Change{claim("c1", "small")}); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
}

func TestAShardThatWasDeletedIsAConflict(t *testing.T) {
	cms := newConfigMaps()
	s, _ := open(t, cms)
	if err := s.Save(t.Context(), noon, []ledger.Change{claim("c1", "small")}); err != nil {
		t.Fatal(err)
	}
	for name := range cms.objects {
		delete(cms.objects, name)
	}
	if err := s.Save(t.Context(), noon, []ledger.Change{claim("c2", "small")}); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
}

func TestTimersWaitForTheIntervalOrForAnUrgentWriteOfTheirShard(t *testing.T) {
	cms := newConfigMaps()
	s, _ := open(t, cms)
	for i := range 30 {
		if err := s.Save(t.Context(), noon.Add(time.Duration(i)*time.Second), []ledger.Change{timer("unneeded/a", time.Duration(i)*time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(cms.writes) != 0 {
		t.Fatalf("timers were written at once: %v", cms.writes)
	}
	if err := s.Save(t.Context(), noon.Add(30*time.Second), nil); err != nil {
		t.Fatal(err)
	}
	if len(cms.writes) != 1 {
		t.Fatalf("writes after the interval: %v, want one", cms.writes)
	}
	_, l := open(t, cms)
	if got, _ := l.Timer("unneeded/a"); got.Stopwatch.Observed != 29*time.Second {
		t.Errorf("the stored timer shows %v, want the last value", got.Stopwatch.Observed)
	}
}

func TestUrgentIsWhatMustBeStoredBeforeAnythingIsDone(t *testing.T) {
	cms := newConfigMaps()
	s, _ := open(t, cms)
	incident := ledger.Incident{ID: "i1", State: ledger.Suspected, Began: noon}
	if err := s.Save(t.Context(), noon, []ledger.Change{claim("c1", "small"), ledger.Put(incident), timer("a", 0)}); err != nil {
		t.Fatal(err)
	}
	ticking, sick := incident, incident
	ticking.Ill = ledger.Stopwatch{Observed: time.Minute, Last: noon}
	sick.State = ledger.Sick
	for _, c := range []struct {
		name   string
		change ledger.Change
		want   bool
	}{
		{"a new claim", claim("c2", "small"), true},
		{"a claim that is stored already", claim("c1", "small"), false},
		{"the end of a claim", ledger.Drop(ledger.Claim{ID: "c1"}), true},
		{"the end of a claim that was never stored", ledger.Drop(ledger.Claim{ID: "c9"}), false},
		{"an incident whose stopwatch runs", ledger.Put(ticking), false},
		{"an incident with a new state", ledger.Put(sick), true},
		{"a timer", timer("a", time.Second), false},
		{"the end of a timer", ledger.Drop(ledger.Timer{Key: "a"}), false},
		{"a moment", ledger.Put(ledger.Moment{Key: "scale-up/small"}), false},
		{"a breaker", ledger.Put(ledger.Breaker{Scope: "cluster"}), true},
		{"an operation", ledger.Put(ledger.Operation{ID: "o1", Pool: "small"}), true},
		{"a rollout", ledger.Put(ledger.Rollout{Pool: "small"}), true},
		{"a back-off", ledger.Put(ledger.Backoff{Pool: "small"}), true},
	} {
		if got := s.Urgent([]ledger.Change{c.change}); got != c.want {
			t.Errorf("%s: urgent %v, want %v", c.name, got, c.want)
		}
	}
}

func TestEntriesAndFieldsOfANewerDaemonAreKept(t *testing.T) {
	cms := newConfigMaps()
	s, _ := open(t, cms)
	if err := s.Save(t.Context(), noon, []ledger.Change{claim("c1", "small")}); err != nil {
		t.Fatal(err)
	}
	for _, cm := range cms.objects {
		cm.Annotations[AnnotationSchema] = "2"
		cm.Data["quarantine__x"] = `{"quarantine":{"id":"x"}}`
		key := encodeKey("claim/c1")
		cm.Data[key] = strings.Replace(cm.Data[key], `"node":{`, `"approvedBy":{"name":"jo"},"node":{"rack":"r7",`, 1)
	}
	s, l := open(t, cms)
	if l.Len() != 1 {
		t.Fatalf("the ledger has %d entries, want the claim alone", l.Len())
	}
	c, _ := l.Claim("c1")
	c.Phase = ledger.Deleting
	if err := s.Save(t.Context(), noon, []ledger.Change{ledger.Put(c)}); err != nil {
		t.Fatal(err)
	}
	for _, cm := range cms.objects {
		if cm.Annotations[AnnotationSchema] != "2" {
			t.Errorf("the schema was taken back to %q", cm.Annotations[AnnotationSchema])
		}
		if cm.Data["quarantine__x"] == "" {
			t.Error("the unknown entry is gone")
		}
		for _, want := range []string{`"approvedBy":{"name":"jo"}`, `"rack":"r7"`, `"phase":"Deleting"`} {
			if !strings.Contains(cm.Data[encodeKey("claim/c1")], want) {
				t.Errorf("the claim lacks %s: %s", want, cm.Data[encodeKey("claim/c1")])
			}
		}
	}
}

func TestAValueThatBecameEmptyDoesNotComeBackFromTheOldEntry(t *testing.T) {
	old, err := encode(ledger.Entry{Claim: &ledger.Claim{ID: "c", Dead: true, Operation: "o", Until: noon}}, "")
	if err != nil {
		t.Fatal(err)
	}
	now, err := encode(ledger.Entry{Claim: &ledger.Claim{ID: "c"}}, old)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := decode(encodeKey("claim/c"), now)
	if err != nil || e.Claim.Dead || e.Claim.Operation != "" || !e.Claim.Until.IsZero() {
		t.Errorf("got %+v, %v", e.Claim, err)
	}
}

func TestASchemaThatOnlyANewerDaemonUnderstandsIsRefused(t *testing.T) {
	cms := newConfigMaps()
	cms.put("create", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "poolkeeper", Name: "poolkeeper-ledger-3", Annotations: map[string]string{AnnotationOldestReader: "2"},
	}})
	_, err := New(cms, "poolkeeper", atOnce).Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "poolkeeper-ledger-3 was written by a newer version") {
		t.Errorf("got %v", err)
	}
}

func TestACorruptEntryIsNamedWithItsConfigMapAndKey(t *testing.T) {
	good, err := encode(*claim("good", "small").Entry, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, key, value, want string }{
		{"no JSON", "claim__x", `{"claim":`, "unexpected end of JSON input"},
		{"no object", "claim__x", `7`, "cannot unmarshal"},
		{"null", "claim__x", `null`, "the entry is empty"},
		{"an empty value", "claim__x", ``, "unexpected end of JSON input"},
		{"a field of another type", "claim__x", `{"claim":{"id":"x","since":"yesterday"}}`, "parsing time"},
		{"another entry's key", "claim__x", `{"claim":{"id":"y"}}`, `the entry calls itself "claim/y"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cms := newConfigMaps()
			cms.put("create", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "poolkeeper", Name: "poolkeeper-ledger-5"}, Data: map[string]string{
				c.key: c.value, encodeKey("claim/good"): good,
			}})
			s := New(cms, "poolkeeper", atOnce)
			l, err := s.Load(t.Context())
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.ConfigMap != "poolkeeper/poolkeeper-ledger-5" || corrupt.Key != c.key {
				t.Fatalf("got %v, want a CorruptError that names ConfigMap and key", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
			if _, ok := l.Claim("good"); !ok {
				t.Error("the good entry was not read")
			}
			if err := s.Save(t.Context(), noon, []ledger.Change{claim("c2", "small")}); !errors.Is(err, ErrNotLoaded) {
				t.Errorf("save after a corrupt load gives %v, want ErrNotLoaded", err)
			}
		})
	}
}

func TestAShardThatGrowsTooLargeIsRefusedByNameAndNothingIsWritten(t *testing.T) {
	cms := newConfigMaps()
	s, _ := open(t, cms)
	large := ledger.Operation{ID: "o1", Pool: "small"}
	for i := range 20000 {
		large.Known = append(large.Known, fmt.Sprintf("scaleway://instance/fr-par-1/%032d", i))
	}
	err := s.Save(t.Context(), noon, []ledger.Change{claim("c1", "other"), ledger.Put(large)})
	if err == nil || !strings.Contains(err.Error(), "poolkeeper/poolkeeper-ledger-") || !strings.Contains(err.Error(), "above the limit") {
		t.Errorf("got %v", err)
	}
	if len(cms.writes) != 0 {
		t.Errorf("written: %v", cms.writes)
	}
}

func TestAnErrorInPassingIsTriedAgainUntilTheContextEnds(t *testing.T) {
	passing := []error{
		io.ErrUnexpectedEOF, apierrors.NewServiceUnavailable("starting"), apierrors.NewTooManyRequests("busy", 1),
		apierrors.NewInternalError(errors.New("etcd")), apierrors.NewServerTimeout(resource, "get", 1), context.DeadlineExceeded,
	}
	for _, fault := range passing {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v after=%v", fault, after), func(t *testing.T) {
				cms := newConfigMaps()
				s, _ := open(t, cms)
				left := 3
				cms.fault = func(string, string) (error, bool) {
					left--
					if left < 0 {
						return nil, false
					}
					return fault, after
				}
				if err := s.Save(t.Context(), noon, []ledger.Change{claim("c1", "small")}); err != nil {
					t.Fatal(err)
				}
				if _, l := open(t, cms); l.Len() != 1 {
					t.Errorf("the ledger has %d entries, want 1", l.Len())
				}
			})
		}
	}
	t.Run("but not for good", func(t *testing.T) {
		cms := newConfigMaps()
		s, _ := open(t, cms)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		cms.fault = func(string, string) (error, bool) {
			if calls++; calls == 5 {
				cancel()
			}
			return io.ErrUnexpectedEOF, false
		}
		if err := s.Save(ctx, noon, []ledger.Change{claim("c1", "small")}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
		if calls != 5 {
			t.Errorf("%d calls, want 5", calls)
		}
	})
	t.Run("and a refusal is not tried again", func(t *testing.T) {
		cms := newConfigMaps()
		s, _ := open(t, cms)
		calls := 0
		cms.fault = func(string, string) (error, bool) {
			calls++
			return apierrors.NewForbidden(resource, "poolkeeper-ledger-1", errors.New("no RBAC")), false
		}
		if err := s.Save(t.Context(), noon, []ledger.Change{claim("c1", "small")}); !apierrors.IsForbidden(err) {
			t.Errorf("got %v", err)
		}
		if calls != 1 {
			t.Errorf("%d calls, want 1", calls)
		}
	})
}

func TestEveryEncodedKeyIsAValidConfigMapKeyAndNoTwoAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z/._-]{0,12}`), rapid.StringMatching(`[a-z/:]{200,400}`))
		a, b := "claim/"+text.Draw(t, "a"), "claim/"+text.Draw(t, "b")
		if problems := validation.IsConfigMapKey(encodeKey(a)); len(problems) > 0 {
			t.Fatalf("%q becomes %q: %v", a, encodeKey(a), problems)
		}
		if a != b && encodeKey(a) == encodeKey(b) {
			t.Fatalf("%q and %q both become %q", a, b, encodeKey(a))
		}
	})
}

// Whatever is saved in whatever order, with faults before or after the effect of any call and with restarts, the stored ledger has
// everything urgent, and after a flush everything.
func TestTheStoredLedgerIsTheOneInMemoryWhateverFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cms := newConfigMaps()
		s := New(cms, "poolkeeper", Options{Wait: func(context.Context, time.Duration) error { return errors.New("once") }})
		l, err := s.Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		change := rapid.Custom(func(t *rapid.T) ledger.Change {
			id := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "id")
			pool := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "pool")
			all := []ledger.Change{
				claim(id, pool), operation(id, pool), timer("t"+id, time.Duration(rapid.IntRange(0, 5).Draw(t, "s"))*time.Second),
				ledger.Drop(ledger.Claim{ID: id}), ledger.Drop(ledger.Operation{ID: id}), ledger.Drop(ledger.Timer{Key: "t" + id}),
				ledger.Put(ledger.Moment{Key: "scale-up/" + pool, At: noon}), ledger.Put(ledger.Incident{ID: id, Began: noon}),
			}
			return rapid.SampledFrom(all).Draw(t, "change")
		})
		now := noon
		for range rapid.IntRange(1, 30).Draw(t, "saves") {
			fail, after := rapid.IntRange(-20, 4).Draw(t, "fail"), rapid.Bool().Draw(t, "after")
			cms.fault = func(string, string) (error, bool) {
				if fail--; fail == 0 {
					return io.ErrUnexpectedEOF, after
				}
				return nil, false
			}
			changes := rapid.SliceOfN(change, 0, 4).Draw(t, "changes")
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "later")) * time.Second)
			err := s.Save(context.Background(), now, changes)
			cms.fault = nil
			if err != nil { // the loop starts nothing, and begins anew with what is stored
				if l, err = s.Load(context.Background()); err != nil {
					t.Fatal(err)
				}
				continue
			}
			l = l.With(changes...)
			if s.Urgent(changes) {
				t.Fatal("after a save that worked, something urgent is not stored")
			}
		}
		if err := s.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		stored, err := New(cms, "poolkeeper", atOnce).Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if diff := same(l, stored); diff != "" {
			t.Fatalf("stored is not what is in memory (-memory +stored):\n%s", diff)
		}
	})
}
