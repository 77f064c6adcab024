package clusterapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// pool is a resource and its machines, as they were last read or written. It is never changed once others can see it.
type pool struct {
	name, kind string
	object     *unstructured.Unstructured
	// cluster is the Cluster that it belongs to; nil if there is no such.
	cluster *unstructured.Unstructured
	// machines are all its machines, the oldest first.
	machines []*machine
	// removed are the machines for which its replicas were lowered, the latest last.
	removed []removal
	// least and most are the annotations; problem is what is wrong with them.
	least, most int
	problem     error

	template    *cloudprovider.Template
	templateErr error
}

// removal is an entry of [annotationRemoved].
type removal struct {
	Machine string    `json:"machine"`
	UID     types.UID `json:"uid"`
	ID      string    `json:"id"`
}

func newPool(kind string, o, cluster *unstructured.Unstructured, members []*unstructured.Unstructured) *pool {
	x := &pool{name: nameOf(kind, o), kind: kind, object: o, cluster: cluster}
	for _, m := range members {
		x.machines = append(x.machines, machineOf(m, x.name))
	}
	if len(members) == 0 && kind == kindPool {
		list, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "providerIDList")
		for _, id := range list {
			x.machines = append(x.machines, &machine{namespace: o.GetNamespace(), id: id, group: x.name})
		}
	}
	slices.SortFunc(x.machines, func(a, b *machine) int {
		if a.object == nil || b.object == nil {
			return strings.Compare(a.id, b.id)
		}
		return cmp.Or(a.object.GetCreationTimestamp().Compare(b.object.GetCreationTimestamp().Time), strings.Compare(a.name, b.name))
	})
	x.read()
	return x
}

// read reads what the resource's annotations say.
func (x *pool) read() {
	var problems []error
	limit := func(annotation string) int {
		written, there := x.object.GetAnnotations()[annotation]
		value, err := strconv.Atoi(strings.TrimSpace(written))
		switch {
		case !there:
			problems = append(problems, fmt.Errorf("%s has no annotation %s; add it, or take the other one away", x.name, annotation))
		case err != nil || value < 0:
			problems = append(problems, fmt.Errorf("%s: annotation %s is %q; write a whole number", x.name, annotation, written))
		}
		return max(0, value)
	}
	x.least, x.most = limit(AnnotationMin), limit(AnnotationMax)
	if len(problems) == 0 && x.least > x.most {
		problems = append(problems, fmt.Errorf("%s: its min of %d is above its max of %d; change the annotation %s or %s", x.name, x.least, x.most, AnnotationMin, AnnotationMax))
	}
	x.most = max(x.least, x.most)
	x.removed = removedFrom(x.object)
	x.problem = nil
	if err := errors.Join(problems...); err != nil {
		x.problem = &cloudprovider.Error{Class: cloudprovider.ClassInvalid, Doing: "read " + x.name, Err: err}
	}
}

// removedFrom reads the annotation. What somebody has spoiled is as good as nothing: the machines that are gone are then strangers.
func removedFrom(o *unstructured.Unstructured) []removal {
	var list []removal
	if json.Unmarshal([]byte(o.GetAnnotations()[annotationRemoved]), &list) != nil {
		return nil
	}
	return list
}

func (x *pool) wasRemoved(uid types.UID) bool {
	return slices.ContainsFunc(x.removed, func(r removal) bool { return r.UID == uid })
}

// replicas is the target.
func replicas(o *unstructured.Unstructured) int { return number(o.Object, 1, "spec", "replicas") }

// version is the Kubernetes version of new machines; empty if the template has none.
func (x *pool) version() string {
	v := text(x.object.Object, "spec", "template", "spec", "version")
	if v != "" && !strings.HasPrefix(v, "v") {
		v = "v" + v
	}
	return v
}

// chosen tells whether single machines of the pool can be deleted.
func (x *pool) chosen() bool {
	return x.kind != kindPool || len(x.machines) == 0 || x.machines[0].object != nil
}

// native tells whether Cluster API rolls the machines when the template changes.
func (x *pool) native() bool {
	return x.kind == kindPool || x.kind == kindDeployment && x.strategy() != "OnDelete"
}

// strategy is the rollout strategy, in either version of the API.
func (x *pool) strategy() string {
	return cmp.Or(text(x.object.Object, "spec", "rollout", "strategy", "type"), text(x.object.Object, "spec", "strategy", "type"))
}

