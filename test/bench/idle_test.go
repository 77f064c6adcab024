package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/healer"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/upgrader"
)

// idleWorkloads are passes of a cluster that is well and big enough: nothing is to be done, and all has to be looked at.
var idleWorkloads = []workload{idle(1000), idle(3000), idle(5000)}

// idleGrowth shows that a pass grows with the cluster, and not faster.
var idleGrowth = []workload{idle(1250), idle(2500)}

const (
	idlePools    = 10
	podsPerNode  = 30
	idleKinds    = 300 // ReplicaSets
	idleBudgets  = 50
	betweenLooks = 61 * time.Second // past the age at which a timer is written again, so that one is due in every pass
)

// idle is a cluster of n nodes, 30 pods on each, three quarters used, in ten pools and three zones. Before each pass every lease was renewed, the
// provider was read, and one pod in a hundred changed: a third became ready or unready, a third was replaced by its equal, a third by a pod of another
// size. One node is little used, and its timer is due. A tenth of the ReplicaSets spreads over zones and a tenth keeps its pods apart by host.
func idle(n int) workload {
	return workload{id: fmt.Sprintf("idle-%d", n), ready: func(b *testing.B) *task {
		b.Helper()
		w := newIdleWorld(n)
		house := newHouse(b)
		var applied time.Duration
		runs := 0
		for range 2 { // what is new after a start is not what is measured
			w.change()
			house.pass(w)
		}
		return &task{
			before: func() {
				began := time.Now()
				w.change()
				applied += time.Since(began)
				runs++
			},
			run: func() outcome { return outcome{leave: answered(house.pass(w))} },
			after: func(o outcome) error {
				if o.leave != n {
					return fmt.Errorf("%d nodes of %d have an answer of the autoscaler", o.leave, n)
				}
				return nil
			},
			also: func() map[string]float64 {
				return map[string]float64{"apply-ns": float64(applied.Nanoseconds()) / float64(runs), "leave": 0}
			},
		}
	}}
}

// answered counts the nodes about which the autoscaler says why they stay.
func answered(p plan.Plan) int {
	n := 0
	for _, v := range p.Verdicts {
		if v.Kind == plan.Node && v.Owner == ledger.Autoscaler {
			n++
		}
	}
	return n
}

// house is who decides and reports in one daemon.
type house struct {
	deciders []app.Decider
	reporter *report.Reporter
}

func newHouse(b testing.TB) *house {
	b.Helper()
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		b.Fatal(err)
	}
	scaler, err := autoscaler.New(autoscaler.Defaults(), engine)
	if err != nil {
		b.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	reporter, err := report.New(report.Options{
		Now: time.Now, Registry: registry, Gatherer: registry, Events: deaf{}, Namespace: "poolkeeper", ConfigMaps: shelf{},
		Spawn: func(work func(ctx context.Context)) { work(context.Background()) },
	})
	if err != nil {
		b.Fatal(err)
	}
	return &house{
		deciders: []app.Decider{scaler, healer.New(healer.Defaults()), upgrader.New(upgrader.Defaults())}, reporter: reporter,
	}
}

// pass is what the daemon does in one pass, but for writing the ledger to the API server.
func (h *house) pass(w *idleWorld) plan.Plan {
	s := w.cluster.Snapshot()
	decisions := make([]plan.Decision, 0, len(h.deciders))
	for _, decider := range h.deciders {
		decisions = append(decisions, decider.Decide(s, w.now))
	}
	p, changes := arbiter.Arbitrate(s, decisions, arbiter.Defaults(), w.now)
	if len(changes) > 0 {
		w.ledger = s.Ledger.With(changes...)
		w.cluster.Apply(w.now, cluster.LedgerSaved{Ledger: w.ledger})
	}
	h.reporter.Pass(context.Background(), w.now, p, s)
	return p
}

// deaf takes Events and tells nobody.
type deaf struct{}

func (deaf) Event(runtime.Object, string, string, string)                                      {}
func (deaf) Eventf(runtime.Object, string, string, string, ...any)                             {}
func (deaf) AnnotatedEventf(runtime.Object, map[string]string, string, string, string, ...any) {}

// shelf takes the status and keeps nothing.
type shelf struct{}

func (shelf) GetConfigMap(context.Context, string, string) (*corev1.ConfigMap, error) {
	return &corev1.ConfigMap{}, nil
}

func (shelf) CreateConfigMap(_ context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return cm, nil
}

func (shelf) UpdateConfigMap(_ context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return cm, nil
}

func (shelf) DeleteConfigMap(context.Context, string, string) error { return nil }

// idleWorld is a cluster whose pods come and go.
type idleWorld struct {
	cluster   *cluster.Cluster
	now       time.Time
	ledger    ledger.Ledger
	dice      *rand.Rand
	nodes     []string
	pods      []idlePod
	pools     []*cluster.Pool
	instances []*cluster.Instance
	made      int
}

