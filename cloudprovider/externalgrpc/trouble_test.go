package externalgrpc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// late makes the method answer only when its caller has given up; it is done all the same if that is said.
func (s *scene) late(method string, done func()) {
	s.stub.before(func(ctx context.Context, m string) error {
		if m != method {
			return nil
		}
		if done != nil {
			done()
		}
		<-ctx.Done()
		return ctx.Err()
	})
}

func wantUnknown(t *testing.T, err error, doing string) {
	t.Helper()
	if !errors.Is(err, externalgrpc.ErrUnknownOutcome) || !errors.Is(err, cloudprovider.ErrTransient) {
		t.Fatalf("%s whose deadline passed gave %v; want a transient error with an unknown outcome", doing, err)
	}
	if typed, ok := errors.AsType[*cloudprovider.Error](err); !ok || typed.RetryAfter <= 0 {
		t.Fatalf("%s whose deadline passed doesn't say when to try again: %v", doing, err)
	}
}

func TestAnIncreaseWhoseDeadlinePassedIsUnknownAndSettledByReading(t *testing.T) {
	s := play(t, newStub(1, 3), time.Second)
	s.refresh(0)
	s.late("NodeGroupIncreaseSize", func() { s.change("pool-0", func(g *stubGroup) { g.grow("pool-0", 2) }) })
	s.count()
	wantUnknown(t, s.pool("pool-0").IncreaseSize(t.Context(), 2), "an increase")
	if _, by := s.count(); by["NodeGroupIncreaseSize"] != 1 {
		t.Fatalf("the increase was sent %d times, want once", by["NodeGroupIncreaseSize"])
	}
	s.before(nil)
	s.refresh(time.Second)
	if size := s.size("pool-0"); size != 5 {
		t.Fatalf("the increase took effect, and the target is %d, want 5", size)
	}
	must(t, s.pool("pool-0").IncreaseSize(t.Context(), 1)) // it has shown: nothing is in doubt any more
}

func TestWhileAnOutcomeIsUnknownTheSizeIsNotChangedAgain(t *testing.T) {
	s := play(t, newStub(1, 3), time.Second)
	s.refresh(0)
	s.late("NodeGroupIncreaseSize", nil)
	wantUnknown(t, s.pool("pool-0").IncreaseSize(t.Context(), 2), "an increase")
	s.before(nil)
	s.refresh(time.Second)
	s.count()
	for doing, call := range map[string]func() error{
		"an increase": func() error { return s.pool("pool-0").IncreaseSize(t.Context(), 2) },
		"a deletion": func() error {
			return s.pool("pool-0").DeleteNodes(t.Context(), []*corev1.Node{nodeOf("stub://pool-0/1")})
		},
		"a decrease": func() error { return s.pool("pool-0").DecreaseTargetSize(t.Context(), -1) },
	} {
		if err := call(); !errors.Is(err, cloudprovider.ErrTransient) || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("%s a second after an increase with an unknown outcome gave %v", doing, err)
		}
	}
	if _, by := s.count(); by["NodeGroupIncreaseSize"]+by["NodeGroupDeleteNodes"]+by["NodeGroupDecreaseTargetSize"] != 0 {
		t.Errorf("something was sent: %v", by)
	}
	s.refresh(10 * time.Second) // it has not shown in all this time: it never came
	must(t, s.pool("pool-0").IncreaseSize(t.Context(), 2))
	if size := s.size("pool-0"); size != 5 {
		t.Errorf("the target is %d, want 5", size)
	}
}

func TestADeletionWhoseDeadlinePassedIsUnknown(t *testing.T) {
	s := play(t, newStub(1, 3), time.Second)
	s.refresh(0)
	s.late("NodeGroupDeleteNodes", nil)
	wantUnknown(t, s.pool("pool-0").DeleteNodes(t.Context(), []*corev1.Node{nodeOf("stub://pool-0/1")}), "a deletion")
	if state := s.instances("pool-0")[0].Status.State; state != cloudprovider.InstanceRunning {
		t.Errorf("the instance is said to be %s before anybody has looked", state)
	}
}

