package scenarios

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/window"
)

// Scenario 43: a window of four hours from Monday 22:00 in Paris, which is an hour ahead of UTC in winter: nothing begins before, and nothing after 02:00.
func TestARolloutKeepsToItsWindow(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window = opening("monday 22:00 4h Europe/Paris")
	s.start()
	s.Run(3 * time.Minute)
	s.SetVersion("general", "v1.36.3")
	opens := time.Date(2026, 1, 5, 21, 0, 0, 0, time.UTC)
	s.until("the first begins", 24*time.Hour, func() bool { return s.claimed() > 0 })
	if at := s.Now(); at.Before(opens) || at.After(opens.Add(time.Minute)) {
		t.Errorf("it began at %s, want %s", at, opens)
	}
	s.say("another version appears when the window has closed")
	s.until("the pool is current", time.Hour, func() bool { return s.current("general", "v1.36.3", 3) })
	s.Run(opens.Add(4*time.Hour + time.Minute).Sub(s.Now()))
	s.SetVersion("general", "v1.36.4")
	s.Run(24 * time.Hour)
	if s.claimed() > 0 || len(s.behind("general", "v1.36.3")) > 0 || !s.answered("general", reason.OutsideWindow) {
		t.Errorf("the plan says %+v", s.daemon.Plan().Verdicts)
	}
	line := s.daemon.Plan().Pools[0].Window
	if want := opens.Add(7 * 24 * time.Hour); line.Open || !line.Opens.Equal(want) {
		t.Errorf("the window is shown as %+v, want it to open at %s", line, want)
	}
	s.end()
}

// lazy pods take four minutes to end.
func lazy(replicas int) simulation.Workload {
	w := slow(replicas)
	w.CPU, w.Behaviour.Stop = "2500m", 4*time.Minute
	w.Shape = func(p *corev1.PodTemplateSpec) {
		grace := int64(300)
		p.Spec.TerminationGracePeriodSeconds = &grace
	}
	return w
}

// Scenario 44: the window closes half-way: the node in work ends, no other is begun, and it goes on in the next window where it was.
func TestAWindowThatClosesHalfWay(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window = opening("any 09:00 14m")
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(lazy(3))
	s.Run(2 * time.Minute)
	s.SetVersion("general", "v1.36.3")
	opens := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for day := range 3 {
		s.say("day %d", day+1)
		s.until("the window has closed", 25*time.Hour, func() bool { return s.Now().After(opens.Add(15 * time.Minute)) })
		if left := len(s.behind("general", "v1.36.3")); left != 2-day || s.claimed() > 0 {
			t.Errorf("on day %d %d old nodes are left and %d are under way, want %d and none", day+1, left, s.claimed(), 2-day)
		}
		opens = opens.Add(24 * time.Hour)
	}
	s.size("general", 3)
	s.marks()
	s.end()
}

// Scenario 44: a drain that drags on past the end of the window is undone.
func TestADrainThatOverrunsTheWindowIsUndone(t *testing.T) {
	s := tell(t, pool("general", 2, 4, old))
	s.settings.Window, s.settings.DrainTimeout = opening("any 09:00 14m"), 2*time.Hour
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(simulation.Workload{Name: "web", Replicas: 2, CPU: "2500m", Memory: "1Gi", MinAvailable: "2"})
	s.Run(2 * time.Minute)
	s.SetVersion("general", "v1.36.3")
	s.until("one is drained", 2*time.Hour, func() bool { return s.draining("general-1") || s.draining("general-2") })
	s.until("it is undone", time.Hour, func() bool { return s.claimed() == 0 })
	if at, want := s.Now(), time.Date(2026, 1, 5, 9, 29, 0, 0, time.UTC); at.Before(want) || at.After(want.Add(time.Minute)) {
		t.Errorf("it was undone at %s, want %s", at, want)
	}
	s.Run(time.Minute)
	s.marks()
	s.end()
}

// Scenario 45: a node whose drain can't end in the time left is not begun.
func TestANodeWhoseDrainCannotEndInTimeIsNotBegun(t *testing.T) {
	s := tell(t, pool("general", 3, 6, old))
	s.settings.Window = opening("any 09:00 30m")
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(slow(1)) // its grace period is half an hour
	s.Run(2 * time.Minute)
	s.SetVersion("general", "v1.36.3")
	s.Run(25 * time.Hour)
	left := s.behind("general", "v1.36.3")
	if len(left) != 1 || !s.answered(left[0].Name, reason.WindowTooShort) || s.running("web") != 1 {
		t.Errorf("%d old nodes are left, and the plan says %+v", len(left), s.daemon.Plan().Verdicts)
	}
	s.Run(40 * time.Minute)
	s.end()
}

// Scenario 46: the control plane goes first, one minor version after the other, and no kubelet is ever newer; a freeze of minor versions holds it, and a
// pool on the patch channel stays at its minor version.
func TestTheControlPlaneGoesFirstAndSkipsNoMinorVersion(t *testing.T) {
	at := func(name string) kwok.Pool {
		return pool(name, 2, 4, func(p *kwok.Pool) { p.Template.Version = "v1.34.2" })
	}
	cloud := kwok.Config{Pools: []kwok.Pool{at("minor"), at("patch")}}
	for _, name := range []string{"v1.34.2", "v1.34.5", "v1.35.6", "v1.36.3"} {
		cloud.Versions = append(cloud.Versions, cloudprovider.Version{Name: name, Released: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)})
	}
	s := tellOf(t, simulation.Options{Cloud: cloud, Managed: true, Version: "v1.34.2"})
	byPool := map[string]cluster.Settings{"minor": s.settings, "patch": s.settings}
	frozen, err := window.ParseFreezes("2026-01-05/2026-01-05 no-minor")
	if err != nil {
		t.Fatal(err)
	}
	for name, settings := range byPool {
		settings.Window, settings.Freezes, settings.Channel = opening("always"), frozen, cluster.Channel(name)
		byPool[name] = settings
	}
	s.byPool = byPool
	s.start()
	var served []string
	watch := func() {
		if v := s.ServerVersion(); len(served) == 0 || served[len(served)-1] != v {
			served = append(served, v)
		}
		server := version.MustParseGeneric(s.ServerVersion())
		for _, node := range slices.Concat(s.nodes("minor"), s.nodes("patch")) {
			if kubelet := version.MustParseGeneric(node.Status.NodeInfo.KubeletVersion); server.LessThan(version.MajorMinor(kubelet.Major(), kubelet.Minor())) {
				t.Fatalf("%s has %s, and the API server %s\n%s", node.Name, kubelet, server, s.Log)
			}
		}
	}
	s.until("the freeze is over", 25*time.Hour, func() bool { watch(); return s.Now().After(time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)) })
	if v := s.ServerVersion(); v != "v1.34.5" || !s.current("patch", "v1.34.5", 2) {
		t.Errorf("the API server has %s after the freeze of minor versions, want v1.34.5, and the pool patch has it too", v)
	}
	s.until("the pool is current", 12*time.Hour, func() bool { watch(); return s.current("minor", "v1.36.3", 2) })
	if !slices.Equal(served, []string{"v1.34.2", "v1.34.5", "v1.35.6", "v1.36.3"}) {
		t.Errorf("the API server had %v", served)
	}
	if !s.current("patch", "v1.34.5", 2) {
		t.Error("the pool patch left its minor version")
	}
	s.Run(5 * time.Minute)
	s.marks()
	s.end()
}
