package arbiter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// breakerOf finds a breaker of a plan by its scope.
func breakerOf(p plan.Plan, scope string) (ledger.Breaker, bool) {
	for _, b := range p.Breakers {
		if b.Scope == scope {
			return b, true
		}
	}
	return ledger.Breaker{}, false
}

// looks passes time in steps of ten seconds, and gives the last plan.
func looks(w *World, opts arbiter.Options, d time.Duration, want ...plan.Proposal) (p plan.Plan) {
	for end := w.Now.Add(d); !w.Now.After(end); w.Pass(10 * time.Second) {
		var changes []ledger.Change
		p, changes = arbiter.Arbitrate(w.Snapshot(), decisions(want...), opts, w.Now)
		w.Add(changes)
	}
	return p
}

// fill adds nodes to a pool: the first of them are sick.
func fill(w *World, pool string, sick, well int, options ...NodeOption) {
	for i := range sick + well {
		name := fmt.Sprintf("%s-%02d", pool, i)
		all := append([]NodeOption{In(pool)}, options...)
		if i < sick {
			all = append(all, Silent(Start))
		}
		w.Add(Node(name, all...))
	}
}

// leaseOf is a node's lease that was renewed at that moment.
func leaseOf(node string, renewed time.Time) *coordinationv1.Lease {
	seconds := int32(40)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: node},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: renewed}, LeaseDurationSeconds: &seconds},
	}
}

func TestABreakerThawsInStagesAndCloses(t *testing.T) {
	w := New(Pool("web", 0, 30))
	fill(w, "web", 10, 10)
	opts := arbiter.Defaults()
	if b, open := breakerOf(looks(w, opts, 0), ledger.ScopeCluster); !open || !b.Holds() {
		t.Fatalf("the breaker with 10 of 20 nodes sick: %+v", b)
	}
	fill(w, "web", 0, 20)
	if b, open := breakerOf(looks(w, opts, opts.Breakers.Calm-10*time.Second), ledger.ScopeCluster); !open || !b.Holds() {
		t.Errorf("before it was calm for %s: %+v", opts.Breakers.Calm, b)
	}
	b, open := breakerOf(looks(w, opts, 10*time.Second), ledger.ScopeCluster)
	if !open || b.Holds() || b.Allows() != 1 {
		t.Errorf("after that: %+v, want it to thaw and let one through", b)
	}
	var allows []int
	for range 4 {
		b, _ = breakerOf(looks(w, opts, opts.Breakers.Stage), ledger.ScopeCluster)
		allows = append(allows, b.Allows())
	}
	if got := fmt.Sprint(allows); got != "[3 7 15 0]" {
		t.Errorf("stage by stage it lets through %s, want [3 7 15], and then to be closed", got)
	}
}

func TestAThawThatGoesWrongIsBrokenOff(t *testing.T) {
	opts := arbiter.Defaults()
	w := New(Pool("web", 0, 30), ledger.Breaker{Scope: ledger.ScopeCluster, Opened: Start.Add(-time.Hour), Thawing: Start, Stage: 2, Let: []string{"c"}})
	fill(w, "web", 10, 10)
	b, _ := breakerOf(looks(w, opts, 0), ledger.ScopeCluster)
	if !b.Holds() || len(b.Let) > 0 || !b.Opened.Equal(Start.Add(-time.Hour)) {
		t.Errorf("the breaker is %+v, want it open since an hour ago", b)
	}
}

// Nodes that are added in an outage don't end it.
func TestNewNodesDontMakeTheShareBetter(t *testing.T) {
	opts := arbiter.Defaults()
	w := New(Pool("web", 0, 100))
	fill(w, "web", 8, 8)
	looks(w, opts, 0)
	for i := range 60 {
		w.Add(Node(fmt.Sprintf("new-%02d", i), In("web"), Born(w.Now)))
	}
	if b, open := breakerOf(looks(w, opts, 10*time.Minute), ledger.ScopeCluster); !open || !b.Holds() {
		t.Errorf("the breaker is %+v after 60 nodes were added to 8 sick and 8 healthy ones, want it open", b)
	}
}

