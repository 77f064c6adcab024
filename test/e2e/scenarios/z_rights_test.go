package scenarios

import (
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
)

// TestTheRightsOfTheChartAreNeitherTooFewNorTooMany looks at what all daemons of the tests before it did: no request was forbidden, and every
// rule of the chart's roles was used. The name of its file puts it last.
func TestTheRightsOfTheChartAreNeitherTooFewNorTooMany(t *testing.T) {
	const prefix = "system:serviceaccount:"
	all, err := plane.Requests(func(q controlplane.Request) bool {
		return strings.HasPrefix(q.User, prefix) && strings.Contains(q.User, ":poolkeeper-")
	})
	must(t, err)
	if len(all) == 0 {
		t.Skip("no daemon ran before this test")
	}
	for _, q := range controlplane.Refused(all) {
		t.Errorf("forbidden: %s", q)
	}
	granted := installation.Granted(installation.Render(t, "audit", "--set", "mode=act", "--set", "provider=kwok"))
	idle := slices.DeleteFunc(installation.Unused(granted, all), func(right string) bool {
		return right == "patch events" // of an Event that repeats, which needs runs as long as that
	})
	if len(idle) > 0 {
		t.Errorf("rules that no run used: %s", strings.Join(idle, "; "))
	}
	t.Logf("%d requests, none forbidden; %d rights granted, all used:\n  %s", len(all), len(granted), strings.Join(controlplane.Rights(all), "\n  "))
}
