package kwok_test

import (
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

func pricedPools() []kwok.Pool {
	small, big, free := front(), front(), front()
	big.Name, big.Template.Price = "big", 0.6
	big.Template.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi")}
	big.Template.Allocatable = nil
	big.Template.CapacityType = cloudprovider.Spot
	free.Name, free.Template.Price = "free", 0
	return []kwok.Pool{small, big, free}
}

func TestANodeCostsWhatItsPoolSays(t *testing.T) {
	b := newBench(t, pricedPools()...)
	price := func(node *corev1.Node) float64 {
		t.Helper()
		amount, err := b.provider.NodePrice(t.Context(), node, start, start.Add(90*time.Minute))
		b.must(err)
		return amount
	}
	if got := price(standIn("front", "front-1")); math.Abs(got-0.3) > 1e-9 {
		t.Errorf("one and a half hours of front cost %v, want 0.3", got)
	}
	template, err := b.group("big").TemplateNodeInfo(t.Context())
	b.must(err)
	if got := price(template.Node); math.Abs(got-0.9) > 1e-9 {
		t.Errorf("one and a half hours of a node like big's template cost %v, want 0.9", got)
	}
	if template.Price != 0.6 {
		t.Errorf("the template's price is %v", template.Price)
	}
	_, err = b.provider.NodePrice(t.Context(), standIn("free", "free-1"), start, start.Add(time.Hour))
	b.wantError(err, "pool free has no price")
}

func TestAPodCostsItsShareOfTheCheapestNode(t *testing.T) {
	b := newBench(t, pricedPools()...)
	price := func(cpu, memory string) float64 {
		t.Helper()
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
		}}}}}
		amount, err := b.provider.PodPrice(t.Context(), pod, start, start.Add(time.Hour))
		b.must(err)
		return amount
	}
	if got := price("8", "1Gi"); math.Abs(got-0.3) > 1e-9 {
		t.Errorf("half the CPU of a big node costs %v, want 0.3", got)
	}
	if got := price("1m", "48Gi"); math.Abs(got-0.45) > 1e-9 {
		t.Errorf("three quarters of the memory of a big node cost %v, want 0.45", got)
	}
}

func TestMachinesAreSoldOnDemandUnlessThePoolSaysOtherwise(t *testing.T) {
	b := newBench(t, pricedPools()...)
	for pool, want := range map[string]cloudprovider.CapacityType{"front": cloudprovider.OnDemand, "big": cloudprovider.Spot} {
		if got := b.group(pool).(cloudprovider.CapacityTyper).CapacityType(); got != want {
			t.Errorf("%s is sold as %s, want %s", pool, got, want)
		}
	}
}
