package scenarios

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// Scenario 64: what is taken out in the middle of its work leaves no mark behind: nodes that it had cordoned serve again, those that a person had cordoned stay so.
func TestWhatIsTakenOutLeavesNoMarkBehind(t *testing.T) {
	s := tell(t, pool("general", 2, 4), pool("special", 2, 4))
	s.start()
	s.Run(3 * time.Minute)
	s.Deploy(slow(4))
	s.until("web runs", 3*time.Minute, func() bool { return s.running("web") == 4 })
	byUs, byPerson := s.names("general")[0], s.names("special")[0]
	s.say("a person cordons %s; the kubelets of %s and %s report that they are not ready", byPerson, byUs, byPerson)
	s.Cordon(byPerson)
	s.Sicken(byUs, "the container runtime is down")
	s.Sicken(byPerson, "the container runtime is down")
	s.until("both are drained", 20*time.Minute, func() bool { return s.draining(byUs) && s.draining(byPerson) })
	s.Stop()
	s.say("Poolkeeper is taken out of the cluster")
	retire := func() {
		t.Helper()
		err := app.Retire(t.Context(), s.Store, simulation.Namespace, func() bool { return true }, s.Now, func(what string) { s.Log.Add("%s", what) })
		if err != nil {
			t.Fatal(err)
		}
	}
	retire()
	s.marks()
	for _, node := range append(s.nodes("general"), s.nodes("special")...) {
		if person := node.Name == byPerson; node.Spec.Unschedulable != person {
			t.Errorf("%s is cordoned: %v", node.Name, node.Spec.Unschedulable)
		}
	}
	for _, name := range append(store.Names(), report.StatusName) {
		if _, err := s.Store.GetConfigMap(t.Context(), simulation.Namespace, name); !apierrors.IsNotFound(err) {
			t.Errorf("ConfigMap %s: %v", name, err)
		}
	}
	s.say("once more: there is nothing to do")
	retire()
	s.end()
}

// Without the lease nothing is taken away.
func TestNobodyRetiresAnotherLeader(t *testing.T) {
	s := tell(t, pool("general", 2, 8))
	s.start()
	s.Run(3 * time.Minute)
	s.Stop()
	err := app.Retire(t.Context(), s.Store, simulation.Namespace, func() bool { return false }, s.Now, func(what string) { t.Errorf("it %s", what) })
	if err == nil {
		t.Error("no error")
	}
	if _, err := s.Store.GetConfigMap(t.Context(), simulation.Namespace, report.StatusName); err != nil {
		t.Error(err)
	}
}
