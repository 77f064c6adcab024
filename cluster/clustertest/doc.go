// Package clustertest makes small clusters for tests: nodes, pods, pools and what belongs to them in one line each, and snapshots of them.
//
//	s := clustertest.Snapshot(
//		clustertest.Pool("web", 0, 5),
//		clustertest.Node("n1", clustertest.In("web")),
//		clustertest.ReplicaSet("front", 2),
//		clustertest.Pod("front-1", clustertest.Of("ReplicaSet", "front"), clustertest.On("n1")),
//		clustertest.Pod("front-2", clustertest.Of("ReplicaSet", "front"), clustertest.Unschedulable()),
//	)
//
// What is not said has a plain default: nodes are ready and have 4 CPUs and 16 GiB, pods ask for 1 CPU and 1 GiB, a node in a pool has a
// running instance, and a pool's target is the number of its instances. A test that goes through several moments keeps a [World].
//
// Bad input panics with a sentence: the package is for tests alone.
package clustertest

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Start is the moment at which every world begins. All that is made without a time of its own is an hour older.
var Start = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

// born is when objects were made that don't say so.
var born = Start.Add(-time.Hour)

// NodeOption changes a node that is being made.
type NodeOption interface{ node(n *corev1.Node) }

// PodOption changes a pod that is being made.
type PodOption interface{ pod(p *corev1.Pod) }

// Option changes a node or a pod that is being made.
type Option func(o metav1.Object)

func (f Option) node(n *corev1.Node) { f(n) }
func (f Option) pod(p *corev1.Pod)   { f(p) }

// OnNode is an option for a node that has no function of its own here.
type OnNode func(n *corev1.Node)

func (f OnNode) node(n *corev1.Node) { f(n) }

// OnPod is an option for a pod that has no function of its own here.
type OnPod func(p *corev1.Pod)

func (f OnPod) pod(p *corev1.Pod) { f(p) }

// Label puts a label on.
func Label(key, value string) Option {
	return func(o metav1.Object) { o.SetLabels(with(o.GetLabels(), key, value)) }
}

// Annotate puts an annotation on.
func Annotate(key, value string) Option {
	return func(o metav1.Object) { o.SetAnnotations(with(o.GetAnnotations(), key, value)) }
}

// Born says when the object was made.
func Born(at time.Time) Option {
	return func(o metav1.Object) { o.SetCreationTimestamp(metav1.NewTime(at)) }
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// meta is what all objects have; name may be "namespace/name", and the namespace is default where none is said. The UID follows from kind
// and name, so that references need no object.
func meta(kind, name string) metav1.ObjectMeta {
	namespace, short, found := strings.Cut(name, "/")
	if !found {
		namespace, short = metav1.NamespaceDefault, name
	}
	return metav1.ObjectMeta{
		Namespace: namespace, Name: short, UID: uid(kind, namespace+"/"+short), CreationTimestamp: metav1.NewTime(born),
	}
}

func uid(kind, name string) types.UID {
	return types.UID(strings.ToLower(kind) + "-" + strings.ReplaceAll(name, "/", "-"))
}

func amounts(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: quantity(cpu), corev1.ResourceMemory: quantity(memory)}
}

func quantity(text string) resource.Quantity {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		panic(fmt.Sprintf("clustertest: %q is no quantity: %v", text, err))
	}
	return q
}
