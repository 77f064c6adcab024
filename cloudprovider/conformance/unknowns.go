package conformance

import (
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// unknowns are the checks about what can't be known for certain: answers that got lost, lists that are short, clouds that refuse.
func unknowns() []check {
	loses := hook("Lose", func(f Fixture) bool { return f.Lose != nil })
	refuses := hook("Refuse", func(f Fixture) bool { return f.Refuse != nil })
	return []check{
		{name: "an increase whose answer was lost is not made twice, and shows in the next Refresh", do: lostIncrease, needs: loses},
		{name: "a deletion whose answer was lost can be repeated and counts once", do: lostDeletion, needs: loses},
		{
			name: "an instance that a list leaves out is not said to be gone", do: hiddenIsNotGone,
			needs: hook("Hide", func(f Fixture) bool { return f.Hide != nil }),
		},
		{
			name: "a list that breaks off is an error and not a shorter list", do: brokenListIsNoList,
			needs: hook("Cut", func(f Fixture) bool { return f.Cut != nil }),
		},
		{name: "a cloud that wants to be left alone is transient, and for how long is told", do: throttled, needs: refuses},
		{name: "credentials that are refused are told from a cloud that is away", do: unauthorized, needs: refuses},
	}
}

// lostIncrease allows both an error and, where the provider finds out by itself that the call took effect, none. Only what really happened counts.
func lostIncrease(p *probe) {
	size := p.target()
	p.Lose()
	err := p.group().IncreaseSize(p.ctx, 1)
	if err != nil && certain(err) {
		p.Fatalf("an increase whose answer was lost gave %s; its class says for certain that nothing happened", describe(err))
	}
	p.refresh()
	p.wantTarget(size+1, "after an increase whose answer was lost and a Refresh")
	p.settle()
	p.wantTarget(size+1, "some time after an increase whose answer was lost")
	if now := p.alive(p.Group); len(now) != size+1 {
		p.Fatalf("an increase by one, whose answer was lost, brought %d instances in place of %d", len(now), size)
	}
}

// certain tells whether an error of that class says that nothing was changed.
func certain(err error) bool {
	switch cloudprovider.ClassOf(err) {
	case cloudprovider.ClassLimit, cloudprovider.ClassInvalid, cloudprovider.ClassNotFound, cloudprovider.ClassNotImplemented,
		cloudprovider.ClassQuota, cloudprovider.ClassOutOfResources, cloudprovider.ClassUnauthorized:
		return true
	}
	return false
}

func lostDeletion(p *probe) {
	size, victim := p.target(), p.first()
	p.Lose()
	if err := p.group().DeleteNodes(p.ctx, nodes(victim)); err != nil && certain(err) {
		p.Fatalf("a deletion whose answer was lost gave %s; its class says for certain that nothing happened", describe(err))
	}
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes, repeated after its answer was lost")
	p.refresh()
	p.wantTarget(size-1, "after a deletion whose answer was lost, and its repetition")
	p.settle()
	if now := p.alive(p.Group); len(now) != size-1 || p.has(victim.ID) {
		p.Fatalf("after a deletion whose answer was lost, and its repetition, the instances are %v; want %d without %s", ids(now), size-1, victim.ID)
	}
	p.wantTarget(size-1, "some time after a deletion whose answer was lost, and its repetition")
}

// hiddenIsNotGone leaves it to the provider whether it still lists what the cloud's list left out.
func hiddenIsNotGone(p *probe) {
	size, victim := p.target(), p.first()
	p.Hide(victim.ID)
	p.refresh()
	if has, err := p.Provider.HasInstance(p.ctx, standIn(victim)); err == nil && !has {
		p.Fatalf("the cloud's list left %s out, which still exists, and HasInstance says for certain that it is gone", victim.ID)
	}
	p.wantGroup(node(victim), p.Group)
	p.wantTarget(size, "while the cloud's list leaves an instance out")
}

func brokenListIsNoList(p *probe) {
	before := p.picture()
	p.Cut(true)
	if err := p.Provider.Refresh(p.ctx); err == nil {
		p.same(before, p.picture(), "after a Refresh that found a broken list and gave no error,")
	}
	p.same(before, p.picture(), "after a Refresh that found a broken list")
	p.Cut(false)
	p.refresh()
	p.same(before, p.picture(), "once lists are whole again")
}

func throttled(p *probe) {
	const pause = 7 * time.Second
	p.Refuse(cloudprovider.ClassTransient, pause)
	for name, err := range map[string]error{"IncreaseSize": p.group().IncreaseSize(p.ctx, 1), "Refresh": p.Provider.Refresh(p.ctx)} {
		p.want(err, cloudprovider.ClassTransient, name+" of a cloud that wants to be left alone")
		if told, ok := errors.AsType[*cloudprovider.Error](err); !ok || told.RetryAfter != pause {
			p.Fatalf("%s of a cloud that wants to be left alone for %v gave %s, which does not say so", name, pause, describe(err))
		}
	}
}

func unauthorized(p *probe) {
	victim := p.first()
	p.Refuse(cloudprovider.ClassUnauthorized, 0)
	for name, call := range map[string]func() error{
		"IncreaseSize": func() error { return p.group().IncreaseSize(p.ctx, 1) },
		"DeleteNodes":  func() error { return p.group().DeleteNodes(p.ctx, []*corev1.Node{node(victim)}) },
		"Refresh":      func() error { return p.Provider.Refresh(p.ctx) },
	} {
		p.want(call(), cloudprovider.ClassUnauthorized, name+" with credentials that are refused")
	}
}
