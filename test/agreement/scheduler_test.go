package agreement

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/kubescheduler"
)

// What the fast path is compared with are the kube-scheduler's plugins, but what runs them is ours, and they are shown what we keep of a pod and no more. So the
// kube-scheduler's own framework, with its own snapshot, its own manager of devices, client-go's own indexers and whole pods, is asked about some of the cases.
// It has no gates before the queue: pods with one, and pods whose claims can't be found, are left out.
func TestTheKubeSchedulersFrameworkSaysTheSame(t *testing.T) {
	verdicts := 0
	for number := range uint64(enough / 5000) {
		c := draw(3, number)
		c.Script = nil
		c.Pods = slices.DeleteFunc(c.Pods, func(p *corev1.Pod) bool {
			return len(p.Spec.SchedulingGates) > 0 || len(p.Spec.ResourceClaims) > 0 && !c.has(p.Namespace, *p.Spec.ResourceClaims[0].ResourceClaimName)
		})
		a := &arena{picture: c}
		a.plugins, a.fast = both()
		a.begin()
		if d := a.open(0); d != nil {
			t.Fatal(report(3, number, c, d, both))
		}
		scheduler, err := kubescheduler.New(t.Context(), c.Nodes, c.Pods, c.Others)
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range a.keys {
			if a.fresh[key] != nil {
				continue
			}
			fits := scheduler.Fits(a.raw[key])
			for j, node := range a.nodes {
				got := say(a.answers[i*len(a.nodes)+j])
				want := say(fits(node))
				if verdicts++; got != want {
					t.Fatalf("case %d of seed 3, pod %s, node %s:\n  kube-scheduler: %s\n  engine:         %s\n%s", number, key, node, want, got, c)
				}
			}
		}
	}
	t.Logf("%d verdicts compared", verdicts)
}

// has tells whether the picture has the claim.
func (c *picture) has(namespace, claim string) bool {
	return slices.ContainsFunc(c.Others, func(o metav1.Object) bool {
		_, is := o.(*resourcev1.ResourceClaim)
		return is && o.GetNamespace() == namespace && o.GetName() == claim
	})
}
