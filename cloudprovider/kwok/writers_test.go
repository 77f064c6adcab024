package kwok_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

func TestAWriterThatWasSlowerDoesItsWorkOnWhatTheOtherOneLeft(t *testing.T) {
	b := newBench(t, front())
	other, err := kwok.NewFromConfig(b.config, b.options())
	b.must(err)
	b.must(other.Refresh(t.Context()))
	b.memory.before = func(name string) {
		b.memory.before = nil // once, and not for the other's own writes
		b.must(other.NodeGroups()[0].IncreaseSize(t.Context(), 1))
	}
	b.must(b.group("front").IncreaseSize(t.Context(), 2))
	b.wantTarget("front", 5)
	b.wantInstances("front", states{"front-1": creating, "front-2": creating, "front-3": creating, "front-4": creating, "front-5": creating})
}

func TestALimitHoldsAlsoForAWriterWhoDidNotSeeTheOthersWrite(t *testing.T) {
	b := newBench(t, front())
	other, err := kwok.NewFromConfig(b.config, b.options())
	b.must(err)
	b.must(other.Refresh(t.Context()))
	b.must(other.NodeGroups()[0].IncreaseSize(t.Context(), 4))
	err = b.group("front").IncreaseSize(t.Context(), 1)
	if !errors.Is(err, cloudprovider.ErrLimit) {
		t.Errorf("error %v, want one of class Limit", err)
	}
}

func TestAWriterThatIsAlwaysSlowerGivesUpWithATransientError(t *testing.T) {
	b := newBench(t, front())
	b.memory.before = func(name string) {
		cm := b.memory.configMaps[namespace+"/"+name]
		b.memory.stamp(&cm.ObjectMeta)
	}
	err := b.group("front").IncreaseSize(t.Context(), 1)
	if !errors.Is(err, cloudprovider.ErrTransient) {
		t.Errorf("error %v, want one of class Transient", err)
	}
	b.wantError(err, "increase pool front by 1", "another writer was faster")
	b.memory.before = nil
	b.refresh()
	b.wantTarget("front", 2)
}

func TestSeveralDaemonsAtOnceLoseNothing(t *testing.T) {
	pool := front()
	pool.Max = 2 + 4*5
	b := newBench(t, pool)
	var group sync.WaitGroup
	problems := make([]error, 4)
	for i := range problems {
		other, err := kwok.NewFromConfig(b.config, b.options())
		b.must(err)
		group.Go(func() {
			for range 5 {
				problems[i] = errors.Join(problems[i], other.Refresh(t.Context()), other.NodeGroups()[0].IncreaseSize(t.Context(), 1))
			}
		})
	}
	group.Wait()
	b.must(errors.Join(problems...))
	b.refresh()
	b.wantTarget("front", 22)
	if got := b.instances("front"); len(got) != 22 {
		t.Errorf("%d instances for a target of 22", len(got))
	}
}

func TestAnErrorOfTheAPIServerHasItsClass(t *testing.T) {
	for want, err := range map[cloudprovider.Class]error{
		cloudprovider.ClassUnauthorized: apierrors.NewForbidden(configMapResource, "x", errors.New("no")),
		cloudprovider.ClassTransient:    apierrors.NewServiceUnavailable("later"),
		cloudprovider.ClassInvalid:      apierrors.NewBadRequest("what?"),
	} {
		b := newBench(t, front())
		b.memory.fail(err)
		if got := cloudprovider.ClassOf(b.group("front").IncreaseSize(t.Context(), 1)); got != want {
			t.Errorf("%v is of class %s, want %s", err, got, want)
		}
		if got := cloudprovider.ClassOf(b.provider.Refresh(t.Context())); got != want {
			t.Errorf("Refresh: %v is of class %s, want %s", err, got, want)
		}
	}
}

func TestTheBiggestPoolStaysFarBelowTheLimitOfAConfigMap(t *testing.T) {
	pool := front()
	pool.Name = "a-name-that-is-as-long-as-the-name-of-a-pool-can-be"[:50]
	pool.Max, pool.InitialSize = 3000, 3000
	b := newBench(t, pool)
	b.after(time.Minute)
	for i := range 3000 { // everything that can be written down about an instance, at once
		node := standIn(pool.Name, fmt.Sprintf("%s-%d", pool.Name, i+1))
		if i < 10 { // each is a write of all of it
			b.must(b.group(pool.Name).(cloudprovider.Rebooter).RebootNode(t.Context(), node))
		}
	}
	cm, err := b.memory.GetConfigMap(t.Context(), namespace, kwok.ConfigMapName(pool.Name))
	b.must(err)
	size := len(cm.Data["instances"])
	t.Logf("3000 instances take %d bytes", size)
	if size > 700<<10 {
		t.Errorf("3000 instances take %d bytes", size)
	}
}

