package healer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// corroboration is what the healer does, given the condition of the node, its lease, and what the cloud says: after how long it proposes what
// ("drain": the node can still be drained), or with which reason it holds for good.
const corroboration = `
condition lease cloud   | outcome
True      fresh here    | well
True      fresh stopped | NotCorroborated
True      fresh failed  | NotCorroborated
True      fresh leaving | well
True      fresh absent  | well
True      fresh gone    | NotCorroborated
True      fresh unsure  | well
True      stale here    | well
True      stale stopped | NotCorroborated
True      stale failed  | NotCorroborated
True      stale leaving | well
True      stale absent  | well
True      stale gone    | NotCorroborated
True      stale unsure  | well
False     fresh here    | 5m0s Replace drain NotReady
False     fresh stopped | 5m0s Replace drain NotReady
False     fresh failed  | 1m0s Replace drain InstanceFailed
False     fresh leaving | DeletingInstance
False     fresh absent  | 5m0s Replace drain NotReady
False     fresh gone    | 5m0s Replace drain NotReady
False     fresh unsure  | 5m0s Replace drain NotReady
False     stale here    | 5m0s Replace dead NotReady
False     stale stopped | 5m0s Replace dead InstanceStopped
False     stale failed  | 1m0s Replace dead InstanceFailed
False     stale leaving | DeletingInstance
False     stale absent  | 5m0s Replace dead NotReady
False     stale gone    | 15s Clean dead InstanceGone
False     stale unsure  | 5m0s Replace dead NotReady
Unknown   fresh here    | NotCorroborated
Unknown   fresh stopped | NotCorroborated
Unknown   fresh failed  | NotCorroborated
Unknown   fresh leaving | NotCorroborated
Unknown   fresh absent  | NotCorroborated
Unknown   fresh gone    | NotCorroborated
Unknown   fresh unsure  | NotCorroborated
Unknown   stale here    | 5m0s Replace dead Unreachable
Unknown   stale stopped | 5m0s Replace dead InstanceStopped
Unknown   stale failed  | 1m0s Replace dead InstanceFailed
Unknown   stale leaving | DeletingInstance
Unknown   stale absent  | 5m0s Replace dead Unreachable
Unknown   stale gone    | 15s Clean dead InstanceGone
Unknown   stale unsure  | 5m0s Replace dead Unreachable
none      -     here    | 10m0s Replace dead NeverRegistered
none      -     stopped | 5m0s Replace dead InstanceStopped
none      -     failed  | 1m0s Replace dead InstanceFailed
none      -     leaving | DeletingInstance
none      -     absent  | ProviderUnknown
none      -     gone    | well
none      -     unsure  | ProviderUnknown
noted     fresh here    | 10m0s Replace drain NodeCondition
noted     fresh stopped | NotCorroborated
noted     fresh failed  | 1m0s Replace drain InstanceFailed
noted     fresh leaving | DeletingInstance
noted     fresh absent  | 10m0s Replace drain NodeCondition
noted     fresh gone    | NotCorroborated
noted     fresh unsure  | 10m0s Replace drain NodeCondition
noted     stale here    | NotCorroborated
noted     stale stopped | NotCorroborated
noted     stale failed  | NotCorroborated
noted     stale leaving | DeletingInstance
noted     stale absent  | NotCorroborated
noted     stale gone    | NotCorroborated
noted     stale unsure  | NotCorroborated
dated     fresh here    | StaleCondition
dated     fresh stopped | StaleCondition
dated     fresh failed  | StaleCondition
dated     fresh leaving | StaleCondition
dated     fresh absent  | StaleCondition
dated     fresh gone    | StaleCondition
dated     fresh unsure  | StaleCondition
dated     stale here    | StaleCondition
dated     stale stopped | StaleCondition
dated     stale failed  | StaleCondition
dated     stale leaving | StaleCondition
dated     stale absent  | StaleCondition
dated     stale gone    | StaleCondition
dated     stale unsure  | StaleCondition
waiting   fresh here    | 15m0s Replace drain NeverReady
waiting   fresh stopped | NotCorroborated
waiting   fresh failed  | 15m0s Replace drain NeverReady
waiting   fresh leaving | DeletingInstance
waiting   fresh absent  | 15m0s Replace drain NeverReady
waiting   fresh gone    | NotCorroborated
waiting   fresh unsure  | 15m0s Replace drain NeverReady
waiting   stale here    | NotCorroborated
waiting   stale stopped | NotCorroborated
waiting   stale failed  | NotCorroborated
waiting   stale leaving | DeletingInstance
waiting   stale absent  | NotCorroborated
waiting   stale gone    | NotCorroborated
waiting   stale unsure  | NotCorroborated
`

