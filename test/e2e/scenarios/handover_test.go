package scenarios

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

// quickLease are the flags of an election that changes hands within seconds.
var quickLease = []string{"--leader-elect-lease-duration=6s", "--leader-elect-renew-deadline=4s", "--leader-elect-retry-period=1s"}

// sickAgain lets replacements that fall sick too be repaired at once: these tests kill them on purpose, and a lineage of failures would wait longer and longer.
var sickAgain = []string{"--heal-backoff=1s", "--heal-backoff-max=1s", "--heal-quarantine-after=0"}

// times is a number from the environment, for runs by hand that are longer than CI's.
func times(t *testing.T, variable string, inCI int) int {
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

// replicas are the daemons of an installation.
type replicas struct {
	*scene
	running []*process.Process
}

// leader is the replica that holds the Lease.
func (r *replicas) leader(ctx context.Context) (*process.Process, error) {
	lease, err := plane.Client().CoordinationV1().Leases("kube-system").Get(ctx, "poolkeeper", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	holder := ""
	if lease.Spec.HolderIdentity != nil {
		holder = *lease.Spec.HolderIdentity
	}
	for _, p := range r.running {
		if p.Running() && strings.HasSuffix(holder, fmt.Sprintf("_%d", p.PID())) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("the Lease is held by %q, which is none of the replicas that run", holder)
}

// await waits until one of the replicas leads that is none of those.
func (r *replicas) await(not *process.Process) *process.Process {
	r.T.Helper()
	var leader *process.Process
	r.Eventually(2*time.Minute, func(ctx context.Context) error {
		p, err := r.leader(ctx)
		if err == nil && p == not {
			err = fmt.Errorf("%s leads still", p.Name)
		}
		leader = p
		return err
	})
	return leader
}

// fill starts replicas until two run.
func (r *replicas) fill() {
	r.T.Helper()
	var running []*process.Process
	for _, p := range r.running {
		if p.Running() {
			running = append(running, p)
		}
	}
	for len(running) < 2 {
		running = append(running, r.Start(slices.Concat(quickLease, sickAgain)...))
	}
	r.running = running
}

// depose takes the leadership from the leader, in one of three ways.
func (r *replicas) depose(leader *process.Process, way int) string {
	r.T.Helper()
	switch way % 3 {
	case 0:
		r.Stop(leader)
		return "SIGTERM"
	case 1:
		leader.Kill()
		return "SIGKILL"
	}
	must(r.T, leader.Signal(syscall.SIGSTOP))
	r.await(leader) // past the lease: another one leads
	must(r.T, leader.Signal(syscall.SIGCONT))
	r.Eventually(time.Minute, func(context.Context) error { // and then it finds that it may do nothing any more
		if leader.Running() {
			return fmt.Errorf("%s still runs, although it lost the Lease", leader.Name)
		}
		return nil
	})
	leader.Kill() // it has ended by itself, which is no crash here
	return "SIGSTOP and SIGCONT"
}

// Leadership changes hands in the middle of each of several repairs: one machine is made and one ended for each, and the pool is never larger than it may be.
// HANDOVERS=50 is the run by hand.
func TestLeadershipThatChangesHandsDoesNothingTwice(t *testing.T) {
	handovers := times(t, "HANDOVERS", 3)
	s := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")))
	web, r := s.KwokPool("web"), &replicas{scene: s}
	r.fill()
	web.Sized(3, 2*time.Minute)
	s.Deploy("front", 3, "1500m")
	for n := range handovers {
		victim := s.Running("front", 3, 4*time.Minute)[0].Spec.NodeName
		leader := r.await(nil)
		s.Kill(victim)
		most := 0
		how := ""
		s.Eventually(5*time.Minute, func(ctx context.Context) error {
			nodes, err := web.Nodes(ctx)
			if err != nil {
				return err
			}
			most = max(most, len(nodes))
			if how == "" && (s.Marked(ctx, victim) || s.Gone(victim)(ctx) == nil) {
				how = r.depose(leader, n)
			}
			if err := s.Gone(victim)(ctx); err != nil {
				return err
			}
			return web.Current(3, "v1.36.3")(ctx)
		})
		t.Logf("hand-over %d by %s: %s was replaced, and there were %d nodes at most", n+1, how, victim, most)
		if most > 4 {
			t.Errorf("there were %d nodes of pool web at once, want 4 at most", most)
		}
		r.fill()
	}
	web.Sized(3, 2*time.Minute)
	s.Running("front", 3, 4*time.Minute)
	if n := len(s.created()); n != 3+handovers {
		t.Errorf("%d nodes were made, want three at first and %d replacements", n, handovers)
	}
	s.CheckRights()
}

// moment is when the n-th kill comes: all moments within the time are met, and none twice in a row.
func moment(n int, within time.Duration) time.Duration {
	const parts = 97
	return within * time.Duration(n*61%parts) / parts
}

// The daemon is killed at random moments of repair after repair; each ends with one machine made. KILLS=200 is the run by hand.
func TestADaemonThatIsKilledAtAnyMomentForgetsNothing(t *testing.T) {
	kills := times(t, "KILLS", 4)
	s := install(t, "act", pools(pool("web", 3, 10, "v1.36.3")))
	web := s.KwokPool("web")
	p := s.Start(sickAgain...)
	web.Sized(3, 2*time.Minute)
	s.Deploy("front", 3, "1500m")
	killed, repairs := 0, 0
	for killed < kills {
		victim := s.Running("front", 3, 4*time.Minute)[0].Spec.NodeName
		s.Kill(victim)
		repairs++
		met, next := 0, time.Now().Add(moment(killed, 9*time.Second))
		s.Eventually(6*time.Minute, func(ctx context.Context) error {
			if s.Gone(victim)(ctx) == nil && web.Current(3, "v1.36.3")(ctx) == nil {
				return nil
			}
			if time.Now().After(next) && met < 5 && killed < kills {
				met, killed = met+1, killed+1
				p.Kill()
				p = s.Start(sickAgain...)
				next = time.Now().Add(moment(killed, 4*time.Second))
			}
			return fmt.Errorf("%s is not replaced yet", victim)
		})
	}
	web.Sized(3, 2*time.Minute)
	s.Running("front", 3, 4*time.Minute)
	if n := len(s.created()); n != 3+repairs {
		t.Errorf("%d nodes were made, want three at first and %d replacements", n, repairs)
	}
	deleted := s.Requests(func(q controlplane.Request) bool { return q.Verb == "delete" && q.Resource == "nodes" && q.Code < 300 })
	t.Logf("%d kills in %d repairs; %d nodes made, %d deleted", killed, repairs, 3+repairs, len(deleted))
}