// When none is left of those that were there, and all that came since are well, there is nothing to hold back for.
func TestAnOutageOfWhichNoNodeIsLeftIsOver(t *testing.T) {
	opts := arbiter.Defaults()
	w := New(Pool("web", 0, 100))
	fill(w, "web", 8, 0)
	opened := looks(w, opts, 0).Breakers
	w.Pass(time.Minute)
	fresh := New(Pool("web", 0, 100))
	fresh.Now = w.Now
	for i := range 3 {
		fresh.Add(Node(fmt.Sprintf("new-%02d", i), In("web"), Born(w.Now)))
	}
	for _, b := range opened {
		fresh.Add(ledger.Put(b))
	}
	looks(fresh, opts, opts.Breakers.Calm+10*time.Second)
	p := looks(fresh, opts, 0)
	if len(p.Breakers) == 0 {
		t.Fatal("no breaker opened, so that this shows nothing")
	}
	for _, b := range p.Breakers {
		if b.Holds() {
			t.Errorf("%+v, want it to thaw: every node is new and well", b)
		}
	}
}

func TestAZonesOutageIsTheZones(t *testing.T) {
	opts := arbiter.Defaults()
	w := New(Pool("a", 0, 9), Pool("b", 0, 9), Pool("c", 0, 9))
	fill(w, "a", 5, 0, Label(corev1.LabelTopologyZone, "one"))
	fill(w, "b", 1, 4, Label(corev1.LabelTopologyZone, "two"))
	fill(w, "c", 1, 4, Label(corev1.LabelTopologyZone, "three"))
	p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(repair("a", "a-00"), repair("b", "b-00"), repair("c", "c-00")), opts, Start)
	if len(p.Breakers) != 1 || p.Breakers[0].Scope != "zone/one" {
		t.Fatalf("breakers %+v, want that of zone one alone", p.Breakers)
	}
	if len(p.Claims) != 1 || p.Claims[0].Node.Name != "b-00" {
		t.Errorf("claims %+v, want one repair in all other zones together", p.Claims)
	}
	for _, h := range p.Held {
		if h.Proposal.Pool == "a" && h.Reason != reason.BreakerOpen {
			t.Errorf("the repair in zone one is held by %s", h.Reason)
		}
	}
}

func TestWhenAllZonesAreBadNothingIsDone(t *testing.T) {
	w := New(Pool("a", 0, 99))
	for _, zone := range []string{"one", "two", "three"} {
		w.Add(Node("sick-"+zone, In("a"), Silent(Start), Label(corev1.LabelTopologyZone, zone)))
	}
	p := looks(w, arbiter.Defaults(), 0, repair("a", "sick-one"))
	if _, open := breakerOf(p, ledger.ScopeCluster); !open || len(p.Claims) > 0 {
		t.Errorf("breakers %+v, claims %+v: want the cluster's open", p.Breakers, p.Claims)
	}
}

func TestExpiredLeasesFreezeGrowthToo(t *testing.T) {
	for _, c := range []struct {
		expired, fresh int
		open           bool
	}{{2, 0, false}, {3, 0, true}, {3, 2, true}, {3, 3, false}, {6, 4, true}, {5, 5, false}} {
		w := New(Pool("web", 0, 50))
		fill(w, "web", 0, c.expired+c.fresh)
		for i := range c.expired + c.fresh {
			w.Now = Start.Add(-time.Second)
			if i < c.expired {
				w.Now = Start.Add(-time.Minute)
			}
			w.Add(leaseOf(fmt.Sprintf("web-%02d", i), w.Now))
		}
		w.Now = Start
		p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(grow("web", 1)), arbiter.Defaults(), Start)
		if _, open := breakerOf(p, ledger.ScopeLeases); open != c.open {
			t.Errorf("%d of %d leases expired: open %v, want %v", c.expired, c.expired+c.fresh, open, c.open)
		}
		if held := len(p.Held) == 1 && p.Held[0].Reason == reason.BreakerOpen; held != c.open {
			t.Errorf("%d of %d leases expired: growth is held: %v", c.expired, c.expired+c.fresh, p.Held)
		}
	}
}

