package scenarios

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
	"github.com/poolkeeper/poolkeeper/test/promise"
)

// together is how many workloads come at once.
const together = 5

// promised is the share of promised pods that is aimed at. It is not always reached yet: the scheduler takes pods, and equal ones among them, in more orders than a
// plan is rehearsed for. So CI asks for inCI, and make promise for all of it.
const (
	promised = 0.999
	inCI     = 0.85
)

// TestEveryPodThatThePlanPromisedRoomForIsBound lets random workloads loose on pools of their own. What a plan says is taken at its word: each pod that an
// operation asks nodes for has to be bound by the real kube-scheduler once those nodes are there, without a second operation for it, and
// no node may stay empty. The scheduler places by scores that a packing does not have, so this can only be seen with the real one.
//
// The daemon is started when the pods of a batch are all there: pods that come while a plan is carried out take the room of those for which it was
// made, and that is nobody's broken promise.
//
// WORKLOADS=50 in the environment lets that many loose instead of what CI does, PROMISE_SEED=7 others.
func TestEveryPodThatThePlanPromisedRoomForIsBound(t *testing.T) {
	seed, n := fromEnvironment(t, "PROMISE_SEED", 1), fromEnvironment(t, "WORKLOADS", 10)
	var all []*promise.Workload
	var file []stage.KwokPool
	for number := range n {
		w := promise.Draw(seed, number)
		all, file = append(all, w), append(file, poolsOf(w)...)
	}
	s := install(t, "act", pools(file...), "--scale-down-enabled=false", "--autoheal=false", "--auto-upgrade=false")
	prepare(t, all)
	at := freeAddress(t)
	stop := run(s, at)
	t.Logf("seed %d, %d workloads", seed, n)
	old := map[string]bool{}
	s.Eventually(time.Minute, func(ctx context.Context) error { return begun(ctx, all, old) })
	stop()

	var total account
	for batch := range slices.Chunk(all, together) {
		began := time.Now()
		book := &book{address: at, operations: map[string]*operation{}, old: old, said: map[string]string{}}
		for _, w := range batch {
			for _, pod := range w.Pods {
				_, err := plane.Client().CoreV1().Pods(w.Name).Create(t.Context(), pod, metav1.CreateOptions{})
				must(t, err)
			}
		}
		stop := run(s, at)
		s.Eventually(4*time.Minute, func(ctx context.Context) error { return book.settled(ctx, batch) })
		for _, w := range batch {
			a := book.audit(t, w)
			t.Logf("%s: %s\n%s", w.Name, a, strings.Join(w.Kinds, "; "))
			total.add(a)
		}
		stop()
		t.Logf("%d workloads settled after %v", len(batch), time.Since(began).Round(time.Second))
	}
	t.Logf("all: %s", total)
	least := inCI
	if os.Getenv("WORKLOADS") != "" {
		least = promised
	}
	share := float64(total.kept) / float64(max(1, total.promised))
	t.Logf("share of promised pods that were bound: %.2f %%", 100*share)
	if share < least || total.promised == 0 {
		t.Errorf("%d of %d promised pods were bound, want at least %.1f %%", total.kept, total.promised, 100*least)
	}
	if total.empty > 0 && least == promised {
		t.Errorf("%d new nodes stayed empty", total.empty)
	}
	if total.waiting > 0 {
		t.Errorf("%d promised pods are left without a node", total.waiting)
	}
}

// poolsOf are the workload's pools as the kwok provider has them.
func poolsOf(w *promise.Workload) []stage.KwokPool {
	pools := make([]stage.KwokPool, len(w.Pools))
	for i, p := range w.Pools {
		pools[i] = stage.KwokPool{
			Name: p.Name, Max: p.Most, Size: p.Begun, Version: "v1.36.3", CPUs: p.CPUs, Pods: p.MaxPods, Zone: p.Zone,
			Labels: map[string]string{promise.Home: w.Name, "size": strconv.Itoa(p.CPUs)},
		}
	}
	return pools
}

