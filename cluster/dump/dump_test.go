package dump_test

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/cluster/dump"
)

func TestADumpHasPoolsAndWorkloadsAndNoSecret(t *testing.T) {
	secret := func(p *corev1.Pod) {
		for i := range p.Spec.Containers {
			p.Spec.Containers[i].Env = []corev1.EnvVar{{Name: "TOKEN", Value: "hunter2"}}
			p.Spec.Containers[i].Image = "registry.example/secret-image"
		}
	}
	one, two, bare := Pod("web-1", On("n1"), Of("ReplicaSet", "web"), Label("app", "shop")), Pod("web-2", On("n1"), Of("ReplicaSet", "web"), Label("app", "shop")), Pod("debug", On("n1"))
	for _, pod := range []*corev1.Pod{one, two, bare} {
		secret(pod)
	}
	one.Spec.NodeSelector = map[string]string{"disk": "golden", "topology.kubernetes.io/zone": "zone-a"}
	two.Spec.NodeSelector = one.Spec.NodeSelector
	budget, most := Budget("shop", "app", "shop", 1), intstr.FromInt32(1)
	budget.Spec.MaxUnavailable = &most
	d := dump.Of(New(Pool("front", 1, 5), Node("n1", In("front")), one, two, bare, budget).Snapshot())
	if len(d.Pools) != 1 || len(d.Workloads) != 2 {
		t.Fatalf("there are %d pools and %d workloads: %+v", len(d.Pools), len(d.Workloads), d)
	}
	cpu := d.Pools[0].Capacity[corev1.ResourceCPU]
	if cpu.IsZero() {
		t.Errorf("the pool's nodes have no CPU: %+v", d.Pools[0])
	}
	for _, w := range d.Workloads {
		if w.Name == "web" && (w.Replicas != 2 || w.Owner != "ReplicaSet" || w.MaxUnavailable != "1") {
			t.Errorf("the workload is %+v", w)
		}
	}
	for _, hash := range []bool{false, true} {
		if hash {
			d.Hash()
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"hunter2", "TOKEN", "secret-image"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%q is in the dump", word)
			}
		}
		for _, word := range []string{`"web"`, `"shop"`, "golden"} {
			if strings.Contains(string(text), word) == hash {
				t.Errorf("%q is in the dump: %v, with hashes %v", word, !hash, hash)
			}
		}
		if !strings.Contains(string(text), "zone-a") {
			t.Error("a zone is no secret")
		}
	}
}
