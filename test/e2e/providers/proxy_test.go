package providers

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
	"github.com/poolkeeper/poolkeeper/test/e2e/wire"
)

// poor is how the way is all the time: of a hundred requests three never come through, five are throttled, eight writes are done without an answer, and twenty are late; all connections, the
// watches' and the Lease's among them, are cut about every six seconds. So few fail that the daemon goes on: it does nothing at all while a quarter of its calls fail.
var poor = wire.Trouble{Fail: 0.03, Lose: 0.08, Throttle: 0.05, Late: 0.2, LateBy: 700 * time.Millisecond, Cut: 12 * time.Second}

// storm is how it is for some seconds in each round, when everything is under way.
var storm = wire.Trouble{Fail: 0.3, Lose: 0.3, Throttle: 0.3, Late: 0.5, LateBy: 3 * time.Second, Cut: time.Second}

// A repair, a scale-up and a rollout at a time, with the API server behind a proxy that delays, drops and throttles. One machine is made for each that was needed and one ends for each that
// was replaced, no pool is ever smaller or larger than it may be, no pod goes past its budget, and while the trouble lasts the cluster comes to rest. The daemon may lose its Lease, and is then started
// again, as a kubelet would. ROUNDS=20 is the run by hand: in each further round there is one more repair, and a scale-up or a scale-down.
func TestABadWayToTheAPIServerLosesNothingAndDoesNothingTwice(t *testing.T) {
	rounds, seed := setting(t, "ROUNDS", 1), setting(t, "PROXY_SEED", 1)
	const old, current = "v1.35.4", "v1.36.3"
	s := &scene{Stage: stage.New(t, plane), Installation: installation.New(t, plane, daemon, "proxied"), name: "proxied"}
	s.cloud = lend(s, stage.KwokFile([]string{old, current},
		stage.KwokPool{Name: "web", Min: 1, Max: 8, Size: 3, Version: current, Labels: map[string]string{"for": "web"}},
		stage.KwokPool{Name: "old", Min: 2, Max: 4, Size: 2, Version: old, Labels: map[string]string{"for": "old"}}))
	web, rolled := s.KwokPool("web"), s.KwokPool("old")
	s.Apply(&installation.Chart{
		Mode: "act", Provider: s.cloud.provider, CloudConfig: s.cloud.config,
		Flags: append(installation.QuickTimers(), "--upgrade-window=always", "--drain-load-balancer-delay=1s", "--heal-backoff=1s", "--heal-quarantine-after=0",
			"--auto-upgrade=false", "--upgrade-version="+current, "--scale-down-unneeded-time=15s",
			"--breaker-calm=5s", "--breaker-stage=5s"),
	})
	straight := s.kubeconfig()
	proxy := wire.NewProxy(t, plane.RESTConfig(), uint64(seed)) //nolint:gosec // a seed
	config, err := proxy.Kubeconfig(straight)
	must(t, err)
	byProxy := "--kubeconfig=" + s.File("by-proxy.kubeconfig", string(config))

	p := s.Start(byProxy)
	web.Sized(3, time.Minute)
	rolled.Sized(2, time.Minute)
	for name, replicas := range map[string]int32{"web": 3, "old": 2} {
		s.Budget(name, replicas-1)
		s.Deploy(name, replicas, "3", stage.On("for", name))
		s.Running(name, int(replicas), time.Minute)
	}
	s.Stop(p)
	ends := []func(){web.Between(0, 5), rolled.Between(2, 4)}

	proxy.Begin(poor)
	began := time.Now()
	d := &kept{scene: s, flags: []string{byProxy, "--auto-upgrade=true"}}
	machines, size := 5+2, 3 // the first ones, and two for the rollout
	for round := range rounds {
		victim := s.Running("web", size, 5*time.Minute)[0].Spec.NodeName
		if round%2 == 0 {
			size++
		} else {
			size--
		}
		s.Kill(victim)
		s.Scale("web", int32(size)) //nolint:gosec // a small number
		d.eventually(6*time.Minute, func(ctx context.Context) error {
			if !s.Marked(ctx, victim) {
				return errors.New(victim + " is not being repaired yet")
			}
			return nil
		})
		proxy.Begin(storm)
		over := time.Now().Add(5 * time.Second)
		d.eventually(time.Minute, func(context.Context) error {
			if time.Now().Before(over) {
				return errors.New("the storm is not over")
			}
			return nil
		})
		proxy.Begin(poor)
		d.eventually(6*time.Minute, s.Gone(victim))
		d.eventually(6*time.Minute, web.Settled(size))
		d.eventually(6*time.Minute, rolled.Current(2, current))
		d.eventually(6*time.Minute, rolled.Settled(2))
		s.Running("web", size, 5*time.Minute)
		s.Running("old", 2, 5*time.Minute)
		if machines++; round%2 == 0 {
			machines++
		}
		t.Logf("round %d: %s was replaced, and pool web has %d nodes", round+1, victim, size)
	}
	for _, end := range ends[1:] {
		end()
	}
	ends[0]()
	t.Logf("%v under trouble; the proxy met %s; the daemon was started %d times", time.Since(began).Round(time.Second), proxy.Met(), d.starts)
	if made := s.cloud.made(); made != machines {
		t.Errorf("%d machines were made, want %d", made, machines)
	}
	nodes, err := plane.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, node := range nodes.Items {
		if node.Spec.Unschedulable || s.Marked(t.Context(), node.Name) {
			t.Errorf("node %s is cordoned or marked after all: %v, %v", node.Name, node.Spec.Taints, node.Annotations)
		}
	}
	for _, q := range s.Requests(func(q controlplane.Request) bool { return q.Verb == "delete" && q.Resource == "pods" }) {
		t.Errorf("a pod was deleted past its budget: %s", q)
	}
	s.CheckRights()
	if words := proxy.Met(); !strings.Contains(words, "done without an answer") || !strings.Contains(words, "throttled") || !strings.Contains(words, "dropped") || !strings.Contains(words, "cut") {
		t.Errorf("there was too little trouble for a proof: %s", words)
	}
}

// kept is a daemon that is started again when it has ended.
type kept struct {
	*scene
	flags  []string
	now    *process.Process
	starts int
}

func (k *kept) eventually(limit time.Duration, check stage.Check) {
	k.T.Helper()
	k.Eventually(limit, func(ctx context.Context) error {
		if k.now == nil || !k.now.Running() {
			if k.now != nil {
				k.T.Logf("%s ended by itself: %s", k.now.Name, k.now.Tail(3))
				k.now.Kill() // which is no crash here
			}
			k.now = k.Start(k.flags...)
			k.starts++
		}
		return check(ctx)
	})
}

// kubeconfig is the path of the kubeconfig that the daemon is given.
func (s *scene) kubeconfig() string {
	for _, arg := range s.Args {
		if path, ok := strings.CutPrefix(arg, "--kubeconfig="); ok {
			return path
		}
	}
	s.T.Fatal("the daemon has no --kubeconfig")
	return ""
}

// setting is a number from the environment, for runs by hand.
func setting(t *testing.T, variable string, inCI int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return inCI
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: write a positive number", variable, text)
	}
	return n
}
