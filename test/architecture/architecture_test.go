package architecture_test

import (
	"strings"
	"testing"
)

func TestImportsPointOneWay(t *testing.T) {
	rooms := mustList(t)
	for _, rule := range importRules {
		for _, violation := range rooms.violations(rule) {
			t.Error(violation)
		}
	}
}

func TestPurePackagesReachForNoClockAndStartNoGoroutine(t *testing.T) {
	impure, err := mustList(t).impurities()
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range impure {
		t.Error(violation)
	}
}

func TestNoFolderHasAnEmptyName(t *testing.T) {
	for _, violation := range mustList(t).emptilyNamed() {
		t.Error(violation)
	}
}

func mustList(t *testing.T) house {
	t.Helper()
	rooms, err := list()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := rooms["test/architecture"]; !ok {
		t.Fatalf("go list found %d packages and not even this one", len(rooms))
	}
	return rooms
}

// The tests above pass as well when the rules have no teeth. This one shows them made-up houses that break the rules.
func TestEveryKindOfViolationIsFound(t *testing.T) {
	own := func(names ...string) room {
		var r room
		for _, name := range names {
			if !strings.Contains(name, ".") && !strings.HasPrefix(name, "net/") && name != "os" {
				name = module + "/" + name
			}
			r.Imports = append(r.Imports, name)
		}
		return r
	}
	for name, c := range map[string]struct {
		house house
		want  string // empty: nothing to complain about
	}{
		"a sound house": {house: house{
			"plan": own("plan/reason"), "plan/reason": own(), "cluster": own("plan", "k8s.io/api/core/v1"), "healer": own("cluster", "plan"),
			"arbiter": own("plan", "ledger"), "ledger": own(), "app": own("healer", "arbiter", "cluster/watch"), "cluster/watch": own("cluster", "k8s.io/client-go/informers"),
			"cloudprovider/kwok": own("cloudprovider", "k8s.io/client-go/kubernetes"), "cmd/poolkeeper": own("app", "os"),
		}},
		"the vocabulary knows a decider":        {house{"plan": own("healer"), "healer": own()}, "plan imports healer"},
		"it knows one through another package":  {house{"cluster": own("window"), "window": own("upgrader"), "upgrader": own()}, "cluster imports window imports upgrader"},
		"a decider knows another":               {house{"healer": own("upgrader/order"), "upgrader/order": own()}, "healer imports upgrader/order"},
		"a decider knows the arbiter":           {house{"autoscaler": own("arbiter")}, "autoscaler imports arbiter"},
		"a decider reads the API":               {house{"upgrader": own("cluster/api")}, "upgrader imports cluster/api"},
		"a decider reads the configuration":     {house{"healer": own("config")}, "healer imports config"},
		"the arbiter knows a decider":           {house{"arbiter": own("healer")}, "arbiter imports healer"},
		"the actuator knows the arbiter":        {house{"actuator": own("arbiter")}, "actuator imports arbiter"},
		"a provider knows a decider":            {house{"cloudprovider/scaleway": own("autoscaler")}, "cloudprovider/scaleway imports autoscaler"},
		"configuration knows everybody":         {house{"config": own("app")}, "config imports app"},
		"production stands on a test":           {house{"app": own("test/e2e/process")}, "app imports test/e2e/process"},
		"a pure package has a client":           {house{"ledger": own("k8s.io/client-go/kubernetes")}, "ledger imports k8s.io/client-go/kubernetes"},
		"a pure package logs":                   {house{"healer": own("k8s.io/klog/v2")}, "healer imports k8s.io/klog/v2"},
		"a pure package has metrics":            {house{"arbiter": own("github.com/prometheus/client_golang/prometheus")}, "arbiter imports github.com/prometheus"},
		"a pure package has a clock of its own": {house{"window": own("k8s.io/utils/clock")}, "window imports k8s.io/utils/clock"},
		"effects where none are expected":       {house{"config": own("net/http")}, "config imports net/http"},
	} {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, rule := range importRules {
				found = append(found, c.house.violations(rule)...)
			}
			if c.want == "" && len(found) > 0 {
				t.Errorf("unexpected: %q", found)
			}
			if !strings.Contains(strings.Join(found, "\n"), c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

func TestImpureSourceIsFoundUnderWhateverNameTheClockIsImported(t *testing.T) {
	const source = `package healer

import clock "time"

func init() {}

func decide(now clock.Time) bool {
	go decide(now)
	var time struct{ Now func() }
	time.Now()
	return clock.Since(now) > clock.Minute
}
`
	found, err := impurity("healer/healer.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"healer.go:5:1: an init function", "healer.go:8:2: a goroutine", "healer.go:11:9: time.Since"} {
		if i >= len(found) || !strings.Contains(found[i], want) {
			t.Errorf("found %q, want %q among it", found, want)
		}
	}
	if len(found) != 3 {
		t.Errorf("found %q", found)
	}
}

func TestEmptyNamesAreFoundAnywhereInAPath(t *testing.T) {
	found := house{"plan": {}, "cluster/util": {}, "helper/text": {}, "utility": {}}.emptilyNamed()
	if len(found) != 2 {
		t.Errorf("found %q", found)
	}
}
