package cluster

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A field that is new upstream shows up as a difference here, and somebody has to decide whether a decision needs it.
func TestEveryFieldOfEveryKindIsKeptOrDroppedOnPurpose(t *testing.T) {
	kinds := []metav1.Object{
		&corev1.Node{}, &corev1.Pod{}, &policyv1.PodDisruptionBudget{}, &appsv1.DaemonSet{}, &appsv1.ReplicaSet{}, &appsv1.StatefulSet{},
		&batchv1.Job{}, &corev1.ReplicationController{}, &corev1.Namespace{}, &coordinationv1.Lease{}, &corev1.PersistentVolume{},
		&corev1.PersistentVolumeClaim{}, &storagev1.StorageClass{}, &storagev1.CSINode{}, &storagev1.CSIDriver{},
		&storagev1.CSIStorageCapacity{}, &storagev1.VolumeAttachment{}, &resourcev1.DeviceClass{}, &resourcev1.ResourceSlice{},
		&resourcev1.ResourceClaim{},
	}
	var lines []string
	for _, empty := range kinds {
		full := filled(empty)
		before := full.(runtime.Object).DeepCopyObject()
		trimmer := NewTrimmer()
		trimmed, ok := trimmer.Trim(full)
		if !ok {
			t.Fatalf("%T is of a kind that the snapshot has, and was not trimmed", empty)
		}
		if diff := cmp.Diff(before, full); diff != "" {
			t.Errorf("trimming changed the %T that it was given:\n%s", empty, diff)
		}
		if again, _ := trimmer.Trim(trimmed); cmp.Diff(asObject(trimmed), asObject(again)) != "" {
			t.Errorf("trimming a trimmed %T changes it:\n%s", empty, cmp.Diff(asObject(trimmed), asObject(again)))
		}
		trimmed = asObject(trimmed)
		name := reflect.TypeOf(empty).Elem().Name()
		lines = append(lines, fates(name, reflect.ValueOf(full).Elem(), reflect.ValueOf(trimmed).Elem())...)
	}
	golden := filepath.Join("testdata", "trimmed.txt")
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("what is kept has changed (go test ./cluster -update writes it anew):\n%s", diff)
	}
}

// asObject is what came out of a trimmer as one of the API's own types.
func asObject(trimmed Object) Object {
	if pod, ok := trimmed.(*Pod); ok {
		return pod.Object()
	}
	return trimmed
}

// filled is an object with a value in every field.
func filled(empty metav1.Object) metav1.Object {
	value := reflect.New(reflect.TypeOf(empty).Elem())
	fill(value.Elem(), 0)
	switch o := value.Interface().(type) {
	case *corev1.Pod:
		tellAll(&o.Spec)
		o.Status.Conditions[0].Type = corev1.PodResizePending
		o.OwnerReferences[0].Controller = new(true)
		o.Status.ContainerStatuses[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("7")}
		o.Status.InitContainerStatuses[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("7")}
		o.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
	case *appsv1.DaemonSet:
		tellAll(&o.Spec.Template.Spec)
		o.Spec.Template.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
	}
	return value.Interface().(metav1.Object)
}

// tellAll makes the volumes what the API server would let pass: one source each.
func tellAll(spec *corev1.PodSpec) {
	full := spec.Volumes[0]
	full.ConfigMap, full.Secret, full.Projected, full.DownwardAPI, full.Image = nil, nil, nil, nil, nil
	spec.Volumes = []corev1.Volume{full}
}

func fill(v reflect.Value, depth int) {
	if depth > 20 {
		return
	}
	switch v.Interface().(type) {
	case resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse("1")))
		return
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.NewTime(time.Unix(1, 0))))
		return
	case metav1.MicroTime:
		v.Set(reflect.ValueOf(metav1.NewMicroTime(time.Unix(1, 0))))
		return
	case runtime.RawExtension, metav1.FieldsV1:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), depth+1)
			}
		}
	}
}

// fates tells for each field, as high up as it can be told, whether it was kept.
func fates(path string, before, after reflect.Value) []string {
	switch {
	case before.IsZero():
		return nil
	case after.IsZero():
		return []string{path + " dropped"}
	case reflect.DeepEqual(before.Interface(), after.Interface()):
		return []string{path + " kept"}
	}
	if _, isTime := reflect.TypeAssert[metav1.Time](before); isTime {
		return []string{path + " coarser"}
	}
	switch before.Kind() {
	case reflect.Pointer:
		return fates(path, before.Elem(), after.Elem())
	case reflect.Slice:
		if after.Len() == 0 {
			return []string{path + " dropped"}
		}
		return fates(path+"[]", before.Index(0), after.Index(0))
	case reflect.Struct:
		var out []string
		for i := range before.NumField() {
			name := before.Type().Field(i).Name
			out = append(out, fates(path+"."+name, before.Field(i), after.Field(i))...)
		}
		return out
	}
	return []string{fmt.Sprintf("%s changed", path)}
}