func TestReadsAreTriedAgainAndWritesAreNot(t *testing.T) {
	s := play(t, newStub(1, 3), time.Minute)
	failures := map[string]int{}
	s.before(func(_ context.Context, method string) error {
		s.stub.mutex.Lock()
		defer s.stub.mutex.Unlock()
		if failures[method]++; failures[method] <= 2 {
			return status.Error(codes.Unavailable, "try again")
		}
		return nil
	})
	s.refresh(0)
	if _, by := s.count(); by["NodeGroups"] != 3 || by["NodeGroupNodes"] != 3 {
		t.Errorf("reads that failed twice were sent %v times, want 3", by)
	}
	wantUnknown(t, s.pool("pool-0").IncreaseSize(t.Context(), 1), "an increase")
	if _, by := s.count(); by["NodeGroupIncreaseSize"] != 1 {
		t.Errorf("a write that failed was sent %d times, want once", by["NodeGroupIncreaseSize"])
	}
}

func TestAServerThatIsAwayFailsTheRefreshAndLeavesTheStateAndComesBack(t *testing.T) {
	s := play(t, newStub(2, 3), time.Second)
	s.refresh(0)
	for name, answer := range map[string]func(context.Context, string) error{
		"it fails every call":   func(context.Context, string) error { return errors.New("the cloud is on fire") },
		"it says no more":       func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		"every list is refused": func(_ context.Context, m string) error { return refuse(m == "NodeGroupTargetSize") },
	} {
		t.Run(name, func(t *testing.T) {
			s.before(answer)
			if err := s.Provider.Refresh(t.Context()); err == nil {
				t.Fatal("Refresh gave no error")
			}
			if n := len(s.instances("pool-0")); n != 3 || s.size("pool-1") != 3 {
				t.Error("what was known is not any more")
			}
			s.before(nil)
			s.refresh(20 * time.Second)
		})
	}
}

func refuse(it bool) error {
	if it {
		return status.Error(codes.Internal, "no")
	}
	return nil
}

func TestOneBadGroupDoesNotStopTheOthers(t *testing.T) {
	for name, spoil := range map[string]func(*stubGroup){
		"a min above the max":           func(g *stubGroup) { g.least, g.most = 5, 3 },
		"a negative min":                func(g *stubGroup) { g.least = -1 },
		"a negative target":             func(g *stubGroup) { g.target = -1 },
		"an instance without an id":     func(g *stubGroup) { g.instances[0].Id = "" },
		"an instance twice":             func(g *stubGroup) { g.instances[1].Id = g.instances[0].GetId() },
		"an id with a control sequence": func(g *stubGroup) { g.instances[0].Id = "stub://\x1b[2J" },
		"an id without end":             func(g *stubGroup) { g.instances[0].Id = strings.Repeat("x", 1<<20) },
		"another group's instance":      func(g *stubGroup) { g.instances[0].Id = "stub://pool-0/1" },
		"an unbelievable target":        func(g *stubGroup) { g.target = 1 << 30 },
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, newStub(3, 3), time.Minute)
			s.refresh(0)
			s.change("pool-1", spoil)
			s.refresh(time.Minute)
			_, sizeErr := s.pool("pool-1").TargetSize(t.Context())
			_, listErr := s.pool("pool-1").Nodes(t.Context())
			if sizeErr == nil || listErr == nil {
				t.Errorf("the bad group's size gives %v and its list %v, want errors", sizeErr, listErr)
			}
			for _, good := range []string{"pool-0", "pool-2"} {
				if s.size(good) != 3 || len(s.instances(good)) != 3 {
					t.Errorf("%s suffers", good)
				}
			}
		})
	}
}