func TestAnAPIServerInTroubleFreezesEverything(t *testing.T) {
	w := New(Pool("web", 0, 50))
	fill(w, "web", 1, 9)
	for i := range 3 {
		answer := cluster.Answer{At: Start.Add(time.Duration(i-5) * time.Second), Err: "timeout"}
		if i == 1 {
			answer = cluster.Answer{At: answer.At, Took: 5 * time.Second}
		}
		w.Add(cluster.APIAnswered{Answer: answer})
	}
	p := looks(w, arbiter.Defaults(), 0, repair("web", "web-00"), grow("web", 1))
	b, open := breakerOf(p, ledger.ScopeAPI)
	if !open || !b.Freezes() || !strings.Contains(b.Message, "timeout") || len(p.Held) != 2 || p.WritesPerMinute == 0 {
		t.Errorf("breaker %+v, held %+v", b, p.Held)
	}
}

func TestARequestPausesJobs(t *testing.T) {
	until := Start.Add(time.Hour)
	for name, c := range map[string]struct {
		text string
		held reason.Reason
	}{
		"the cluster":      {"request: pause\nreason: a rack moves", reason.Paused},
		"the pool":         {"request: pause\njobs: [heal]\npool: web", reason.Paused},
		"the node":         {"request: pause\nnode: n1\nuntil: " + until.Format(time.RFC3339), reason.Paused},
		"another pool":     {"request: pause\npool: api", ""},
		"another job":      {"request: pause\njobs: [upgrade]", ""},
		"what has ended":   {"request: pause\nuntil: " + Start.Add(-time.Second).Format(time.RFC3339), ""},
		"what is no text":  {"pause!", reason.InvalidRequest},
		"an unknown field": {"request: pause\npools: web", reason.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w := New(Pool("web", 0, 9), Node("n1", In("web"), Silent(Start)), Node("n2", In("web")))
			w.Add(cluster.RequestsSeen{Requests: cluster.ReadRequests(map[string]string{"mine": c.text})})
			p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(repair("web", "n1")), arbiter.Defaults(), Start)
			switch {
			case c.held == "" && len(p.Held) > 0:
				t.Errorf("held: %+v", p.Held)
			case c.held != "" && (len(p.Held) != 1 || p.Held[0].Reason != c.held || !strings.Contains(p.Held[0].Message, "mine")):
				t.Errorf("held %+v, want %s with the request's key", p.Held, c.held)
			}
		})
	}
}

func TestRepairsAreBounded(t *testing.T) {
	opts := arbiter.Defaults()
	opts.MaxDisruptions = 99
	w := New(Pool("web", 0, 200))
	fill(w, "web", 15, 85)
	var all []plan.Proposal
	for i := range 15 {
		all = append(all, repair("web", fmt.Sprintf("web-%02d", i)))
	}
	most := func(change func(*arbiter.Repairs)) int {
		o := opts
		o.Repairs.CoolDown = 0
		change(&o.Repairs)
		p, _ := arbiter.Arbitrate(w.Snapshot(), decisions(all...), o, Start)
		return len(p.Claims)
	}
	for name, c := range map[string]struct {
		change func(*arbiter.Repairs)
		want   int
	}{
		"at once":   {func(r *arbiter.Repairs) { r.AtOnce = 4 }, 4},
		"per pool":  {func(r *arbiter.Repairs) { r.AtOnce = 99; r.PerPool.StrVal = "3%" }, 3},
		"per hour":  {func(r *arbiter.Repairs) { r.AtOnce = 99; r.PerHour = 2 }, 2},
		"cool-down": {func(r *arbiter.Repairs) { r.CoolDown = time.Minute }, 1},
	} {
		if got := most(c.change); got != c.want {
			t.Errorf("%s: %d repairs are begun, want %d", name, got, c.want)
		}
	}
}

