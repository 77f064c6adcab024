package scheduling

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Classes groups equal pods. The classes are in the order of their first pods' keys, whatever the order of the pods given. What is
// compared is all of a pod's spec but for fields that are known to mean nothing to the kube-scheduler: a field that nobody thought of makes
// more classes, not wrong ones. The node of a pod that has one doesn't count.
func Classes(pods []*corev1.Pod) []Class {
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b *corev1.Pod) int { return strings.Compare(cluster.Key(a), cluster.Key(b)) })
	var out []Class
	var needs []corev1.PodSpec
	byKind := map[string][]int{}
	for _, pod := range sorted {
		kind, need := kindOf(pod), needsOf(pod)
		same := slices.IndexFunc(byKind[kind], func(i int) bool { return equality.Semantic.DeepEqual(needs[i], need) })
		if same >= 0 {
			i := byKind[kind][same]
			out[i].Pods = append(out[i].Pods, pod)
			continue
		}
		byKind[kind] = append(byKind[kind], len(out))
		out, needs = append(out, Class{Pods: []*corev1.Pod{pod}}), append(needs, need)
	}
	return out
}

// kindOf is what can be compared quickly: namespace, controller, labels. A pod with a volume of its own (ephemeral) is the only one of its kind: its
// claim may be in another state than those of its siblings.
func kindOf(pod *corev1.Pod) string {
	controller, alone := "", ""
	if c := metav1.GetControllerOfNoCopy(pod); c != nil {
		controller = string(c.UID)
	}
	if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Ephemeral != nil }) {
		alone = pod.Name
	}
	return strings.Join([]string{pod.Namespace, controller, labels.Set(pod.Labels).String(), alone}, "\x00")
}

// needsOf is the pod's spec without what the kube-scheduler doesn't read.
func needsOf(pod *corev1.Pod) corev1.PodSpec {
	s := pod.Spec
	s.NodeName, s.Hostname, s.Subdomain, s.HostnameOverride = "", "", "", nil
	s.ServiceAccountName, s.DeprecatedServiceAccount, s.AutomountServiceAccountToken = "", "", nil
	s.ImagePullSecrets, s.EnableServiceLinks, s.HostAliases = nil, nil, nil
	s.DNSPolicy, s.DNSConfig, s.ReadinessGates = "", nil, nil
	s.TerminationGracePeriodSeconds, s.ActiveDeadlineSeconds = nil, nil
	s.Containers, s.InitContainers = containerNeeds(s.Containers), containerNeeds(s.InitContainers)
	s.Volumes = slices.DeleteFunc(slices.Clone(s.Volumes), func(v corev1.Volume) bool {
		return v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil || v.EmptyDir != nil || v.HostPath != nil
	})
	if len(s.Volumes) == 0 {
		s.Volumes = nil
	}
	return s
}

func containerNeeds(all []corev1.Container) []corev1.Container {
	out := slices.Clone(all)
	for i := range out {
		c := &out[i]
		c.Image, c.ImagePullPolicy, c.Command, c.Args, c.WorkingDir = "", "", nil, nil, ""
		c.Env, c.EnvFrom, c.VolumeMounts, c.VolumeDevices = nil, nil, nil, nil
		c.LivenessProbe, c.ReadinessProbe, c.StartupProbe, c.Lifecycle = nil, nil, nil, nil
		c.TerminationMessagePath, c.TerminationMessagePolicy = "", ""
		c.Stdin, c.StdinOnce, c.TTY = false, false, false
	}
	return out
}

// Unbound is the pod as its controller would make it anew: without a node, a nomination, a status and an end. A pod that waits for its first
// node is given back as it is. [Trial.Fits] and [Trial.Place] look at pods in this way by themselves.
func Unbound(pod *corev1.Pod) *corev1.Pod {
	if pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
		return pod
	}
	fresh := *pod
	fresh.Spec.NodeName = ""
	fresh.DeletionTimestamp, fresh.DeletionGracePeriodSeconds = nil, nil
	fresh.Status = corev1.PodStatus{Phase: corev1.PodPending}
	return &fresh
}
