package simulation

import (
	"context"
	"errors"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// Daemon is what the world drives: events go in, Due says when Run has something to do, zero if never.
type Daemon interface {
	Apply(now time.Time, e cluster.Event)
	Due() time.Time
	Run(ctx context.Context, now time.Time)
}

// Process is one life of the daemon, from its start to its end, and all that it finds around it. After a crash nothing of it works any more.
type Process struct {
	w      *World
	number int
	ended  bool
	daemon Daemon
	stop   func()
	ctx    context.Context
	cancel context.CancelFunc
}

// errEnded is what a process gets that has crashed and doesn't know it yet.
var errEnded = errors.New("the process has crashed")

// host starts, drives and ends the daemon.
type host struct {
	w     *World
	build func(*Process) Daemon
	now   *Process
	skew  time.Duration
	wake  alarm
	// restart is the beginning of the next life after a crash.
	restart *item
	// crash counts down the writes until the daemon crashes; what becomes of the last one, how says.
	crash   int
	how     Crashing
	downFor time.Duration
	writes  int
	effects int
	// passes counts the runs at one moment, to find a daemon that never rests.
	passes int
	last   time.Duration
}

// mostPasses is how often the daemon may run at one moment.
const mostPasses = 1000

func newHost(w *World) *host {
	h := &host{w: w}
	h.wake = alarm{w: w, who: "daemon", run: h.run}
	return h
}

// Start starts the daemon that build gives, now, in place of one that runs. Build is called anew for each life of the daemon.
func (w *World) Start(build func(*Process) Daemon) {
	w.Stop()
	w.host.build = build
	w.host.start()
}

// Stop ends the daemon for good.
func (w *World) Stop() {
	h := w.host
	h.restart.cancel()
	if h.now != nil && !h.now.ended {
		h.now.end()
		h.wake.cancel()
		w.Log.add(Brief, "the daemon stops")
	}
}

// Crash ends the daemon in the middle of everything, and starts it anew after a while. What was in its memory is lost.
func (w *World) Crash(downFor time.Duration) {
	if w.host.now != nil {
		w.host.end(downFor)
	}
}

// Crashing is what becomes of the write at which the daemon crashes.
type Crashing int

// The ways to crash.
const (
	// BeforeWrite: the write is not done.
	BeforeWrite Crashing = iota
	// AfterWrite: it is done, and the daemon never learns of it.
	AfterWrite
	// Frozen: the process is stopped in the very moment in which it was about to send the write, past all its checks. It wakes up when another one
	// has led for a while, sends what it was about to send, and then finds that it may do nothing any more.
	Frozen
)

// String names the way.
func (c Crashing) String() string { return [...]string{"crash before", "crash after", "frozen at"}[c] }

// frozenFor is how long after the next life's beginning a frozen write is sent.
var frozenFor = Range{0, 40 * time.Second}

// CrashAtWrite lets the daemon crash at its n-th write from now on, to the API or to the cloud. It is started anew after a while.
func (w *World) CrashAtWrite(n int, how Crashing, downFor time.Duration) {
	w.host.crash, w.host.how, w.host.downFor = n, how, downFor
}

// Writes is the number of writes of the daemon so far, to the API or to the cloud.
func (w *World) Writes() int { return w.host.writes }

// Effects is the number of the daemon's writes that change more than what it remembers and tells: nodes, pods, the cloud.
func (w *World) Effects() int { return w.host.effects }

func (h *host) start() {
	p := &Process{w: h.w, number: 1}
	if h.now != nil {
		p.number = h.now.number + 1
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	h.now = p
	h.w.Log.add(Brief, "the daemon starts")
	p.daemon = h.build(p)
	p.daemon.Apply(p.Clock().Now(), cluster.ServerVersionSeen{Version: h.w.version})
	p.stop = h.w.Watch(p.apply)
	h.rouse()
}

func (h *host) end(downFor time.Duration) {
	p := h.now
	if p.ended {
		return
	}
	p.end()
	h.wake.cancel()
	h.w.Log.add(Brief, "the daemon crashes")
	h.restart = h.w.queue.add(h.w.elapsed+downFor, "daemon", false, h.start)
}

func (p *Process) end() {
	p.ended = true
	p.cancel()
	if p.stop != nil {
		p.stop()
	}
}

// rouse sets the alarm to when the daemon wants to run.
func (h *host) rouse() {
	if h.now == nil || h.now.ended {
		return
	}
	h.wake.cancel()
	if due := h.now.daemon.Due(); !due.IsZero() {
		h.wake.by(h.w.moment(due.Add(-h.skew)))
	}
}

func (h *host) run() {
	p := h.now
	if h.w.elapsed != h.last {
		h.last, h.passes = h.w.elapsed, 0
	}
	if h.passes++; h.passes > mostPasses {
		h.w.checker.violated("the daemon never rests: it wanted to run %d times at one moment", mostPasses)
		h.wake.within(time.Second)
		return
	}
	for _, x := range h.w.watches {
		x.beat()
	}
	p.daemon.Run(p.ctx, p.Clock().Now())
	h.rouse()
}

// apply hands an event to the daemon, as long as it lives.
func (p *Process) apply(e cluster.Event) {
	if p.ended {
		return
	}
	p.daemon.Apply(p.Clock().Now(), e)
	if p.stop != nil { // the list at the start is taken in as a whole
		p.w.host.rouse()
	}
}

// API is the Kubernetes API as the process sees it.
func (p *Process) API() api.Interface { return &door{p: p} }

// Clock is the clock of the machine that the process runs on.
func (p *Process) Clock() clock.PassiveClock { return Clock{w: p.w, skew: &p.w.host.skew} }

// Provider is a provider of the world's cloud that has nothing read yet; nil if the world has no cloud.
func (p *Process) Provider() cloudprovider.CloudProvider {
	if p.w.cloud == nil {
		return nil
	}
	return &provider{Provider: p.w.cloud.newProvider(), p: p}
}

// Log writes a line of the daemon into the world's log.
func (p *Process) Log(format string, args ...any) { p.w.Log.add(Brief, format, args...) }

// Namespace is the namespace that the process runs in.
func (p *Process) Namespace() string { return Namespace }

// Spawn does work that takes some time, and hands over its result a moment later. The effects of the work come at once: between them and the delivery the
// process may crash.
func (p *Process) Spawn(work func(ctx context.Context) (deliver func(now time.Time))) {
	p.spawn("call", p.w.lateness, work)
}

// Aside is Spawn for what is looked at beside the daemon's work: it draws delays of its own, and is never late.
func (p *Process) Aside(work func(ctx context.Context) (deliver func(now time.Time))) {
	p.spawn("aside", func() time.Duration { return 0 }, work)
}

func (p *Process) spawn(who string, late func() time.Duration, work func(ctx context.Context) (deliver func(now time.Time))) {
	soon := func(d time.Duration, do func()) { p.w.queue.add(p.w.elapsed+d, storyOf(who), false, do) }
	soon(p.w.between(p.w.timing.Call, who), func() {
		if p.ended {
			return
		}
		deliver := work(p.ctx)
		soon(p.w.between(p.w.timing.Call, who)+late(), func() {
			if p.ended {
				return
			}
			deliver(p.Clock().Now())
			p.w.host.rouse()
		})
	})
}

// storyOf is whose events the pieces of work are.
func storyOf(who string) string {
	if who == "call" {
		return "story"
	}
	return who
}

// read begins a call that changes nothing.
func (p *Process) read() error {
	if p.ended {
		return errEnded
	}
	return nil
}

// write does a call that changes something, unless the process crashes at it.
func (p *Process) write(call string, do func() error) error {
	if p.ended {
		return errEnded
	}
	h := p.w.host
	h.writes++
	if !strings.HasSuffix(call, "ConfigMap") {
		h.effects++
	}
	if h.crash > 0 {
		if h.crash--; h.crash == 0 {
			return p.crashAt(call, do)
		}
	}
	err := do()
	if err == nil && p.w.strikes(p.w.trouble.Lose, "lost", call) {
		return errLost
	}
	return err
}

// crashAt ends the process at a write.
func (p *Process) crashAt(call string, do func() error) error {
	h := p.w.host
	p.w.meet(h.how.String(), call)
	switch h.how {
	case AfterWrite:
		_ = do() // nobody is left to learn of it
	case Frozen:
		p.w.After(h.downFor+p.w.between(frozenFor, "frozen"), func() {
			p.w.Log.add(Brief, "  a daemon that was frozen sends what it was about to send (%s)", call)
			_ = do()
		})
	}
	h.end(h.downFor)
	return errEnded
}
