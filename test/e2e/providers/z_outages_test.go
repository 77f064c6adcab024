package providers

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// away is how long each is stopped: shorter than the leader's Lease lasts, but for the API server, which stays away until the leader has given up.
const away = 5 * time.Second

// In the middle of a repair etcd is killed, in that of the next one the provider, then the API server; each comes back, and each repair ends with one machine made. The file's name puts it last:
// what it stops is everybody's. OUTAGES=30 is the run by hand.
func TestWhatTheDaemonNeedsIsStoppedAndStartedUnderIt(t *testing.T) {
	outages := setting(t, "OUTAGES", 2)
	s := &scene{Stage: stage.New(t, plane), Installation: installation.New(t, plane, daemon, "outages"), name: "outages"}
	s.cloud = lend(s, stage.KwokFile([]string{"v1.36.3"}, stage.KwokPool{Name: "web", Min: 1, Max: 8, Size: 3, Version: "v1.36.3"}), "--address="+freeAddress(t))
	web := s.KwokPool("web")
	s.Apply(&installation.Chart{
		Mode: "act", Provider: s.cloud.provider, CloudConfig: s.cloud.config,
		Flags: append(installation.QuickTimers(), "--heal-backoff=1s", "--heal-quarantine-after=0", "--breaker-calm=5s", "--breaker-stage=5s"),
	})
	d := &kept{scene: s}
	d.eventually(time.Minute, web.Settled(3))
	s.Budget("web", 2)
	s.Deploy("web", 3, "3")
	stopped := []string{controlplane.Etcd, "provider-server-" + s.name, controlplane.APIServer}
	most := 0
	counting := func(check stage.Check) stage.Check {
		return func(ctx context.Context) error {
			nodes, err := web.Nodes(ctx)
			if err != nil {
				return err
			}
			most = max(most, len(nodes))
			return check(ctx)
		}
	}
	for n := range outages {
		name, victim := stopped[n%len(stopped)], s.Running("web", 3, 5*time.Minute)[0].Spec.NodeName
		s.Kill(victim)
		d.eventually(5*time.Minute, counting(func(ctx context.Context) error {
			if !s.Marked(ctx, victim) {
				return errors.New(victim + " is not being repaired yet")
			}
			return nil
		}))
		plane.Component(name).Kill()
		began := time.Now()
		d.eventually(time.Minute, func(context.Context) error {
			if time.Since(began) < away {
				return errors.New(name + " is away")
			}
			return nil
		})
		if name == controlplane.APIServer {
			s.Eventually(time.Minute, func(context.Context) error {
				if d.now.Running() {
					return errors.New("the daemon still runs, although it can't renew its Lease")
				}
				return nil
			})
			d.now.Kill() // it has ended by itself, which is no crash here
		}
		must(t, plane.Restart(t.Context(), name))
		d.eventually(6*time.Minute, counting(s.Gone(victim)))
		d.eventually(6*time.Minute, counting(web.Settled(3)))
		t.Logf("outage %d: %s was away; %s was replaced %v after its beginning", n+1, name, victim, time.Since(began).Round(time.Second))
	}
	s.Running("web", 3, 5*time.Minute)
	if made := s.cloud.made(); made != 3+outages {
		t.Errorf("%d machines were made, want three at first and %d replacements", made, outages)
	}
	if most > 4 {
		t.Errorf("there were %d nodes at once, want 4 at most", most)
	}
	t.Logf("the daemon was started %d times; there were %d nodes at most", d.starts, most)
	s.CheckRights()
}

// freeAddress is an address of this machine that nobody listens at just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return listener.Addr().String()
}
