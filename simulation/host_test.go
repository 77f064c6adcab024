package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// noting is a daemon made of functions; one that is nil does nothing.
type noting struct {
	apply func(now time.Time, e cluster.Event)
	due   func() time.Time
	run   func(now time.Time)
}

func (d *noting) Apply(now time.Time, e cluster.Event) {
	if d.apply != nil {
		d.apply(now, e)
	}
}

func (d *noting) Due() time.Time {
	if d.due == nil {
		return time.Time{}
	}
	return d.due()
}

func (d *noting) Run(_ context.Context, now time.Time) {
	if d.run != nil {
		d.run(now)
	}
}

// once starts a daemon that does one thing in its first run, in each of its lives.
func once(w *simulation.World, do func(p *simulation.Process)) {
	w.Start(func(p *simulation.Process) simulation.Daemon {
		due := w.Now()
		return &noting{due: func() time.Time { return due }, run: func(time.Time) {
			due = time.Time{}
			do(p)
		}}
	})
}

func TestTheDaemonRunsWhenItIsDue(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	var ran []time.Duration
	due := w.Now().Add(5 * time.Second)
	w.Start(func(*simulation.Process) simulation.Daemon {
		return &noting{
			apply: func(now time.Time, e cluster.Event) {
				if _, ok := e.(cluster.Set); ok {
					due = now.Add(time.Second)
				}
			},
			due: func() time.Time { return due },
			run: func(time.Time) { ran, due = append(ran, w.Elapsed()), time.Time{} },
		}
	})
	w.At(time.Minute, func() {
		simulation.Load(w.Store, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	})
	w.Run(2 * time.Minute)
	if len(ran) != 2 || ran[0] != 5*time.Second || ran[1] < 61*time.Second || ran[1] > 62*time.Second {
		t.Errorf("ran at %v, want 5 s, and a second after the change was seen", ran)
	}
}

func TestADaemonThatNeverRestsIsFound(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	w.Start(func(*simulation.Process) simulation.Daemon { return &noting{due: w.Now} })
	w.Run(time.Second)
	if v := w.Violations(); len(v) == 0 || !strings.Contains(v[0].String(), "never rests") {
		t.Errorf("violations: %v", v)
	}
}

func TestACrashLosesTheDaemonAndABeginningReadsEverythingAnew(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	w.AddNode(plainNode("a"))
	var seen [][]string
	var processes []*simulation.Process
	w.Start(func(p *simulation.Process) simulation.Daemon {
		life := len(seen)
		seen, processes = append(seen, nil), append(processes, p)
		return &noting{apply: func(_ time.Time, e cluster.Event) {
			if set, ok := e.(cluster.Set); ok && !slices.Contains(seen[life], set.Object.GetName()) {
				seen[life] = append(seen[life], set.Object.GetName())
			}
		}}
	})
	delivered := false
	processes[0].Spawn(func(context.Context) func(time.Time) { return func(time.Time) { delivered = true } })
	w.Crash(10 * time.Second)
	w.AddNode(plainNode("b"))
	w.Run(20 * time.Second)
	if got := fmt.Sprint(seen); got != "[[a] [a b]]" {
		t.Errorf("seen by the lives of the daemon: %v", got)
	}
	if delivered {
		t.Error("work of the old life was delivered")
	}
	if _, err := processes[0].API().GetNode(t.Context(), "a"); err == nil {
		t.Error("the old life still reaches the API")
	}
	if _, err := processes[1].API().GetNode(t.Context(), "a"); err != nil {
		t.Errorf("the new life does not: %v", err)
	}
}

func TestAStoppedDaemonStaysStopped(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	starts := 0
	build := func(*simulation.Process) simulation.Daemon {
		starts++
		return &noting{}
	}
	w.Start(build)
	w.Crash(time.Minute)
	w.Stop()
	w.Run(time.Hour)
	if starts != 1 {
		t.Errorf("it was started %d times", starts)
	}
	w.Start(build)
	w.Start(build)
	w.Run(time.Hour)
	if starts != 3 {
		t.Errorf("it was started %d times, want 3", starts)
	}
}

func TestACrashAtAWriteComesBeforeOrAfterIt(t *testing.T) {
	for how, want := range map[simulation.Crashing]int{simulation.BeforeWrite: 1, simulation.AfterWrite: 2, simulation.Frozen: 1} {
		t.Run(how.String(), func(t *testing.T) {
			w := newWorld(t, simulation.Options{})
			var lives []int // ConfigMaps that were there when each life began
			var last error
			once(w, func(p *simulation.Process) {
				lives = append(lives, len(simulation.List[*corev1.ConfigMap](w.Store)))
				if len(lives) > 1 {
					return
				}
				for i := range 5 {
					_, last = p.API().CreateConfigMap(t.Context(), &corev1.ConfigMap{
						ObjectMeta: metav1.ObjectMeta{Namespace: simulation.Namespace, Name: fmt.Sprint(i)},
					})
				}
			})
			w.CrashAtWrite(2, how, time.Minute)
			w.Run(2 * time.Minute)
			if last == nil {
				t.Error("the daemon's writes went on after the crash")
			}
			if len(lives) != 2 || lives[1] != want {
				t.Errorf("ConfigMaps at the beginning of each life: %v, want [0 %d]", lives, want)
			}
			if there := len(simulation.List[*corev1.ConfigMap](w.Store)); how == simulation.Frozen && there != 2 {
				t.Errorf("%d ConfigMaps in the end: what was frozen was never sent", there)
			}
		})
	}
}

func TestSpawnedWorkTakesTime(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	var worked, delivered time.Duration
	once(w, func(p *simulation.Process) {
		p.Spawn(func(context.Context) func(time.Time) {
			worked = w.Elapsed()
			return func(time.Time) { delivered = w.Elapsed() }
		})
	})
	w.Run(time.Second)
	if worked == 0 || delivered <= worked {
		t.Errorf("worked at %v, delivered at %v", worked, delivered)
	}
}

func TestTheDaemonsClockCanJump(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	var saw time.Time
	due := w.Now().Add(2 * time.Hour)
	var p *simulation.Process
	w.Start(func(process *simulation.Process) simulation.Daemon {
		p = process
		return &noting{due: func() time.Time { return due }, run: func(now time.Time) { saw, due = now, time.Time{} }}
	})
	w.At(time.Minute, func() { w.SkewClock(3 * time.Hour) })
	w.Run(2 * time.Minute)
	if want := w.Now().Add(3*time.Hour - time.Minute); !saw.Equal(want) {
		t.Errorf("the daemon ran at %v by its clock, want %v: the jump makes it due at once", saw, want)
	}
	if ahead := p.Clock().Now().Sub(w.Now()); ahead != 3*time.Hour {
		t.Errorf("the daemon's clock is %v ahead", ahead)
	}
}

func TestDuringAnOutageEveryCallFails(t *testing.T) {
	w := withPools(t, smallPool("small", 1))
	var errs []error
	var provider error
	w.Outage(time.Minute)
	once(w, func(p *simulation.Process) {
		ctx := t.Context()
		_, err := p.API().GetNode(ctx, "small-1")
		errs = append(errs, err)
		_, err = p.API().CreateConfigMap(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
		errs = append(errs, err, p.API().EvictPod(ctx, "default", "web-1", "", false), p.API().EvictPod(ctx, "default", "web-1", "", true))
		provider = p.Provider().Refresh(ctx)
	})
	w.Run(time.Second)
	if len(errs) != 4 {
		t.Fatalf("the daemon made %d calls", len(errs))
	}
	for i, err := range errs {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("call %d: %v, want a refused connection", i, err)
		}
	}
	if provider != nil {
		t.Errorf("the cloud is not away: %v", provider)
	}
}