// TestLookingChangesNothing is the heart of it: the cloud's state depends on what was asked of it and on the time, and not on who looked when.
func TestLookingChangesNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pool := front()
		pool.Max = 12
		pool.StartupDelay = time.Duration(rapid.IntRange(0, 60).Draw(r, "startup")) * time.Second
		pool.DeleteDelay = time.Duration(rapid.IntRange(0, 60).Draw(r, "delete")) * time.Second
		watched, alone := newPair(t, pool), newPair(t, pool)
		for range rapid.IntRange(1, 15).Draw(r, "steps") {
			pause := time.Duration(rapid.IntRange(0, 90).Draw(r, "pause")) * time.Second
			for range rapid.IntRange(0, 3).Draw(r, "looks") {
				part := pause / 3
				pause -= part
				watched.wait(part)
				alone.clock.SetTime(watched.clock.Now())
				watched.refresh(r)
			}
			watched.wait(pause)
			alone.wait(pause)
			do := drawDeed(r)
			if got, want := fmt.Sprint(do(watched.group())), fmt.Sprint(do(alone.group())); got != want {
				r.Fatalf("with looking: %s, without: %s", got, want)
			}
		}
		watched.refresh(r)
		alone.refresh(r)
		alone.refresh(r)
		if diff := cmp.Diff(alone.seen(r), watched.seen(r)); diff != "" {
			r.Fatalf("without looking (-) and with (+) the cloud is another one:\n%s", diff)
		}
	})
}

// pair is a provider and its clock.
type pair struct {
	provider *kwok.Provider
	memory   *memory
	clock    *clocktesting.FakePassiveClock
}

func newPair(t *testing.T, pool kwok.Pool) *pair {
	p := &pair{memory: newMemory(), clock: clocktesting.NewFakePassiveClock(start)}
	provider, err := kwok.NewFromConfig(kwok.Config{Pools: []kwok.Pool{pool}}, registry.Options{API: p.memory, Clock: p.clock, Namespace: namespace})
	if err == nil {
		err = provider.Refresh(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	p.provider = provider
	return p
}

func (p *pair) wait(d time.Duration) { p.clock.SetTime(p.clock.Now().Add(d)) }

func (p *pair) group() cloudprovider.NodeGroup { return p.provider.NodeGroups()[0] }

func (p *pair) refresh(r *rapid.T) {
	if err := p.provider.Refresh(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// seen is all that there is to be seen: target, instances, and Nodes with their providers' IDs.
func (p *pair) seen(r *rapid.T) (all []any) {
	target, err := p.group().TargetSize(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	instances, err := p.group().Nodes(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if len(instances) < target {
		r.Fatalf("%d instances for a target of %d", len(instances), target)
	}
	nodes, err := p.memory.ListNodes(r.Context(), "")
	if err != nil {
		r.Fatal(err)
	}
	all = append(all, target, instances)
	for _, node := range nodes {
		all = append(all, node.Name, node.Spec.ProviderID, node.Status.NodeInfo.KubeletVersion)
	}
	return all
}

// drawDeed is something that is asked of the cloud. The same thing is asked of both clouds.
func drawDeed(r *rapid.T) func(cloudprovider.NodeGroup) error {
	ctx := r.Context()
	number := rapid.IntRange(1, 8).Draw(r, "instance")
	victim := []*corev1.Node{standIn("front", fmt.Sprintf("front-%d", number))}
	version := rapid.SampledFrom([]string{"v1.35.4", "v1.36.0", "v1.36.3"}).Draw(r, "version")
	deeds := map[string]func(cloudprovider.NodeGroup) error{
		"increase": func(g cloudprovider.NodeGroup) error { return g.IncreaseSize(ctx, 1+number%3) },
		"decrease": func(g cloudprovider.NodeGroup) error { return g.DecreaseTargetSize(ctx, -1) },
		"delete":   func(g cloudprovider.NodeGroup) error { return g.DeleteNodes(ctx, victim) },
		"force": func(g cloudprovider.NodeGroup) error {
			return g.(cloudprovider.ForceDeleter).ForceDeleteNodes(ctx, victim)
		},
		"replace": func(g cloudprovider.NodeGroup) error { return g.(cloudprovider.Replacer).ReplaceNodes(ctx, victim) },
		"stop":    func(g cloudprovider.NodeGroup) error { return g.(cloudprovider.Stopper).StopNode(ctx, victim[0]) },
		"version": func(g cloudprovider.NodeGroup) error {
			return g.(cloudprovider.Versioned).SetTemplateVersion(ctx, version)
		},
		"upgrade": func(g cloudprovider.NodeGroup) error {
			return g.(cloudprovider.NativeUpgrader).UpgradeNatively(ctx, version)
		},
		"nothing": func(cloudprovider.NodeGroup) error { return nil },
	}
	names := []string{"decrease", "delete", "force", "increase", "nothing", "replace", "stop", "upgrade", "version"}
	slices.Sort(names)
	return deeds[rapid.SampledFrom(names).Draw(r, "deed")]
}
