package scaleway_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

// sketch is a template in a few lines.
func sketch(t *cloudprovider.Template) []string {
	var lines []string
	for _, list := range []corev1.ResourceList{t.Node.Status.Capacity, t.Node.Status.Allocatable} {
		line := ""
		for _, key := range slices.Sorted(maps.Keys(list)) {
			amount := list[key]
			line += fmt.Sprintf("%s=%s ", key, amount.String())
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	for _, key := range slices.Sorted(maps.Keys(t.Node.Labels)) {
		if !slices.Contains([]string{"k8s.scaleway.com/pool", "k8s.scaleway.com/pool-name", "k8s.scaleway.com/kapsule"}, key) {
			lines = append(lines, key+"="+t.Node.Labels[key])
		}
	}
	for _, taint := range t.Node.Spec.Taints {
		lines = append(lines, "taint "+taint.ToString())
	}
	return append(lines, fmt.Sprintf("%s, %.4f euro", t.Node.Status.NodeInfo.KubeletVersion, t.Price))
}

func TestATemplateHasWhatTheServicePutsOnANewNode(t *testing.T) {
	withoutSurroundings(t)
	pool := fake.PoolSpec{
		Name: "gpu", Size: 1, NodeType: "GPU-3070-S", Labels: map[string]string{"team": "vision"},
		Taints: []fake.Taint{{Key: "gpu", Value: "yes", Effect: "NoSchedule"}}, StartupTaints: []fake.Taint{{Key: "driver", Value: "missing", Effect: "NoExecute"}},
		Tags: []string{"tier=fast", "noprefix=example.com/tier=fast", "taint=batch=yes:PreferNoSchedule", "taint=noprefix=own=x:NoExecute", "taint=noprefix=poolkeeper.io/disruption=x:NoSchedule", "a word", "poolkeeper-max=4"},
	}
	want := []string{
		"example.com/tier=fast", "k8s.scaleway.com/managed=true", "k8s.scaleway.com/poolkeeper-max=4", "k8s.scaleway.com/tier=fast",
		"k8s.scw.cloud/gpu=true", "kubernetes.io/arch=amd64", "kubernetes.io/os=linux", "node.kubernetes.io/instance-type=GPU-3070-S", "team=vision",
		"topology.kubernetes.io/region=fr-par", "topology.kubernetes.io/zone=fr-par-1",
		"taint gpu=yes:NoSchedule", "taint k8s.scaleway.com/batch=yes:PreferNoSchedule", "taint own=x:NoExecute", "v1.35.4, 0.9800 euro",
	}
	for name, c := range map[string]struct {
		opts fake.Options
		room []string
	}{
		"by the autoscaler endpoints": {fake.Options{}, []string{
			"cpu=8 ephemeral-storage=48828125Ki memory=16Gi nvidia.com/gpu=1 pods=110", "cpu=8 ephemeral-storage=48828125Ki memory=15Gi nvidia.com/gpu=1 pods=110",
		}},
		"by the instance catalogue": {fake.Options{NoAutoscalerEndpoints: true}, []string{
			"cpu=8 ephemeral-storage=48828125Ki memory=16Gi nvidia.com/gpu=1 pods=110",
			"cpu=7900m ephemeral-storage=45000000000 memory=15461882266 nvidia.com/gpu=1 pods=110",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.opts, pool)
			b.pass(0)
			template, err := b.group("gpu").TemplateNodeInfo(t.Context())
			b.must(err)
			got := slices.DeleteFunc(sketch(template), func(line string) bool {
				return name == "by the autoscaler endpoints" && line == "k8s.scw.cloud/gpu=true"
			})
			wanted := append(slices.Clone(c.room), want...)
			if name == "by the autoscaler endpoints" {
				wanted = slices.DeleteFunc(wanted, func(line string) bool { return line == "k8s.scw.cloud/gpu=true" })
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestATypeThatNobodyKnowsHasNoTemplateAndThePoolGoesOn(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "new", Size: 1, NodeType: "NEXT-YEARS"})
	b.pass(0)
	_, err := b.group("new").TemplateNodeInfo(t.Context())
	b.wantClass(err, cloudprovider.ClassNotImplemented) // the daemon learns from a live node then
	_, err = b.provider.(cloudprovider.Pricer).NodePrice(t.Context(), nodeOf(b.instances("new")[0]), start, start.Add(time.Hour))
	b.wantClass(err, cloudprovider.ClassNotImplemented)
	b.wantSize("new", 1)
}

func TestWhatIsSeldomReadDoesNotHoldUpTheRest(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 1})
	for _, path := range []string{"/autoscaler/", "/products/", "versions"} {
		b.cloud.Inject(fake.Fault{Path: path, Status: 500})
	}
	b.pass(0)
	b.wantSize("web", 1)
	_, err := b.group("web").TemplateNodeInfo(t.Context())
	b.wantClass(err, cloudprovider.ClassNotImplemented)
	b.cloud.Heal()
	b.pass(6 * time.Minute)
	_, err = b.group("web").TemplateNodeInfo(t.Context())
	b.must(err)
}

func TestAnArmMachineSaysSo(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{NoAutoscalerEndpoints: true}, fake.PoolSpec{Name: "arm", Size: 1, NodeType: "COPARM1-4C"})
	b.pass(0)
	template, err := b.group("arm").TemplateNodeInfo(t.Context())
	b.must(err)
	if arch := template.Node.Labels[corev1.LabelArchStable]; arch != "arm64" {
		t.Errorf("its architecture is %s", arch)
	}
}

// TestAnIdleHour prints how many requests an idle hour takes: the provider is refreshed as often as the daemon does by default, by a virtual clock.
func TestAnIdleHour(t *testing.T) {
	withoutSurroundings(t)
	for name, opts := range map[string]fake.Options{"with the autoscaler endpoints": {}, "with the instance catalogue": {NoAutoscalerEndpoints: true}} {
		b := newBench(t, opts, fake.PoolSpec{Name: "a", Size: 30}, fake.PoolSpec{Name: "b", Size: 30, Zone: "fr-par-2"})
		const every = 10 * time.Second // --cloud-scan-interval
		for range int(time.Hour / every) {
			b.pass(every)
			for _, group := range b.provider.NodeGroups() {
				_, err := group.Nodes(t.Context())
				b.must(err)
				_, err = group.TemplateNodeInfo(t.Context())
				b.must(err)
			}
		}
		log := b.cloud.Requests()
		minutes := fake.PerMinute(log)
		t.Logf("an idle hour (virtual) %s: %d requests, %.1f a minute, at most %d in one", name, len(log), float64(len(log))/60, slices.Max(minutes))
		if mean := float64(len(log)) / 60; mean > 15 || slices.Max(minutes) > 25 {
			t.Errorf("%s: %.1f requests a minute, at most %d: too many for an idle cluster", name, mean, slices.Max(minutes))
		}
	}
}