func TestAListOfGroupsThatMakesNoSenseIsNoList(t *testing.T) {
	for name, order := range map[string][]string{"a group twice": {"pool-0", "pool-0"}, "a group without a name": {"pool-0", ""}} {
		t.Run(name, func(t *testing.T) {
			s := play(t, newStub(1, 3), time.Minute)
			s.refresh(0)
			s.stub.mutex.Lock()
			s.groups[""], s.order = s.groups["pool-0"], order
			s.stub.mutex.Unlock()
			s.clock.SetTime(s.clock.Now().Add(time.Minute))
			if err := s.Provider.Refresh(t.Context()); err == nil || s.size("pool-0") != 3 {
				t.Errorf("Refresh gave %v", err)
			}
		})
	}
}

func TestARepeatedDeletionIsNotSentToAServerThatWouldLowerTheTargetAgain(t *testing.T) {
	s := play(t, newStub(1, 5), time.Minute)
	s.refresh(0)
	victim := []*corev1.Node{nodeOf("stub://pool-0/2")}
	remove := func(when string) {
		t.Helper()
		if err := s.pool("pool-0").DeleteNodes(t.Context(), victim); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	remove("once")
	remove("at once again")
	s.refresh(20 * time.Second)
	remove("after a refresh")
	again := connectAgain(t, s)
	again.refresh(0)
	if err := again.pool("pool-0").DeleteNodes(t.Context(), victim); err != nil {
		t.Fatalf("after a restart: %v", err)
	}
	if _, by := s.count(); by["NodeGroupDeleteNodes"] != 1 {
		t.Errorf("the deletion was sent %d times, want once", by["NodeGroupDeleteNodes"])
	}
	again.refresh(20 * time.Second)
	if size := again.size("pool-0"); size != 4 {
		t.Errorf("the target is %d, want 4", size)
	}
}

// connectAgain is a client on the same server, as after a restart of the daemon.
func connectAgain(t *testing.T, s *scene) *scene {
	t.Helper()
	return play(t, s.stub, time.Minute)
}

func TestADecreaseNeverKillsWhateverTheServerWouldDo(t *testing.T) {
	s := play(t, newStub(1, 3), time.Minute)
	s.refresh(0)
	s.change("pool-0", func(g *stubGroup) { g.target = 5 }) // two that have not come
	s.refresh(time.Second)
	if err := s.pool("pool-0").DecreaseTargetSize(t.Context(), -3); !errors.Is(err, cloudprovider.ErrInvalid) {
		t.Fatalf("a decrease below the instances that exist gave %v", err)
	}
	must(t, s.pool("pool-0").DecreaseTargetSize(t.Context(), -2))
	if size := s.size("pool-0"); size != 3 {
		t.Errorf("the target is %d, want 3", size)
	}
}

func TestADecreaseStartsFromWhatTheServerHasNowAndNotFromAnOlderRead(t *testing.T) {
	s := play(t, newStub(1, 4), time.Minute)
	s.change("pool-0", func(g *stubGroup) { g.target = 5 })
	s.refresh(0)
	s.change("pool-0", func(g *stubGroup) { g.target = 4 }) // somebody else took back the one that had not come
	if err := s.pool("pool-0").DecreaseTargetSize(t.Context(), -1); !errors.Is(err, cloudprovider.ErrInvalid) {
		t.Fatalf("a decrease that would kill the fourth of four gave %v", err)
	}
	s.refresh(time.Minute)
	if size := s.size("pool-0"); size != 4 {
		t.Errorf("the target is %d, want 4", size)
	}
}

func TestLimitsAreTypedThoughTheServerHasNoCodeForThem(t *testing.T) {
	s := play(t, newStub(1, 1), time.Minute)
	s.change("pool-0", func(g *stubGroup) { g.most = 2 })
	s.refresh(0)
	s.count()
	if err := s.pool("pool-0").IncreaseSize(t.Context(), 2); !errors.Is(err, cloudprovider.ErrLimit) {
		t.Errorf("above the max: %v", err)
	}
	if err := s.pool("pool-0").DeleteNodes(t.Context(), []*corev1.Node{nodeOf("stub://pool-0/1")}); !errors.Is(err, cloudprovider.ErrLimit) {
		t.Errorf("below the min: %v", err)
	}
	if _, by := s.count(); by["NodeGroupIncreaseSize"]+by["NodeGroupDeleteNodes"] > 0 {
		t.Errorf("the server was asked all the same: %v", by)
	}
}

func TestAnAbsenceIsBelievedUnlessTheListHasLostTooMuch(t *testing.T) {
	s := play(t, newStub(2, 6), time.Minute)
	s.refresh(0)
	lose := func(n int) { s.change("pool-0", func(g *stubGroup) { g.instances = g.instances[n:] }) }
	look := func(id string) (bool, error) {
		s.clock.SetTime(s.clock.Now().Add(time.Minute))
		return s.Provider.HasInstance(t.Context(), nodeOf(id))
	}
	if has, err := look("stub://pool-0/1"); err != nil || !has {
		t.Fatalf("an instance that is there: %v, %v", has, err)
	}
	lose(3)
	if has, err := look("stub://pool-0/1"); err != nil || has {
		t.Fatalf("three of six are missing: %v, %v; want a certain absence", has, err)
	}
	lose(1)
	if _, err := look("stub://pool-0/1"); !errors.Is(err, cloudprovider.ErrTransient) {
		t.Errorf("four of six are missing: %v; want doubt", err)
	}
	if has, err := look("stub://pool-0/6"); err != nil || !has {
		t.Errorf("one that is listed: %v, %v; want no doubt about it", has, err)
	}
	lose(2)
	if _, err := look("stub://pool-0/6"); !errors.Is(err, cloudprovider.ErrTransient) {
		t.Errorf("the list is empty: %v; want doubt", err)
	}
	s.change("pool-1", func(g *stubGroup) { g.target, g.instances = 1, nil })
	if has, err := look("stub://pool-1/1"); err != nil || has {
		t.Errorf("the only one is missing: %v, %v; want a certain absence", has, err)
	}
	if _, err := look("other://machine"); !errors.Is(err, cloudprovider.ErrInvalid) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestManyLooksAtOneGroupTakeOneList(t *testing.T) {
	s := play(t, newStub(1, 30), time.Minute)
	s.refresh(0)
	s.count()
	for _, one := range s.instances("pool-0") {
		_, err := s.Provider.HasInstance(t.Context(), nodeOf(one.ID))
		must(t, err)
	}
	if n, by := s.count(); n != 3 || by["NodeGroupNodes"] != 1 {
		t.Errorf("30 looks took the calls %v, want a refresh, a size and a list", by)
	}
}

func TestServersThatAnswerStrangersWithAnErrorAreUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		code    codes.Code
		nobodys bool
	}{"not found": {codes.NotFound, true}, "invalid": {codes.InvalidArgument, true}, "no code": {codes.Unknown, false}} {
		t.Run(name, func(t *testing.T) {
			s := play(t, newStub(1, 3), time.Minute)
			s.refresh(0)
			s.before(func(_ context.Context, m string) error {
				if m == "NodeGroupForNode" {
					return status.Error(c.code, "who is that?")
				}
				return nil
			})
			for range 3 {
				group, err := s.Provider.NodeGroupForNode(nodeOf("other://machine"))
				if group != nil || (err == nil) != c.nobodys {
					t.Errorf("got %v and %v", group, err)
				}
			}
			if _, by := s.count(); by["NodeGroupForNode"] != 1 {
				t.Errorf("the server was asked %d times, want once", by["NodeGroupForNode"])
			}
		})
	}
}