// rolling says what shows that Cluster API is rolling the machines at this moment; empty if nothing does.
func (x *pool) rolling() string {
	if !x.native() {
		return ""
	}
	if status, _ := condition(x.object.Object, "RollingOut"); status == metav1.ConditionTrue {
		return "its condition RollingOut is True"
	}
	behind, wanted := 0, strings.TrimPrefix(x.version(), "v")
	for _, m := range x.machines {
		if m.object == nil || wanted == "" {
			continue
		}
		if has := strings.TrimPrefix(text(m.object.Object, "spec", "version"), "v"); has != wanted {
			behind++
		}
	}
	if behind > 0 {
		return fmt.Sprintf("%d of its machines are not of version %s yet", behind, x.version())
	}
	return ""
}

// paused says what is paused; empty if nothing is.
func (x *pool) paused() string {
	_, marked := x.object.GetAnnotations()[annotationPaused]
	switch {
	case marked:
		return fmt.Sprintf("%s is paused by its annotation %s", x.name, annotationPaused)
	case flag(x.object.Object, "spec", "paused"):
		return x.name + " is paused by its spec.paused"
	case x.cluster == nil:
		return ""
	}
	if _, marked := x.cluster.GetAnnotations()[annotationPaused]; marked || flag(x.cluster.Object, "spec", "paused") {
		return fmt.Sprintf("its Cluster %s/%s is paused", x.cluster.GetNamespace(), x.cluster.GetName())
	}
	return ""
}

// topology says that a value belongs to the topology of the Cluster, which would put it back; both are false for a resource that no topology made.
func (x *pool) topology() (version, size bool) {
	if _, owned := x.object.GetLabels()[labelTopologyOwned]; !owned || x.cluster == nil {
		return false, false
	}
	field, label := "machineDeployments", labelTopologyName
	if x.kind == kindPool {
		field, label = "machinePools", labelTopologyPool
	}
	list, _, _ := unstructured.NestedFieldNoCopy(x.cluster.Object, "spec", "topology", "workers", field)
	entries, _ := list.([]any)
	for _, one := range entries {
		entry, ok := one.(map[string]any)
		if ok && text(entry, "name") == x.object.GetLabels()[label] {
			_, size, _ = unstructured.NestedFieldNoCopy(entry, "replicas")
		}
	}
	return true, size
}

// held are the jobs to be left alone.
func (x *pool) held() []cloudprovider.HeldJob {
	var jobs []cloudprovider.HeldJob
	hold := func(cause cloudprovider.HoldCause, message string, held ...cloudprovider.Job) {
		for _, job := range held {
			if !slices.ContainsFunc(jobs, func(h cloudprovider.HeldJob) bool { return h.Job == job }) {
				jobs = append(jobs, cloudprovider.HeldJob{Job: job, Cause: cause, Message: message})
			}
		}
	}
	all := []cloudprovider.Job{cloudprovider.Autoscale, cloudprovider.Autoheal, cloudprovider.AutoUpgrade}
	if x.object.GetDeletionTimestamp() != nil {
		hold(cloudprovider.CloudAtWork, x.name+" is being deleted", all...)
	}
	if why := x.paused(); why != "" {
		hold(cloudprovider.CloudAtWork, why, all...)
	}
	version, size := x.topology()
	if size {
		hold(cloudprovider.CloudSwitchOn, "its replicas are set in the topology of its Cluster "+x.cluster.GetName()+"; take them out there, and the size is the daemon's", cloudprovider.Autoscale)
	}
	if version {
		hold(cloudprovider.CloudSwitchOn, "its version belongs to the topology of its Cluster "+x.cluster.GetName()+"; change spec.topology.version there", cloudprovider.AutoUpgrade)
	}
	if why := x.rolling(); why != "" {
		hold(cloudprovider.CloudAtWork, "Cluster API is rolling it: "+why, cloudprovider.ScaleDown, cloudprovider.Autoheal, cloudprovider.AutoUpgrade)
	}
	if x.kind == kindDeployment && x.strategy() == "OnDelete" {
		hold(cloudprovider.CloudSwitchOn, "its rollout strategy is OnDelete, which leaves upgrades to people; set RollingUpdate", cloudprovider.AutoUpgrade)
	}
	if !x.chosen() {
		hold(cloudprovider.ExternalMachines, "its infrastructure makes no Machines, so that no single one can be deleted", cloudprovider.ScaleDown, cloudprovider.Autoheal)
	}
	return jobs
}
