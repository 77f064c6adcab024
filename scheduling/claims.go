package scheduling

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Claims tells whether the fast path speaks for the pod by itself, as far as the pod says: every field that it fills is one that the fast path reads, or one that the
// kube-scheduler's filters don't. A field that is in none of the lists below, because a later Kubernetes has brought it, makes the answer no, and the
// pod goes to the plugins.
//
// Two more reasons to go to the plugins are not the pod's: a resource that a DeviceClass stands for, and a selector that can't be read.
func Claims(pod *cluster.Pod) bool {
	plugins, volumes := spokenFor(pod.PodTemplate)
	return !plugins && !volumes
}

// spokenFor tells whether the plugins have to be asked about everything, or, if not that, about the volumes.
func spokenFor(t *cluster.PodTemplate) (plugins, volumes bool) {
	spec := t.Spec
	spec.Volumes = nil
	if !claimed(reflect.ValueOf(&spec).Elem()) || !claimed(reflect.ValueOf(&t.Allotted).Elem()) {
		plugins = true
	}
	return plugins, !claimed(reflect.ValueOf(t.Spec.Volumes))
}

// bearing is what a field means to the fast path.
type bearing uint8

const (
	// left: not spoken for; the plugins have to be asked.
	left bearing = iota
	// read: part of the form.
	read
	// idle: no Filter plugin reads it.
	idle
)