// run starts the daemon, and gives a function that stops it.
func run(s *scene, address string) (stop func()) {
	s.T.Helper()
	p := s.Start("--address=" + address)
	return func() { s.Stop(p) }
}

// prepare makes the workloads' namespaces, their priority class and a daemon on every node, and takes them away with the test.
func prepare(t *testing.T, all []*promise.Workload) {
	t.Helper()
	c := plane.Client()
	never := corev1.PreemptNever
	_, err := c.SchedulingV1().PriorityClasses().Create(t.Context(), &schedulingv1.PriorityClass{
		ObjectMeta: metav1.ObjectMeta{Name: promise.Important}, Value: 1000, PreemptionPolicy: &never,
	}, metav1.CreateOptions{})
	must(t, err)
	for _, w := range all {
		_, err := c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Name}}, metav1.CreateOptions{})
		must(t, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
		for _, w := range all {
			_ = c.CoreV1().Pods(w.Name).DeleteCollection(ctx, now, metav1.ListOptions{})
			_ = c.CoreV1().Namespaces().Delete(ctx, w.Name, metav1.DeleteOptions{})
		}
		_ = c.SchedulingV1().PriorityClasses().Delete(ctx, promise.Important, now)
	})
}

// begun waits for the nodes that the pools have at first, and notes their names.
func begun(ctx context.Context, all []*promise.Workload, names map[string]bool) error {
	nodes, err := plane.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	want := 0
	for _, w := range all {
		want += w.Begun()
	}
	for i := range nodes.Items {
		if node := &nodes.Items[i]; cluster.IsReady(node) {
			names[node.Name] = true
		}
	}
	if len(names) != want {
		return fmt.Errorf("%d nodes are ready, want the %d of the beginning", len(names), want)
	}
	return nil
}

// account is what became of promises.
type account struct {
	pods, bound int
	// promised are the pods that operations asked nodes for, kept those of them that were bound without being asked for again, and waiting those
	// that have no node at the end.
	promised, kept, waiting int
	// nodes are the new ones, empty those of them without a pod of the workload.
	nodes, empty int
	misses       []string
}

func (a *account) add(o account) {
	a.pods, a.bound, a.promised, a.kept, a.waiting = a.pods+o.pods, a.bound+o.bound, a.promised+o.promised, a.kept+o.kept, a.waiting+o.waiting
	a.nodes, a.empty = a.nodes+o.nodes, a.empty+o.empty
	a.misses = append(a.misses, o.misses...)
}

func (a account) String() string {
	text := fmt.Sprintf("%d pods, %d bound; %d promised, %d kept, %d waiting; %d nodes, %d empty",
		a.pods, a.bound, a.promised, a.kept, a.waiting, a.nodes, a.empty)
	return strings.Join(append([]string{text}, a.misses...), "\n    ")
}

// book is what the daemon said, pass by pass.
type book struct {
	address string
	// operations are those that were seen, by ID, and order their IDs.
	operations map[string]*operation
	order      []string
	// old are the nodes that were there before any pod.
	old   map[string]bool
	last  *plan.Plan
	quiet int
	// story is what the daemon did and said, in the order in which it was seen, and said the last of it by pod.
	story []event
	said  map[string]string
}

// operation is a size change: the nodes that a pool was asked for, and the pods for which.
type operation struct {
	pool     string
	from, to int
	pods     []string
}

// read reads the last plan.
func (b *book) read(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.address+"/plan", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the daemon has no plan: %s", answer.Status)
	}
	p := &plan.Plan{}
	if err := json.NewDecoder(answer.Body).Decode(p); err != nil {
		return err
	}
	b.last = p
	for _, op := range p.Operations {
		if b.operations[op.ID] == nil {
			b.operations[op.ID] = &operation{pool: op.Pool, from: op.From, to: op.To, pods: op.Pods}
			b.order = append(b.order, op.ID)
			b.story = append(b.story, event{time.Now(), fmt.Sprintf("operation: pool %s from %d to %d for %v", op.Pool, op.From, op.To, op.Pods)})
		}
	}
	b.note(time.Now())
	return nil
}

