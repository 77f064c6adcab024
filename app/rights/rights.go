// Package rights is the one list of what the daemon has to be allowed on the API server, by its mode and its providers. `poolkeeper validate` asks for each,
// and a test compares the list with the roles of the chart.
package rights

import (
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/report"
)

// Own stands for the daemon's own namespace in [Right.Namespace].
const Own = "<own>"

// Right is one thing that the daemon does.
type Right struct {
	Verb, Group, Resource string
	// Subresource is empty for the resource itself.
	Subresource string
	// Namespace is where it is done; empty is everywhere. [Own] is the daemon's own.
	Namespace string
	// Name is the one object that it is about; empty is all.
	Name string
	// For says what would not work without it.
	For string
	// Acting rights are needed in modes other than observe, and those of a Provider with that one alone.
	Acting   bool
	Provider string
}

// String is as people and RBAC say it: "list pods", "create pods/eviction", "get leases.coordination.k8s.io named poolkeeper in kube-system".
func (r Right) String() string {
	var b strings.Builder
	b.WriteString(r.Verb + " " + r.Resource)
	if r.Subresource != "" {
		b.WriteString("/" + r.Subresource)
	}
	if r.Group != "" {
		b.WriteString("." + r.Group)
	}
	if r.Name != "" {
		b.WriteString(" named " + r.Name)
	}
	if r.Namespace != "" {
		b.WriteString(" in " + r.Namespace)
	}
	return b.String()
}

// rule is several rights of one purpose: resources, verbs and names are separated by spaces.
type rule struct {
	group, resources, verbs, namespace, name, why, provider string
	acting                                                  bool
}

// rules are all rights there are.
var rules = []rule{
	{resources: "nodes pods namespaces replicationcontrollers persistentvolumes persistentvolumeclaims", verbs: "list watch", why: "see what there is"},
	{group: "apps", resources: "daemonsets replicasets statefulsets", verbs: "list watch", why: "see who made the pods"},
	{group: "batch", resources: "jobs", verbs: "list watch", why: "see who made the pods"},
	{group: "policy", resources: "poddisruptionbudgets", verbs: "list watch", why: "keep budgets"},
	{group: "storage.k8s.io", resources: "storageclasses csinodes csidrivers csistoragecapacities volumeattachments", verbs: "list watch", why: "know where volumes can be"},
	{group: "resource.k8s.io", resources: "deviceclasses resourceslices resourceclaims", verbs: "list watch", why: "know where devices are"},
	{group: "coordination.k8s.io", resources: "leases", verbs: "list watch", name: "cluster-autoscaler", why: "notice a cluster-autoscaler beside it"},
	{resources: "events", verbs: "create patch", why: "tell of decisions"},
	// An observer that acted before takes its marks away. The chart lets it do so once, when it is upgraded; without, the marks stay.
	{resources: "nodes", verbs: "get update", why: "look at a node before a step, and mark it", acting: true},
	{resources: "pods", verbs: "get delete", why: "look at a pod before it is evicted, and delete those of a machine that is off", acting: true},
	{group: "storage.k8s.io", resources: "volumeattachments", verbs: "get delete", why: "let go of the volumes of a machine that is off", acting: true},
	{resources: "pods/eviction", verbs: "create", why: "drain nodes", acting: true},
	{resources: "nodes", verbs: "delete", why: "take away the Node of a machine that is gone", acting: true},
	{resources: "nodes", verbs: "get create update delete", why: "play the cloud", provider: "kwok"},
	{group: "cluster.x-k8s.io", resources: "clusters machinedeployments machinesets machinepools machines", verbs: "list", why: "read the pools", provider: "clusterapi"},
	{group: "infrastructure.cluster.x-k8s.io", resources: "*", verbs: "list", why: "know what a new machine will have", provider: "clusterapi"},
	{group: "cluster.x-k8s.io", resources: "machinedeployments machinesets machinepools machines", verbs: "get", why: "look before a change", provider: "clusterapi"},
	{
		group: "cluster.x-k8s.io", resources: "machinedeployments/scale machinesets/scale machinepools/scale machinedeployments machinesets machinepools", verbs: "update",
		why: "change sizes and versions", provider: "clusterapi", acting: true,
	},
	{group: "cluster.x-k8s.io", resources: "machines", verbs: "patch delete", why: "delete chosen machines", provider: "clusterapi", acting: true},
	{resources: "configmaps", verbs: "create", namespace: Own, why: "keep the ledger and the status"},
	{resources: "configmaps", verbs: "get update", namespace: Own, name: strings.Join(append(store.Names(), report.StatusName), " "), why: "keep the ledger and the status"},
	{resources: "configmaps", verbs: "get", namespace: Own, name: cluster.RequestsName, why: "read what people ask for"},
	{resources: "configmaps", verbs: "get update", namespace: Own, why: "play the cloud", provider: "kwok"},
	{resources: "configmaps", verbs: "list watch", namespace: Own, name: "cluster-autoscaler-priority-expander", why: "read the priorities of pools"},
	{group: "coordination.k8s.io", resources: "leases", verbs: "list", namespace: "kube-node-lease", why: "see the kubelets' heartbeats"},
	{group: "coordination.k8s.io", resources: "leases", verbs: "create", namespace: "kube-system", why: "agree on the one replica that acts"},
	{group: "coordination.k8s.io", resources: "leases", verbs: "get update", namespace: "kube-system", name: "poolkeeper", why: "agree on the one replica that acts"},
}

// guarding are the rights of a daemon that answers only who may ask.
var guarding = []rule{
	{group: "authentication.k8s.io", resources: "tokenreviews", verbs: "create", why: "know who asks at its address"},
	{group: "authorization.k8s.io", resources: "subjectaccessreviews", verbs: "create", why: "know what they may get there"},
}

// Needed are the rights for a mode (observe, protect or act) and providers, with the daemon's own namespace filled in.
func Needed(mode string, providers []string, namespace string) []Right {
	var all []Right
	for _, r := range rules {
		if r.acting && mode == "observe" || r.provider != "" && !slices.Contains(providers, r.provider) {
			continue
		}
		all = append(all, r.rights(namespace)...)
	}
	return all
}

// Guarding are the further rights with --require-authorization.
func Guarding() []Right {
	var all []Right
	for _, r := range guarding {
		all = append(all, r.rights("")...)
	}
	return all
}

func (r rule) rights(own string) []Right {
	var all []Right
	where := r.namespace
	if where == Own {
		where = own
	}
	names := strings.Fields(r.name)
	if len(names) == 0 {
		names = []string{""}
	}
	for resource := range strings.FieldsSeq(r.resources) {
		kind, sub, _ := strings.Cut(resource, "/")
		for verb := range strings.FieldsSeq(r.verbs) {
			for _, name := range names {
				all = append(all, Right{
					Verb: verb, Group: r.group, Resource: kind, Subresource: sub, Namespace: where, Name: name, For: r.why, Acting: r.acting, Provider: r.provider,
				})
			}
		}
	}
	return all
}
