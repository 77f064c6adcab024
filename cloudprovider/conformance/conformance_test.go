package conformance

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// breakages are, for each check, something that a provider can get wrong and that the check has to notice.
var breakages = map[string]string{
	"an increase raises the target at once and brings as many instances":                     "an increase brings one too few",
	"an increase must be positive":                                                           "an increase by nothing is done",
	"an increase reaches the max and not beyond it":                                          "an increase goes beyond the max",
	"a target can't be lowered below the instances that exist":                               "a decrease kills",
	"a decrease must be negative":                                                            "a decrease by less than nothing is done",
	"a decrease takes back what has not come, if anything, and spares what was there before": "a decrease kills the oldest",
	"a decrease takes back what the cloud does not deliver":                                  "a decrease is forgotten",

	"a deletion takes that very instance and lowers the target":               "a deletion takes the oldest",
	"several instances can be deleted in one call":                            "a deletion takes one node at a time",
	"deleting no nodes changes nothing":                                       "a deletion of nothing deletes something",
	"an instance that is no node yet can be deleted by its provider ID alone": "deletions go by the node's name",
	"a deletion with a stranger among the nodes deletes nothing":              "DeleteNodes deletes before it looks",
	"a deletion below the min deletes nothing":                                "a deletion goes below the min",
	"a repeated deletion is done and does not lower the target again":         "a repeated deletion lowers again",
	"a node that is named twice in one deletion counts once":                  "a deletion counts nodes",
	"deleting what vanished is done and does not lower the target":            "a deletion of what vanished lowers the target",

	"groups have names of their own and a stable order":                           "the order of groups changes",
	"instances have provider IDs of their own, and their nodes are found by them": "both groups have the same IDs",
	"an instance is listed under the same ID before and after it runs":            "an instance changes its ID when it runs",
	"a new instance says in its state that it does not run yet, or runs":          "a booting instance has no state",
	"a stranger has no group, and that is no error":                               "a stranger is an error",
	"a node without labels, name or status is found by its provider ID":           "nodes are found by their names",
	"HasInstance knows what exists and what was deleted":                          "HasInstance is always true",
	"HasInstance does not speak of strangers":                                     "HasInstance knows strangers",
	"HasInstance asks the cloud and not the last Refresh":                         "HasInstance asks the last Refresh",

	"a group says its limits, that it exists, and a line for people":       "Debug has two lines",
	"a template has what pods are scheduled by":                            "templates have nothing allocatable",
	"whoever changes what a group gave out changes nothing of the group's": "templates are given out themselves",
	"a group's options change nothing that it has no opinion on":           "options are zero where there are none",

	"a call whose context has ended fails and changes nothing":                    "contexts are ignored",
	"after a failed Refresh the former state stays":                               "a failed Refresh forgets everything",
	"a write that the cloud refuses fails with a typed error and changes nothing": "errors have no type",
	"HasInstance of a cloud that is away is an error and not an absence":          "HasInstance takes an error for an absence",
	"between two refreshes reading asks nothing of the cloud":                     "reading asks the cloud",
	"a Refresh asks no more of the cloud for more instances":                      "every instance is read by itself",
	"a cloud that is out of machines says so":                                     "instances fail without a word",
	"a quota that is used up is told from a cloud that is out of machines":        "every failure is out of resources",
	"an instance that failed to be made can be deleted":                           "a failed instance stays",
	"a cloud at rest stays at rest however often it is looked at":                 "looking changes something",

	"an increase whose answer was lost is not made twice, and shows in the next Refresh": "what got lost is done again",
	"a deletion whose answer was lost can be repeated and counts once":                   "a repeated deletion lowers again",
	"an instance that a list leaves out is not said to be gone":                          "HasInstance asks the last Refresh",
	"a list that breaks off is an error and not a shorter list":                          "a broken list is a shorter list",
	"a cloud that wants to be left alone is transient, and for how long is told":         "how long to leave the cloud alone is not told",
	"credentials that are refused are told from a cloud that is away":                    "refused credentials look like a cloud that is away",

	"a group's own options are its own, and those of no other group":                              "options are those of all groups",
	"JobHolder: a group at rest holds no job":                                                     "a group at rest holds jobs",
	"JobHolder: a job that is to be left alone is named once, with a reason, on that group alone": "a held job has no message",

	"after a restart everything looks the same":           "a new daemon takes instances for new ones",
	"what was under way when the daemon died goes on":     "what is under way dies with the daemon",
	"a deletion that is repeated after a restart is done": "what has gone was never there",

	"increases at the same time all count, and end at the max":   "increases at once overwrite each other",
	"deletions of one node at the same time count once":          "a repeated deletion lowers again",
	"reading and refreshing at the same time as writing is safe": "two refreshes at once fail",

	"Rebooter: a reboot keeps the instance and the size":                                 "a reboot makes a new instance",
	"Rebooter: what is gone or strange can't be rebooted":                                "anything can be rebooted",
	"Stopper: a stop ends with an instance that is stopped or gone, and can be repeated": "a stopped instance is said to run",
	"Stopper: only a machine that is off is told to be, without a refresh":               "a machine is called off unseen",
	"Stopper: a stranger is not stopped":                                                 "anything can be stopped",
	"Stopper: a stopped instance can be deleted":                                         "a stopped instance stays",
	"Replacer: a replaced instance goes, another one comes, and the target stays":        "a replacement lowers the target",
	"Replacer: it works at the min":                                                      "a replacement is refused at the min",
	"Replacer: a repeated replacement is done and makes nothing more":                    "a repeated replacement makes another one",
	"Replacer: a replacement with a stranger among the nodes replaces nothing":           "ReplaceNodes deletes before it looks",
	"ForceDeleter: it deletes below the min":                                             "a forced deletion ends at the min",
	"ForceDeleter: a stranger stops it":                                                  "ForceDeleteNodes deletes before it looks",
	"AtomicIncreaser: all come, or none beyond the max":                                  "an atomic increase brings what there is room for",
	"AtomicIncreaser: a cloud without machines makes it fail whole":                      "an atomic increase fails in part",
	"TokenIncreaser: the same token counts once and another one again":                   "tokens are forgotten",
	"TokenIncreaser: a refused call does not use its token up":                           "a refused call uses its token up",
	"TokenIncreaser: a token is known after a restart":                                   "tokens are kept in the daemon",

	"VersionLister: versions are listed oldest first, each once":                         "the newest version is listed first",
	"Versioned: a group has a version, and it is its template's":                         "the version is not the template's",
	"Versioned: another version is for new instances and leaves those that exist":        "another version changes what exists",
	"Versioned: a version that there is not is refused":                                  "every version will do",
	"Versioned: the version is known after a restart":                                    "the version is kept in the daemon",
	"NativeUpgrader: in the end all instances have the version and the size is the same": "a native upgrade leaves the last one out",
	"Pricer: a node's price grows with the time":                                         "the price is always that of an hour",
	"Pricer: a bigger pod is not cheaper":                                                "bigger pods are cheaper",
	"CapacityTyper: every group names a known capacity type":                             "machines are sold in a way of their own",

	"GroupMaker: a group that was made is there, empty, and grows":        "a new group is not empty",
	"GroupMaker: a group is made once":                                    "a group is made twice",
	"GroupMaker: only an empty group can be deleted, and then it is gone": "a group is deleted with all that is in it",
}

