package providers

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
)

// TestClusterAPIConformsOnARealAPIServer runs the suite against the real kinds: their schemas, their scale subresource, and the API server's own
// preconditions, generations and finalizers.
func TestClusterAPIConformsOnARealAPIServer(t *testing.T) {
	client := managementClient(t)
	defineClusterAPI(t, client)
	discoverer, err := discovery.NewDiscoveryClientForConfig(plane.RESTConfig())
	must(t, err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discoverer))
	var fleets atomic.Int32
	conformance.Run(t, conformance.Harness{Name: "clusterapi real", New: func(t conformance.TB) conformance.Fixture {
		namespace := fmt.Sprintf("fleet-%d", fleets.Add(1))
		_, err := plane.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("make namespace %s: %v", namespace, err)
		}
		for name, kind := range map[string]string{"front": "MachineDeployment", "back": "MachineSet"} {
			makeFleet(t, client, namespace, kind, name)
		}
		cloud := &standin.Standin{Client: client, Namespace: namespace}
		connect := func() cloudprovider.CloudProvider {
			return clusterapi.NewFromClient(clusterapi.Config{Discover: []clusterapi.Discover{{Namespace: namespace}}}, client, mapper)
		}
		machines := client.Resource(standin.Resource("machines")).Namespace(namespace)
		return conformance.Fixture{
			Provider: connect(), Group: "MachineDeployment/" + namespace + "/front", Other: "MachineSet/" + namespace + "/back", Reconnect: connect,
			Settle: func() {
				if err := cloud.Settle(context.Background()); err != nil {
					t.Fatalf("settle: %v", err)
				}
			},
			Vanish: func(id string) {
				name := strings.TrimPrefix(id, standin.Scheme+namespace+"/")
				one, err := machines.Get(t.Context(), name, metav1.GetOptions{})
				if err == nil {
					one.SetFinalizers(nil)
					_, err = machines.Update(t.Context(), one, metav1.UpdateOptions{})
				}
				if err == nil {
					err = machines.Delete(t.Context(), name, metav1.DeleteOptions{})
				}
				if err != nil {
					t.Fatalf("make %s vanish: %v", name, err)
				}
			},
			FailCreation: func(class cloudprovider.Class) {
				cloud.Fail = "InsufficientInstanceCapacity"
				if class == cloudprovider.ClassQuota {
					cloud.Fail = "QuotaExceeded"
				}
			},
			Withhold: func() { cloud.Withhold = true },
			Versions: []string{"v1.35.4", "v1.36.3"},
		}
	}})
}

// makeFleet makes a pool of three machines, of one to six.
func makeFleet(t conformance.TB, client dynamic.Interface, namespace, kind, name string) {
	t.Helper()
	labels := map[string]any{"pool": name}
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": clusterapi.Group + "/" + standin.Version, "kind": kind,
		"metadata": map[string]any{"name": name, "annotations": map[string]any{
			clusterapi.AnnotationMin: "1", clusterapi.AnnotationMax: "6",
			"capacity.cluster-autoscaler.kubernetes.io/cpu": "4", "capacity.cluster-autoscaler.kubernetes.io/memory": "16Gi",
		}},
		"spec": map[string]any{
			"clusterName": "prod", "replicas": int64(3), "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec": map[string]any{
					"clusterName": "prod", "version": "v1.35.4", "bootstrap": map[string]any{"dataSecretName": "boot"},
					"infrastructureRef": map[string]any{"apiGroup": infrastructure.Group, "kind": "StandinMachineTemplate", "name": name},
				},
			},
		},
	}}
	_, err := client.Resource(standin.Resource(strings.ToLower(kind)+"s")).Namespace(namespace).Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make %s %s: %v", kind, name, err)
	}
}
