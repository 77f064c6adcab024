package clusterapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
)

const namespace = "fleet"

// mapper knows the kinds in the version that the stand-in plays.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{
		{Group: clusterapi.Group, Version: standin.Version}, {Group: "infrastructure." + clusterapi.Group, Version: "v1"},
	})
	for _, kind := range []string{"Cluster", "MachineDeployment", "MachineSet", "MachinePool", "Machine"} {
		m.Add(schema.GroupVersionKind{Group: clusterapi.Group, Version: standin.Version, Kind: kind}, meta.RESTScopeNamespace)
	}
	m.Add(schema.GroupVersionKind{Group: "infrastructure." + clusterapi.Group, Version: "v1", Kind: "TestMachineTemplate"}, meta.RESTScopeNamespace)
	return m
}

// resource is a MachineDeployment, MachineSet or MachinePool of three machines, of one to six.
func resource(kind, name string, change ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": clusterapi.Group + "/" + standin.Version, "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": namespace, "annotations": map[string]any{
			clusterapi.AnnotationMin: "1", clusterapi.AnnotationMax: "6",
			"capacity.cluster-autoscaler.kubernetes.io/cpu": "4", "capacity.cluster-autoscaler.kubernetes.io/memory": "16Gi",
		}},
		"spec": map[string]any{
			"clusterName": "prod", "replicas": int64(3), "selector": map[string]any{"matchLabels": map[string]any{"pool": name}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"pool": name}},
				"spec": map[string]any{
					"clusterName": "prod", "version": "v1.35.4", "failureDomain": "zone-1", "bootstrap": map[string]any{"dataSecretName": "boot"},
					"infrastructureRef": map[string]any{"apiGroup": "infrastructure." + clusterapi.Group, "kind": "TestMachineTemplate", "name": name},
				},
			},
		},
	}}
	for _, c := range change {
		c(o)
	}
	return o
}

var resources = map[string]string{"MachineDeployment": "machinedeployments", "MachineSet": "machinesets", "MachinePool": "machinepools", "Cluster": "clusters", "Machine": "machines"}

// create makes an object in the management cluster.
func create(t conformance.TB, m *memory, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	created, err := m.Resource(standin.Resource(resources[o.GetKind()])).Namespace(namespace).Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s %s: %v", o.GetKind(), o.GetName(), err)
	}
	return created
}

// annotated gives an object an annotation.
func annotated(key, value string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) {
		annotations := o.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
		o.SetAnnotations(annotations)
	}
}

// change changes an object of the management cluster, as somebody else would.
func change(t conformance.TB, m *memory, o *unstructured.Unstructured, how ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	t.Helper()
	door := m.Resource(standin.Resource(resources[o.GetKind()])).Namespace(namespace)
	live, err := door.Get(t.Context(), o.GetName(), metav1.GetOptions{})
	if err == nil {
		for _, h := range how {
			h(live)
		}
		live, err = door.Update(t.Context(), live, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatalf("change %s %s: %v", o.GetKind(), o.GetName(), err)
	}
	return live
}

func cluster() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": clusterapi.Group + "/" + standin.Version, "kind": "Cluster", "metadata": map[string]any{"name": "prod", "namespace": namespace},
	}}
}

func TestMachineDeploymentsAreAProvider(t *testing.T) { conform(t, "MachineDeployment", "MachineSet") }

func TestMachineSetsAreAProvider(t *testing.T) { conform(t, "MachineSet", "MachinePool") }

func TestMachinePoolsWithMachinesAreAProvider(t *testing.T) {
	conform(t, "MachinePool", "MachineDeployment")
}

func conform(t *testing.T, kind, other string) {
	t.Helper()
	conformance.Run(t, conformance.Harness{Name: "clusterapi " + kind, New: func(t conformance.TB) conformance.Fixture { return newFixture(t, kind, other) }})
}

func newFixture(t conformance.TB, kind, other string) conformance.Fixture {
	t.Helper()
	m := newMemory()
	create(t, m, cluster())
	front := create(t, m, resource(kind, "front", annotated("cluster.x-k8s.io/autoscaling-options-scaledownunneededtime", "5m")))
	create(t, m, resource(other, "back"))
	cloud := &standin.Standin{Client: m}
	connect := func() cloudprovider.CloudProvider {
		return clusterapi.NewFromClient(clusterapi.Config{}, m, mapper())
	}
	name := kind + "/" + namespace + "/front"
	return conformance.Fixture{
		Provider: connect(), Group: name, Other: other + "/" + namespace + "/back", Reconnect: connect,
		Settle: func() {
			if err := cloud.Settle(context.Background()); err != nil {
				t.Fatalf("settle: %v", err)
			}
		},
		Reads: func() int {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			return m.reads
		},
		Break: func(broken bool) {
			m.set(func() {
				m.away = nil
				if broken {
					m.away = apierrors.NewServiceUnavailable("the management cluster is away")
				}
			})
		},
		Vanish: func(id string) {
			name := strings.TrimPrefix(id, standin.Scheme+namespace+"/")
			m.set(func() { delete(m.objects[standin.Resource("machines")], namespace+"/"+name) })
		},
		FailCreation: func(class cloudprovider.Class) {
			cloud.Fail = "InsufficientInstanceCapacity"
			if class == cloudprovider.ClassQuota {
				cloud.Fail = "QuotaExceeded"
			}
		},
		Withhold: func() { cloud.Withhold = true },
		Lose:     func() { m.set(func() { m.lost = true }) },
		Hide:     func(id string) { m.set(func() { m.hidden = strings.TrimPrefix(id, standin.Scheme+namespace+"/") }) },
		Cut:      func(cut bool) { m.set(func() { m.cut = cut }) },
		Refuse: func(class cloudprovider.Class, retryAfter time.Duration) {
			m.set(func() {
				m.away = apierrors.NewTooManyRequests("too many requests", int(retryAfter.Seconds()))
				if class == cloudprovider.ClassUnauthorized {
					m.away = apierrors.NewUnauthorized("who are you?")
				}
			})
		},
		Versions: []string{"v1.35.4", "v1.36.3"},
		Options:  map[string]*cloudprovider.Options{name: {ScaleDownUnneededTime: new(5 * time.Minute)}},
		Hold: func() []cloudprovider.Job {
			change(t, m, front, annotated("cluster.x-k8s.io/paused", ""))
			return []cloudprovider.Job{cloudprovider.Autoscale, cloudprovider.Autoheal, cloudprovider.AutoUpgrade}
		},
	}
}
