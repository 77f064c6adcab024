// Package conformance is what every provider must do, as a test suite. A provider, in this tree or outside, runs it from its own test:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Harness{New: func(t conformance.TB) conformance.Fixture {
//			cloud := newFakeCloud(t)
//			return conformance.Fixture{Provider: New(cloud), Group: "front", Other: "back", Settle: cloud.Settle}
//		}})
//	}
//
// Each check is a sentence about behaviour and works on a cloud of its own. What a provider's cloud can't be made to do for a test (to fail, to lose a
// machine) is an optional hook of the [Fixture]; the checks that need a missing hook, and those about a capability that the provider lacks, are
// skipped with a note that says so.
package conformance

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// TB is the part of *testing.T that a check needs.
type TB interface {
	Helper()
	Name() string
	Context() context.Context
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Harness says how to get at a provider.
type Harness struct {
	// New makes a cloud of its own for one check, and a provider on it that has not been refreshed yet.
	New func(t TB) Fixture
	// Except names checks that the provider is known not to pass, each with the reason. They are skipped and the reason is shown.
	Except map[string]string
}

// Fixture is a cloud and a provider on it.
type Fixture struct {
	Provider cloudprovider.CloudProvider
	// Group is the group that the checks work on. Its min is at least 1, its target at least its min + 2, its max at least its target + 3, and its
	// instances run.
	Group string
	// Other is another group with at least one instance. The checks look that nothing happens to it.
	Other string

	// Settle lets everything that is under way at the cloud come to its end: machines boot, register and disappear. Nil if nothing ever takes time.
	Settle func()
	// Reconnect is another provider on the same cloud, as after a restart of the daemon. It has not been refreshed yet.
	Reconnect func() cloudprovider.CloudProvider
	// Reads is how many requests that read something the cloud has answered so far.
	Reads func() int
	// Break makes the cloud fail every request, until it is called with false.
	Break func(broken bool)
	// Vanish makes the instance disappear at the cloud, without the provider having a hand in it.
	Vanish func(id string)
	// FailCreation makes the cloud fail to make instances of Group from now on, with [cloudprovider.ClassOutOfResources] or [cloudprovider.ClassQuota].
	FailCreation func(class cloudprovider.Class)
	// Withhold makes the cloud accept a bigger target of Group from now on, and make no instances for it.
	Withhold func()
	// Strangers are nodes that are not of this provider, on top of those that the suite knows of.
	Strangers []*corev1.Node
}

// Run runs all checks, each as a test of its own.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
	for name := range h.Except {
		if !known(name) {
			t.Errorf("Harness.Except names %q, which is no check", name)
		}
	}
}

// check is one sentence about behaviour.
type check struct {
	name string
	// needs is what the fixture has to have; the check is skipped with the text it gives, unless it is empty.
	needs func(Fixture) string
	do    func(p *probe)
}

func (c check) run(t TB, h Harness) {
	t.Helper()
	if why, excepted := h.Except[c.name]; excepted {
		t.Skipf("known not to hold for this provider: %s", why)
	}
	p := &probe{TB: t, Fixture: h.New(t), ctx: t.Context()}
	if c.needs != nil {
		if missing := c.needs(p.Fixture); missing != "" {
			t.Skipf("%s", missing)
		}
	}
	p.begin()
	c.do(p)
}

func known(name string) bool {
	for _, c := range checks() {
		if c.name == name {
			return true
		}
	}
	return false
}

// checks is the suite.
func checks() []check {
	var all []check
	for _, section := range [][]check{sizes(), deletions(), identities(), looks(), troubles(), restarts(), crowds(), capabilities(), versions(), groups()} {
		all = append(all, section...)
	}
	return all
}

// hook is a needs function: the hook of that name has to be there.
func hook(name string, there func(Fixture) bool) func(Fixture) string {
	return func(f Fixture) string {
		if there(f) {
			return ""
		}
		return "the fixture has no hook " + name
	}
}
