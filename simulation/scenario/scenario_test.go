package scenario_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/simulation/scenario"
)

const head = "apiVersion: poolkeeper.io/v1alpha1\nkind: Scenario\nlength: 2h\n"

func TestEveryMistakeInAScenarioIsToldWithItsLine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{"s.yaml: the file is empty: begin it with"}},
		{"no YAML", "a: [", []string{"s.yaml: this is not YAML"}},
		{"something else", "kind: Pod\n", []string{`s.yaml:1: apiVersion: is "": write poolkeeper.io/v1alpha1`, `s.yaml:1: kind: is "Pod": write Scenario`, "length: is 0s: give a time"}},
		{"unknown fields, all at once", head + "wrkloads: []\nevents:\n- at: 1h\n  fial: {nodes: 1}\n", []string{"s.yaml:4: wrkloads: there is no such field", "s.yaml:7: fial: there is no such field"}},
		{"durations", head + "load:\n- {at: noon, percent: 50}\n- {at: -1h, percent: 50}\n", []string{`s.yaml:5: "noon" is not a duration`, `s.yaml:6: "-1h" is not a duration`}},
		{"a number that is none", head + "seed: many\n", []string{"s.yaml:4: cannot unmarshal"}},
		{"points out of order", head + "load:\n- {at: 1h, percent: 50}\n- {at: 1h, percent: -1}\n", []string{"s.yaml:6: load.1.percent: is -1"}},
		{"workloads", head + "workloads:\n- {name: Web, cpu: lots, memory: -1Gi, replicas: -3, minAvailable: 1, maxUnavailable: 1}\n- {name: a, namespace: A}\n- {name: a, namespace: A}\n", []string{
			`s.yaml:5: workloads.0.name: "Web"`, `workloads.0.cpu: "lots" is not a quantity`, `workloads.0.memory: "-1Gi"`, "workloads.0.replicas: is -3", "workloads.0.minAvailable: stands beside",
			`s.yaml:6: workloads.1.namespace: "A"`, "s.yaml:7: workloads.2.name: \"a\" is there twice",
		}},
		{"events", head + "events:\n- at: 1h\n- at: 1h\n  fail: {}\n- {at: 1h, upgrade: {version: new}}\n- {at: 1h, burst: {replicas: 0}}\n- {at: 1h, outOfStock: {}}\n- {at: 1h, outage: 1m, fail: {nodes: 1}}\n", []string{
			"s.yaml:5: events.0: says 0 things", "s.yaml:7: events.1.fail.nodes: is 0", `s.yaml:8: events.2.upgrade.version: "new" is no version`, "s.yaml:9: events.3.burst.replicas: is 0",
			"events.3.burst.for: is missing", "s.yaml:10: events.4.outOfStock.for: is missing", "s.yaml:11: events.5: says 2 things",
		}},
		{"too long", "apiVersion: poolkeeper.io/v1alpha1\nkind: Scenario\nlength: 10000h\n", []string{"s.yaml:3: length: is 10000h0m0s: give a time of at most 336h0m0s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := scenario.Parse("s.yaml", []byte(c.text))
			if err == nil {
				t.Fatal("there is no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing", want)
				}
			}
			if t.Failed() {
				t.Log(err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(head + "events:\n- {at: 1h, fail: {nodes: 2}}\n")
	f.Add("a: [1, {b: c}]\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = scenario.Parse("s.yaml", []byte(text)) }) // no panic
}

func run(t *testing.T, text string, flags ...string) *scenario.Result {
	t.Helper()
	s, err := scenario.Parse("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cloud, workloads := scenario.Synthetic(12)
	r, err := scenario.Run(t.Context(), scenario.Setup{Cloud: cloud, Workloads: workloads, Scenario: s, Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) > 0 {
		t.Errorf("violated: %s", r.Violations)
	}
	return r
}

func TestLoadThatFallsLetsNodesGoAndTheFlagsDecideWhen(t *testing.T) {
	const falls = "apiVersion: poolkeeper.io/v1alpha1\nkind: Scenario\nlength: 2h\nload: [{at: 0s, percent: 100}, {at: 10m, percent: 100}, {at: 11m, percent: 30}]\n"
	soon, late := run(t, falls, "--scale-down-unneeded-time=2m", "--scale-down-delay-after-add=1m"), run(t, falls, "--scale-down-unneeded-time=60m")
	if soon.Disrupted["autoscaler"] < 3 {
		t.Errorf("the autoscaler took away %d nodes", soon.Disrupted["autoscaler"])
	}
	if soon.NodeHours() >= late.NodeHours() || soon.Cost >= late.Cost {
		t.Errorf("patience costs nothing: %.1f and %.1f node-hours", soon.NodeHours(), late.NodeHours())
	}
	if soon.Left > 0 || late.Left > 0 {
		t.Error("pods are left without a node")
	}
	table := scenario.Table(soon, late)
	for _, want := range []string{"A", "B", "node-hours", "their wait, p50", "autoscaler: nodes asked for, disrupted; pods evicted"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing in\n%s", want, table)
		}
	}
	readable(t, scenario.SVG("a <fall> & so on", soon, late))
	readable(t, scenario.SVG("a fall", soon))
}

func readable(t *testing.T, svg string) {
	t.Helper()
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the picture can't be read: %v", err)
		}
	}
}

func TestWhatHappensIsAnsweredByTheJobWhoseItIs(t *testing.T) {
	r := run(t, "apiVersion: poolkeeper.io/v1alpha1\nkind: Scenario\nlength: 3h\nload: [{at: 0s, percent: 60}]\nevents:\n"+
		"- {at: 10m, fail: {nodes: 1}}\n- {at: 40m, burst: {replicas: 20, cpu: 1, for: 20m}}\n- {at: 90m, upgrade: {version: v1.36.3}}\n- {at: 85m, outage: 30s}\n- {at: 41m, outOfStock: {pool: general-b, for: 10m}}\n",
		"--upgrade-window=always", "--scale-down-unneeded-time=5m")
	if r.Disrupted["healer"] != 1 {
		t.Errorf("the healer replaced %d nodes, want 1", r.Disrupted["healer"])
	}
	if r.Grown["autoscaler"] < 2 {
		t.Errorf("the autoscaler asked for %d nodes in the burst", r.Grown["autoscaler"])
	}
	if r.Disrupted["upgrader"] < 3 || r.Evicted["upgrader"] < 5 {
		t.Errorf("the upgrader replaced %d nodes and evicted %d pods", r.Disrupted["upgrader"], r.Evicted["upgrader"])
	}
}

func TestTheSameSeedGivesTheSameResult(t *testing.T) {
	const text = head + "seed: 7\nevents: [{at: 20m, fail: {nodes: 1}}]\n"
	if a, b := scenario.Table(run(t, text)), scenario.Table(run(t, text)); a != b {
		t.Errorf("one seed, two results:\n%s\n%s", a, b)
	}
}

func TestAPoolThatIsNotThereIsTold(t *testing.T) {
	s, err := scenario.Parse("s.yaml", []byte(head+"events: [{at: 1h, fail: {pool: wbe, nodes: 1}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	cloud, workloads := scenario.Synthetic(3)
	_, err = scenario.Run(t.Context(), scenario.Setup{Cloud: cloud, Workloads: workloads, Scenario: s})
	if err == nil || !strings.Contains(err.Error(), `events.0: there is no pool "wbe" in this cluster: name one of general-a, general-b, general-c`) {
		t.Errorf("the error is %v", err)
	}
}

const dumped = `apiVersion: poolkeeper.io/v1alpha1
kind: Dump
pools:
- name: MachineDeployment/default/web
  min: 1
  max: 9
  target: 3
  version: v1.35.4
  price: 0.1
  labels: {topology.kubernetes.io/zone: zone-a, team: shop, kubernetes.io/os: linux}
  taints: [{key: team, value: shop, effect: NoSchedule}]
  capacity: {cpu: "4", memory: 16Gi, pods: "110"}
workloads:
- namespace: shop
  name: front-5d4f7
  owner: ReplicaSet
  replicas: 6
  requests: {cpu: "1", memory: 2Gi}
  labels: {app: front}
  maxUnavailable: 50%
  rules:
    nodeSelector: {team: shop}
    tolerations: [{key: team, value: shop, effect: NoSchedule}]
    affinity:
      podAntiAffinity:
        preferredDuringSchedulingIgnoredDuringExecution:
        - {weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: front}}}}
- {namespace: shop, name: agent, owner: DaemonSet, replicas: 3, requests: {cpu: 100m}}
`

func TestADumpedClusterIsLivedThrough(t *testing.T) {
	cloud, workloads, err := scenario.FromDump("d.yaml", []byte(dumped))
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Parse("s.yaml", []byte(head+"load: [{at: 0s, percent: 100}, {at: 20m, percent: 100}, {at: 21m, percent: 300}]\nevents: [{at: 90m, upgrade: {version: v1.36.3}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := scenario.Run(t.Context(), scenario.Setup{Cloud: cloud, Workloads: workloads, Scenario: s, Flags: []string{"--upgrade-window=always"}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Left > 0 || r.Grown["autoscaler"] < 2 || len(r.Violations) > 0 || r.Evicted["upgrader"] == 0 {
		t.Errorf("the cluster did not answer:\n%s", scenario.Table(r))
	}
	for name, text := range map[string]string{
		"this is no dump": "pols: []", `this is a "Pod"`: "apiVersion: v1\nkind: Pod\n", "there are no pools": "apiVersion: poolkeeper.io/v1alpha1\nkind: Dump\n",
		"pools.0: capacity": strings.Replace(dumped, "memory: 16Gi, ", "", 1), "pools.0: min 1": strings.Replace(dumped, "max: 9", "max: 0", 1),
	} {
		if _, _, err := scenario.FromDump("d.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q is missing in %v", name, err)
		}
	}
}
