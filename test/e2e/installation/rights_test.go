package installation_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/poolkeeper/poolkeeper/app/rights"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
)

// What `poolkeeper validate` asks for is what the chart grants, in every mode and with every provider: no more and no less.
func TestTheListOfRightsIsThatOfTheChartsRoles(t *testing.T) {
	for _, mode := range []string{"observe", "protect", "act"} {
		for _, provider := range []string{"kwok", "clusterapi", "scaleway", "externalgrpc"} {
			guarded := provider == "scaleway"
			t.Run(fmt.Sprintf("%s %s guarded %v", mode, provider, guarded), func(t *testing.T) {
				var granted, needed []string
				values := []string{"--set", "mode=" + mode, "--set", "provider=" + provider}
				if guarded {
					values = append(values, "--set", "tls.secret=certificate", "--set", "requireAuthorization=true")
				}
				for _, object := range installation.Render(t, "keeper", values...) {
					switch o := object.(type) {
					case *rbacv1.ClusterRole:
						granted = append(granted, listed("", o.Rules)...)
					case *rbacv1.Role:
						granted = append(granted, listed(o.Namespace, o.Rules)...)
					}
				}
				all := rights.Needed(mode, []string{provider}, "keeper")
				if guarded {
					all = append(all, rights.Guarding()...)
				}
				for _, right := range all {
					needed = append(needed, right.String())
				}
				slices.Sort(granted)
				slices.Sort(needed)
				if diff := cmp.Diff(slices.Compact(granted), slices.Compact(needed)); diff != "" {
					t.Errorf("- the chart grants, + validate asks for; mend app/rights or the chart:\n%s", diff)
				}
			})
		}
	}
}

func listed(namespace string, rules []rbacv1.PolicyRule) []string {
	var all []string
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						// The subresource is a part of the resource's name here, as in RBAC.
						all = append(all, fmt.Sprint(rights.Right{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name}))
					}
				}
			}
		}
	}
	return all
}
