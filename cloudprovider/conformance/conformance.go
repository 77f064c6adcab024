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
	"slices"
	"strings"
	"testing"
	"time"

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
	// Name is what the report calls the provider; its own name if empty.
	Name string
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
	// Lose makes the next write take effect at the cloud and its answer get lost, as when a time-out passes on the way back.
	Lose func()
	// Hide makes the cloud's lists leave out an instance that exists, from now on.
	Hide func(id string)
	// Cut makes the cloud's lists break off in the middle, until it is called with false.
	Cut func(cut bool)
	// Refuse makes the cloud refuse every request, for [cloudprovider.ClassTransient] with that time to be left alone, or for
	// [cloudprovider.ClassUnauthorized].
	Refuse func(class cloudprovider.Class, retryAfter time.Duration)
	// Options are what the groups' own options are, by the group's name; a group that is not there has none. Nil if the cloud knows no options.
	Options map[string]*cloudprovider.Options
	// Hold makes Group one on which the provider has to ask for jobs to be left alone, from the next Refresh on, and gives these jobs.
	Hold func() []cloudprovider.Job
	// Versions are some that groups can have, oldest first, where the provider is no [cloudprovider.VersionLister].
	Versions []string
	// Strangers are nodes that are not of this provider, on top of those that the suite knows of.
	Strangers []*corev1.Node
}

// Run runs all checks, each as a test of its own.
func Run(t *testing.T, h Harness) {
	t.Helper()
	var tallies []tally
	for _, s := range sections() {
		sum := tally{Section: s.name}
		for _, c := range s.checks {
			t.Run(c.name, func(t *testing.T) {
				defer sum.count(t)
				c.run(t, h)
			})
		}
		tallies = append(tallies, sum)
	}
	if h.Name == "" {
		h.Name = h.New(t).Provider.Name()
	}
	report(t, h.Name, tallies)
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

// section is a part of the suite.
type section struct {
	name   string
	checks []check
}

// sections is the suite. What not every cloud can do has a section for each capability.
func sections() []section {
	all := []section{
		{"sizes", sizes()},
		{"deletions", deletions()},
		{"identity", identities()},
		{"templates", looks()},
		{"errors", troubles()},
		{"unknowns", unknowns()},
		{"restarts", restarts()},
		{"concurrency", crowds()},
	}
	for _, c := range slices.Concat(options(), capabilities(), versions(), groups()) {
		name, _, special := strings.Cut(c.name, ":")
		if !special {
			name = "options"
		}
		at := slices.IndexFunc(all, func(s section) bool { return s.name == name })
		if at < 0 {
			at = len(all)
			all = append(all, section{name: name})
		}
		all[at].checks = append(all[at].checks, c)
	}
	return all
}

// checks are all checks of the suite.
func checks() []check {
	var all []check
	for _, s := range sections() {
		all = append(all, s.checks...)
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
