package faults

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/daemon"
)

// life is a day that is being lived.
type life struct {
	*simulation.World
	day    day
	daemon *app.Daemon
	// cordons are the nodes that people have cordoned.
	cordons map[string]bool
	// refuses are the pools whose cloud answers everything with an error.
	refuses map[string]bool
}

// result is how a day went.
type result struct {
	// trouble is what went wrong that must not; empty if nothing did.
	trouble string
	log     *simulation.Log
	met     map[string]int
	// rested is how long after the last fault the cluster had come to rest.
	rested time.Duration
}

// live lives through a day, with those of its events that keep wants, and tells what happens while it does.
func live(d day, engine scheduling.Engine, keep func(i int) bool, tell ...io.Writer) (out result) {
	l := &life{day: d, cordons: map[string]bool{}, refuses: map[string]bool{}}
	o := simulation.Options{Seed: d.seed, Cloud: kwok.Config{Pools: d.pools}, Engine: engine, Level: simulation.Normal, Plain: d.plain}
	if len(tell) > 0 {
		o.Live = io.MultiWriter(tell...)
	}
	l.World = simulation.New(o)
	defer func() {
		if p := recover(); p != nil {
			out = result{trouble: fmt.Sprintf("panic: %v", p), log: l.Log, met: l.Met()}
		}
	}()
	rules := daemon.Rules(func(pool string) cluster.Settings { return d.settings[pool] })
	daemon.Start(l.World, &rules, func(a *app.Daemon) { l.daemon = a })
	l.After(time.Minute, l.employ)
	for i, e := range d.events {
		if keep(i) {
			l.At(e.at, func() {
				l.Log.Add("--- event %d: %s", i, e.what)
				e.do(l)
			})
		}
	}
	l.Run(d.length + 31*time.Minute) // what lasts has ended then
	l.calm()
	trouble := l.rest()
	for _, v := range l.Violations() {
		trouble = "violated: " + v.What
		break
	}
	return result{trouble: trouble, log: l.Log, met: l.Met(), rested: l.Elapsed() - d.length}
}

func (l *life) employ() {
	for _, w := range l.day.workloads {
		l.Deploy(w)
	}
	for _, w := range l.day.stateful {
		l.DeployStateful(w)
	}
}

// calm ends all faults. A machine that died stays dead: to repair it is the daemon's work; but where more died its breaker may rightly wait for people, and
// people come: they switch machines on again, and delete the Nodes of those that are gone from the cloud for good.
func (l *life) calm() {
	l.Log.Add("--- calm")
	l.SetTrouble(simulation.Trouble{})
	l.CrashAtWrite(0, simulation.BeforeWrite, 0)
	for _, pool := range l.day.pools {
		l.fault(pool.Name)
	}
	for _, w := range l.day.all() {
		l.scale(w.Name, 2) // what the pools can hold, whatever their max is
	}
	dark := 0
	for _, pool := range l.day.pools {
		for _, node := range l.nodes(pool.Name) {
			l.cordon(node.Name, false)
			l.sicken(node.Name, "")
			if l.IsDark(node.Name) {
				if dark++; dark > 1 {
					l.repair(node)
				}
			}
		}
	}
}

// repair is what people do about a machine that is off.
func (l *life) repair(node *corev1.Node) {
	if vanished(node) {
		l.DeleteNode(node.Name)
		return
	}
	l.revive(node.Name)
}

// vanished tells whether the node's machine is gone from the cloud, so that nothing brings it back.
func vanished(node *corev1.Node) bool { return node.Labels[kwok.OffLabel] == kwok.OffVanished }

// The limits of the way to rest: a day has one window, and old pools may have many nodes.
const (
	restLimit = 26 * time.Hour
	restFor   = 30 * time.Minute
)

// rest waits until the cluster has been at rest for a while, and says what is not if it never is.
func (l *life) rest() string {
	began, still, writes := l.Elapsed(), l.Elapsed(), l.Effects()
	why := ""
	for l.Elapsed()-began < restLimit {
		l.Run(time.Minute)
		if (l.Elapsed()-began)%time.Hour == 0 {
			l.makeRoom()
		}
		if why = l.unrest(); why != "" || l.Effects() != writes {
			still, writes = l.Elapsed(), l.Effects()
		}
		if l.Elapsed()-still >= restFor {
			return ""
		}
		if len(l.Violations()) > 0 {
			return ""
		}
	}
	if why == "" {
		why = "the daemon goes on doing things"
	}
	l.Log.Add("--- no rest, and what the daemon has to say:")
	for _, v := range l.daemon.Plan().Verdicts {
		l.Log.Add("  %s %s %s: %s (%s)", v.Owner, v.Kind, v.Name, v.Message, v.Reason)
	}
	for _, h := range l.daemon.Plan().Held {
		l.Log.Add("  held: %+v", h)
	}
	for _, c := range l.daemon.Plan().Claims {
		l.Log.Add("  claim: %+v", c)
	}
	for _, op := range l.daemon.Plan().Operations {
		l.Log.Add("  operation: %+v", op)
	}
	for _, b := range l.daemon.Plan().Breakers {
		l.Log.Add("  breaker: %+v", b)
	}
	return fmt.Sprintf("no rest %v after the last fault: %s", restLimit, why)
}

