package promise_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/test/kubescheduler"
	"github.com/poolkeeper/poolkeeper/test/promise"
)

// life is a workload from its pods' first moment until nothing happens any more: the autoscaler decides, what it asks for comes when the dice say, and the
// scheduler binds pods to what has come.
type life struct {
	*World
	work   *promise.Workload
	scaler *autoscaler.Autoscaler
	kube   *scheduler
	dice   *rand.Rand
	// targets are the pools' sizes as asked for, numbers those of their last nodes.
	targets, numbers map[string]int
	operations       []*ledger.Operation
	arrivals         []arrival
	// said is what was promised to each pod, new the nodes that came, and used those of them that got a pod.
	said      map[string][]string
	new, used map[string]bool
	needed    int
	waited    time.Duration
	last      plan.Decision
	log       []string
}

// arrival is what will come of an operation.
type arrival struct {
	at        time.Time
	operation *ledger.Operation
	what      what
}

// what comes of an operation: the provider's answer that it has accepted it; then, in any order, its nodes, and the pool's
// new size, when the provider is read again.
type what int

const (
	accepted what = iota
	read
	node
)

func newLife(w *promise.Workload, dice *rand.Rand, ours scheduling.Engine, theirs *kubescheduler.Scheduler) *life {
	l := &life{
		World: New(), work: w, dice: dice, kube: &scheduler{framework: theirs, dice: dice, tries: map[string]*try{}},
		targets: map[string]int{}, numbers: map[string]int{}, said: map[string][]string{}, new: map[string]bool{}, used: map[string]bool{},
	}
	opts := autoscaler.Defaults()
	opts.ScaleDownEnabled = false
	scaler, err := autoscaler.New(opts, ours)
	if err != nil {
		panic(err) // the defaults are at fault
	}
	l.scaler = scaler
	for i := range w.Pools {
		l.targets[w.Pools[i].Name] = w.Pools[i].Begun
		for range w.Pools[i].Begun {
			l.arrive(&w.Pools[i])
		}
		l.tell(&w.Pools[i])
	}
	clear(l.new)
	for i, pod := range w.Pods {
		pod = pod.DeepCopy()
		pod.UID = Pod(w.Name + "/" + pod.Name).UID
		pod.Spec.SchedulerName = corev1.DefaultSchedulerName
		pod.Status.Phase = corev1.PodPending
		if pod.Spec.PriorityClassName == promise.Important {
			never := corev1.PreemptNever
			pod.Spec.PreemptionPolicy = &never
			Priority(1000)(pod)
		}
		Born(Start.Add(time.Duration(i/max(10, len(w.Pods)/5)) * time.Second))(pod)
		Unschedulable()(pod)
		l.Add(pod)
	}
	return l
}

// tell lets the provider tell of the pool.
func (l *life) tell(p *promise.Pool) {
	pool := Pool(p.Name, 0, p.Most, Template(l.looks(p)...), Target(l.targets[p.Name]))
	pool.Observed = l.Now
	l.Add(pool)
}

func (l *life) looks(p *promise.Pool) []NodeOption {
	return []NodeOption{
		Holds(fmt.Sprint(p.CPUs), fmt.Sprintf("%dGi", 4*p.CPUs)), Zone(p.Zone), Label(promise.Home, l.work.Name), Label("size", fmt.Sprint(p.CPUs)),
		OnNode(func(n *corev1.Node) {
			n.Status.Allocatable[corev1.ResourcePods] = *resource.NewQuantity(int64(p.MaxPods), resource.DecimalSI)
		}),
	}
}

// arrive lets a node of the pool come.
func (l *life) arrive(p *promise.Pool) (node string) {
	l.numbers[p.Name]++
	name := fmt.Sprintf("%s-%d", p.Name, l.numbers[p.Name])
	l.Add(Node(name, append(l.looks(p), In(p.Name), Born(l.Now))...))
	l.new[name] = true
	return name
}

func (l *life) pool(name string) *promise.Pool {
	i := slices.IndexFunc(l.work.Pools, func(p promise.Pool) bool { return p.Name == name })
	return &l.work.Pools[i]
}

