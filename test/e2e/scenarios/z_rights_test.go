package scenarios

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

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
	used := map[string]bool{}
	for _, q := range all {
		used[q.Verb+" "+q.Right.String()] = true
	}
	granted := map[string]bool{}
	for _, object := range installation.Render(t, "audit", "--set", "mode=act", "--set", "provider=kwok") {
		switch o := object.(type) {
		case *rbacv1.ClusterRole:
			note(granted, o.Rules)
		case *rbacv1.Role:
			note(granted, o.Rules)
		}
	}
	var idle []string
	for right := range granted {
		// A list is a stream at the beginning of a watch where the API server can do that, and a list of its own where it can't.
		asWatch, isList := strings.CutPrefix(right, "list ")
		if !used[right] && !(isList && used["watch "+asWatch]) {
			idle = append(idle, right)
		}
	}
	slices.Sort(idle)
	if len(idle) > 0 {
		t.Errorf("rules that no run used: %s", strings.Join(idle, "; "))
	}
	t.Logf("%d requests, none forbidden; %d rights granted, all used:\n  %s", len(all), len(granted), strings.Join(controlplane.Rights(all), "\n  "))
}

func note(granted map[string]bool, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for i, resource := range rule.Resources {
				group := rule.APIGroups[min(i, len(rule.APIGroups)-1)]
				name, sub, _ := strings.Cut(resource, "/")
				granted[verb+" "+controlplane.Right{Group: group, Resource: name, Subresource: sub}.String()] = true
			}
		}
	}
}
