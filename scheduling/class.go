package scheduling

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Classes groups equal pods. The classes are in the order of their first pods' keys, whatever the order of the pods given. Pods of one template
// are equal; of two templates all of the spec is compared but for fields that are known to mean nothing to the kube-scheduler: a field that nobody
// thought of makes more classes, not wrong ones. Neither the node of a pod that has one counts, nor its controller. A pod with a claim of its own
// (an ephemeral volume, devices by a template) is a class of its own: its claim may be in another state than those of its siblings.
func Classes(pods []*cluster.Pod) []Class {
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b *cluster.Pod) int { return strings.Compare(a.Key(), b.Key()) })
	var out []Class
	byTemplate := map[*cluster.PodTemplate]int{}
	byContent := map[string]int{}
	for _, pod := range sorted {
		if hasOwnClaim(&pod.Spec) {
			out = append(out, Class{Pods: []*cluster.Pod{pod}})
			continue
		}
		class, known := byTemplate[pod.PodTemplate]
		if !known {
			content := contentOf(pod.PodTemplate)
			if class, known = byContent[content]; !known {
				class = len(out)
				byContent[content] = class
				out = append(out, Class{})
			}
			byTemplate[pod.PodTemplate] = class
		}
		out[class].Pods = append(out[class].Pods, pod)
	}
	return out
}

// contentOf is what the pods of a template need, as text.
func contentOf(t *cluster.PodTemplate) string {
	spec := needsOf(&t.Spec)
	return t.Namespace + "\x00" + labels.Set(t.Labels).String() + "\x00" + marshalled(&spec)
}

func hasOwnClaim(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Ephemeral != nil }) ||
		slices.ContainsFunc(spec.ResourceClaims, func(c corev1.PodResourceClaim) bool { return c.ResourceClaimTemplateName != nil })
}

// needsOf is the spec without what the kube-scheduler doesn't read. Much of that is left out of a template anyway.
func needsOf(spec *corev1.PodSpec) corev1.PodSpec {
	s := *spec
	s.NodeName, s.TerminationGracePeriodSeconds = "", nil
	s.Volumes = slices.DeleteFunc(slices.Clone(s.Volumes), func(v corev1.Volume) bool { return v.EmptyDir != nil || v.HostPath != nil })
	if len(s.Volumes) == 0 {
		s.Volumes = nil
	}
	return s
}
