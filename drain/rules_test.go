package drain_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// involuntary are the options of a repair.
func involuntary() drain.Options {
	opts := drain.Defaults()
	opts.Voluntary = false
	return opts
}

func relaxed(change func(o *drain.Options)) drain.Options {
	opts := strict()
	change(&opts)
	return opts
}

func TestEachPodIsClassifiedByTheFirstRuleThatSpeaks(t *testing.T) {
	replicated := Of("ReplicaSet", "web")
	finished := OnPod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	inMemory := OnPod(func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{
			EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory},
		}})
	})
	hostPath := OnPod(func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "logs", VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: "/var/log"},
		}})
	})
	old := Born(Start.Add(-2 * time.Hour))
	young := Born(Start.Add(-time.Minute))
	for _, test := range []struct {
		name    string
		pod     []PodOption
		podName string
		beside  []any
		opts    drain.Options
		class   drain.Class
		reason  reason.Reason
		says    string
	}{
		{name: "a replicated pod is evicted", pod: []PodOption{replicated}, class: drain.Evict},
		{name: "a mirror pod stays", pod: []PodOption{Mirror()}, class: drain.Skip},
		{name: "a DaemonSet's pod stays", pod: []PodOption{Of("DaemonSet", "proxy")}, class: drain.Skip},
		{name: "a pod annotated as a DaemonSet's stays", pod: []PodOption{Annotate(drain.DaemonSetMark, "true")}, class: drain.Skip},
		{name: "a DaemonSet's pod that must not be evicted stays", pod: []PodOption{Of("DaemonSet", "proxy"), Annotate(drain.SafeToEvict, "false")}, class: drain.Skip},
		{name: "a finished pod stays", pod: []PodOption{finished}, class: drain.Skip},
		{
			name: "an ending pod is waited for", pod: []PodOption{replicated, Ending(Start.Add(10 * time.Second))},
			class: drain.Ending, reason: reason.WaitingForPods, says: "default/p is ending",
		},
		{
			name: "a pod is waited for until 30 seconds past its grace period", pod: []PodOption{Ending(Start.Add(-29 * time.Second))},
			class: drain.Ending, reason: reason.WaitingForPods,
		},
		{name: "a pod long past its grace period stays", pod: []PodOption{Ending(Start.Add(-30 * time.Second))}, class: drain.Skip},
		{
			name: "safe-to-evict: false blocks", pod: []PodOption{replicated, Annotate(drain.SafeToEvict, "false")},
			class: drain.Block, reason: reason.NotSafeToEvict, says: "safe-to-evict",
		},
		{name: "safe-to-evict: true frees a pod without a controller", pod: []PodOption{Annotate(drain.SafeToEvict, "true")}, class: drain.Evict},
		{name: "safe-to-evict: true frees a pod with local data", pod: []PodOption{EmptyDir("data"), Annotate(drain.SafeToEvict, "true")}, class: drain.Evict},
		{
			name: "safe-to-evict: true does not get past a budget", pod: []PodOption{Label("app", "p"), Annotate(drain.SafeToEvict, "true")},
			beside: []any{Budget("p", "app", "p", 0)}, class: drain.Block, reason: reason.NotEnoughBudget,
		},
		{
			name: "safe-to-evict: on-completion waits", pod: []PodOption{Of("Job", "batch"), Annotate(drain.SafeToEvict, "on-completion")},
			class: drain.Wait, reason: reason.WaitsForCompletion, says: "still runs",
		},
		{
			name: "do-not-disrupt blocks", pod: []PodOption{replicated, Annotate(drain.DoNotDisruptMark, "true")},
			class: drain.Block, reason: reason.DoNotDisrupt, says: "karpenter.sh/do-not-disrupt",
		},
		{name: "do-not-disrupt: false does not", pod: []PodOption{replicated, Annotate(drain.DoNotDisruptMark, "false")}, class: drain.Evict},
		{
			name: "of do-not-disrupt and safe-to-evict the stricter wins",
			pod:  []PodOption{replicated, Annotate(drain.DoNotDisruptMark, "true"), Annotate(drain.SafeToEvict, "true")}, class: drain.Block, reason: reason.DoNotDisrupt,
		},
		{name: "a bare pod blocks", class: drain.Block, reason: reason.NotReplicated, says: "pod default/p has no controller"},
		{
			name: "a bare pod goes where the options say so", class: drain.Evict,
			opts: relaxed(func(o *drain.Options) { o.SkipNodesWithBarePods = false }),
		},
		{
			name: "a controller that is gone blocks", pod: []PodOption{Of("ReplicaSet", "other")},
			class: drain.Block, reason: reason.ControllerNotFound, says: "ReplicaSet other, which does not exist",
		},
		{name: "a StatefulSet's pod is evicted", pod: []PodOption{Of("StatefulSet", "db")}, class: drain.Evict},
		{name: "a Job's pod is evicted", pod: []PodOption{Of("Job", "batch")}, class: drain.Evict},
		{
			name: "a pod of another kind blocks where the flag asks for it", pod: []PodOption{Of("Workflow", "w")},
			class: drain.Block, reason: reason.NotReplicated, says: "belongs to a Workflow",
		},
		{
			name: "a pod of another kind goes where the flag is off", pod: []PodOption{Of("Workflow", "w")}, class: drain.Evict,
			opts: relaxed(func(o *drain.Options) { o.SkipNodesWithCustomControllerPods = false }),
		},
		{
			name: "a pod of too small a workload blocks where the flag asks for it", pod: []PodOption{replicated},
			opts:  relaxed(func(o *drain.Options) { o.MinReplicaCount = 2 }),
			class: drain.Block, reason: reason.MinReplicasReached, says: "wants 1 pods, and --min-replica-count is 2",
		},
		{
			name: "a Job's pod has no others to be counted", pod: []PodOption{Of("Job", "batch")}, class: drain.Evict,
			opts: relaxed(func(o *drain.Options) { o.MinReplicaCount = 2 }),
		},
		{
			name: "a young system pod without a budget blocks", podName: "kube-system/dns", pod: []PodOption{Of("ReplicaSet", "dns"), young},
			class: drain.Block, reason: reason.UnmovableSystemPod, says: "kube-system/dns",
		},
		{name: "an old system pod does not", podName: "kube-system/dns", pod: []PodOption{Of("ReplicaSet", "dns"), old}, class: drain.Evict},
		{
			name: "an old system pod blocks without a time limit", podName: "kube-system/dns", pod: []PodOption{Of("ReplicaSet", "dns"), old},
			opts:  relaxed(func(o *drain.Options) { o.BlockingSystemPodTimeout = 0 }),
			class: drain.Block, reason: reason.UnmovableSystemPod,
		},
		{
			name: "a young system pod goes where the flag is off", podName: "kube-system/dns", pod: []PodOption{Of("ReplicaSet", "dns"), young},
			opts: relaxed(func(o *drain.Options) { o.SkipNodesWithSystemPods = false }), class: drain.Evict,
		},
		{
			name: "a young system pod with a budget goes", podName: "kube-system/dns", pod: []PodOption{Of("ReplicaSet", "dns"), young, Label("app", "dns")},
			beside: []any{Budget("kube-system/dns", "app", "dns", 1)}, class: drain.Evict,
		},
		{
			name: "local data blocks", pod: []PodOption{replicated, EmptyDir("data")},
			class: drain.Block, reason: reason.LocalStorage, says: "in volume data",
		},
		{name: "a host's folder blocks", pod: []PodOption{replicated, hostPath}, class: drain.Block, reason: reason.LocalStorage},
		{name: "a volume in memory does not", pod: []PodOption{replicated, inMemory}, class: drain.Evict},
		{
			name: "volumes that are declared safe do not", class: drain.Evict,
			pod: []PodOption{replicated, EmptyDir("data"), EmptyDir("tmp"), Annotate(drain.SafeToEvictLocalVolumes, "tmp, data")},
		},
		{
			name: "one volume that is not declared safe does", pod: []PodOption{replicated, EmptyDir("data"), EmptyDir("tmp"), Annotate(drain.SafeToEvictLocalVolumes, "tmp")},
			class: drain.Block, reason: reason.LocalStorage, says: "in volume data",
		},
		{
			name: "local data goes where the flag is off", pod: []PodOption{replicated, EmptyDir("data")}, class: drain.Evict,
			opts: relaxed(func(o *drain.Options) { o.SkipNodesWithLocalStorage = false }),
		},
		{
			name: "two budgets block", pod: []PodOption{replicated, Label("app", "p")},
			beside: []any{Budget("a", "app", "p", 1), Budget("b", "app", "p", 1)},
			class:  drain.Block, reason: reason.SeveralBudgets, says: "2 PodDisruptionBudgets (a, b)",
		},
		{
			name: "an empty budget blocks", pod: []PodOption{replicated, Label("app", "p")}, beside: []any{Budget("p", "app", "p", 0)},
			class: drain.Block, reason: reason.NotEnoughBudget, says: "it needs 1 healthy pods and has 1",
		},
		{
			name: "a budget of another namespace does not", pod: []PodOption{replicated, Label("app", "p")},
			beside: []any{Budget("elsewhere/p", "app", "p", 0)}, class: drain.Evict,
		},
		{
			name: "a budget that was not counted since it changed blocks", pod: []PodOption{replicated, Label("app", "p")},
			beside: []any{uncounted(Budget("p", "app", "p", 5))},
			class:  drain.Block, reason: reason.NotEnoughBudget, says: "older than its spec",
		},
		{
			name: "a pod that is not ready goes while the budget's other pods are healthy", pod: []PodOption{replicated, Label("app", "p"), On("n1"), Unready()},
			beside: []any{Budget("p", "app", "p", 0)}, class: drain.Evict,
		},
		{
			name: "a pod that is not ready stays while too few others are healthy", pod: []PodOption{replicated, Label("app", "p"), On("n1"), Unready()},
			beside: []any{short(Budget("p", "app", "p", 0))}, class: drain.Block, reason: reason.NotEnoughBudget, says: "needs 1 healthy pods and has 0",
		},
		{
			name: "a pod that is not ready goes in any case where the budget says so", pod: []PodOption{replicated, Label("app", "p"), On("n1"), Unready()},
			beside: []any{alwaysAllow(short(Budget("p", "app", "p", 0)))}, class: drain.Evict,
		},
		{name: "an expendable bare pod goes", pod: []PodOption{Priority(-11)}, class: drain.Evict},
		{name: "a bare pod at the cutoff does not", pod: []PodOption{Priority(-10)}, class: drain.Block, reason: reason.NotReplicated},
		{
			name: "an expendable pod that is not safe to evict stays", pod: []PodOption{Priority(-11), Annotate(drain.SafeToEvict, "false")},
			class: drain.Block, reason: reason.NotSafeToEvict,
		},
		{name: "a repair takes a bare pod", opts: involuntary(), class: drain.Evict},
		{name: "a repair takes a pod that is not safe to evict", pod: []PodOption{Annotate(drain.SafeToEvict, "false")}, opts: involuntary(), class: drain.Evict},
		{name: "a repair does not wait for completion", pod: []PodOption{Annotate(drain.SafeToEvict, "on-completion")}, opts: involuntary(), class: drain.Evict},
		{name: "a repair takes a pod that is not to be disrupted", pod: []PodOption{Annotate(drain.DoNotDisruptMark, "true")}, opts: involuntary(), class: drain.Evict},
		{name: "a repair takes local data", pod: []PodOption{EmptyDir("data")}, opts: involuntary(), class: drain.Evict},
		{
			name: "a repair is held by a budget", pod: []PodOption{Label("app", "p")}, beside: []any{Budget("p", "app", "p", 0)}, opts: involuntary(),
			class: drain.Block, reason: reason.NotEnoughBudget,
		},
		{name: "a repair leaves a DaemonSet's pod", pod: []PodOption{Of("DaemonSet", "proxy")}, opts: involuntary(), class: drain.Skip},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := test.podName
			if name == "" {
				name = "p"
			}
			pod := Compact(name, append([]PodOption{On("n1")}, test.pod...)...)
			opts := test.opts
			if reflect.DeepEqual(opts, drain.Options{}) {
				opts = strict()
			}
			s := Snapshot(Node("n1"), ReplicaSet("web", 1), ReplicaSet("kube-system/dns", 1), StatefulSet("db", 1), Job("batch"), pod, test.beside)
			if known, there := s.Pods.Get(pod.Key()); there {
				pod = known // with the times at which things were seen
			}
			v := drain.Open(s, opts, Start).Classify(pod)
			if v.Class != test.class || v.Reason != test.reason {
				t.Errorf("got %s %s (%s), want %s %s", v.Class, v.Reason, v.Message, test.class, test.reason)
			}
			if !strings.Contains(v.Message, test.says) {
				t.Errorf("message %q does not say %q", v.Message, test.says)
			}
			if _, known := reason.Lookup(v.Reason); v.Reason != "" && !known {
				t.Errorf("reason %s is not in the list", v.Reason)
			}
			if v.Pod != pod {
				t.Error("the verdict is not about the pod")
			}
		})
	}
}