func TestTemplatesOptionsAndPricesThatAServerHasAreUsedAndOthersDoneWithout(t *testing.T) {
	without := play(t, newStub(1, 1), time.Minute)
	without.change("pool-0", func(g *stubGroup) { g.template = nil })
	without.refresh(0)
	group := without.pool("pool-0")
	if _, err := group.TemplateNodeInfo(t.Context()); !errors.Is(err, cloudprovider.ErrNotImplemented) {
		t.Errorf("a template from a server without any: %v", err)
	}
	if options, err := group.GetOptions(t.Context(), cloudprovider.Options{}); err != nil || options != nil {
		t.Errorf("options from a server without any: %v, %v", options, err)
	}
	if _, ok := cloudprovider.As[cloudprovider.VersionTeller](group); ok {
		t.Error("it claims to know a version")
	}

	with := newStub(1, 1)
	with.price = 0.25
	with.groups["pool-0"].options = func(defaults *protos.NodeGroupAutoscalingOptions) *protos.NodeGroupAutoscalingOptions {
		defaults.ScaleDownUtilizationThreshold = 0.7
		return defaults
	}
	s := play(t, with, time.Minute)
	s.refresh(0)
	template, err := s.pool("pool-0").TemplateNodeInfo(t.Context())
	must(t, err)
	if template.Price != 0.25 || template.Node.Name != "" || template.Node.Labels["pool"] != "pool-0" {
		t.Errorf("the template is %+v", template)
	}
	options, err := s.pool("pool-0").GetOptions(t.Context(), cloudprovider.Options{})
	must(t, err)
	if options == nil || options.ScaleDownUtilizationThreshold == nil || *options.ScaleDownUtilizationThreshold != 0.7 || options.MaxNodeProvisionTime != nil {
		t.Errorf("the options are %+v, want the threshold and no other", options)
	}
	teller, ok := cloudprovider.As[cloudprovider.VersionTeller](s.pool("pool-0"))
	if !ok {
		t.Fatal("it doesn't know the template's version")
	}
	if version, err := teller.TemplateVersion(t.Context()); err != nil || version != "v1.35.4" {
		t.Errorf("the version is %q, %v", version, err)
	}
}

