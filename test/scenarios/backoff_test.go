package scenarios

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// A cloud has no more machines of one type in one zone, and says so. The pool that was refused backs off, and with it one whose machines are the same, five minutes
// and then ten. In the middle of those ten the daemon dies, and dies once more: neither pool is asked before they are over, and then with one machine first.
func TestABackOffOutlivesTheDaemon(t *testing.T) {
	like := func(kind, zone string) func(*kwok.Pool) {
		return func(p *kwok.Pool) { p.Template.InstanceType, p.Template.Zone = kind, zone }
	}
	s := tell(t, pool("first", 0, 5, like("m4", "zone-1")), pool("twin", 0, 5, like("m4", "zone-1")), pool("elsewhere", 0, 5, like("m4", "zone-2")))
	in := func(zone string) func(*corev1.PodTemplateSpec) {
		return func(p *corev1.PodTemplateSpec) {
			p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone}
		}
	}
	asked := func() int { return s.increases("first") + s.increases("twin") }
	backoffs := func() map[string]ledger.Backoff {
		all := map[string]ledger.Backoff{}
		for _, b := range s.daemon.Snapshot().Ledger.Backoffs() {
			all[ledger.Put(b).Key] = b
		}
		return all
	}
	s.start()
	s.Run(time.Minute)
	s.SetFaults("first", "outOfStock=type")
	s.SetFaults("twin", "outOfStock=type")
	s.Deploy(simulation.Workload{Name: "web", Replicas: 6, CPU: "1500m", Memory: "1Gi", Shape: in("zone-1")})
	const same = "backoff//zone-1/m4"
	s.until("all are refused, and back off", time.Minute, func() bool { return len(backoffs()) == 3 })
	if first := backoffs()[same]; first.Length != 5*time.Minute {
		t.Errorf("two pools were refused at the same time, and the back-off of their machines is %s, want 5m0s as after any first failure", first.Length)
	}
	s.until("the first back-off is over, and the second begins", 6*time.Minute, func() bool { return backoffs()[same].Length == 10*time.Minute })
	s.Run(4 * time.Minute)
	before, askings := backoffs(), asked()

	s.say("the daemon dies; the cloud has machines again, and it does not know")
	s.SetFaults("first")
	s.SetFaults("twin")
	s.Crash(20 * time.Second)
	s.Run(2 * time.Minute)
	s.say("machines of that type in another zone are nobody's concern")
	s.Deploy(simulation.Workload{Name: "other", Replicas: 1, CPU: "1", Memory: "1Gi", Shape: in("zone-2")})
	s.until("it runs", 2*time.Minute, func() bool { return s.running("other") == 1 })
	s.say("and once more")
	s.Crash(time.Second)
	s.Run(time.Minute)
	after := backoffs()
	for key, b := range before {
		if got := after[key]; !got.Until.Equal(b.Until) || got.Length != b.Length || !got.Failed.Equal(b.Failed) {
			t.Errorf("%s was %+v, and is %+v after the restarts", key, b, got)
		}
	}
	s.Run(before[same].Until.Sub(s.Now()) - time.Second)
	if n := asked(); n != askings {
		t.Errorf("a second before the back-off ends the cloud was asked %d times, want %d, as before the restarts", n, askings)
	}
	s.until("it is over, and the pool is asked for one machine", 3*time.Second, func() bool { return asked() > askings })
	if n := s.Target("first") + s.Target("twin"); n != 1 {
		t.Errorf("%d machines were asked for, want one that shows whether the cloud has any", n)
	}
	s.until("all run", 5*time.Minute, func() bool { return s.running("web") == 6 })
	if left := backoffs(); len(left) != 0 {
		t.Errorf("machines have come, and these back-offs are still there: %+v", left)
	}
	s.end()
}
