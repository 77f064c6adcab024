//go:build !race

package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/simulation/golden"
	"github.com/poolkeeper/poolkeeper/test/daemon"
)

// The replay follows the published timeline of an outage of a large provider, which docs/incidents.md tells. Times are those of the day.

// replay is the outage, and what is written down about it.
type replay struct {
	*story
	dice  *rand.Rand
	names []string
	dead  string
	// rule is what the simple rule would have done.
	rule simpleRule
	// writes are the daemon's writes in each minute.
	writes []int
	wrote  int
	down   int // the most nodes that were Unknown at a time
}

// simpleRule reboots a node after 15 minutes, and replaces it after 30, whatever else is going on.
type simpleRule struct {
	since              map[string]time.Duration
	rebooted, replaced map[string]bool
	reboots, replaces  int
}

func (r *simpleRule) look(node string, ready bool, now time.Duration) {
	since, sick := r.since[node]
	switch {
	case ready:
		delete(r.since, node)
		delete(r.rebooted, node)
		delete(r.replaced, node)
	case !sick:
		r.since[node] = now
	case now-since >= 30*time.Minute && !r.replaced[node]:
		r.replaced[node] = true
		r.replaces++
	case now-since >= 15*time.Minute && !r.rebooted[node]:
		r.rebooted[node] = true
		r.reboots++
	}
}

// clock is a time of the day as the time since the world's beginning at 00:50.
func clock(hour, minute int) time.Duration {
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute - 50*time.Minute
}

func TestReplayOfTheOutage(t *testing.T) {
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	zone := func(name string) func(*kwok.Pool) { return func(p *kwok.Pool) { p.Template.Zone = name } }
	s := &story{t: t, World: simulation.New(simulation.Options{
		Seed: 13, Start: time.Date(2024, time.February, 13, 0, 50, 0, 0, time.UTC), Engine: engine,
		Cloud: kwok.Config{Pools: []kwok.Pool{pool("a", 40, 60, zone("zone-1")), pool("b", 30, 60, zone("zone-2")), pool("c", 30, 60, zone("zone-3"))}},
	})}
	s.settings = daemon.Settings()
	s.settings.Window = opening("any 01:30 2h")
	s.settings.Version = "v1.36.4" // the upgrader has something to do as well, in the middle of the night
	s.rules = daemon.Rules(func(string) cluster.Settings { return s.settings })
	r := &replay{story: s, dice: rand.New(rand.NewPCG(2024, 213)), rule: simpleRule{since: map[string]time.Duration{}, rebooted: map[string]bool{}, replaced: map[string]bool{}}}
	s.Deploy(simulation.Workload{Name: "web", Replicas: 100, CPU: "3", Memory: "1Gi"})
	s.start()
	s.until("the workload runs", 13*time.Minute, func() bool { return s.running("web") == 100 })
	s.Run(clock(1, 4) - s.Elapsed())
	r.script()
	before := r.instances()

	effects := s.Effects()
	s.Run(clock(15, 39) - s.Elapsed())
	if after := r.instances(); !slices.Equal(before, after) {
		t.Errorf("instances before the outage %v, after 14 hours of it %v", before, after)
	}
	touched := s.Effects() - effects
	s.Run(clock(16, 40) - s.Elapsed())
	end := r.instances()
	lost := slices.DeleteFunc(slices.Clone(before), func(id string) bool { return slices.Contains(end, id) })
	if len(lost) != 1 || lost[0] != r.dead || len(end) != len(before) {
		t.Errorf("of %d instances these are gone: %v, and there are %d; want the dead one, %s, to be replaced and no other", len(before), lost, len(end), r.dead)
	}
	s.marks()
	for _, v := range s.Violations() {
		t.Errorf("violated: %s", v)
	}
	r.report(touched, lost)
}

// script puts the timeline into the world's future. The names of the nodes are drawn into another order, so that no wave goes by zones.
func (r *replay) script() {
	for _, pool := range []string{"a", "b", "c"} {
		r.names = append(r.names, r.story.names(pool)...)
	}
	r.dice.Shuffle(len(r.names), func(i, j int) { r.names[i], r.names[j] = r.names[j], r.names[i] })
	r.dead = r.names[99]
	for _, part := range []struct {
		at    time.Duration
		fails float64
	}{
		{clock(1, 4), 0.7},   // out of memory
		{clock(1, 46), 0.1},  // more resources
		{clock(1, 58), 0.8},  // out of memory again
		{clock(2, 20), 0.2},  // more resources
		{clock(2, 30), 0.5},  // throttled
		{clock(3, 20), 0.15}, // the throttle is lifted step by step
		{clock(5, 30), 0.02}, // stable
		{clock(15, 40), 0},   // the cause is gone
	} {
		r.At(part.at, func() { r.SetTrouble(simulation.Trouble{API: part.fails}) })
	}
	for _, pool := range []string{"a", "b", "c"} { // what is made meanwhile never registers
		r.At(clock(1, 4), func() { r.SetFaults(pool, "neverRegister", "rebootDoesNotHelp") })
		r.At(clock(3, 40), func() { r.SetFaults(pool, "rebootDoesNotHelp") })
	}
	r.At(clock(1, 20), func() { r.GoDark(r.dead) })
	for i, name := range r.names[:99] {
		r.node(i, name)
	}
	r.Every(30*time.Second, r.watch)
	r.wrote = r.Writes()
	r.Every(time.Minute, func() {
		r.writes = append(r.writes, r.Writes()-r.wrote)
		r.wrote = r.Writes()
	})
}