func labHarness(broken string) Harness {
	return Harness{New: func(TB) Fixture { return newLab(broken).fixture() }}
}

func TestACorrectProviderPassesEveryCheck(t *testing.T) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			got := record(t.Context(), c, labHarness(""))
			if len(got.failures) > 0 || got.skipped != "" {
				t.Errorf("failures %q, skipped %q; want neither", got.failures, got.skipped)
			}
		})
	}
}

func TestEveryCheckNoticesAProviderThatGetsItWrong(t *testing.T) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			broken := breakages[c.name]
			if broken == "" {
				t.Fatalf("there is no breakage that this check has to notice; add one to the table")
			}
			got := record(t.Context(), c, labHarness(broken))
			if len(got.failures) == 0 {
				t.Errorf("a provider where %s passes (skipped: %q)", broken, got.skipped)
			}
			t.Log(strings.Join(got.failures, "\n"))
		})
	}
}

func TestEveryBreakageBelongsToACheck(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(breakages)) {
		if !known(name) {
			t.Errorf("the table has a breakage for %q, which is no check", name)
		}
	}
}

func TestAProviderThatLacksACapabilityOrAHookIsSkippedWithANote(t *testing.T) {
	bare := Harness{New: func(TB) Fixture {
		f := newLab("").fixture()
		return Fixture{Provider: plain{f.Provider}, Group: f.Group, Other: f.Other, Settle: f.Settle}
	}}
	skipped := map[string]string{}
	for _, c := range checks() {
		got := record(t.Context(), c, bare)
		if len(got.failures) > 0 {
			t.Errorf("%s: %q", c.name, got.failures)
		}
		if got.skipped != "" {
			skipped[c.name] = got.skipped
		}
	}
	for name, want := range map[string]string{
		"Rebooter: a reboot keeps the instance and the size":      "cloudprovider.Rebooter",
		"Pricer: a node's price grows with the time":              "Pricer",
		"GroupMaker: a group is made once":                        "GroupMaker",
		"after a failed Refresh the former state stays":           "hook Break",
		"HasInstance asks the cloud and not the last Refresh":     "hook Vanish",
		"between two refreshes reading asks nothing of the cloud": "hook Reads",
		"a cloud that is out of machines says so":                 "hook FailCreation",
		"after a restart everything looks the same":               "hook Reconnect",
		"a decrease takes back what the cloud does not deliver":   "hook Withhold",

		"a deletion whose answer was lost can be repeated and counts once": "hook Lose",
		"JobHolder: a group at rest holds no job":                          "JobHolder",
	} {
		if !strings.Contains(skipped[name], want) {
			t.Errorf("%s: skipped with %q, want %q in it", name, skipped[name], want)
		}
	}
	if ran := len(checks()) - len(skipped); ran < 25 {
		t.Errorf("only %d checks are left for a provider without capabilities and hooks", ran)
	}
}

