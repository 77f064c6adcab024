package drain

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// The marks on pods that the rules honour.
const (
	// SafeToEvict says whether the autoscaler may evict the pod: "true" lifts the rules about controllers, local storage and kube-system, "false" forbids, and with
	// "on-completion" the pod is waited for.
	SafeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	// SafeToEvictLocalVolumes is a comma list of volumes whose loss doesn't matter.
	SafeToEvictLocalVolumes = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
	// EvictDaemonSetPod is "true" on a DaemonSet's pod that is to be evicted before its node goes, and "false" on one that is not.
	EvictDaemonSetPod = "cluster-autoscaler.kubernetes.io/enable-ds-eviction"
	// DaemonSetMark is "true" on a pod to be treated as one of a DaemonSet.
	DaemonSetMark = "cluster-autoscaler.kubernetes.io/daemonset-pod"
	// DoNotDisruptMark is Karpenter's mark, on pods and on nodes. Any value but "false" counts: a value that is not understood forbids.
	DoNotDisruptMark = "karpenter.sh/do-not-disrupt"
)

// endingExtra is how long past its grace period a pod that is being deleted is waited for; the cluster-autoscaler's figure.
const endingExtra = 30 * time.Second

// Rules are the rules on one snapshot at one moment. They are good for any number of questions, by one goroutine at a time.
type Rules struct {
	s      *cluster.Snapshot
	opts   Options
	now    time.Time
	rules  []rule
	guards map[string][]guard // made when they are first asked for; see guardsOver
	// over are the budgets over the pods of each template, and wanted how many pods a controller wants: many pods share both.
	over   map[*cluster.PodTemplate][]guard
	wanted map[types.UID]int32
	// charged is what the pods of each node ask of the budgets; see charges.
	charged map[string][]charge
}

// rule gives its verdict, or leaves the pod to the next rule.
type rule func(r *Rules, pod *cluster.Pod) (v Verdict, decided bool)

// Open prepares the rules.
func Open(s *cluster.Snapshot, opts Options, now time.Time) *Rules {
	rules := append(skips(), ending)
	if opts.Voluntary || opts.Marks {
		rules = append(
			rules,
			doNotDisrupt, // before safe-to-evict: of two marks the stricter wins
			notSafeToEvict,
			onCompletion,
			unlessFree(runningJob),
		)
	}
	if opts.Voluntary {
		rules = append(
			rules,
			unlessFree(notReplicated),
			unlessFree(systemPod),
			unlessFree(localStorage),
		)
	}
	rules = append(rules, severalBudgets, notEnoughBudget) // the Eviction API asks these in any case
	return &Rules{s: s, opts: opts, now: now, rules: rules}
}

// skips are the rules for pods that stay on the node; they come first.
func skips() []rule { return []rule{mirrorPod, daemonSetPod, longEnding, ended} }

// skipped is how many they are.
const skipped = 4

// Classify says what a drain does about one pod: the first rule that has a verdict decides.
func (r *Rules) Classify(pod *cluster.Pod) Verdict {
	for _, decide := range r.rules {
		if v, decided := decide(r, pod); decided {
			v.Pod = pod
			return v
		}
	}
	return Verdict{Pod: pod, Class: Evict}
}

// Of says what a drain does about each pod of a node, in the order of namespace/name.
func (r *Rules) Of(node string) []Verdict {
	pods := r.s.PodsOn(node)
	verdicts := make([]Verdict, len(pods))
	for i, pod := range pods {
		verdicts[i] = r.Classify(pod)
	}
	return verdicts
}

func mirrorPod(_ *Rules, pod *cluster.Pod) (Verdict, bool) {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return Verdict{Class: Skip, Message: "a static pod ends with its node"}, mirror
}

// daemonSetPod skips pods of DaemonSets, whether the DaemonSet still exists or not.
func daemonSetPod(_ *Rules, pod *cluster.Pod) (Verdict, bool) {
	return Verdict{Class: Skip, Message: "a DaemonSet's pod ends with its node"}, IsDaemonSetPod(pod)
}

// IsDaemonSetPod tells whether the pod belongs to a DaemonSet, or is marked to be treated so.
func IsDaemonSetPod(pod *cluster.Pod) bool {
	if pod.Annotations[DaemonSetMark] == "true" {
		return true
	}
	owner := pod.Controller
	return owner != nil && owner.Kind == "DaemonSet"
}

// longEnding skips a pod whose kubelet should have ended it long ago, such as those on a node that is off.
func longEnding(r *Rules, pod *cluster.Pod) (Verdict, bool) {
	late := pod.DeletionTimestamp != nil && !pod.EndsBy.IsZero() && !r.now.Before(pod.EndsBy.Add(endingExtra))
	return Verdict{Class: Skip, Message: "the pod is past its grace period"}, late
}

func ended(_ *Rules, pod *cluster.Pod) (Verdict, bool) {
	done := pod.Phase == corev1.PodSucceeded || pod.Phase == corev1.PodFailed
	return Verdict{Class: Skip, Message: "the pod has ended"}, done
}

func ending(_ *Rules, pod *cluster.Pod) (Verdict, bool) {
	if pod.DeletionTimestamp == nil {
		return Verdict{}, false
	}
	return Verdict{
		Class: Ending, Reason: reason.WaitingForPods, Message: fmt.Sprintf("pod %s is ending", pod.Key()),
		Due: pod.EndsBy.Add(endingExtra),
	}, true
}

func doNotDisrupt(_ *Rules, pod *cluster.Pod) (Verdict, bool) {
	if !DoNotDisruptAsked(pod) {
		return Verdict{}, false
	}
	return block(reason.DoNotDisrupt, "pod %s is annotated %s", pod.Key(), DoNotDisruptMark), true
}

