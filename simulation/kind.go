package simulation

import (
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is what the store keeps: any typed API object.
type Object interface {
	metav1.Object
	runtime.Object
}

// kind is what the store needs to know of a kind of objects.
type kind struct {
	resource   schema.GroupResource
	namespaced bool
}

// kindOf gives the kind of an object; a typed nil is enough. An unknown kind is taken to be namespaced.
func kindOf(o Object) kind {
	switch o.(type) {
	case *corev1.Node:
		return kind{resource: schema.GroupResource{Resource: "nodes"}}
	case *corev1.Pod:
		return kind{schema.GroupResource{Resource: "pods"}, true}
	case *corev1.ConfigMap:
		return kind{schema.GroupResource{Resource: "configmaps"}, true}
	case *corev1.Namespace:
		return kind{resource: schema.GroupResource{Resource: "namespaces"}}
	case *corev1.PersistentVolume:
		return kind{resource: schema.GroupResource{Resource: "persistentvolumes"}}
	case *appsv1.ReplicaSet:
		return kind{schema.GroupResource{Group: appsv1.GroupName, Resource: "replicasets"}, true}
	case *appsv1.StatefulSet:
		return kind{schema.GroupResource{Group: appsv1.GroupName, Resource: "statefulsets"}, true}
	case *appsv1.DaemonSet:
		return kind{schema.GroupResource{Group: appsv1.GroupName, Resource: "daemonsets"}, true}
	case *batchv1.Job:
		return kind{schema.GroupResource{Group: batchv1.GroupName, Resource: "jobs"}, true}
	case *policyv1.PodDisruptionBudget:
		return kind{schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudgets"}, true}
	case *coordinationv1.Lease:
		return kind{schema.GroupResource{Group: coordinationv1.GroupName, Resource: "leases"}, true}
	case *storagev1.StorageClass, *storagev1.CSINode, *storagev1.CSIDriver, *storagev1.VolumeAttachment:
		return kind{resource: schema.GroupResource{Group: storagev1.GroupName, Resource: plural(o)}}
	case *resourcev1.DeviceClass, *resourcev1.ResourceSlice:
		return kind{resource: schema.GroupResource{Group: resourcev1.GroupName, Resource: plural(o)}}
	}
	return kind{schema.GroupResource{Resource: plural(o)}, true}
}

func plural(o Object) string {
	name := strings.ToLower(reflect.TypeOf(o).Elem().Name())
	if strings.HasSuffix(name, "s") {
		return name + "es"
	}
	return name + "s"
}

func copyOf[T Object](o T) T { return o.DeepCopyObject().(T) }
