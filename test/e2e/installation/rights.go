package installation

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// Granted are the rights that the roles among the objects grant, each as "verb resource.group/subresource".
func Granted(objects []runtime.Object) map[string]bool {
	granted := map[string]bool{}
	for _, object := range objects {
		switch o := object.(type) {
		case *rbacv1.ClusterRole:
			note(granted, o.Rules)
		case *rbacv1.Role:
			note(granted, o.Rules)
		}
	}
	return granted
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

// Unused are the rights that none of the requests used, sorted. A list is a stream at the beginning of a watch where the API server can do that, and a list of its own where it
// can't.
func Unused(granted map[string]bool, requests []controlplane.Request) []string {
	used := map[string]bool{}
	for _, q := range requests {
		used[q.Verb+" "+q.Right.String()] = true
	}
	var idle []string
	for right := range granted {
		asWatch, isList := strings.CutPrefix(right, "list ")
		if !used[right] && !(isList && used["watch "+asWatch]) {
			idle = append(idle, right)
		}
	}
	slices.Sort(idle)
	return idle
}