// What never opens the breaker must not keep it open: in a small cluster two are always a large share.
func TestFewExpiredLeasesAreCalmWhateverTheirShare(t *testing.T) {
	w := New(Pool("web", 0, 50))
	fill(w, "web", 0, 3)
	lease := func(i int, renewed time.Time) { w.Add(leaseOf(fmt.Sprintf("web-%02d", i), renewed)) }
	w.Now = Start.Add(-time.Minute)
	for i := range 3 {
		lease(i, w.Now)
	}
	w.Now = Start
	opts := arbiter.Defaults()
	if b, open := breakerOf(looks(w, opts, 0), ledger.ScopeLeases); !open || !b.Holds() {
		t.Fatalf("with 3 of 3 leases expired it is %+v, want it open", b)
	}
	for end := w.Now.Add(opts.Breakers.Calm + 20*time.Second); w.Now.Before(end); {
		lease(0, w.Now)
		looks(w, opts, 0)
	}
	if b, open := breakerOf(looks(w, opts, 0), ledger.ScopeLeases); !open || b.Holds() {
		t.Errorf("with 2 of 3 leases expired for %v it is %+v (open %v), want it to thaw", opts.Breakers.Calm, b, open)
	}
}

// Each breaker opens by a count and a share together, stays open between what opens it and what is calm, and begins to thaw below that.
func TestEachScopeOpensByCountAndShareAndStaysOpenUntilItIsCalm(t *testing.T) {
	zoned := func(zone string) NodeOption { return Label(corev1.LabelTopologyZone, zone) }
	// others are nodes of another pool and zone that are well, so that the cluster's breaker is out of it.
	type state struct{ sick, well int }
	for _, c := range []struct {
		scope                string
		others               int
		countOnly, shareOnly state // enough of one alone
		opens, stays, thaws  state
	}{
		{ledger.ScopeCluster, 0, state{6, 30}, state{3, 3}, state{7, 21}, state{6, 32}, state{2, 40}},
		{ledger.ScopePool + "web", 60, state{4, 10}, state{3, 3}, state{4, 5}, state{4, 8}, state{1, 9}},
		{ledger.ScopeZone + "one", 60, state{4, 10}, state{2, 1}, state{6, 4}, state{5, 5}, state{2, 9}},
	} {
		t.Run(c.scope, func(t *testing.T) {
			world := func(s state) *World {
				w := New(Pool("web", 0, 99), Pool("others", 0, 99))
				fill(w, "others", 0, c.others, zoned("two"))
				fill(w, "web", s.sick, s.well, zoned("one"))
				return w
			}
			opts := arbiter.Defaults()
			for what, s := range map[string]state{"the count alone": c.countOnly, "the share alone": c.shareOnly} {
				if b, open := breakerOf(looks(world(s), opts, 0), c.scope); open {
					t.Errorf("%s, %d of %d, opens it: %+v", what, s.sick, s.sick+s.well, b)
				}
			}
			w := world(c.opens)
			if b, open := breakerOf(looks(w, opts, 0), c.scope); !open || !b.Holds() {
				t.Fatalf("%d of %d don't open it: %+v", c.opens.sick, c.opens.sick+c.opens.well, b)
			}
			// The same nodes: some get well. None is added, for those would not count.
			opened := looks(w, opts, 0).Breakers
			for s, holds := range map[state]bool{c.stays: true, c.thaws: false} {
				w := world(s)
				for _, b := range opened {
					b.Opened = Start.Add(time.Hour) // so that none of the nodes came after it
					w.Add(ledger.Put(b))
				}
				if b, open := breakerOf(looks(w, opts, opts.Breakers.Calm+10*time.Second), c.scope); !open || b.Holds() != holds {
					t.Errorf("with %d of %d sick it holds: %v (open %v), want %v", s.sick, s.sick+s.well, b.Holds(), open, holds)
				}
			}
		})
	}
}