// idlePod is all that a pod is made of, so that the world needs little memory beside the picture of it.
type idlePod struct {
	number, kind, node int32
	unready            bool
}

func newIdleWorld(n int) *idleWorld {
	w := &idleWorld{cluster: cluster.New(), now: Start, dice: rand.New(rand.NewPCG(42, 42))}
	w.set(Namespace("default"), DaemonSet("agent", Pod("agent", Asks("50m", "64Mi"))))
	w.cluster.Apply(w.now, cluster.ServerVersionSeen{Version: "v1.36.3"})
	for kind := range idleKinds {
		w.set(ReplicaSet(kindName(kind), int32(n*podsPerNode/idleKinds)))
	}
	for i := range idleBudgets {
		w.set(Budget(kindName(i), "app", kindName(i), 1))
	}
	for i := range idlePools {
		pool := Pool(fmt.Sprintf("pool-%d", i), 0, 2*n, Target(0), Set(func(s *cluster.Settings) { s.UnneededTime = 24 * 365 * time.Hour }))
		w.pools = append(w.pools, pool)
	}
	for i := range n {
		pool := w.pools[i%idlePools]
		pool.Target++
		name := fmt.Sprintf("node-%05d", i)
		w.nodes = append(w.nodes, name)
		w.set(Node(name, In(pool.Name), Holds("4", "16Gi"), Zone(fmt.Sprintf("zone-%d", i%3))))
		w.instances = append(w.instances, Instance(pool.Name, name, cloudprovider.InstanceRunning))
		pods := podsPerNode
		if i == n/2 {
			pods /= 3 // the one node that could leave
		}
		for j := range pods {
			kind := (i*7 + j*10 + i/3) % idleKinds
			pod := w.newPod(kind, i)
			w.pods = append(w.pods, pod)
			w.set(w.object(pod))
		}
	}
	w.look()
	return w
}

func kindName(kind int) string { return fmt.Sprintf("app-%03d", kind) }

func (w *idleWorld) newPod(kind, node int) idlePod {
	w.made++
	return idlePod{number: int32(w.made), kind: int32(kind), node: int32(node)}
}

// object is the pod as the API server has it. One of three kinds in a row asks for half, and one for one and a half of what the third does.
func (w *idleWorld) object(p idlePod) *corev1.Pod {
	app := kindName(int(p.kind))
	options := []PodOption{
		Of("ReplicaSet", app), Label("app", app), Label("pod-template-hash", "5f6d8b9c7"), On(w.nodes[p.node]),
		Asks(fmt.Sprintf("%dm", 50+50*(p.kind%3)), fmt.Sprintf("%dMi", 200+200*(p.kind%3))),
	}
	switch p.kind % 10 {
	case 3:
		options = append(options, Spread(corev1.LabelTopologyZone, 5, "app", app))
	case 7:
		options = append(options, Apart(corev1.LabelHostname, "app", app))
	}
	if p.unready {
		options = append(options, Unready())
	}
	return Pod(fmt.Sprintf("%s-5f6d8b9c7-%06d", app, p.number), options...)
}

func (w *idleWorld) set(objects ...metav1.Object) {
	for _, o := range objects {
		w.cluster.Apply(w.now, cluster.Set{Object: o})
	}
}

// change lets a minute go by.
func (w *idleWorld) change() {
	w.now = w.now.Add(betweenLooks)
	w.look()
	for _, node := range w.nodes {
		renewed := metav1.NewMicroTime(w.now)
		lasts := int32(40)
		w.set(&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: node},
			Spec:       coordinationv1.LeaseSpec{RenewTime: &renewed, LeaseDurationSeconds: &lasts},
		})
	}
	for range len(w.pods) / 100 {
		p := &w.pods[w.dice.IntN(len(w.pods))]
		switch w.dice.IntN(3) {
		case 0:
			p.unready = !p.unready
			w.set(w.object(*p))
		case 1: // of another size, and not of a kind that would sway the node's use for good
			w.replace(p, int(p.kind)/3*3+w.dice.IntN(3))
		default:
			w.replace(p, int(p.kind))
		}
	}
}

// replace deletes a pod, and has another one run in its place.
func (w *idleWorld) replace(p *idlePod, kind int) {
	w.cluster.Apply(w.now, cluster.Unset{Object: w.object(*p)})
	*p = w.newPod(kind, int(p.node))
	w.set(w.object(*p))
}

// look has the provider tell what it told before.
func (w *idleWorld) look() {
	pools := make([]*cluster.Pool, len(w.pools))
	for i, pool := range w.pools {
		seen := *pool
		seen.Observed = w.now
		pools[i] = &seen
	}
	w.cluster.Apply(w.now, cluster.ProviderObserved{Provider: "test", Pools: pools, Instances: w.instances})
}
