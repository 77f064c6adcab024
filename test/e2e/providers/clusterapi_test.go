package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// definitions serves the CustomResourceDefinitions of Cluster API, once.
var definitions sync.Once

// crds are the files of the module that the provider needs.
var crds = []string{"clusters", "machinedeployments", "machinesets", "machinepools", "machines"}

// infrastructureCRD is the template of the stand-in's machines, by the contract of Cluster API's infrastructures: its status has the capacity.
const infrastructureCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: standinmachinetemplates.infrastructure.cluster.x-k8s.io
spec:
  group: infrastructure.cluster.x-k8s.io
  scope: Namespaced
  names: {kind: StandinMachineTemplate, plural: standinmachinetemplates, singular: standinmachinetemplate, listKind: StandinMachineTemplateList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            status:
              type: object
              properties:
                capacity:
                  type: object
                  additionalProperties: {type: string}
`

// clusterAPIFolder is where the Go module proxy's copy of Cluster API lies.
func clusterAPIFolder(ctx context.Context) (string, error) {
	tree, err := controlplane.Tree()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", "sigs.k8s.io/cluster-api")
	command.Dir = filepath.Join(tree, "tools", "cluster-api")
	output, err := command.Output()
	var module struct{ Dir, Error string }
	if decodeErr := json.Unmarshal(output, &module); err != nil || decodeErr != nil || module.Dir == "" {
		return "", fmt.Errorf("download Cluster API: %w %s", err, module.Error)
	}
	return module.Dir, nil
}

func managementClient(t testing.TB) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(plane.RESTConfig())
	must(t, err)
	return client
}

// defineClusterAPI makes the API server serve Cluster API.
func defineClusterAPI(t testing.TB, client dynamic.Interface) {
	t.Helper()
	definitions.Do(func() {
		folder, err := clusterAPIFolder(t.Context())
		must(t, err)
		documents := [][]byte{[]byte(infrastructureCRD)}
		for _, name := range crds {
			content, err := os.ReadFile(filepath.Join(folder, "core", "config", "crd", "bases", clusterapi.Group+"_"+name+".yaml"))
			must(t, err)
			documents = append(documents, content)
		}
		resource := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
		for _, document := range documents {
			crd := &unstructured.Unstructured{}
			must(t, yaml.Unmarshal(document, &crd.Object))
			_, err := client.Resource(resource).Create(t.Context(), crd, metav1.CreateOptions{})
			must(t, err)
		}
	})
	controlplane.Eventually(t, time.Minute, func(ctx context.Context) error {
		for _, name := range crds {
			if _, err := client.Resource(standin.Resource(name)).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
				return err
			}
		}
		_, err := client.Resource(infrastructure).List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
}

var infrastructure = schema.GroupVersionResource{Group: "infrastructure." + clusterapi.Group, Version: "v1", Resource: "standinmachinetemplates"}

// clusterAPICloud is a MachineDeployment of the real Cluster API's kinds on the workload cluster's own API server, with a stand-in for its controllers.
func clusterAPICloud(s *scene, w wish) cloud {
	return clusterAPIOf(s, w, "MachineDeployment")
}

func clusterAPIOf(s *scene, w wish, kind string) cloud {
	client := managementClient(s.T)
	defineClusterAPI(s.T, client)
	create := func(gvr schema.GroupVersionResource, o map[string]any) {
		s.T.Helper()
		_, err := client.Resource(gvr).Namespace(s.name).Create(s.T.Context(), &unstructured.Unstructured{Object: o}, metav1.CreateOptions{})
		must(s.T, err)
	}
	create(standin.Resource("clusters"), map[string]any{
		"apiVersion": clusterapi.Group + "/" + standin.Version, "kind": "Cluster", "metadata": map[string]any{"name": "prod"},
		"spec": map[string]any{"infrastructureRef": map[string]any{"apiGroup": infrastructure.Group, "kind": "StandinCluster", "name": "prod"}},
	})
	create(infrastructure, map[string]any{
		"apiVersion": infrastructure.GroupVersion().String(), "kind": "StandinMachineTemplate", "metadata": map[string]any{"name": s.name},
		"status": map[string]any{"capacity": map[string]any{"cpu": "4", "memory": "16Gi", "pods": "110"}},
	})
	create(standin.Resource(strings.ToLower(kind)+"s"), map[string]any{
		"apiVersion": clusterapi.Group + "/" + standin.Version, "kind": kind,
		"metadata": map[string]any{"name": s.name, "annotations": map[string]any{
			clusterapi.AnnotationMin: strconv.Itoa(w.min), clusterapi.AnnotationMax: strconv.Itoa(w.max),
		}},
		"spec": specOf(s, w, kind),
	})
	machines := &machines{Standin: standin.Standin{Client: client, Namespace: s.name, Join: joinMachine, Leave: drainMachine}}
	machines.play(s.T)
	return cloud{
		config: fmt.Sprintf("discover:\n- namespace: %s\n  clusterName: prod\n", s.name),
		owns: func(node *corev1.Node) bool {
			return strings.HasPrefix(node.Spec.ProviderID, standin.Scheme+s.name+"/")
		},
		made:   func() int { return machines.made(s.name) },
		native: kind != "MachineSet",
	}
}

func specOf(s *scene, w wish, kind string) map[string]any {
	labels := map[string]any{"pool": s.name}
	spec := map[string]any{
		"clusterName": "prod", "replicas": int64(w.size),
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec": map[string]any{
				"clusterName": "prod", "version": w.version, "failureDomain": "zone-1", "bootstrap": map[string]any{"dataSecretName": "boot"},
				"infrastructureRef": map[string]any{"apiGroup": infrastructure.Group, "kind": "StandinMachineTemplate", "name": s.name},
			},
		},
	}
	if kind != "MachinePool" {
		spec["selector"] = map[string]any{"matchLabels": labels}
	}
	return spec
}

// machines is a stand-in that plays until the test is over.
type machines struct {
	mutex sync.Mutex
	standin.Standin
}

func (m *machines) play(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			m.mutex.Lock()
			_, err := m.Step(ctx)
			m.mutex.Unlock()
			if err != nil && ctx.Err() == nil {
				t.Logf("the stand-in for Cluster API: %v", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		m.release(t)
	})
}

// release takes the finalizers off what is left, so that the namespace can go.
func (m *machines) release(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	door := m.Client.Resource(standin.Resource("machines")).Namespace(m.Namespace)
	list, err := door.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Errorf("list what is left: %v", err)
		return
	}
	for i := range list.Items {
		list.Items[i].SetFinalizers(nil)
		if _, err := door.Update(ctx, &list.Items[i], metav1.UpdateOptions{}); err != nil {
			t.Errorf("release %s: %v", list.Items[i].GetName(), err)
		}
	}
}

func (m *machines) made(owner string) int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.Made[owner]
}

func joinMachine(ctx context.Context, name, providerID, version string, _ map[string]string) error {
	return join(ctx, stage.KwokNode(name, providerID, version, nil))
}

// drainMachine does what Cluster API does before a machine goes: it cordons, evicts, and takes the node away when that is done, or when the kubelet is dead.
func drainMachine(ctx context.Context, name string) error {
	c := plane.Client()
	node, err := c.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !node.Spec.Unschedulable {
		node.Spec.Unschedulable = true
		if _, err := c.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	pods, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + name})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}}
		if err := c.PolicyV1().Evictions(pod.Namespace).Evict(ctx, eviction); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsTooManyRequests(err) {
			return err
		}
	}
	return leave(ctx, name)
}

// TestAMachineSetOfItsOwnIsRolledNodeByNode is scenario 38 where Cluster API leaves the machines as they are when the template changes.
func TestAMachineSetOfItsOwnIsRolledNodeByNode(t *testing.T) {
	story := scenario{"38 by hand", wish{min: 1, max: 6, size: 3, version: "v1.35.4", versions: []string{"v1.35.4", "v1.36.3"}}, nil}
	s := newScene(t, "machineset", story, func(s *scene, w wish) cloud {
		c := clusterAPIOf(s, w, "MachineSet")
		c.provider = "clusterapi"
		return c
	})
	poolIsRolled(s)
	s.CheckRights()
}
