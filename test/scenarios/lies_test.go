package scenarios

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// What a compromised kubelet may write (NodeRestriction): annotations and most labels of its own Node, its status, and everything when it registers anew. None of
// it may hurt another node or another pool.

// lies are texts for the annotation of a claim: what a daemon may have written, what it never would, and what can't be read.
func lies(victim string) map[string]string {
	return map[string]string{
		"one that looks genuine":          `{"claim":"healer-x-1","owner":"healer","reason":"Unreachable","phase":"Deleting","since":"2026-01-05T08:00:00Z","cordonedBefore":false}`,
		"one about another node":          `{"claim":"healer-` + victim + `-1","owner":"healer","phase":"Deleting","node":"` + victim + `","replacement":"` + victim + `","cordonedBefore":false}`,
		"one of an owner that is unknown": `{"owner":"root","phase":"Now"}`,
		"half a text":                     `{"owner":`,
		"another type":                    `[1,2,3]`,
		"a number out of range":           `{"since":"99999-99-99T99:99:99Z","until":1e999}`,
		"a long text":                     strings.Repeat("x", 200_000),
		"bytes that are no text":          "\xff\xfe\x00",
	}
}

func TestAForgedClaimChangesNothing(t *testing.T) {
	for name := range lies("") {
		t.Run(name, func(t *testing.T) {
			s := tell(t, pool("general", 3, 6))
			s.start()
			s.Run(3 * time.Minute)
			before := s.nodes("general")
			liar, victim := before[0].Name, before[1].Name
			s.Cordon(liar) // by a person, who looks into it; the invariant that nobody else takes it off is checked from here on
			s.Annotate(liar, cluster.AnnotationClaim, lies(victim)[name])
			s.Run(45 * time.Minute)
			s.size("general", 3)
			for i, node := range s.nodes("general") {
				if node.UID != before[i].UID {
					t.Errorf("%s went", before[i].Name)
				}
				if node.Spec.Unschedulable != (node.Name == liar) {
					t.Errorf("%s: unschedulable %v", node.Name, node.Spec.Unschedulable)
				}
			}
			for _, v := range s.Violations() {
				t.Error(v)
			}
		})
	}
}

// A Node may be registered with any provider ID. One with the ID of a machine that runs well must not bring that machine down when it goes silent.
func TestANodeThatClaimsAnothersInstanceDoesNotBringItDown(t *testing.T) {
	s := tell(t, pool("general", 3, 6), pool("other", 1, 3))
	s.start()
	s.Run(3 * time.Minute)
	victim := s.nodes("general")[1]
	s.AddNode(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "zzz-liar", Labels: victim.Labels},
		Spec:       corev1.NodeSpec{ProviderID: victim.Spec.ProviderID},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("110"),
		}},
	})
	s.Run(3 * time.Minute)
	s.GoDark("zzz-liar")
	s.Run(time.Hour)
	there := false
	for _, instance := range s.Instances("general") {
		there = there || instance.ID == victim.Spec.ProviderID
	}
	if !there {
		t.Errorf("the instance of %s was deleted for the sake of another Node with its provider ID:\n%s", victim.Name, s.Log)
	}
	s.size("general", 3)
	s.size("other", 1)
}

// Which pool a node is of, its provider ID says: neither its labels nor its annotations.
func TestANodeThatCallsItselfOneOfAnotherPoolDoesNotResizeThat(t *testing.T) {
	s := tell(t, pool("general", 2, 6), pool("other", 1, 3))
	s.start()
	s.Run(3 * time.Minute)
	liar, others := s.nodes("general")[0], s.nodes("other")[0]
	s.Relabel(liar.Name, kwok.PoolLabel, "other")
	s.GoDark(liar.Name)
	s.Run(time.Hour)
	s.size("general", 2)
	s.size("other", 1)
	if now := s.nodes("other"); len(now) != 1 || now[0].UID != others.UID {
		t.Errorf("pool other has %d nodes, and its own went:\n%s", len(now), s.Log)
	}
	for _, v := range s.Violations() {
		t.Error(v)
	}
}
