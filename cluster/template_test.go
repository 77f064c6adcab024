package cluster

import (
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// realistic is a pod with what pods of a real cluster have; those of one app have the same template.
func realistic(app, i int, node string) *corev1.Pod {
	name := fmt.Sprintf("app-%d", app)
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	resources := corev1.ResourceRequirements{Requests: list("250m", "512Mi"), Limits: list("1", "1Gi")}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("%s-7d4b9c6f5-%05d", name, i), UID: types.UID(fmt.Sprintf("0a1b2c3d-0000-4000-8000-%06d%06d", app, i)),
			Labels: map[string]string{
				"app.kubernetes.io/name": name, "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "web", "pod-template-hash": "7d4b9c6f5",
			},
			Annotations: map[string]string{"prometheus.io/scrape": "true", "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name + "-7d4b9c6f5", UID: types.UID("rs-" + name), Controller: new(true),
			}},
			CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0)),
		},
		Spec: corev1.PodSpec{
			NodeName: node, SchedulerName: corev1.DefaultSchedulerName, RestartPolicy: corev1.RestartPolicyAlways, Priority: new(int32(0)),
			TerminationGracePeriodSeconds: new(int64(30)),
			Containers: []corev1.Container{
				{Name: "main", Image: "registry.example/shop/main:1.2.3", Resources: resources, Ports: []corev1.ContainerPort{{ContainerPort: 8080}}},
				{Name: "proxy", Image: "registry.example/mesh/proxy:1.2.3", Resources: resources},
			},
			Tolerations: []corev1.Toleration{
				{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300))},
				{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300))},
			},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.ScheduleAnyway,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": name}},
			}},
			Volumes: []corev1.Volume{
				{Name: fmt.Sprintf("kube-api-access-%05d", i), VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Unix(int64(i), 0))},
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Unix(int64(i), 0))},
		}},
	}
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Resources: resources.DeepCopy(), AllocatedResources: list("250m", "512Mi"),
		})
	}
	return pod
}

// BenchmarkTrimPod is what a pod costs on its way from the informer into the picture.
func BenchmarkTrimPod(b *testing.B) {
	b.Run("whose template is known", func(b *testing.B) {
		t, pod := NewTrimmer(), realistic(0, 1, "node-1")
		t.Trim(pod)
		b.ReportAllocs()
		for b.Loop() {
			t.Trim(pod)
		}
	})
	b.Run("of a new template", func(b *testing.B) {
		t := NewTrimmer()
		pods := make([]*corev1.Pod, 1<<14)
		for i := range pods {
			pods[i] = realistic(i, i, "node-1")
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			pod := pods[i%len(pods)]
			if i%len(pods) == 0 {
				t = NewTrimmer()
			}
			t.Trim(pod)
		}
	})
}

func trimmed(t *Trimmer, o *corev1.Pod) *Pod {
	pod, _ := t.Trim(o)
	return pod.(*Pod)
}

func TestPodsThatDifferInWhatIsTheirOwnShareATemplateAndAController(t *testing.T) {
	trimmer := NewTrimmer()
	one := trimmed(trimmer, realistic(1, 1, "node-1"))
	other := realistic(1, 2, "")
	other.Status = corev1.PodStatus{Phase: corev1.PodPending, NominatedNodeName: "node-2"}
	other.DeletionTimestamp = &metav1.Time{Time: time.Unix(5, 0)}
	two := trimmed(trimmer, other)
	if one.PodTemplate != two.PodTemplate {
		t.Errorf("two templates:\n%s", cmp.Diff(one.PodTemplate, two.PodTemplate))
	}
	if one.Controller != two.Controller {
		t.Error("two copies of the controller")
	}
	if one.Key() == two.Key() || one.UID == two.UID || two.NodeName != "" || two.NominatedNodeName != "node-2" || two.DeletionTimestamp == nil {
		t.Errorf("the second pod is %+v", two)
	}
	if elsewhere := trimmed(NewTrimmer(), realistic(1, 1, "node-1")); !one.Equal(elsewhere) {
		t.Error("a pod isn't equal to itself from another trimmer")
	}
}