func TestWithoutTheExtensionNothingIsClaimedThatItBrings(t *testing.T) {
	s := play(t, newStub(1, 1), time.Minute)
	s.refresh(0)
	group := s.pool("pool-0")
	var claimed []string
	claim := func(name string, ok bool) {
		if ok {
			claimed = append(claimed, name)
		}
	}
	_, ok := cloudprovider.As[cloudprovider.Rebooter](group)
	claim("Rebooter", ok)
	_, ok = cloudprovider.As[cloudprovider.Stopper](group)
	claim("Stopper", ok)
	_, ok = cloudprovider.As[cloudprovider.Replacer](group)
	claim("Replacer", ok)
	_, ok = cloudprovider.As[cloudprovider.ForceDeleter](group)
	claim("ForceDeleter", ok)
	_, ok = cloudprovider.As[cloudprovider.Versioned](group)
	claim("Versioned", ok)
	_, ok = cloudprovider.As[cloudprovider.NativeUpgrader](group)
	claim("NativeUpgrader", ok)
	_, ok = cloudprovider.As[cloudprovider.CapacityTyper](group)
	claim("CapacityTyper", ok)
	_, ok = cloudprovider.As[cloudprovider.VersionLister](s.Provider)
	claim("VersionLister", ok)
	if len(claimed) > 0 {
		t.Errorf("it claims to be %v", claimed)
	}
	for name, err := range map[string]error{
		"RebootNode":            group.(cloudprovider.Rebooter).RebootNode(t.Context(), nodeOf("stub://pool-0/1")),
		"ReplaceNodes":          group.(cloudprovider.Replacer).ReplaceNodes(t.Context(), nil),
		"IncreaseSizeWithToken": group.(cloudprovider.TokenIncreaser).IncreaseSizeWithToken(t.Context(), 1, "token"),
		"SetTemplateVersion":    group.(cloudprovider.Versioned).SetTemplateVersion(t.Context(), "v1.36.3"),
	} {
		if !errors.Is(err, cloudprovider.ErrNotImplemented) {
			t.Errorf("%s gave %v", name, err)
		}
	}
	if _, by := s.count(); slices.ContainsFunc([]string{"RebootNode", "ReplaceNodes"}, func(m string) bool { return by[m] > 0 }) {
		t.Errorf("it was sent: %v", by)
	}
}