// strict are the options of those who want the cluster-autoscaler's old ways back.
func strict() drain.Options {
	opts := drain.Defaults()
	opts.SkipNodesWithSystemPods, opts.SkipNodesWithLocalStorage = true, true
	return opts
}

func TestPodsOfKubeSystemAndPodsWithLocalDataHoldNoNodeByDefault(t *testing.T) {
	s := Snapshot(Node("n1"), ReplicaSet("web", 1), ReplicaSet("kube-system/dns", 1),
		Pod("a", On("n1"), Of("ReplicaSet", "web"), EmptyDir("data")), Pod("kube-system/dns", On("n1"), Of("ReplicaSet", "dns"), Born(Start)))
	for _, v := range drain.Open(s, drain.Defaults(), Start).Of("n1") {
		if v.Class != drain.Evict {
			t.Errorf("%s: %s (%s)", v.Pod.Key(), v.Class, v.Message)
		}
	}
}

func uncounted(b *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudget {
	b.Generation++
	return b
}

func short(b *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudget {
	b.Status.CurrentHealthy = b.Status.DesiredHealthy - 1
	return b
}

func alwaysAllow(b *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudget {
	policy := policyv1.AlwaysAllow
	b.Spec.UnhealthyPodEvictionPolicy = &policy
	return b
}

func TestAVerdictThatTimeChangesSaysWhen(t *testing.T) {
	pod := Compact("kube-system/dns", Of("ReplicaSet", "dns"), On("n1"), Born(Start.Add(-20*time.Minute)))
	s := Snapshot(ReplicaSet("kube-system/dns", 1), pod)
	v := drain.Open(s, strict(), Start).Classify(pod)
	if want := Start.Add(40 * time.Minute); !v.Due.Equal(want) {
		t.Fatalf("due %s, want %s", v.Due, want)
	}
	if before := drain.Open(s, strict(), v.Due.Add(-time.Nanosecond)).Classify(pod); before.Class != drain.Block {
		t.Errorf("just before: %s", before.Class)
	}
	if at := drain.Open(s, strict(), v.Due).Classify(pod); at.Class != drain.Evict {
		t.Errorf("at that moment: %s", at.Class)
	}
}

func TestOfNamesEachPodOfTheNodeInOrder(t *testing.T) {
	s := Snapshot(Pod("b", On("n1")), Pod("a", On("n1"), Mirror()), Pod("c", On("n2")))
	var got []string
	for _, v := range drain.Open(s, drain.Defaults(), Start).Of("n1") {
		got = append(got, v.Pod.Name+" "+string(v.Class))
	}
	if want := "a Skip, b Block"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestLeftAreThePodsThatStillHaveToLeave(t *testing.T) {
	s := Snapshot(
		Pod("blocked", On("n1")),
		Pod("daemon", On("n1"), Of("DaemonSet", "proxy")),
		Pod("ending", On("n1"), Ending(Start.Add(time.Second))),
		Pod("mirror", On("n1"), Mirror()),
		Pod("stuck", On("n1"), Ending(Start.Add(-time.Hour))),
		Pod("elsewhere", On("n2")),
	)
	var got []string
	for _, pod := range drain.Left(s, "n1", Start) {
		got = append(got, pod.Name)
	}
	if want := "blocked, ending"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
