package agreement

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// TestAnEngineThatIsWrongInOneCornerIsFoundOutAndTheCaseMadeSmall shows the comparison an engine that takes the maxSkew of a spread over hosts for one
// more than it is.
func TestAnEngineThatIsWrongInOneCornerIsFoundOutAndTheCaseMadeSmall(t *testing.T) {
	lying := func() (plugins, fast scheduling.Engine) {
		return mustNew(options(true)), liar{mustNew(options(true))}
	}
	for number := range uint64(2000) {
		c := draw(1, number)
		d := meet(c, nil, lying)
		if d == nil {
			continue
		}
		small, d := shrink(c, d, lying)
		if d == nil || len(small.Nodes)+len(small.Pods)+len(small.Strangers) > 4 || len(small.Script) > 2 {
			t.Errorf("the case could not be made small:\n%s", small)
		}
		t.Logf("found in case %d: %+v", number, *d)
		return
	}
	t.Error("the lie was not found")
}

// liar is an engine that says that a pod fits where only a constraint over hosts says no.
type liar struct{ scheduling.Engine }

func (l liar) Open(s *cluster.Snapshot) (scheduling.Trial, error) {
	trial, err := l.Engine.Open(s)
	return lie{trial}, err
}

type lie struct{ scheduling.Trial }

func (l lie) Fits(p pod, node string) *scheduling.Misfit {
	m := l.Trial.Fits(p, node)
	overHosts := slices.ContainsFunc(p.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool { return c.TopologyKey == corev1.LabelHostname })
	if overHosts && m != nil && m.Message == "node(s) didn't match pod topology spread constraints" {
		return nil
	}
	return m
}
