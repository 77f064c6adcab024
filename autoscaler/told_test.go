package autoscaler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// engine is the real one: what the kube-scheduler would say.
func engine(t testing.TB) scheduling.Engine {
	t.Helper()
	e, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newAutoscaler(t testing.TB, change ...func(o *autoscaler.Options)) *autoscaler.Autoscaler {
	t.Helper()
	opts := autoscaler.Defaults()
	for _, c := range change {
		c(&opts)
	}
	a, err := autoscaler.New(opts, engine(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// decide is the first decision about a world of things.
func decide(t testing.TB, things []any, change ...func(o *autoscaler.Options)) plan.Decision {
	t.Helper()
	w := clustertest.New(things...)
	return newAutoscaler(t, change...).Decide(w.Snapshot(), w.Now)
}

// told is a decision in words, a line each: proposals, verdicts and what is remembered. Times count from the start.
func told(d plan.Decision) string {
	var b strings.Builder
	for _, p := range d.Proposals {
		switch p.Action {
		case plan.Grow:
			fmt.Fprintf(&b, "grow %s by %d (%s): %s\n", p.Pool, p.Delta, p.Reason, p.Message)
		default:
			fmt.Fprintf(&b, "%s %s (%s): %s\n", strings.ToLower(string(p.Action)), p.Node.Name, p.Reason, p.Message)
		}
	}
	for _, v := range d.Verdicts {
		fmt.Fprintf(&b, "%s %s (%s): %s%s\n", strings.ToLower(string(v.Kind)), v.Name, v.Reason, v.Message, at(v.Due))
	}
	for _, c := range d.Changes {
		if c.Entry == nil {
			fmt.Fprintf(&b, "forget %s\n", c.Key)
			continue
		}
		if c.Entry.Timer == nil {
			fmt.Fprintf(&b, "remember %s\n", c.Key)
			continue
		}
		fmt.Fprintf(&b, "remember %s: %s\n", c.Key, c.Entry.Timer.Stopwatch.Observed)
	}
	return b.String()
}

// at is a due moment in words; empty if there is none.
func at(due time.Time) string {
	if due.IsZero() {
		return ""
	}
	return fmt.Sprintf(" [%s]", due.Sub(clustertest.Start))
}

// only are the lines that begin with one of the prefixes.
func only(text string, prefixes ...string) string {
	var lines []string
	for line := range strings.Lines(text) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(line, prefix) {
				lines = append(lines, line)
				break
			}
		}
	}
	return strings.Join(lines, "")
}

// expect compares lines; those wanted may be indented.
func expect(t testing.TB, got, want string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(want)) {
		lines = append(lines, strings.TrimSpace(line)+"\n")
	}
	wanted := strings.Join(lines, "")
	if strings.TrimSpace(want) == "" {
		wanted = ""
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// wellFormed holds for every decision: reasons are in the list, messages are there, and no subject has two answers.
func wellFormed(t interface {
	Helper()
	Errorf(format string, args ...any)
}, d plan.Decision,
) {
	t.Helper()
	seen := map[string]bool{}
	check := func(subject string, r reason.Reason, message string) {
		if _, ok := reason.Lookup(r); !ok {
			t.Errorf("%s: reason %q is not in the list", subject, r)
		}
		if message == "" {
			t.Errorf("%s: no message for %s", subject, r)
		}
		if seen[subject] {
			t.Errorf("%s: two answers", subject)
		}
		seen[subject] = true
	}
	for _, p := range d.Proposals {
		subject := "pool " + p.Pool
		if p.Action != plan.Grow {
			subject = "node " + p.Node.Name
		}
		check(subject, p.Reason, p.Message)
		for _, pod := range p.Pods {
			check("pod "+pod.String(), p.Reason, p.Message)
		}
	}
	for _, v := range d.Verdicts {
		subject := strings.ToLower(string(v.Kind)) + " " + v.Name
		if v.Kind == plan.Pool {
			subject += " " + string(v.Reason) // several things may be said about a pool
		}
		check(subject, v.Reason, v.Message)
		for _, pool := range v.Pools {
			if _, ok := reason.Lookup(pool.Reason); !ok || pool.Message == "" {
				t.Errorf("pod %s: pool %s: reason %q, message %q", v.Name, pool.Pool, pool.Reason, pool.Message)
			}
		}
	}
}
