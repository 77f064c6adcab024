package scheduling

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// A Kubernetes version that brings a field has to be met here: whoever adds the field to the list has read which plugin reads it. Until then pods
// that fill it go to the plugins.
func TestEachFieldOfAPodIsAccountedFor(t *testing.T) {
	for kind, fields := range bearings {
		for i := range kind.NumField() {
			field := kind.Field(i)
			if _, ok := fields[field.Name]; !ok {
				t.Errorf("%s.%s is in no list: which Filter plugin reads it?", kind, field.Name)
			}
		}
		for name := range fields {
			if _, ok := kind.FieldByName(name); !ok {
				t.Errorf("%s.%s is listed and doesn't exist", kind, name)
			}
		}
	}
}

// What is read has a list of its own, down to the last struct; otherwise a new field in there would go unseen.
func TestEachTypeThatIsReadHasAList(t *testing.T) {
	leaves := map[reflect.Type]bool{
		reflect.TypeFor[corev1.ResourceList](): true, // Names and quantities: every name has a dimension.
	}
	var walk func(in string, kind reflect.Type)
	walk = func(in string, kind reflect.Type) {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if leaves[kind] || kind.Kind() != reflect.Struct && kind.Kind() != reflect.Map {
			return
		}
		if kind.Kind() == reflect.Map {
			walk(in, kind.Elem())
			return
		}
		fields, ok := bearings[kind]
		if !ok {
			t.Errorf("%s is of type %s, which has no list", in, kind)
			return
		}
		for i := range kind.NumField() {
			if field := kind.Field(i); fields[field.Name] == read {
				walk(in+"."+field.Name, field.Type)
			}
		}
	}
	walk("spec", reflect.TypeFor[corev1.PodSpec]())
	walk("status", reflect.TypeFor[corev1.PodStatus]())
}

func TestWhichPodsTheFastPathSpeaksFor(t *testing.T) {
	term := corev1.PodAffinityTerm{TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
	tests := []struct {
		name string
		with func(p *corev1.Pod)
		want bool
	}{
		{"a plain pod", func(*corev1.Pod) {}, true},
		{"a pod with affinity", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
		}, true},
		{"a pod with an empty directory", volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}), true},
		{"a pod that runs", func(p *corev1.Pod) { p.Spec.NodeName = "n1" }, true},
		{"a pod with a claim", volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}), false},
		{"a pod with a claim of its own", volume(corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}), false},
		{"a pod with a disk", volume(corev1.VolumeSource{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "d"}}), false},
		{"a pod with devices", func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }, false},
		{"a container with devices", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
		}, false},
		{"a pod of a group", func(p *corev1.Pod) { p.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{} }, false},
		{"a pod with a status of devices", func(p *corev1.Pod) {
			p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "gpu"}}
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pod := clustertest.Pod("p")
			test.with(pod)
			if got := Claims(cluster.PodOf(pod)); got != test.want {
				t.Errorf("Claims: %v, want %v", got, test.want)
			}
		})
	}
}

func volume(source corev1.VolumeSource) func(p *corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: source}} }
}

func TestPodsThatScheduleAlikeHaveOneForm(t *testing.T) {
	made, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Open(clustertest.Snapshot(clustertest.Node("n1"))); err != nil {
		t.Fatal(err)
	}
	board := made.(*engine).board //nolint:forcetypeassert // It is.
	base := []clustertest.PodOption{clustertest.Label("app", "web"), clustertest.Asks("1", "1Gi"), clustertest.Select("disk", "ssd")}
	pod := func(name string, more ...clustertest.PodOption) *cluster.Pod {
		return clustertest.Compact(name, append(slices.Clip(base), more...)...)
	}
	form := board.formOf(pod("default/one"))
	for name, same := range map[string]*cluster.Pod{
		"another owner":               pod("two", clustertest.Of("ReplicaSet", "x")),
		"a grace period":              pod("two", clustertest.OnPod(func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = new(int64) })),
		"marks":                       pod("two", clustertest.Annotate("cluster-autoscaler.kubernetes.io/safe-to-evict", "true")),
		"an empty directory":          pod("two", clustertest.EmptyDir("tmp")),
		"two containers for the same": pod("two", clustertest.OnPod(split)),
	} {
		if board.formOf(same) != form {
			t.Errorf("%s makes another form", name)
		}
	}
	for name, other := range map[string]*cluster.Pod{
		"another namespace": pod("elsewhere/two"),
		"other labels":      pod("two", clustertest.Label("app", "db")),
		"other requests":    pod("two", clustertest.Asks("2", "1Gi")),
		"another selector":  pod("two", clustertest.Select("disk", "hdd")),
		"a toleration":      pod("two", clustertest.Tolerate("x")),
		"a priority":        pod("two", clustertest.Priority(7)),
		"a spread":          pod("two", clustertest.Spread("zone", 1, "app", "web")),
		"an affinity":       pod("two", clustertest.Beside("zone", "app", "web")),
	} {
		if board.formOf(other) == form {
			t.Errorf("%s makes no other form", name)
		}
	}
}

// split asks in two containers for what one asked for.
func split(p *corev1.Pod) {
	half := clustertest.Pod("half", clustertest.Asks("500m", "512Mi")).Spec.Containers[0]
	other := half
	other.Name = strings.Repeat("x", 3)
	p.Spec.Containers = []corev1.Container{half, other}
}