// node is what one node meets: two waves, a throttle, and its return in one of three batches.
func (r *replay) node(i int, name string) {
	minutes := func(from, to int) time.Duration {
		return time.Duration(from*60+r.dice.IntN((to-from)*60)) * time.Second
	}
	if i < 70 { // the first wave grows for half an hour, and flaps
		r.flap(name, clock(1, 5)+time.Duration(i)*25*time.Second, clock(1, 46)+minutes(0, 4), minutes(6, 14), minutes(1, 3))
	}
	if i < 90 { // the second
		r.flap(name, clock(1, 58)+minutes(0, 15), clock(2, 21)+minutes(0, 6), minutes(8, 20), minutes(1, 2))
	}
	switch {
	case i < 45: // comes back once the throttle is lifted
		r.cut(name, clock(2, 30)+minutes(0, 4), clock(3, 20)+minutes(0, 20))
	case i < 70: // flaps until the service is stable
		r.cut(name, clock(2, 30)+minutes(0, 4), clock(3, 40)+minutes(0, 20))
		r.flap(name, clock(4, 0)+minutes(0, 10), clock(5, 30), minutes(3, 9), minutes(2, 6))
	default: // is kept out by the retries until their cause is found
		r.cut(name, clock(2, 30)+minutes(0, 4), clock(4, 0))
		r.flap(name, clock(4, 2)+minutes(0, 15), clock(15, 40), minutes(12, 55), minutes(1, 4))
	}
}

// flap cuts a node off again and again, for so long with so long in between.
func (r *replay) flap(name string, from, to, off, on time.Duration) {
	for at := from; at < to; at += off + on {
		r.cut(name, at, min(at+off, to))
	}
}

func (r *replay) cut(name string, from, to time.Duration) {
	r.At(from, func() {
		if r.there(name) {
			r.CutOff(name, to-from)
		}
	})
}

// watch looks at every node as the simple rule does.
func (r *replay) watch() {
	down := 0
	all, err := r.Store.ListNodes(r.t.Context(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, node := range all {
		status, _ := cluster.Ready(node)
		if status != corev1.ConditionTrue {
			down++
		}
		r.rule.look(node.Name, status == corev1.ConditionTrue, r.Elapsed())
	}
	r.down = max(r.down, down)
}

// instances are the names of all instances.
func (r *replay) instances() []string {
	var all []string
	for _, pool := range []string{"a", "b", "c"} {
		for _, instance := range r.Instances(pool) {
			all = append(all, instance.ID[strings.LastIndexByte(instance.ID, '/')+1:])
		}
	}
	slices.Sort(all)
	return all
}

// report writes down what came of it, and compares it with what it was.
func (r *replay) report(touched int, lost []string) {
	sum, most := 0, 0
	for _, n := range r.writes {
		sum += n
		most = max(most, n)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "100 nodes, 01:04 to 16:40; at the worst moment %d of them were not ready\n", r.down)
	fmt.Fprintf(&b, "until 15:39: 0 instances created, 0 deleted; %d writes to nodes, pods and the cloud\n", touched)
	fmt.Fprintf(&b, "after the thaw: replaced %s, the one that was dead\n", strings.Join(lost, ", "))
	fmt.Fprintf(&b, "all writes, the ledger and the status among them: %.1f a minute, %d in the worst\n", float64(sum)/float64(len(r.writes)), most)
	fmt.Fprintf(&b, "the rule of 15 minutes and 30: %d reboots, %d replacements\n", r.rule.reboots, r.rule.replaces)
	fmt.Fprintln(&b, "\nwhat the daemon said:")
	for line := range strings.Lines(r.Log.String()) {
		if strings.Contains(line, "(BreakerOpen)") || strings.Contains(line, "(BreakerThawing)") || strings.Contains(line, "(Recovered)") ||
			strings.Contains(line, "daemon: pool") || strings.Contains(line, "is replaced by") || strings.Contains(line, "replacement of") {
			b.WriteString(line)
		}
	}
	r.t.Log("\n" + b.String())
	if most > 100 {
		r.t.Errorf("the daemon wrote %d times in a minute, want at most 100", most)
	}
	golden.Equal(r.t, b.String())
}