func TestConditionLeaseAndCloudTogetherSayWhatIsDone(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(corroboration), "\n")[1:]
	if want := 6*2*7 + 7; len(rows) != want {
		t.Fatalf("the table has %d rows, want all %d", len(rows), want)
	}
	for _, line := range rows {
		witnesses, want, _ := strings.Cut(line, "|")
		f := strings.Fields(witnesses)
		t.Run(strings.Join(f, " "), func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimSpace(want), outcome(t, f[0], f[1], f[2])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// outcome lets the three witnesses say what they say for half an hour.
func outcome(t *testing.T, condition, lease, cloud string) string {
	t.Helper()
	sick := clustertest.Node("n1", clustertest.In("a"))
	things := []any{
		clustertest.Pool("a", 1, 2, clustertest.Set(func(s *cluster.Settings) {
			s.Conditions = []cluster.ConditionRule{{Type: "KernelDeadlock", Status: corev1.ConditionTrue, After: 10 * time.Minute}}
		})), clustertest.Node("n2", clustertest.In("a")), clustertest.Node("n3"), clustertest.Node("n4"),
		clustertest.Instance("a", "n1", cloudprovider.InstanceRunning),
	}
	if condition != "none" {
		things = append(things, sick)
	}
	w := newWard(t, things...)
	w.pass(time.Minute)
	if condition == "none" {
		// The minute before was part of its time to register.
		w = newWard(t, things...)
	}
	if lease == "stale" {
		w.silent["n1"] = true
		w.pass(time.Minute)
	}
	switch condition {
	case "False":
		w.becomes(sick, clustertest.NotReady(w.world.Now))
	case "Unknown":
		w.becomes(sick, clustertest.Silent(w.world.Now))
	case "noted": // whoever writes it goes on writing
		w.becomes(sick, noting("KernelDeadlock", "DockerHung", w.world.Now.Add(time.Hour)))
	case "dated":
		w.becomes(sick, noting("KernelDeadlock", "DockerHung", w.world.Now.Add(-time.Hour)))
	case "waiting":
		w.becomes(sick, clustertest.Tainted("startup-taint.cluster-autoscaler.kubernetes.io/agent", "", corev1.TaintEffectNoSchedule))
	}
	id := sick.Spec.ProviderID
	instance := *w.instances[id]
	instance.Started = w.world.Now
	w.instances[id] = &instance
	switch cloud {
	case "stopped":
		instance.Status.State = cloudprovider.InstanceStopped
	case "failed":
		instance.Healthy = cloudprovider.HealthBad
	case "leaving":
		instance.Status.State = cloudprovider.InstanceDeleting
	case "absent":
		delete(w.instances, id)
	case "gone":
		w.vanishes(sick)
	case "unsure":
		w.observe()
		w.deaf = true
		w.world.Add(cluster.ProviderObserved{Provider: "test", Err: "the cloud is away"})
	}
	w.look()
	if took, proposed := w.until(30 * time.Minute); proposed {
		p := w.last.Proposals[0]
		way := "drain"
		if p.Dead {
			way = "dead"
		}
		return strings.Join([]string{took.String(), string(p.Action), way, string(p.Reason)}, " ")
	}
	for _, v := range w.last.Verdicts {
		if v.Name == "n1" || v.Name == id {
			return string(v.Reason)
		}
	}
	return "well"
}

// noting puts a condition onto a node that was last written at a moment.
func noting(kind corev1.NodeConditionType, why string, written time.Time) clustertest.OnNode {
	return func(n *corev1.Node) {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: why, LastHeartbeatTime: metav1.NewTime(written),
		})
	}
}

func TestEveryCombinationOfWitnessesHasARow(t *testing.T) {
	for _, condition := range []condition{ready, noted, dated, waiting, unready, unknown, noNode} {
		for _, lease := range []lease{fresh, stale} {
			for _, cloud := range []cloud{here, stopped, failed, leaving, absent, gone, unsure} {
				found := false
				for _, r := range table {
					found = found || r == consult(condition, lease, cloud)
				}
				if !found {
					t.Errorf("no row for %s, %s, %s", condition, lease, cloud)
				}
			}
		}
	}
}

func TestEveryReasonIsInTheClosedList(t *testing.T) {
	for _, r := range table {
		if r.health == well {
			continue
		}
		entry, ok := reason.Lookup(r.sign)
		if !ok {
			t.Errorf("%q is not in the list", r.sign)
		}
		if r.health == sick && entry.Verdict != reason.Acts {
			t.Errorf("%s is a reason to repair, but the list says that it %s", r.sign, entry.Verdict)
		}
	}
}