func TestTrimming(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	cpu := func(q string) corev1.ResourceList { return corev1.ResourceList{"cpu": resource.MustParse(q)} }
	status := func(actual, allocated corev1.ResourceList) corev1.ContainerStatus {
		return corev1.ContainerStatus{
			Name: "c", AllocatedResources: allocated, Resources: &corev1.ResourceRequirements{Requests: actual}, Image: "i", RestartCount: 3,
		}
	}
	container := corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Requests: cpu("1")}}
	tests := map[string]struct{ before, after Object }{
		"a pod keeps the annotations that are rules, and no others": {
			&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
				"cluster-autoscaler.kubernetes.io/safe-to-evict":  "false",
				"delay-deletion.cluster-autoscaler.kubernetes.io": "no slash, no rule",
				"kubernetes.io/config.mirror":                     "m",
				"cni.projectcalico.org/podIP":                     "10.0.0.1",
				"kubectl.kubernetes.io/last-applied":              "{}",
			}}},
			&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
				"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
				"kubernetes.io/config.mirror":                    "",
			}}},
		},
		"a pod that runs on the node that it is pinned to doesn't name it, and fits no other": {
			&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n", Affinity: pinnedTo("n")}},
			&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n", Affinity: pinnedTo("")}},
		},
		"a pod that waits for the node that it is pinned to names it": {
			&corev1.Pod{Spec: corev1.PodSpec{Affinity: pinnedTo("n")}},
			&corev1.Pod{Spec: corev1.PodSpec{Affinity: pinnedTo("n")}},
		},
		"a container keeps host ports and drops the others": {
			&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "c", Image: "i", Ports: []corev1.ContainerPort{{ContainerPort: 80}, {Name: "n", ContainerPort: 81, HostPort: 81}},
			}}}},
			&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "c", Ports: []corev1.ContainerPort{{ContainerPort: 81, HostPort: 81}},
			}}}},
		},
		"a sidecar stays a sidecar": {
			&corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "c", RestartPolicy: &always, Image: "i"}}}},
			&corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "c", RestartPolicy: &always}}}},
		},
		"volumes with data stay, mounted configuration goes": {
			&corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{
				{Name: "a", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
				{Name: "b", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "c", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
			}}},
			&corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{
				{Name: "b", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			}}},
		},
		"a container that has what its spec asks for needs no status": {
			&corev1.Pod{
				Spec:   corev1.PodSpec{Containers: []corev1.Container{container}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{status(cpu("1000m"), cpu("1"))}},
			},
			&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container}}},
		},
		"a container that is being resized keeps what it has and what it was allotted": {
			&corev1.Pod{
				Spec:   corev1.PodSpec{Containers: []corev1.Container{container}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{status(cpu("2"), cpu("1"))}},
			},
			&corev1.Pod{
				Spec: corev1.PodSpec{Containers: []corev1.Container{container}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
					Name: "c", AllocatedResources: cpu("1"), Resources: &corev1.ResourceRequirements{Requests: cpu("2")},
				}}},
			},
		},
		"a pod keeps the conditions of a resize, and not since when they are so": {
			&corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: "False", Reason: "Unschedulable", Message: "0/3 nodes are available"},
				{Type: corev1.PodResizePending, Status: "True", Reason: "Infeasible", Message: "m", LastTransitionTime: metav1.NewTime(time.Unix(5, 0))},
			}}},
			&corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
				{Type: corev1.PodResizePending, Status: "True", Reason: "Infeasible"},
			}}},
		},
		"a node's heartbeat and images are left out": {
			&corev1.Node{Status: corev1.NodeStatus{
				Images: []corev1.ContainerImage{{Names: []string{"i"}}},
				Conditions: []corev1.NodeCondition{{
					Type: corev1.NodeReady, Status: "True", Reason: "KubeletReady", Message: "m", LastHeartbeatTime: metav1.NewTime(time.Unix(9, 0)),
					LastTransitionTime: metav1.NewTime(time.Unix(5, 0)),
				}},
			}},
			&corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: "True", Reason: "KubeletReady", LastTransitionTime: metav1.NewTime(time.Unix(5, 0)),
			}}}},
		},
		"a budget keeps its generation, because a status for an older one is stale": {
			&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Generation: 3}},
			&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Generation: 3}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := NewTrimmer().Trim(test.before)
			if !ok {
				t.Fatal("the kind is not known")
			}
			if diff := cmp.Diff(test.after, asObject(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func pinnedTo(node string) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpExists}},
			MatchFields:      []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
		}}},
	}}
}

func TestAKindThatNoDecisionNeedsIsLeftOut(t *testing.T) {
	if got, ok := NewTrimmer().Trim(&corev1.Secret{}); ok || got != nil {
		t.Errorf("a Secret came through as %v", got)
	}
}

func TestEqualLabelMapsAreShared(t *testing.T) {
	trimmer := NewTrimmer()
	labels := func(m map[string]string) map[string]string {
		trimmed, _ := trimmer.Trim(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: m}})
		return trimmed.(*corev1.Node).Labels
	}
	a, b := labels(map[string]string{"app": "web", "tier": "front"}), labels(map[string]string{"app": "web", "tier": "front"})
	if reflect.ValueOf(a).Pointer() != reflect.ValueOf(b).Pointer() {
		t.Error("two nodes with equal labels have a map each")
	}
	if diff := cmp.Diff(map[string]string{"app": "web"}, labels(map[string]string{"app": "web"})); diff != "" {
		t.Error(diff)
	}
}

func TestSharingForgetsRatherThanGrows(t *testing.T) {
	s := newShared()
	for i := range 3 * sharedMost {
		text := fmt.Sprint(i)
		if got := s.text(text); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		if got := s.labels(map[string]string{"n": text}); got["n"] != text {
			t.Fatalf("n=%s became %v", text, got)
		}
	}
	if len(s.texts) > sharedMost || len(s.maps) > sharedMost {
		t.Errorf("%d texts and %d maps are remembered, and the bound is %d", len(s.texts), len(s.maps), sharedMost)
	}
}