// settled tells whether the daemon and the scheduler are done with the workloads, for a while: no operation is under way, and every pod has a node or
// an answer that says that nothing can be done.
func (b *book) settled(ctx context.Context, batch []*promise.Workload) error {
	err := b.read(ctx)
	if err == nil && len(b.last.Operations) > 0 {
		err = fmt.Errorf("operations are under way: %+v", b.last.Operations[0])
	}
	for _, w := range batch {
		if err == nil {
			err = b.answered(ctx, w)
		}
	}
	if err != nil {
		b.quiet = 0
		return err
	}
	if b.quiet++; b.quiet < 10 {
		return fmt.Errorf("waiting to see whether it stays so")
	}
	return nil
}

// answered checks that every pod of the workload has a node, or the daemon's word that it can get none.
func (b *book) answered(ctx context.Context, w *promise.Workload) error {
	pods, err := plane.Client().CoreV1().Pods(w.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Spec.NodeName != "" {
			continue
		}
		if v := b.verdict(p); v == nil || slices.Contains([]reason.Reason{reason.WaitingForNodes, reason.FitsExisting, reason.PodTooYoung, reason.NextPass}, v.Reason) {
			return fmt.Errorf("pod %s/%s has no node yet, and the daemon says %+v", p.Namespace, p.Name, v)
		}
	}
	return nil
}

func (b *book) verdict(p *corev1.Pod) *plan.Verdict {
	for i := range b.last.Verdicts {
		if v := &b.last.Verdicts[i]; v.Kind == plan.Pod && v.Name == p.Namespace+"/"+p.Name {
			return v
		}
	}
	return nil
}

// audit compares what was promised to the workload's pods with what became of them.
func (b *book) audit(t *testing.T, w *promise.Workload) account {
	t.Helper()
	pods, err := plane.Client().CoreV1().Pods(w.Name).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	nodes, err := plane.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: promise.Home + "=" + w.Name})
	must(t, err)
	a := account{pods: len(w.Pods)}
	used := map[string]bool{}
	for i := range pods.Items {
		p := &pods.Items[i]
		used[p.Spec.NodeName] = true
		asked := b.promisesTo(w.Name + "/" + p.Name)
		if p.Spec.NodeName != "" {
			a.bound++
		}
		if len(asked) == 0 {
			continue
		}
		a.promised++
		switch {
		case p.Spec.NodeName == "":
			a.waiting++
			a.misses = append(a.misses, fmt.Sprintf("%s has no node: %s; it was promised %s; the daemon: %+v", p.Name, unschedulable(p), asked, b.verdict(p)))
		case len(asked) > 1:
			a.misses = append(a.misses, fmt.Sprintf("%s was promised room more than once: %s", p.Name, asked))
		default:
			a.kept++
		}
	}
	for i := range nodes.Items {
		if node := &nodes.Items[i]; !b.old[node.Name] {
			a.nodes++
			if !used[node.Name] {
				a.empty++
				a.misses = append(a.misses, "node "+node.Name+" stayed empty")
			}
		}
	}
	if len(a.misses) > 0 {
		t.Logf("the story of %s:\n%s", w.Name, b.tell(t, w, pods.Items))
	}
	return a
}

// promisesTo are the operations for the pod, in their order, for people.
func (b *book) promisesTo(pod string) []string {
	var out []string
	for _, id := range b.order {
		if op := b.operations[id]; slices.Contains(op.pods, pod) {
			out = append(out, fmt.Sprintf("%s %d->%d", op.pool, op.from, op.to))
		}
	}
	return out
}

func unschedulable(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			return c.Message
		}
	}
	return "the scheduler has not said anything"
}

func fromEnvironment(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: want a whole number, such as 50", name, text)
	}
	return n
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}
