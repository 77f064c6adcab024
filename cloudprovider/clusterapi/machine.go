package clusterapi

import (
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// failedPrefix begins the ID of a Machine that failed before it had a provider ID. A Machine that is still waiting for one is in no list.
const failedPrefix = "clusterapi-failed://"

// machine is a Machine, or the entry of a MachinePool whose infrastructure makes no Machines (then object is nil).
type machine struct {
	object    *unstructured.Unstructured
	namespace string
	name      string
	// id is the provider ID as the node has it; empty while there is none.
	id string
	// group is the name of the pool.
	group string
}

// normal is a provider ID in the spelling by which it is compared: infrastructures differ in upper and lower case and in doubled slashes between the
// Machine and the node.
func normal(id string) string {
	scheme, rest, found := strings.Cut(strings.TrimSpace(id), "://")
	if !found {
		return strings.ToLower(scheme)
	}
	parts := strings.FieldsFunc(rest, func(r rune) bool { return r == '/' })
	return strings.ToLower(scheme + "://" + strings.Join(parts, "/"))
}

// machineOf reads a Machine.
func machineOf(o *unstructured.Unstructured, group string) *machine {
	m := &machine{object: o, namespace: o.GetNamespace(), name: o.GetName(), group: group}
	m.id = strings.TrimSpace(text(o.Object, "spec", "providerID"))
	if m.id == "" && m.failure() != nil {
		m.id = failedPrefix + m.namespace + "/" + m.name
	}
	return m
}

// deleting tells whether the Machine is on its way out.
func (m *machine) deleting() bool { return m.object != nil && m.object.GetDeletionTimestamp() != nil }

// joined tells whether the Machine ever became a node.
func (m *machine) joined() bool {
	return m.object == nil || text(m.object.Object, "status", "nodeRef", "name") != ""
}

// instance is the machine in the contract's words. Removed says that it is to go although nobody has begun with that yet.
func (m *machine) instance(removed bool) cloudprovider.Instance {
	i := cloudprovider.Instance{ID: m.id, Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}}
	if m.object == nil {
		return i
	}
	o := m.object.Object
	i.Created = m.object.GetCreationTimestamp().Time
	i.Version = text(o, "spec", "version")
	i.Zone = text(o, "spec", "failureDomain")
	if zone := text(o, "status", "failureDomain"); zone != "" {
		i.Zone = zone
	}
	i.NodeName = text(o, "status", "nodeRef", "name")
	ready, since := condition(o, "InfrastructureReady")
	failure := m.failure()
	switch {
	case removed || m.deleting():
		i.Status.State = cloudprovider.InstanceDeleting
	case !m.joined() && failure != nil:
		i.Status = cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating, ErrorInfo: failure}
	case !m.joined() && ready != metav1.ConditionTrue:
		i.Status.State = cloudprovider.InstanceCreating
	default:
		i.Started = since
	}
	if i.Started.Before(i.Created) {
		i.Started = time.Time{}
	}
	switch {
	case failure != nil:
		i.Healthy = cloudprovider.HealthBad
	case m.joined() && ready == metav1.ConditionTrue:
		i.Healthy = cloudprovider.HealthGood
	}
	return i
}

// What infrastructures write when a machine can't be made: there is no list of codes, only words.
var (
	outOfMachines = regexp.MustCompile(`(?i)insufficient ?(instance|vm|host)? ?(capacity|resources)|out ?of ?(stock|capacity|resources)|no ?capacity|not enough (free )?(capacity|resources)|resource_pool_exhausted|zonal ?allocation ?failed|sku ?not ?available|no valid host|unavailable in (zone|location)`)
	quotaUsed     = regexp.MustCompile(`(?i)quota|limit ?exceeded|exceeds? (the |your )?(\w+ )*limit`)
)

// failure tells why the Machine could not be made; nil while all is well. Older versions of Cluster API have a terminal failure in the status, newer
// ones only say in the condition InfrastructureReady what stands in the way; of that only what a person or another pool has to help with counts.
func (m *machine) failure() *cloudprovider.InstanceErrorInfo {
	if m.object == nil {
		return nil
	}
	o := m.object.Object
	for _, status := range [][]string{{"status"}, {"status", "deprecated", "v1beta1"}} {
		reason, message := text(o, append(status, "failureReason")...), text(o, append(status, "failureMessage")...)
		if reason == "" && message == "" {
			continue
		}
		class, known := failureClass(reason + " " + message)
		if !known {
			class = cloudprovider.ClassOther
		}
		return &cloudprovider.InstanceErrorInfo{ErrorClass: class, ErrorCode: reason, ErrorMessage: message}
	}
	for _, c := range conditions(o) {
		if text(c, "type") != "InfrastructureReady" || text(c, "status") != string(metav1.ConditionFalse) {
			continue
		}
		reason, message := text(c, "reason"), text(c, "message")
		if class, known := failureClass(reason + " " + message); known {
			return &cloudprovider.InstanceErrorInfo{ErrorClass: class, ErrorCode: reason, ErrorMessage: message}
		}
	}
	if text(o, "status", "phase") == "Failed" {
		return &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.ClassOther, ErrorCode: "Failed", ErrorMessage: "the Machine's phase is Failed"}
	}
	return nil
}

func failureClass(words string) (class cloudprovider.Class, known bool) {
	switch {
	case quotaUsed.MatchString(words):
		return cloudprovider.ClassQuota, true
	case outOfMachines.MatchString(words):
		return cloudprovider.ClassOutOfResources, true
	case strings.Contains(words, "InvalidConfiguration"):
		return cloudprovider.ClassInvalid, true
	}
	return "", false
}

// conditions are the conditions of either version of the API.
func conditions(o map[string]any) []map[string]any {
	var all []map[string]any
	for _, path := range [][]string{{"status", "conditions"}, {"status", "v1beta2", "conditions"}} {
		field, _, _ := unstructured.NestedFieldNoCopy(o, path...)
		list, _ := field.([]any)
		for _, one := range list {
			if c, ok := one.(map[string]any); ok {
				all = append(all, c)
			}
		}
	}
	return all
}

// condition is the status of a condition, and since when it has it if that is True.
func condition(o map[string]any, kind string) (status metav1.ConditionStatus, since time.Time) {
	for _, c := range conditions(o) {
		if text(c, "type") != kind {
			continue
		}
		status = metav1.ConditionStatus(text(c, "status"))
		if at, err := time.Parse(time.RFC3339, text(c, "lastTransitionTime")); err == nil && status == metav1.ConditionTrue {
			since = at
		}
		return status, since
	}
	return metav1.ConditionUnknown, time.Time{}
}

// text is a string field; empty if it is not there.
func text(o map[string]any, path ...string) string {
	value, _, _ := unstructured.NestedString(o, path...)
	return value
}

// number is a whole number; otherwise if it is not there.
func number(o map[string]any, otherwise int, path ...string) int {
	value, found, err := unstructured.NestedInt64(o, path...)
	if !found || err != nil {
		return otherwise
	}
	return int(value)
}

func flag(o map[string]any, path ...string) bool {
	value, _, _ := unstructured.NestedBool(o, path...)
	return value
}