// makeRoom is what people do who read that a pool at its max has no room for pods that wait, or for the new nodes that they want first: they ask for less, pod by pod.
func (l *life) makeRoom() {
	full := slices.ContainsFunc(l.daemon.Plan().Verdicts, func(v plan.Verdict) bool {
		return v.Kind == plan.Node && v.Reason == reason.NoRoomForSurge || v.Kind == plan.Pod && v.Reason == reason.MaxSizeReached
	})
	if !full || len(l.daemon.Plan().Claims) > 0 {
		return
	}
	for _, rs := range simulation.List[*appsv1.ReplicaSet](l.Store) {
		if *rs.Spec.Replicas > 0 {
			l.scale(rs.Name, int(*rs.Spec.Replicas)-1)
			return
		}
	}
}

// unrest says what is not as it should be; empty if all is.
func (l *life) unrest() string {
	p := l.daemon.Plan()
	if len(p.Claims) > 0 {
		return fmt.Sprintf("there is a claim: %+v", p.Claims[0])
	}
	if len(p.Operations) > 0 {
		return fmt.Sprintf("there is an operation: %+v", p.Operations[0])
	}
	for _, rs := range simulation.List[*appsv1.ReplicaSet](l.Store) {
		if n := l.running(rs.Name); n != int(*rs.Spec.Replicas) {
			return fmt.Sprintf("%s has %d ready pods of %d", rs.Name, n, *rs.Spec.Replicas)
		}
	}
	for _, set := range simulation.List[*appsv1.StatefulSet](l.Store) {
		if n := l.running(set.Name); n != int(*set.Spec.Replicas) {
			return fmt.Sprintf("%s has %d ready pods of %d", set.Name, n, *set.Spec.Replicas)
		}
	}
	for _, pool := range l.day.pools {
		if why := l.unrestOf(pool); why != "" {
			return why
		}
	}
	return ""
}

func (l *life) unrestOf(pool kwok.Pool) string {
	nodes, target := l.nodes(pool.Name), l.Target(pool.Name)
	if target < pool.Min || target > pool.Max {
		return fmt.Sprintf("pool %s has target %d, outside %d to %d", pool.Name, target, pool.Min, pool.Max)
	}
	if len(nodes) != target || len(l.Instances(pool.Name)) != target {
		return fmt.Sprintf("pool %s has target %d, %d instances and %d nodes", pool.Name, target, len(l.Instances(pool.Name)), len(nodes))
	}
	version := l.version(pool.Name)
	for _, node := range nodes {
		switch {
		case !cluster.IsReady(node):
			return fmt.Sprintf("node %s is not ready", node.Name)
		case node.Status.NodeInfo.KubeletVersion != version && !l.day.plain: // a plain cloud doesn't tell
			return fmt.Sprintf("node %s has version %s, and its pool %s", node.Name, node.Status.NodeInfo.KubeletVersion, version)
		case node.Annotations[cluster.AnnotationClaim] != "":
			return fmt.Sprintf("node %s still has the annotation of a claim", node.Name)
		case slices.ContainsFunc(node.Spec.Taints, cluster.IsOurTaint):
			return fmt.Sprintf("node %s still has a taint of ours", node.Name)
		case node.Spec.Unschedulable:
			return fmt.Sprintf("node %s is still cordoned", node.Name)
		}
	}
	return ""
}

// running counts the ready pods of a workload.
func (l *life) running(app string) int {
	n := 0
	for _, pod := range simulation.List[*corev1.Pod](l.Store) {
		if pod.Labels["app"] == app && pod.DeletionTimestamp == nil && isReady(pod) {
			n++
		}
	}
	return n
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// nodes are those of a pool, in the order of their names.
func (l *life) nodes(pool string) []*corev1.Node {
	all := must(l.Store.ListNodes(context.Background(), ""))
	return slices.DeleteFunc(all, func(n *corev1.Node) bool { return !strings.HasPrefix(n.Spec.ProviderID, kwok.ProviderID(pool, "")) })
}

func (l *life) pick(pool string, n int) string {
	nodes := l.nodes(pool)
	if len(nodes) == 0 {
		return ""
	}
	return nodes[n%len(nodes)].Name
}

func (l *life) there(node string) bool {
	_, err := l.Store.GetNode(context.Background(), node)
	return err == nil
}

func (l *life) darken(node string) {
	if l.there(node) {
		l.Log.Add("node %s goes dark", node)
		l.GoDark(node)
	}
}

func (l *life) revive(node string) {
	if l.there(node) {
		l.Revive(node)
	}
}

func (l *life) sicken(node, message string) {
	if l.there(node) {
		l.Sicken(node, message)
	}
}

// cordon is what people do. They take back only what they did themselves.
func (l *life) cordon(node string, on bool) {
	switch {
	case !l.there(node) || l.cordons[node] == on:
	case on:
		l.cordons[node] = true
		l.Cordon(node)
	default:
		delete(l.cordons, node)
		l.Uncordon(node)
	}
}

func (l *life) scale(app string, replicas int) { l.SetReplicas("default", app, replicas) }

// version is that of the pool's new instances.
func (l *life) version(pool string) string { return l.Version(pool) }

// raise gives the pool a newer version, unless its cloud refuses everything now; people don't go back.
func (l *life) raise(pool, version string) {
	if !l.refuses[pool] && !l.Away() && version > l.version(pool) {
		l.SetVersion(pool, version)
	}
}

func (l *life) fault(pool string, faults ...kwok.Fault) {
	l.refuses[pool] = slices.Contains(faults, "error")
	l.SetFaults(pool, faults...)
}

func (l *life) resize(pool string, by int) {
	if l.Away() {
		return
	}
	for _, p := range l.day.pools {
		if target := l.Target(pool) + by; p.Name == pool && target >= p.Min && target <= p.Max {
			l.Resize(pool, target)
		}
	}
}