// restful is how many moments in a row nothing may happen before it is over, mostMoments how many there may be in all.
const (
	restful     = 4
	mostMoments = 400
)

// live lets it all happen.
func (l *life) live() account {
	for moment, quiet := 0, 0; quiet < restful && moment < mostMoments; moment++ {
		quiet++
		if l.schedule() || l.decide() {
			quiet = 0
		}
		if len(l.arrivals) == 0 {
			l.Pass(time.Second)
			continue
		}
		quiet = 0
		// What comes before the daemon looks again.
		for n := 1 + l.dice.IntN(3); n > 0 && len(l.arrivals) > 0; n-- {
			l.next()
			l.schedule()
		}
		l.Pass(100 * time.Millisecond)
	}
	return l.audit()
}

// next lets come what comes next, and at the same moment.
func (l *life) next() {
	at := l.arrivals[0].at
	if at.After(l.Now) {
		l.Pass(at.Sub(l.Now))
	}
	for len(l.arrivals) > 0 && !l.arrivals[0].at.After(at) {
		a := l.arrivals[0]
		l.arrivals = l.arrivals[1:]
		pool := l.pool(a.operation.Pool)
		switch a.what {
		case accepted:
			a.operation.State, a.operation.Accepted = ledger.Accepted, l.Now
			l.targets[pool.Name] = a.operation.To
		case read:
			l.tell(pool)
			continue
		case node:
			name := l.arrive(pool)
			a.operation.Instances = append(a.operation.Instances, ID(pool.Name, name))
			l.note("node %s comes", name)
		}
		l.Add(*a.operation)
	}
}

// schedule lets the scheduler work, and tells whether it bound a pod. Now and then the daemon looks before it is done.
func (l *life) schedule() (something bool) {
	most := math.MaxInt
	if l.dice.IntN(3) == 0 {
		most = l.dice.IntN(4)
		something = true // it is not at rest
	}
	for _, b := range l.kube.wake(l.Snapshot(), l.Now, most) {
		something = true
		pod := *b.pod.Object()
		On(b.node)(&pod)
		l.Add(&pod)
		l.used[b.node] = true
		l.waited += l.Now.Sub(Start)
		if l.new[b.node] {
			l.needed++
		}
		l.note("%s is bound to %s", b.pod.Name, b.node)
	}
	return something
}

