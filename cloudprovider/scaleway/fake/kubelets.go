package fake

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Kubelets play the machines' part in a Kubernetes cluster: a Node object comes and goes with each of them. Who plays the kubelets from then on is
// said by Annotations; kwok does it for those annotated kwok.x-k8s.io/node.
type Kubelets struct {
	Client      kubernetes.Interface
	Annotations map[string]string
	// Failed is told what could not be done; nil ignores it.
	Failed func(error)
}

// callLimit bounds one call of the Kubernetes API.
const callLimit = 10 * time.Second

// Hooks are the hooks that do it.
func (k *Kubelets) Hooks() Hooks {
	return Hooks{Registered: k.hook("register", k.register), Leaving: k.hook("drain", k.drain), Removed: k.hook("remove", k.remove)}
}

func (k *Kubelets) hook(doing string, do func(context.Context, Machine) error) func(Machine) {
	return func(m Machine) {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		if err := do(ctx, m); err != nil && k.Failed != nil {
			k.Failed(fmt.Errorf("%s node %s: %w", doing, m.Name, err))
		}
	}
}

func (k *Kubelets) register(ctx context.Context, m Machine) error {
	room := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("110")}
	if kind, sold := catalogue[m.NodeType]; sold {
		room[corev1.ResourceCPU] = *resource.NewQuantity(int64(kind.cpus), resource.DecimalSI)
		room[corev1.ResourceMemory] = *resource.NewQuantity(kind.memory-gib, resource.BinarySI)
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.Name, Labels: m.Labels, Annotations: k.Annotations},
		Spec:       corev1.NodeSpec{ProviderID: m.ProviderID},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room, NodeInfo: corev1.NodeSystemInfo{
			KubeletVersion: "v" + m.Version, Architecture: m.Labels[corev1.LabelArchStable], OperatingSystem: "linux", OSImage: "fake", KernelVersion: "fake",
			ContainerRuntimeVersion: "containerd://2",
		}},
	}
	node.Labels[corev1.LabelHostname] = m.Name
	for _, t := range m.Taints {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	_, err := k.Client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// drain cordons the node and evicts its pods once: what a budget holds goes with the machine, as after the service's longest wait.
func (k *Kubelets) drain(ctx context.Context, m Machine) error {
	_, err := k.Client.CoreV1().Nodes().Patch(ctx, m.Name, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{})
	if err != nil {
		return ignoreGone(err)
	}
	pods, err := k.Client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + m.Name})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
		err := k.Client.PolicyV1().Evictions(pod.Namespace).Evict(ctx, eviction)
		if err != nil && !apierrors.IsTooManyRequests(err) {
			return ignoreGone(err)
		}
	}
	return nil
}

func (k *Kubelets) remove(ctx context.Context, m Machine) error {
	return ignoreGone(k.Client.CoreV1().Nodes().Delete(ctx, m.Name, metav1.DeleteOptions{}))
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
