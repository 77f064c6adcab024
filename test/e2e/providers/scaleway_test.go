package providers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

// scalewayDelays are the recorded ones at a fraction, with their order kept.
var scalewayDelays = fake.Delays{
	Machine: 200 * time.Millisecond, Register: 800 * time.Millisecond, Boot: time.Second, Delete: time.Second,
	Reboot: time.Second, Update: time.Second, Settle: 100 * time.Millisecond,
}

// scalewayCloud is the fake Scaleway: its machines are nodes whose kubelets kwok plays.
func scalewayCloud(s *scene, w wish) cloud {
	_, c := scaleway(s, w, fake.PoolSpec{Version: bare(w.version)})
	return c
}

func bare(version string) string { return strings.TrimPrefix(version, "v") }

// scaleway puts up a fake Scaleway with one pool, whose control plane has the newest of the wish's versions.
func scaleway(s *scene, w wish, pool fake.PoolSpec) (*fake.Cloud, cloud) {
	s.T.Helper()
	pool.Name, pool.Size, pool.MaxSurge = s.name, w.size, 1
	pool.Tags = []string{fmt.Sprintf("poolkeeper-min=%d", w.min), fmt.Sprintf("poolkeeper-max=%d", w.max)}
	kubelets := &fake.Kubelets{
		Client: plane.Client(), Annotations: map[string]string{kwok.ManagedAnnotation: kwok.ManagedValue},
		Failed: func(err error) { s.T.Log(err) },
	}
	hooks, made := kubelets.Hooks(), atomic.Int32{}
	register := hooks.Registered
	hooks.Registered = func(m fake.Machine) {
		made.Add(1)
		register(m)
	}
	delays := scalewayDelays
	c := fake.New(fake.Options{Cluster: "e2e", Version: bare(w.versions[len(w.versions)-1]), Delays: &delays, Hooks: hooks})
	c.AddPool(pool)
	server := httptest.NewServer(c.Handler())
	ticker, stop := time.NewTicker(50*time.Millisecond), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c.Tick()
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	})
	s.T.Cleanup(func() {
		server.Close()
		ticker.Stop()
		close(stop)
		running.Wait()
	})
	return c, cloud{
		provider: "scaleway", native: true,
		config: fmt.Sprintf("region: fr-par\ncluster: e2e\napiURL: %s\n", server.URL),
		env:    []string{"SCW_SECRET_KEY=" + fake.SecretKey, "SCW_CONFIG_PATH=" + s.Folder() + "/none.yaml"},
		owns:   func(node *corev1.Node) bool { return node.Labels["k8s.scaleway.com/pool-name"] == s.name },
		made:   func() int { return int(made.Load()) },
	}
}

// asked counts the requests of that method whose path ends so.
func asked(c *fake.Cloud, method, end string) int {
	n := 0
	for _, r := range c.Requests() {
		if r.Method == method && strings.HasSuffix(r.Path, end) && r.Status == http.StatusOK {
			n++
		}
	}
	return n
}

// Scenario 38, node by node: the pool's version is right and its nodes are old, as after an upgrade of the service's that got stuck: size + 1, drain,
// delete by ID, three times, and never fewer than three ready nodes.
func TestScalewayNodesAreReplacedOneByOneWhereThePoolHasTheVersionAlready(t *testing.T) {
	w := wish{min: 1, max: 6, size: 3, version: "v1.35.4", versions: []string{"v1.35.4", "v1.36.3"}}
	var c *fake.Cloud
	s := newScene(t, "scaleway", scenario{"38b", w, nil}, func(s *scene, w wish) (made cloud) {
		c, made = scaleway(s, w, fake.PoolSpec{Version: "1.36.3", NodeVersion: "1.35.4"})
		return made
	})
	s.Deploy("front", 6, "1500m")
	first := s.Start("--upgrade-window=always", "--auto-upgrade=false")
	s.pool.Sized(3, 2*time.Minute)
	s.Running("front", 6, time.Minute)
	s.Stop(first)
	end := s.pool.NeverFewerThan(3)
	s.Start("--upgrade-window=always", "--auto-upgrade=true")
	s.Eventually(4*time.Minute, s.pool.Current(3, "v1.36.3"))
	end()
	s.pool.Sized(3, time.Minute)
	s.Running("front", 6, 3*time.Minute)
	if n := s.cloud.made(); n != 6 {
		t.Errorf("%d machines were made, want three old ones and three new ones", n)
	}
	var patches []string
	for _, r := range c.Requests() {
		if r.Method == http.MethodPatch {
			patches = append(patches, strings.TrimSpace(r.Body))
		}
	}
	if want := []string{`{"size":4}`, `{"size":4}`, `{"size":4}`}; !slices.Equal(patches, want) || asked(c, http.MethodPost, "/upgrade") > 0 {
		t.Errorf("sizes that were asked for: %v, want %v; upgrades: %d", patches, want, asked(c, http.MethodPost, "/upgrade"))
	}
	s.CheckRights()
}

// Scenario 46: nothing is upgraded to what must not be: newer than the API server, older than the nodes, outside the window, to a version that the
// service's control plane doesn't have, or beside the service's own switch. Each is said with its reason.
func TestScalewayIsNotUpgradedToWhatMustNotBe(t *testing.T) {
	w := wish{min: 1, max: 3, size: 1, version: "v1.35.4", versions: []string{"v1.35.4", "v1.36.3"}}
	var c *fake.Cloud
	s := newScene(t, "scaleway", scenario{"46", w, nil}, func(s *scene, w wish) (made cloud) {
		c, made = scaleway(s, w, fake.PoolSpec{Version: "1.35.4"})
		return made
	})
	closed := time.Now().UTC().Add(6 * time.Hour).Format("15:00")
	for _, frozen := range []struct {
		why   string
		flags []string
		set   func()
	}{
		{why: "Downgrade", flags: []string{"--upgrade-window=always", "--upgrade-version=v1.34.6"}},
		{why: "OutsideWindow", flags: []string{"--upgrade-window=any " + closed, "--upgrade-version=v1.36.3"}},
		{why: "RolloutHalted", flags: []string{"--upgrade-window=always", "--upgrade-version=v1.36.0"}},          // the service takes 1.36.3 and nothing else
		{why: "WaitingForControlPlane", flags: []string{"--upgrade-window=always", "--upgrade-version=v1.37.0"}}, // which the service refuses for the control plane
		{
			why: "CloudSwitchOn", flags: []string{"--upgrade-window=always", "--upgrade-version=v1.36.3"},
			set: func() { c.SetAutoUpgrade(true) },
		},
	} {
		if frozen.set != nil {
			frozen.set()
		}
		p := s.Start(frozen.flags...)
		s.Eventually(time.Minute, func(context.Context) error {
			if !strings.Contains(p.Tail(400), frozen.why) {
				return errors.New("the daemon does not say " + frozen.why)
			}
			return nil
		})
		s.Stop(p)
		t.Logf("%v: %s", frozen.flags, frozen.why)
	}
	if n := asked(c, http.MethodPost, "/upgrade"); n > 0 {
		t.Errorf("%d upgrades were begun", n)
	}
	s.pool.Sized(1, time.Minute)
	must(t, s.pool.Current(1, "v1.35.4")(t.Context()))
	s.CheckRights()
}