// decide lets the autoscaler decide, and does what it wants, but for what the arbiter would hold: it drops an operation whose nodes are all there, and until
// then a pool gets no other one before its size has been read again.
func (l *life) decide() (something bool) {
	l.last = l.scaler.Decide(l.Snapshot(), l.Now)
	l.Add(l.last.Changes)
	for _, v := range l.last.Verdicts {
		if v.Kind == plan.Pod {
			l.note("    %s: %s %s", v.Name, v.Reason, v.Message)
		}
	}
	l.operations = slices.DeleteFunc(l.operations, func(op *ledger.Operation) bool {
		over := len(op.Instances) == op.Delta()
		if over {
			l.Add(ledger.Drop(*op))
			something = true
		}
		return over
	})
	for i := range l.last.Proposals {
		p := &l.last.Proposals[i]
		pool, _ := l.Snapshot().Pools.Get(p.Pool)
		if p.Action == plan.Grow && !slices.ContainsFunc(l.operations, func(op *ledger.Operation) bool {
			return op.Pool == p.Pool && (op.State == ledger.Requested || pool.Observed.Before(op.Accepted))
		}) {
			l.grow(p)
			something = true
		}
	}
	slices.SortStableFunc(l.arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	return something
}

// grow makes an operation of a proposal. Its nodes come together, or one after the other, soon or late.
func (l *life) grow(p *plan.Proposal) {
	from := l.targets[p.Pool]
	op := &ledger.Operation{
		ID: fmt.Sprintf("%s-%d-%d", p.Pool, from, l.Now.UnixMilli()), Pool: p.Pool, From: from, To: from + p.Delta, State: ledger.Requested,
		Requested: l.Now, Until: l.Now.Add(15 * time.Minute),
	}
	for id, instance := range l.Snapshot().Instances.All() {
		if instance.Pool == p.Pool {
			op.Known = append(op.Known, id)
		}
	}
	for _, pod := range p.Pods {
		op.Pods = append(op.Pods, pod.String())
		l.said[pod.String()] = append(l.said[pod.String()], fmt.Sprintf("%s %d->%d", p.Pool, op.From, op.To))
	}
	l.note("grow %s %d->%d for %v", p.Pool, op.From, op.To, op.Pods)
	l.operations = append(l.operations, op)
	l.Add(*op)
	at := l.Now.Add(time.Duration(50+l.dice.IntN(8000)) * time.Millisecond)
	l.arrivals = append(l.arrivals, arrival{at, op, accepted}, arrival{at.Add(time.Duration(1+l.dice.IntN(4000)) * time.Millisecond), op, read})
	at = at.Add(time.Duration(500+l.dice.IntN(1000)) * time.Millisecond)
	apart := []int{0, 20, 500, 3000}[l.dice.IntN(4)]
	for range p.Delta {
		l.arrivals = append(l.arrivals, arrival{at, op, node})
		at = at.Add(time.Duration(l.dice.IntN(apart+1)) * time.Millisecond)
	}
}

func (l *life) note(format string, args ...any) {
	l.log = append(l.log, fmt.Sprintf("%6.2fs ", l.Now.Sub(Start).Seconds())+fmt.Sprintf(format, args...))
}

// account is what became of promises.
type account struct {
	pods, bound int
	// promised are the pods that operations asked nodes for, kept those of them that were bound without being asked for again.
	promised, kept int
	// nodes are the new ones, empty those of them without a pod.
	nodes, empty int
	// needed are the pods that were bound to new nodes, and waited how long all pods waited together.
	needed int
	waited time.Duration
	// stuck are pods that wait although nothing is under way, and for no final reason.
	stuck  int
	misses []string
}

func (a *account) add(o account) {
	a.pods, a.bound, a.promised, a.kept = a.pods+o.pods, a.bound+o.bound, a.promised+o.promised, a.kept+o.kept
	a.nodes, a.empty, a.stuck = a.nodes+o.nodes, a.empty+o.empty, a.stuck+o.stuck
	a.needed, a.waited = a.needed+o.needed, a.waited+o.waited
}

func (a account) String() string {
	return fmt.Sprintf("%d pods, %d bound after %.1f s each, %d to new nodes; %d promised, %d kept; %d nodes, %d empty; %d stuck%s",
		a.pods, a.bound, a.waited.Seconds()/float64(max(1, a.bound)), a.needed, a.promised, a.kept, a.nodes, a.empty, a.stuck, strings.Join(append([]string{""}, a.misses...), "\n    "))
}

// audit compares what was promised with what became of it.
func (l *life) audit() account {
	a := account{pods: len(l.work.Pods), nodes: len(l.new), needed: l.needed, waited: l.waited}
	s := l.Snapshot()
	for _, pod := range l.work.Pods {
		key := l.work.Name + "/" + pod.Name
		_, waits := s.Pending.Get(key)
		asked := l.said[key]
		if !waits {
			a.bound++
		} else if v := l.verdict(key); v == nil || slices.Contains([]reason.Reason{reason.WaitingForNodes, reason.FitsExisting, reason.NextPass}, v.Reason) {
			a.stuck++
			a.misses = append(a.misses, fmt.Sprintf("%s waits: %+v", pod.Name, v))
		}
		if len(asked) == 0 {
			continue
		}
		a.promised++
		switch {
		case len(asked) == 1 && !waits:
			a.kept++
		case waits:
			a.misses = append(a.misses, fmt.Sprintf("%s was promised room by %v and has none", pod.Name, asked))
		default:
			a.misses = append(a.misses, fmt.Sprintf("%s was promised room more than once: %v", pod.Name, asked))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(l.new)) {
		if !l.used[node] {
			a.empty++
			a.misses = append(a.misses, "node "+node+" stayed empty")
		}
	}
	return a
}

func (l *life) verdict(pod string) *plan.Verdict {
	for i := range l.last.Verdicts {
		if v := &l.last.Verdicts[i]; v.Kind == plan.Pod && v.Name == pod {
			return v
		}
	}
	return nil
}