func TestAnExceptionIsSkippedWithItsReason(t *testing.T) {
	h := labHarness("an increase by nothing is done")
	h.Except = map[string]string{"an increase must be positive": "the wire has no sign"}
	for _, c := range checks() {
		if c.name != "an increase must be positive" {
			continue
		}
		got := record(t.Context(), c, h)
		if len(got.failures) > 0 || !strings.Contains(got.skipped, "the wire has no sign") {
			t.Errorf("failures %q, skipped %q", got.failures, got.skipped)
		}
	}
}

func TestAFixtureThatIsNotAsTheChecksNeedItIsAFailureThatSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*lab, *Fixture)
		want  string
	}{
		"no room below":     {func(l *lab, _ *Fixture) { l.pools["front"].least = 2 }, "a target of at least min + 2"},
		"no room above":     {func(l *lab, _ *Fixture) { l.pools["front"].most = 5 }, "a max of at least target + 3"},
		"a min of zero":     {func(l *lab, _ *Fixture) { l.pools["front"].least = 0 }, "a min of at least 1"},
		"no such group":     {func(_ *lab, f *Fixture) { f.Group = "nowhere" }, "no group nowhere"},
		"no other group":    {func(_ *lab, f *Fixture) { f.Other = "front" }, "another group"},
		"it never comes up": {func(_ *lab, f *Fixture) { f.Settle = nil }, "have to be Running"},
		"instances missing": {func(l *lab, _ *Fixture) { l.holds = true; l.pools["front"].target++; l.pools["front"].most++ }, "has 3 instances and a target of 4"},
	} {
		t.Run(name, func(t *testing.T) {
			h := Harness{New: func(TB) Fixture {
				l := newLab("")
				f := l.fixture()
				c.spoil(l, &f)
				return f
			}}
			got := record(t.Context(), checks()[0], h)
			if !strings.Contains(strings.Join(got.failures, "\n"), c.want) {
				t.Errorf("failures %q, want %q in them", got.failures, c.want)
			}
		})
	}
}

func TestTheReportCountsEachSectionsChecks(t *testing.T) {
	s := tally{Section: "sizes", Passed: 5, Skipped: 1}
	if got, want := s.line("lab"), "conformance-report|lab|sizes|5|1|0"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
	for _, c := range checks() {
		name, _, special := strings.Cut(c.name, ":")
		at := slices.IndexFunc(sections(), func(s section) bool {
			return slices.ContainsFunc(s.checks, func(other check) bool { return other.name == c.name })
		})
		if special && sections()[at].name != name {
			t.Errorf("%q is in section %s; a capability has a section of its own", c.name, sections()[at].name)
		}
	}
}
