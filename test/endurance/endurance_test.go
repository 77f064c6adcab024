package endurance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/daemon"
)

var (
	hours     = flag.Int("node-hours", 200, "how many node-hours of blips to live through")
	schedules = flag.Int("schedules", 5, "how many random kill schedules to live through")
)

// run is one cluster with what happens to it.
type run struct {
	*simulation.World
	t      *testing.T
	dice   *rand.Rand
	daemon *app.Daemon
	rules  app.Rules
	before []string
	dead   []string
}

func begin(t *testing.T, engine scheduling.Engine, seed uint64, size int) *run {
	capacity := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")}
	pools := []kwok.Pool{{
		Name: "web", Min: size, Max: size + 10, StartupDelay: 30 * time.Second,
		Template: kwok.Template{Capacity: capacity, Zone: "zone-1", Region: "region", InstanceType: "web", Version: "v1.36.3"},
	}}
	r := &run{t: t, dice: rand.New(rand.NewPCG(seed, 5)), World: simulation.New(simulation.Options{Seed: seed, Cloud: kwok.Config{Pools: pools}, Engine: engine})}
	settings := daemon.Settings()
	r.rules = daemon.Rules(func(string) cluster.Settings { return settings })
	r.SetFaults("web", "rebootDoesNotHelp") // what is dead is dead
	daemon.Start(r.World, &r.rules, func(d *app.Daemon) { r.daemon = d })
	r.Run(3 * time.Minute)
	r.before = r.instances()
	if len(r.before) != size {
		t.Fatalf("seed %d: %d instances at the start, want %d", seed, len(r.before), size)
	}
	return r
}

func (r *run) instances() []string {
	var names []string
	for _, i := range r.Instances("web") {
		names = append(names, i.ID[strings.LastIndexByte(i.ID, '/')+1:])
	}
	slices.Sort(names)
	return names
}

func (r *run) there(node string) bool {
	_, ok := r.daemon.Snapshot().Nodes.Get(node)
	return ok
}

// die kills a machine for good.
func (r *run) die(node string) {
	if r.there(node) {
		r.dead = append(r.dead, node)
		r.GoDark(node)
	}
}

// wrong tells what has gone wrong in the end; empty if nothing did. Instances are numbered as they are made, so their names tell how many were.
func (r *run) wrong() string {
	after := r.instances()
	lost := slices.DeleteFunc(slices.Clone(r.before), func(n string) bool { return slices.Contains(after, n) })
	slices.Sort(r.dead)
	made := strings.Count(r.Log.String(), " registered\n") - len(r.before)
	switch {
	case !slices.Equal(lost, r.dead):
		return fmt.Sprintf("these are gone: %v; these died: %v", lost, r.dead)
	case made != len(r.dead) || len(after) != len(r.before):
		return fmt.Sprintf("%d nodes were made for %d dead ones, and there are %d of %d", made, len(r.dead), len(after), len(r.before))
	case len(r.Violations()) > 0:
		return r.Violations()[0].String()
	}
	return ""
}

// Blips that are shorter than the threshold, restarts and jumps of the clock cost no node; what is really dead is replaced in the same runs.
func TestBlipsCostNoNodeAndTheDeadAreReplaced(t *testing.T) {
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const size, length = 20, 10 * time.Hour
	blips, died := 0, 0
	worlds := max(1, *hours/(size*int(length/time.Hour)))
	for seed := range worlds {
		r := begin(t, engine, uint64(seed+1), size)
		at := func() time.Duration { return r.Elapsed() + time.Duration(r.dice.Int64N(int64(length))) }
		for i, node := range r.before {
			if i < 2 {
				r.At(at(), func() { r.die(node) })
				continue
			}
			for when := r.Elapsed(); when < length; when += 25*time.Minute + time.Duration(r.dice.IntN(40))*time.Minute {
				blips++
				d := 10*time.Second + time.Duration(r.dice.IntN(250))*time.Second
				r.At(when+time.Minute, func() { r.CutOff(node, d) })
			}
		}
		for range 8 {
			r.At(at(), func() { r.Crash(time.Duration(r.dice.IntN(180)) * time.Second) })
		}
		for _, jump := range []time.Duration{time.Hour, -time.Hour} {
			r.At(at(), func() { r.SkewClock(jump) })
		}
		r.Run(length + 3*time.Hour)
		died += len(r.dead)
		if wrong := r.wrong(); wrong != "" {
			t.Errorf("seed %d: %s", seed+1, wrong)
		}
	}
	t.Logf("%d node-hours, %d blips, %d restarts, %d jumps of the clock: no node was replaced in vain; %d died, and were replaced", worlds*size*int(length/time.Hour), blips, worlds*8, worlds*2, died)
}

// Machines die at random: the caps are never exceeded, and every dead one is replaced, by one.
func TestRandomKillSchedules(t *testing.T) {
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	died, most := 0, 0
	for seed := range *schedules {
		r := begin(t, engine, uint64(seed+1), 3+rand.New(rand.NewPCG(uint64(seed), 9)).IntN(28))
		kills := 1 + r.dice.IntN(max(1, len(r.before)/3))
		for _, i := range r.dice.Perm(len(r.before))[:kills] {
			node := r.before[i]
			r.At(r.Elapsed()+time.Duration(r.dice.IntN(60*60))*time.Second, func() { r.die(node) })
		}
		perPool := max(1, len(r.before)/10)
		r.Every(5*time.Second, func() {
			n := 0
			for _, c := range r.daemon.Plan().Claims {
				if c.Owner == ledger.Healer && c.Phase != ledger.Aborting {
					n++
				}
			}
			if most = max(most, n); n > min(perPool, r.rules.Arbiter.Repairs.AtOnce) {
				t.Errorf("seed %d: %d repairs at a time in a pool of %d", seed+1, n, len(r.before))
			}
		})
		r.Run(3 * time.Hour)
		died += len(r.dead)
		if wrong := r.wrong(); wrong != "" {
			t.Errorf("seed %d: %s", seed+1, wrong)
		}
	}
	t.Logf("%d schedules: %d machines died, as many were made and as many deleted; %d at a time at most", *schedules, died, most)
}