// bearings are all the fields of all the types that a pod's needs are made of. What is not named is left.
var bearings = map[reflect.Type]map[string]bearing{
	reflect.TypeFor[corev1.PodSpec](): {
		"Volumes": read, "InitContainers": read, "Containers": read, "NodeSelector": read, "Affinity": read, "Tolerations": read, "Priority": read,
		"Overhead": read, "TopologySpreadConstraints": read, "SchedulingGates": read, "Resources": read, "SchedulerName": read,
		"HostNetwork": read, "HostUsers": read, // By the declared features alone.
		"NodeName":            idle, // A pod is asked about as if it had none.
		"EphemeralContainers": idle, "RestartPolicy": idle, "TerminationGracePeriodSeconds": idle, "ActiveDeadlineSeconds": idle, "DNSPolicy": idle,
		"ServiceAccountName": idle, "DeprecatedServiceAccount": idle, "AutomountServiceAccountToken": idle, "HostPID": idle, "HostIPC": idle,
		"ShareProcessNamespace": idle, "SecurityContext": idle, "ImagePullSecrets": idle, "Hostname": idle, "Subdomain": idle, "HostAliases": idle,
		"PriorityClassName": idle, "DNSConfig": idle, "ReadinessGates": idle, "RuntimeClassName": idle, "EnableServiceLinks": idle,
		"PreemptionPolicy": idle, "SetHostnameAsFQDN": idle, "OS": idle, "HostnameOverride": idle,
		"ResourceClaims": left, "SchedulingGroup": left,
	},
	reflect.TypeFor[corev1.Container](): {
		"Ports": read, "Resources": read, "RestartPolicy": read, "RestartPolicyRules": read, "Name": read,
		"Image": idle, "Command": idle, "Args": idle, "WorkingDir": idle, "EnvFrom": idle, "Env": idle, "ResizePolicy": idle, "VolumeMounts": idle,
		"VolumeDevices": idle, "LivenessProbe": idle, "ReadinessProbe": idle, "StartupProbe": idle, "Lifecycle": idle, "TerminationMessagePath": idle,
		"TerminationMessagePolicy": idle, "ImagePullPolicy": idle, "SecurityContext": idle, "Stdin": idle, "StdinOnce": idle, "TTY": idle,
	},
	reflect.TypeFor[corev1.ContainerPort]():        {"HostPort": read, "Protocol": read, "HostIP": read, "Name": idle, "ContainerPort": idle},
	reflect.TypeFor[corev1.ContainerRestartRule](): {"Action": read, "ExitCodes": idle},
	reflect.TypeFor[corev1.ResourceRequirements](): {"Requests": read, "Limits": idle, "Claims": left},
	reflect.TypeFor[corev1.Volume]():               {"Name": idle, "VolumeSource": read},
	reflect.TypeFor[corev1.VolumeSource](): {
		"HostPath": idle, "EmptyDir": idle, "GitRepo": idle, "Secret": idle, "NFS": idle, "DownwardAPI": idle, "ConfigMap": idle, "Projected": idle,
		"CSI": idle, "Image": idle,
		"GCEPersistentDisk": left, "AWSElasticBlockStore": left, "ISCSI": left, "Glusterfs": left, "PersistentVolumeClaim": left, "RBD": left,
		"FlexVolume": left, "Cinder": left, "CephFS": left, "Flocker": left, "FC": left, "AzureFile": left, "VsphereVolume": left, "Quobyte": left,
		"AzureDisk": left, "PhotonPersistentDisk": left, "PortworxVolume": left, "ScaleIO": left, "StorageOS": left, "Ephemeral": left,
	},
	reflect.TypeFor[corev1.PodSchedulingGate](): {"Name": read},
	reflect.TypeFor[corev1.Toleration]():        {"Key": read, "Operator": read, "Value": read, "Effect": read, "TolerationSeconds": idle},
	reflect.TypeFor[corev1.Affinity]():          {"NodeAffinity": read, "PodAffinity": read, "PodAntiAffinity": read},
	reflect.TypeFor[corev1.NodeAffinity](): {
		"RequiredDuringSchedulingIgnoredDuringExecution": read, "PreferredDuringSchedulingIgnoredDuringExecution": read,
	},
	reflect.TypeFor[corev1.NodeSelector]():            {"NodeSelectorTerms": read},
	reflect.TypeFor[corev1.NodeSelectorTerm]():        {"MatchExpressions": read, "MatchFields": read},
	reflect.TypeFor[corev1.NodeSelectorRequirement](): {"Key": read, "Operator": read, "Values": read},
	reflect.TypeFor[corev1.PreferredSchedulingTerm](): {"Weight": read, "Preference": read},
	reflect.TypeFor[corev1.PodAffinity](): {
		"RequiredDuringSchedulingIgnoredDuringExecution": read, "PreferredDuringSchedulingIgnoredDuringExecution": read,
	},
	reflect.TypeFor[corev1.PodAntiAffinity](): {
		"RequiredDuringSchedulingIgnoredDuringExecution": read, "PreferredDuringSchedulingIgnoredDuringExecution": read,
	},
	reflect.TypeFor[corev1.WeightedPodAffinityTerm](): {"Weight": read, "PodAffinityTerm": read},
	reflect.TypeFor[corev1.PodAffinityTerm](): {
		"LabelSelector": read, "Namespaces": read, "TopologyKey": read, "NamespaceSelector": read,
		// The API server has put these into the selector when it took the pod in.
		"MatchLabelKeys": idle, "MismatchLabelKeys": idle,
	},
	reflect.TypeFor[corev1.TopologySpreadConstraint](): {
		"MaxSkew": read, "TopologyKey": read, "WhenUnsatisfiable": read, "LabelSelector": read, "MinDomains": read, "NodeAffinityPolicy": read,
		"NodeTaintsPolicy": read, "MatchLabelKeys": read,
	},
	reflect.TypeFor[metav1.LabelSelector]():            {"MatchLabels": read, "MatchExpressions": read},
	reflect.TypeFor[metav1.LabelSelectorRequirement](): {"Key": read, "Operator": read, "Values": read},
	reflect.TypeFor[corev1.PodStatus](): {
		"ContainerStatuses": idle, "InitContainerStatuses": idle, "AllocatedResources": idle, "Resources": idle, // They count once the pod is placed.
		"ObservedGeneration": idle, "Phase": idle, "Conditions": idle, "Message": idle, "Reason": idle, "NominatedNodeName": idle, "HostIP": idle,
		"HostIPs": idle, "PodIP": idle, "PodIPs": idle, "StartTime": idle, "QOSClass": idle, "EphemeralContainerStatuses": idle, "Resize": idle,
		"ResourceClaimStatuses": left, "ExtendedResourceClaimStatus": left, "NodeAllocatableResourceClaimStatuses": left,
	},
}

// claimed tells whether all that is filled in the value is spoken for.
func claimed(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil() || claimed(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if !claimed(v.Index(i)) {
				return false
			}
		}
	case reflect.Struct:
		fields, ok := bearings[v.Type()]
		for i := 0; ok && i < v.NumField(); i++ {
			field := v.Field(i)
			if field.IsZero() {
				continue
			}
			switch fields[v.Type().Field(i).Name] {
			case left:
				return false
			case read:
				if !claimed(field) {
					return false
				}
			case idle:
			}
		}
	}
	return true
}
