package clusterapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
)

const capacity = "capacity.cluster-autoscaler.kubernetes.io/"

// bare takes the capacity annotations away.
func bare(o *unstructured.Unstructured) {
	o.SetAnnotations(map[string]string{clusterapi.AnnotationMin: "1", clusterapi.AnnotationMax: "6"})
}

// infra makes the infrastructure template of the pool.
func (p *place) infra(status map[string]any) {
	p.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "infrastructure." + clusterapi.Group + "/v1", "kind": "TestMachineTemplate", "metadata": map[string]any{"name": "front"}, "status": status,
	}}
	gvr := schema.GroupVersionResource{Group: "infrastructure." + clusterapi.Group, Version: "v1", Resource: "testmachinetemplates"}
	if _, err := p.memory.Resource(gvr).Namespace(namespace).Create(p.Context(), o, metav1.CreateOptions{}); err != nil {
		p.Fatal(err)
	}
	p.refresh()
}

func (p *place) template() *corev1.Node {
	p.Helper()
	template, err := p.group().TemplateNodeInfo(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return template.Node
}

func TestATemplateIsWhatTheInfrastructureHasUnlessAnAnnotationSaysOtherwise(t *testing.T) {
	p := newPlace(t, "MachineDeployment", bare, annotated(capacity+"memory", "32Gi"), annotated(capacity+"gpu-count", "2"),
		annotated(capacity+"gpu-type", "amd.com/gpu"), annotated(capacity+"labels", "disk=ssd, tier=web"), annotated(capacity+"taints", "team=shop:NoSchedule"),
		field(map[string]any{"node-role.kubernetes.io/worker": "", "of-the-machine-alone": "yes"}, "spec", "template", "metadata", "labels"),
		field([]any{
			map[string]any{"key": "stays", "effect": "NoExecute", "propagation": "Always"},
			map[string]any{"key": "goes", "effect": "NoSchedule", "propagation": "OnInitialization"},
		}, "spec", "template", "spec", "taints"))
	p.infra(map[string]any{"capacity": map[string]any{"cpu": "8", "memory": "16Gi", "pods": "40"}, "nodeInfo": map[string]any{"architecture": "arm64"}})
	node := p.template()
	got := map[string]string{}
	for name, amount := range node.Status.Allocatable {
		got[string(name)] = amount.String()
	}
	if diff := cmp.Diff(map[string]string{"cpu": "8", "memory": "32Gi", "pods": "40", "amd.com/gpu": "2"}, got); diff != "" {
		t.Errorf("allocatable (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"disk": "ssd", "tier": "web", "node-role.kubernetes.io/worker": "", corev1.LabelArchStable: "arm64", corev1.LabelOSStable: "linux", corev1.LabelTopologyZone: "zone-1",
	}
	if diff := cmp.Diff(want, node.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	taints := []corev1.Taint{{Key: "stays", Effect: corev1.TaintEffectNoExecute}, {Key: "team", Value: "shop", Effect: corev1.TaintEffectNoSchedule}}
	if diff := cmp.Diff(taints, node.Spec.Taints); diff != "" {
		t.Errorf("taints (-want +got):\n%s", diff)
	}
	if node.Status.NodeInfo.KubeletVersion != "v1.35.4" {
		t.Errorf("the version is %s", node.Status.NodeInfo.KubeletVersion)
	}
}

func TestTheInfrastructureIsFoundInTheOlderAPIToo(t *testing.T) {
	p := newPlace(t, "MachineDeployment", bare, field(map[string]any{
		"apiVersion": "infrastructure." + clusterapi.Group + "/v1", "kind": "TestMachineTemplate", "name": "front",
	}, "spec", "template", "spec", "infrastructureRef"))
	p.infra(map[string]any{"capacity": map[string]any{"cpu": "8", "memory": "16Gi"}})
	if got := p.template().Status.Capacity.Cpu().String(); got != "8" {
		t.Errorf("it has %s CPUs", got)
	}
}

func TestATemplateThatNobodyKnowsIsNotMadeUp(t *testing.T) {
	p := newPlace(t, "MachineDeployment", bare)
	_, err := p.group().TemplateNodeInfo(t.Context())
	if cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented || !strings.Contains(err.Error(), capacity+"cpu") {
		t.Errorf("the error is %v", err)
	}
}

func TestAnAnnotationThatMakesNoSenseIsToldWithItsName(t *testing.T) {
	for key, value := range map[string]string{
		"cpu": "lots", "memory": "-1Gi", "labels": "disk", "taints": "team=shop:Sometimes",
	} {
		p := newPlace(t, "MachineDeployment", annotated(capacity+key, value))
		_, err := p.group().TemplateNodeInfo(t.Context())
		if cloudprovider.ClassOf(err) != cloudprovider.ClassInvalid || !strings.Contains(err.Error(), capacity+key) {
			t.Errorf("%s=%s: the error is %v", key, value, err)
		}
	}
	p := newPlace(t, "MachineDeployment", annotated("cluster.x-k8s.io/autoscaling-options-scaledownunneededtime", "0s"))
	if _, err := p.group().GetOptions(t.Context(), cloudprovider.Options{}); cloudprovider.ClassOf(err) != cloudprovider.ClassInvalid {
		t.Errorf("an option of zero gave %v", err)
	}
}

func TestWhyAMachineCouldNotBeMadeIsReadFromItsStatus(t *testing.T) {
	ready := func(reason, message string) map[string]any {
		return map[string]any{"conditions": []any{map[string]any{"type": "InfrastructureReady", "status": "False", "reason": reason, "message": message}}}
	}
	for name, c := range map[string]struct {
		status map[string]any
		want   cloudprovider.Class // empty: it is no failure
	}{
		"a terminal failure":             {map[string]any{"failureReason": "InsufficientResources", "failureMessage": "sorry"}, cloudprovider.ClassOutOfResources},
		"one of the newer API":           {map[string]any{"deprecated": map[string]any{"v1beta1": map[string]any{"failureReason": "CreateError", "failureMessage": "vCPU quota exceeded"}}}, cloudprovider.ClassQuota},
		"one without a known word":       {map[string]any{"failureReason": "CreateError", "failureMessage": "?"}, cloudprovider.ClassOther},
		"a mistake":                      {map[string]any{"failureReason": "InvalidConfiguration"}, cloudprovider.ClassInvalid},
		"a phase alone":                  {map[string]any{"phase": "Failed"}, cloudprovider.ClassOther},
		"no capacity, tried again":       {ready("InstanceProvisionFailed", "InsufficientInstanceCapacity: we do not have sufficient capacity"), cloudprovider.ClassOutOfResources},
		"no stock in a zone":             {ready("Failed", "ZONE_RESOURCE_POOL_EXHAUSTED"), cloudprovider.ClassOutOfResources},
		"a quota":                        {ready("Failed", "Quota 'CPUS' exceeded. Limit: 24.0"), cloudprovider.ClassQuota},
		"waiting for the infrastructure": {ready("WaitingForInfrastructure", "the network is not ready yet"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "MachineSet")
			p.cloud.Withhold = true
			if err := p.group().IncreaseSize(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			p.settle()
			for _, m := range p.memory.objects[standin.Resource("machines")] {
				if text, _, _ := unstructured.NestedString(m.Object, "spec", "providerID"); text == "" {
					p.memory.objects[standin.Resource("machines")][namespace+"/"+m.GetName()].Object["status"] = c.status
				}
			}
			p.refresh()
			var failed []cloudprovider.Instance
			for _, i := range p.instances() {
				if i.Status.ErrorInfo != nil {
					failed = append(failed, i)
				}
			}
			switch {
			case c.want == "" && len(p.instances()) != 3:
				t.Errorf("a Machine that waits is listed: %v", ids(p.instances()))
			case c.want != "" && (len(failed) != 1 || failed[0].Status.ErrorInfo.ErrorClass != c.want || failed[0].Status.State != cloudprovider.InstanceCreating):
				t.Errorf("the failed ones are %+v, want one of class %s", failed, c.want)
			}
		})
	}
}