// DoNotDisruptAsked tells whether the pod or node carries Karpenter's mark.
func DoNotDisruptAsked(o interface{ GetAnnotations() map[string]string }) bool {
	value, marked := o.GetAnnotations()[DoNotDisruptMark]
	return marked && value != "false"
}

func notSafeToEvict(_ *Rules, pod *cluster.Pod) (Verdict, bool) {
	if pod.Annotations[SafeToEvict] != "false" {
		return Verdict{}, false
	}
	return block(reason.NotSafeToEvict, "pod %s is annotated safe-to-evict: \"false\"", pod.Key()), true
}

func onCompletion(_ *Rules, pod *cluster.Pod) (Verdict, bool) {
	if pod.Annotations[SafeToEvict] != "on-completion" {
		return Verdict{}, false
	}
	message := fmt.Sprintf("pod %s is annotated safe-to-evict: \"on-completion\" and still runs", pod.Key())
	return Verdict{Class: Wait, Reason: reason.WaitsForCompletion, Message: message}, true
}

// runningJob waits for pods of Jobs where that is asked for: a Job begins anew when its pod is evicted, and may have run for hours.
func runningJob(r *Rules, pod *cluster.Pod) (Verdict, bool) {
	if !r.opts.WaitForJobs || pod.Controller == nil || pod.Controller.Kind != "Job" {
		return Verdict{}, false
	}
	message := fmt.Sprintf("pod %s belongs to Job %s, which still runs", pod.Key(), pod.Controller.Name)
	return Verdict{Class: Wait, Reason: reason.WaitsForCompletion, Message: message}, true
}

// unlessFree leaves pods that are annotated safe-to-evict: "true", or are expendable, to the rules after it.
func unlessFree(decide rule) rule {
	return func(r *Rules, pod *cluster.Pod) (Verdict, bool) {
		if pod.Annotations[SafeToEvict] == "true" || r.opts.Expendable(pod) {
			return Verdict{}, false
		}
		return decide(r, pod)
	}
}

// notReplicated blocks pods that nobody would make anew. The kinds of controllers that the snapshot knows must be there; of other kinds
// only the reference is seen.
func notReplicated(r *Rules, pod *cluster.Pod) (Verdict, bool) {
	owner := pod.Controller
	switch {
	case owner == nil && r.opts.SkipNodesWithBarePods:
		return block(reason.NotReplicated, "pod %s has no controller", pod.Key()), true
	case owner == nil:
		return Verdict{}, false
	}
	switch owner.Kind {
	case "ReplicaSet", "ReplicationController", "StatefulSet", "Job":
		switch replicas, there := r.replicas(owner.UID); {
		case there && owner.Kind != "Job" && replicas < r.opts.MinReplicaCount:
			return block(reason.MinReplicasReached, "pod %s belongs to %s %s, which wants %d pods, and --min-replica-count is %d",
				pod.Key(), owner.Kind, owner.Name, replicas, r.opts.MinReplicaCount), true
		case there:
			return Verdict{}, false
		}
		return block(reason.ControllerNotFound, "pod %s names %s %s, which does not exist", pod.Key(), owner.Kind, owner.Name), true
	}
	if !r.opts.SkipNodesWithCustomControllerPods {
		return Verdict{}, false
	}
	return block(reason.NotReplicated, "pod %s belongs to a %s, and --skip-nodes-with-custom-controller-pods is set",
		pod.Key(), owner.Kind), true
}

// replicas is how many pods the controller wants; there is false if it is not there.
func (r *Rules) replicas(controller types.UID) (n int32, there bool) {
	wanted, known := r.wanted[controller]
	if !known {
		if r.wanted == nil {
			r.wanted = map[types.UID]int32{}
		}
		wanted = noController
		if w, ok := r.s.Workloads.Get(string(controller)); ok {
			wanted = w.Replicas
		}
		r.wanted[controller] = wanted
	}
	return wanted, wanted != noController
}

// noController is how many pods a controller wants that is not there.
const noController = -1

// systemPod blocks young pods of kube-system without a budget.
func systemPod(r *Rules, pod *cluster.Pod) (Verdict, bool) {
	if !r.opts.SkipNodesWithSystemPods || pod.Namespace != metav1.NamespaceSystem || len(r.guardsOver(pod)) > 0 {
		return Verdict{}, false
	}
	v := block(reason.UnmovableSystemPod, "pod %s is a system pod without a PodDisruptionBudget", pod.Key())
	if r.opts.BlockingSystemPodTimeout > 0 {
		v.Due = pod.CreationTimestamp.Add(r.opts.BlockingSystemPodTimeout)
	}
	return v, v.Due.IsZero() || r.now.Before(v.Due)
}

// localStorage blocks pods with a volume on the node's disk, save those volumes that the pod declares safe.
func localStorage(r *Rules, pod *cluster.Pod) (Verdict, bool) {
	if !r.opts.SkipNodesWithLocalStorage {
		return Verdict{}, false
	}
	safe := strings.Split(pod.Annotations[SafeToEvictLocalVolumes], ",")
	for i := range pod.Spec.Volumes {
		if volume := &pod.Spec.Volumes[i]; onDisk(volume) && !listed(safe, volume.Name) {
			return block(reason.LocalStorage, "pod %s keeps data on the node in volume %s", pod.Key(), volume.Name), true
		}
	}
	return Verdict{}, false
}

func onDisk(v *corev1.Volume) bool {
	return v.HostPath != nil || v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory
}

func listed(names []string, name string) bool {
	for _, n := range names {
		if strings.TrimSpace(n) == name {
			return true
		}
	}
	return false
}

func block(why reason.Reason, format string, args ...any) Verdict {
	return Verdict{Class: Block, Reason: why, Message: fmt.Sprintf(format, args...)}
}
