package config

import (
	"os"
	"strings"
	"testing"
)

// upstreamNames are the annotations, labels, taints and events that the cluster-autoscaler's users know.
var upstreamNames = []string{
	"cluster-autoscaler.kubernetes.io/safe-to-evict", "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes",
	"cluster-autoscaler.kubernetes.io/enable-ds-eviction", "cluster-autoscaler.kubernetes.io/daemonset-pod",
	"cluster-autoscaler.kubernetes.io/pod-scale-up-delay", "cluster-autoscaler.kubernetes.io/scale-down-disabled",
	"delay-deletion.cluster-autoscaler.kubernetes.io/", "cluster-autoscaler.kubernetes.io/last-updated", "cluster-autoscaler.k8s.io/upcoming-node",
	"cluster-autoscaler.kubernetes.io/template-node", "k8s.io/cluster-autoscaler/fake-node-reason", "k8s.io/cluster-autoscaler/enabled",
	"k8s.io/cluster-autoscaler/node-template/", "capacity.cluster-autoscaler.kubernetes.io/", "cluster-autoscaler.kwok.nodegroup/",
	"autoscaling.x-k8s.io/consume-provisioning-request", "autoscaling.x-k8s.io/provisioning-class-name",
	"cluster-autoscaler.kubernetes.io/consume-provisioning-request", "cluster-autoscaler.kubernetes.io/provisioning-class-name",
	"node.kubernetes.io/not-ready", "node.cloudprovider.kubernetes.io/uninitialized", "cloud.google.com/impending-node-termination", "NodeWithImpairedVolumes",
	"ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler", "startup-taint.cluster-autoscaler.kubernetes.io/",
	"ignore-taint.cluster-autoscaler.kubernetes.io/", "status-taint.cluster-autoscaler.kubernetes.io/",
	"TriggeredScaleUp", "NotTriggerScaleUp", "ScaleDown", "ScaleDownFailed", "ClusterAutoscalerCleanup", "ScaledUpGroup", "FailedToScaleUpGroup",
	"ScaleUpFailed", "ScaleUpTimedOut", "FailedToRevertScaleUp", "MaxNodesTotalReached", "ScaleDownEmpty", "ClusterUnhealthy", "DeleteUnregistered",
	"DeleteUnregisteredFailed", "GracefulDegradationStarted", "GracefulDegradationStopped",
	"PriorityConfigMapInvalid", "PriorityConfigMapNotMatchedGroup", "PriorityConfigMapNoGroupMatched",
}

func TestEveryNameOfTheClusterAutoscalerHasItsAnswer(t *testing.T) {
	page, err := os.ReadFile("../docs/coming-from-cluster-autoscaler.md")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]bool{"same": true, "renamed": true, "left out": true}
	for _, name := range upstreamNames {
		answered := false
		for line := range strings.Lines(string(page)) {
			if !strings.HasPrefix(line, "| `"+name+"` |") {
				continue
			}
			for cell := range strings.SplitSeq(line, "|") {
				answered = answered || answers[strings.TrimSpace(cell)]
			}
		}
		if !answered {
			t.Errorf("%s has no row with an answer", name)
		}
	}
	flags := ReferencePage()
	for _, u := range upstreamFlags() {
		if !strings.Contains(flags, "`--"+u.name+"`") {
			t.Errorf("--%s is not on the page of flags", u.name)
		}
	}
}
