package scheduling

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// Dynamic resources are not simulated yet. To say which devices a pod would get means to allocate them, to take them back, to give a pod
// that is moved a claim of its own again, and to know which devices a node brings that does not exist; a half of that would be a lie. So a
// pod that needs them fits nowhere, with a reason that says so, and what follows is on the safe side: no node is added for it, and no
// node is emptied of it.

// devices are the extended resources that device classes stand for, made when they are first asked for.
type devices struct {
	byResource map[corev1.ResourceName]*resourcev1.DeviceClass
	read       bool
}

// deviceClass is the class that stands for the resource; nil if there is none.
func (v *view) deviceClass(name corev1.ResourceName) *resourcev1.DeviceClass {
	if class, ok := strings.CutPrefix(string(name), resourcev1.ResourceDeviceClassPrefix); ok {
		found, _ := v.trial.snapshot.DeviceClasses.Get(class)
		return found
	}
	if !v.devices.read {
		v.devices = devices{byResource: map[corev1.ResourceName]*resourcev1.DeviceClass{}, read: true}
		for class := range v.trial.snapshot.DeviceClasses.Values() {
			if resource := class.Spec.ExtendedResourceName; resource != nil {
				v.devices.byResource[corev1.ResourceName(*resource)] = class
			}
		}
	}
	return v.devices.byResource[name]
}

// claimsDevices refuses a pod that claims devices.
func claimsDevices(pod *corev1.Pod) *refusal {
	if len(pod.Spec.ResourceClaims) == 0 {
		return nil
	}
	return refuseFor(names.DynamicResources, "not simulated yet: the pod's resource claims")
}

// asDevices are the extended resources of the pod that a node may have as devices of a class.
func (v *view) asDevices(pod *corev1.Pod) []corev1.ResourceName {
	if v.trial.snapshot.DeviceClasses.Len() == 0 {
		return nil
	}
	var out []corev1.ResourceName
	for name, quantity := range resource.PodRequests(pod, resource.PodResourcesOptions{}) {
		if quantity.Sign() > 0 && v.deviceClass(name) != nil {
			out = append(out, name)
		}
	}
	return out
}

// lacksDevices refuses a node on which one of the resources could only be had as a device. The resource plugin leaves such resources
// to the plugin for dynamic resources.
func lacksDevices(wanted []corev1.ResourceName, info *framework.NodeInfo) *refusal {
	least := corev1.ResourceName("")
	for _, name := range wanted {
		if info.Allocatable.GetScalarResources()[name] == 0 && (least == "" || name < least) {
			least = name
		}
	}
	if least == "" {
		return nil
	}
	return refuseFor(names.DynamicResources, fmt.Sprintf("not simulated yet: %s by dynamic resource allocation", least))
}