func TestWhatAPodHasAloneIsReadFromIt(t *testing.T) {
	at := metav1.NewTime(time.Unix(7, 0))
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus, reason string) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, Reason: reason, LastTransitionTime: at}
	}
	tests := map[string]struct {
		conditions []corev1.PodCondition
		want       PodStatus
	}{
		"nothing is said":                          {nil, PodStatus{Phase: "Running"}},
		"a pod that is ready":                      {[]corev1.PodCondition{condition("Ready", "True", "")}, PodStatus{Phase: "Running", Ready: true}},
		"a pod that is not":                        {[]corev1.PodCondition{condition("Ready", "False", "")}, PodStatus{Phase: "Running"}},
		"a pod of which nobody knows":              {[]corev1.PodCondition{condition("Ready", "Unknown", "")}, PodStatus{Phase: "Running"}},
		"a pod that the scheduler has no node for": {[]corev1.PodCondition{condition("PodScheduled", "False", "Unschedulable")}, PodStatus{Phase: "Running", Unschedulable: at}},
		"a pod that a gate holds back":             {[]corev1.PodCondition{condition("PodScheduled", "False", "SchedulingGated")}, PodStatus{Phase: "Running"}},
		"a pod that is bound":                      {[]corev1.PodCondition{condition("PodScheduled", "True", "")}, PodStatus{Phase: "Running"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := PodOf(&corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: test.conditions}})
			if diff := cmp.Diff(test.want, pod.PodStatus); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A pod is changed in one random leaf after the other: whatever a template keeps must tell the two apart, and nothing else may.
func TestTwoPodsShareATemplateExactlyIfTheirContentIsEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trimmer := NewTrimmer()
		one := filled(&corev1.Pod{}).(*corev1.Pod)
		two := one.DeepCopy()
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			change(t, reflect.ValueOf(two).Elem())
		}
		a, b := trimmed(trimmer, one), trimmed(trimmer, two)
		equal := equality.Semantic.DeepEqual(PodOf(one).PodTemplate, PodOf(two).PodTemplate)
		if shared := a.PodTemplate == b.PodTemplate; shared != equal {
			t.Fatalf("shared is %v and equal is %v:\n%s", shared, equal, cmp.Diff(a.PodTemplate, b.PodTemplate))
		}
		for o, pod := range map[*corev1.Pod]*Pod{one: a, two: b} {
			if diff := cmp.Diff(PodOf(o).PodTemplate, pod.PodTemplate); diff != "" {
				t.Fatalf("what is shared is not what was given:\n%s", diff)
			}
		}
	})
}

// change sets some leaf to its zero value, or a text to another.
func change(t *rapid.T, v reflect.Value) {
	for {
		switch v.Interface().(type) {
		case resource.Quantity, metav1.Time:
			v.SetZero()
			return
		}
		switch v.Kind() {
		case reflect.Struct:
			v = v.Field(rapid.IntRange(0, v.NumField()-1).Draw(t, v.Type().Name()))
		case reflect.Pointer, reflect.Slice:
			if v.Kind() == reflect.Slice && v.Len() == 0 || v.Kind() == reflect.Pointer && v.IsNil() || rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
				v.SetZero()
				return
			}
			if v.Kind() == reflect.Pointer {
				v = v.Elem()
			} else {
				v = v.Index(0)
			}
		case reflect.String:
			v.SetString(rapid.SampledFrom([]string{"", "y"}).Draw(t, "text"))
			return
		default:
			v.SetZero()
			return
		}
	}
}

func TestATemplateThatNobodyNeedsIsForgotten(t *testing.T) {
	trimmer := NewTrimmer()
	const apps = 4 * fewest
	kept := trimmed(trimmer, realistic(0, 0, ""))
	for app := range apps {
		trimmed(trimmer, realistic(app, 0, ""))
		if app%fewest == 0 {
			runtime.GC()
		}
	}
	runtime.GC()
	for app := range 2 * apps { // each new one may find that the table is full
		trimmed(trimmer, realistic(apps+app, 0, ""))
		if app%fewest == 0 {
			runtime.GC()
		}
	}
	if n := len(trimmer.templates.entries); n > 2*apps {
		t.Errorf("%d templates are remembered after %d came and went", n, 3*apps)
	}
	if n := len(trimmer.owners.entries); n > 2*apps {
		t.Errorf("%d controllers are remembered after %d came and went", n, 3*apps)
	}
	if again := trimmed(trimmer, realistic(0, 1, "")); again.PodTemplate != kept.PodTemplate {
		t.Error("a template that is in use was forgotten")
	}
}

func TestAClusterGivesEqualPodsOneTemplateWhereverTheyComeFrom(t *testing.T) {
	c := New()
	now := time.Unix(0, 0)
	c.Apply(now, Set{Object: realistic(1, 1, "n")})
	c.Apply(now, Set{Object: realistic(1, 2, "n")})
	c.Apply(now, Set{Object: PodOf(realistic(1, 3, "n"))})
	templates := map[*PodTemplate]int{}
	for pod := range c.Snapshot().Pods.Values() {
		templates[pod.PodTemplate]++
	}
	if counts := slices.Collect(maps.Values(templates)); !slices.Equal(counts, []int{3}) {
		t.Errorf("pods by template: %v", counts)
	}
}

func TestAPodThatOnlyRenewsWhatNobodyReadsChangesNothing(t *testing.T) {
	c := New()
	c.Apply(time.Unix(0, 0), Set{Object: realistic(1, 1, "n")})
	before := c.Snapshot()
	again := realistic(1, 1, "n")
	again.ResourceVersion, again.Status.PodIP, again.Status.Conditions[0].LastTransitionTime = "7", "10.0.0.1", metav1.NewTime(time.Unix(99, 0))
	c.Apply(time.Unix(1, 0), Set{Object: again})
	if c.Snapshot() != before {
		t.Error("the snapshot is another")
	}
}

func TestTheKeyOfAPodFollowsItsName(t *testing.T) {
	pod := trimmed(NewTrimmer(), realistic(1, 1, ""))
	renamed := *pod
	renamed.Name = "other"
	tests := map[string]*Pod{
		"shop/app-1-7d4b9c6f5-00001": pod, "shop/other": &renamed,
		"shop/hand-made": {Name: "hand-made", PodTemplate: &PodTemplate{Namespace: "shop"}}, "placeless": PodOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "placeless"}}),
	}
	for want, pod := range tests {
		if got := pod.Key(); got != want || Key(pod) != want {
			t.Errorf("the key is %q, want %q", got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = pod.Key() }); n > 0 {
		t.Errorf("asking a pod for its key takes %v allocations", n)
	}
}

func TestAnUnboundPodIsAsItsControllerWouldMakeItAnew(t *testing.T) {
	o := realistic(1, 1, "n")
	o.DeletionTimestamp = &metav1.Time{Time: time.Unix(5, 0)}
	o.Status.ContainerStatuses[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	pod := PodOf(o)
	if len(pod.Allotted.ContainerStatuses) != 1 {
		t.Fatalf("the resize is not seen: %+v", pod.Allotted)
	}
	fresh := pod.Unbound()
	want := &Pod{
		Name: pod.Name, UID: pod.UID, CreationTimestamp: pod.CreationTimestamp, Controller: pod.Controller, PodStatus: PodStatus{Phase: corev1.PodPending},
		PodTemplate: &PodTemplate{Namespace: pod.Namespace, Labels: pod.Labels, Annotations: pod.Annotations, Spec: pod.Spec},
	}
	if !fresh.Equal(want) {
		t.Errorf("it is %+v", fresh)
	}
	if fresh.Unbound() != fresh {
		t.Error("a pod that waits was copied")
	}
	if pod.NodeName != "n" || len(pod.Allotted.ContainerStatuses) != 1 {
		t.Error("the pod itself was changed")
	}
}
