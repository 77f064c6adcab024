package conformance

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// capabilities are the checks about what not every cloud can do with an instance or a size.
func capabilities() []check {
	again := hook("Reconnect", func(f Fixture) bool { return f.Reconnect != nil })
	return []check{
		{name: "Rebooter: a reboot keeps the instance and the size", do: rebootKeeps},
		{name: "Rebooter: what is gone or strange can't be rebooted", do: rebootRefuses},
		{name: "Stopper: a stop ends with an instance that is stopped or gone, and can be repeated", do: stopStops},
		{name: "Stopper: only a machine that is off is told to be, without a refresh", do: stopConfirms},
		{name: "Stopper: a stranger is not stopped", do: stopRefuses},
		{name: "Stopper: a stopped instance can be deleted", do: stoppedCanBeDeleted},
		{name: "Replacer: a replaced instance goes, another one comes, and the target stays", do: replaceKeepsTarget},
		{name: "Replacer: it works at the min", do: replaceAtMin},
		{name: "Replacer: a repeated replacement is done and makes nothing more", do: replaceRepeated},
		{name: "Replacer: a replacement with a stranger among the nodes replaces nothing", do: replaceRefuses},
		{name: "ForceDeleter: it deletes below the min", do: forceBelowMin},
		{name: "ForceDeleter: a stranger stops it", do: forceRefuses},
		{name: "AtomicIncreaser: all come, or none beyond the max", do: atomicIncreases},
		{
			name: "AtomicIncreaser: a cloud without machines makes it fail whole", do: atomicFailsWhole,
			needs: hook("FailCreation", func(f Fixture) bool { return f.FailCreation != nil }),
		},
		{name: "TokenIncreaser: the same token counts once and another one again", do: tokenCountsOnce},
		{name: "TokenIncreaser: a refused call does not use its token up", do: tokenIsNotSpent},
		{name: "TokenIncreaser: a token is known after a restart", do: tokenSurvives, needs: again},
	}
}

// capable is the group under test as a T. The check is skipped if it isn't one.
func capable[T any](p *probe) T {
	p.Helper()
	able, ok := cloudprovider.As[T](p.group())
	if !ok {
		p.Skipf("the provider's groups have no %T", new(T))
	}
	return able
}

// can fails on an error, and skips the check if it says that the provider can't do this at all.
func (p *probe) can(err error, doing string) {
	p.Helper()
	if errors.Is(err, cloudprovider.ErrNotImplemented) {
		p.Skipf("%s: the provider says that it can't", doing)
	}
	p.must(err, doing)
}

// refusesStrangers makes sure that the call fails with ErrNotFound for each stranger, and changes nothing.
func (p *probe) refusesStrangers(doing string, call func(stranger *corev1.Node) error) {
	p.Helper()
	for _, stranger := range append(p.strangers(), node(p.alive(p.Other)[0])) {
		p.unchanged(doing+" of "+stranger.Name, func() {
			err := call(stranger)
			if errors.Is(err, cloudprovider.ErrNotImplemented) {
				p.Skipf("%s: the provider says that it can't", doing)
			}
			p.want(err, cloudprovider.ClassNotFound, fmt.Sprintf("%s of the stranger %s (provider ID %q)", doing, stranger.Name, stranger.Spec.ProviderID))
		})
	}
}

func rebootKeeps(p *probe) {
	able := capable[cloudprovider.Rebooter](p)
	p.unchanged("a reboot", func() { p.can(able.RebootNode(p.ctx, node(p.first())), "RebootNode") })
	if state := p.first().Status.State; state != cloudprovider.InstanceRunning {
		p.Fatalf("once its reboot has settled the instance is %s, want Running", state)
	}
}

func rebootRefuses(p *probe) {
	able := capable[cloudprovider.Rebooter](p)
	p.refusesStrangers("RebootNode", func(stranger *corev1.Node) error { return able.RebootNode(p.ctx, stranger) })
	victim := p.first()
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes")
	p.settle()
	p.want(able.RebootNode(p.ctx, node(victim)), cloudprovider.ClassNotFound, "RebootNode of an instance that is gone")
}

func stopStops(p *probe) {
	able := capable[cloudprovider.Stopper](p)
	victim := p.first()
	for _, when := range []string{"once", "a second time", "again when it has come to its end"} {
		p.can(able.StopNode(p.ctx, node(victim)), "StopNode "+when)
		if when != "once" {
			p.settle()
		}
	}
	for _, one := range p.instances(p.Group) {
		if one.ID == victim.ID && one.Status.State != cloudprovider.InstanceStopped {
			p.Fatalf("once its stop has settled the instance is %s, want Stopped", one.Status.State)
		}
	}
}

// stopConfirms looks that NodeStopped tells what the cloud has, and not what was read last.
func stopConfirms(p *probe) {
	able := capable[cloudprovider.Stopper](p)
	list := p.alive(p.Group)
	victim, other := list[0], list[len(list)-1]
	p.wantStopped(able, victim, false, "before anything was asked")
	p.can(able.StopNode(p.ctx, node(victim)), "StopNode")
	if off, err := able.NodeStopped(p.ctx, node(victim)); err == nil && off { // at once, or after a while: but a machine that was called off stays so
		p.wantStopped(able, victim, true, "a moment after it was so")
	}
	if p.Settle != nil {
		p.Settle()
	}
	p.wantStopped(able, victim, true, "once its stop had time to come to its end")
	if other.ID != victim.ID {
		p.wantStopped(able, other, false, "when another was stopped")
	}
	p.can(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes of a stopped instance")
	p.settle()
	p.wantStopped(able, victim, true, "when it is gone")
}

func (p *probe) wantStopped(able cloudprovider.Stopper, one cloudprovider.Instance, want bool, when string) {
	p.Helper()
	got, err := able.NodeStopped(p.ctx, node(one))
	if err != nil || got != want {
		p.Fatalf("NodeStopped of %s %s: %v, %v, want %v", one.ID, when, got, err, want)
	}
}

func stopRefuses(p *probe) {
	able := capable[cloudprovider.Stopper](p)
	p.refusesStrangers("StopNode", func(stranger *corev1.Node) error { return able.StopNode(p.ctx, stranger) })
	p.refusesStrangers("NodeStopped", func(stranger *corev1.Node) error {
		_, err := able.NodeStopped(p.ctx, stranger)
		return err
	})
}

func stoppedCanBeDeleted(p *probe) {
	able := capable[cloudprovider.Stopper](p)
	victim := p.first()
	p.can(able.StopNode(p.ctx, node(victim)), "StopNode")
	p.settle()
	if !p.has(victim.ID) {
		p.Skipf("at this cloud a stopped instance is gone")
	}
	size := p.target()
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes of a stopped instance")
	p.settle()
	p.wantTarget(size-1, "after the deletion of a stopped instance")
	p.wantInstance(victim, false)
	p.must(able.StopNode(p.ctx, node(victim)), "StopNode of an instance that is gone")
}

func replaceKeepsTarget(p *probe) {
	able := capable[cloudprovider.Replacer](p)
	before, size, list := p.picture(), p.target(), p.alive(p.Group)
	p.can(able.ReplaceNodes(p.ctx, nodes(list[0])), "ReplaceNodes")
	p.wantTarget(size, "right after a replacement")
	p.replaced(list, list[:1])
	p.apart(before)
}

// replaced looks that, once it has settled, these instances have been replaced and the target has stayed.
func (p *probe) replaced(list, victims []cloudprovider.Instance) {
	p.Helper()
	p.settle()
	p.wantTarget(len(list), "once a replacement has settled")
	now := p.alive(p.Group)
	gone, fresh := without(list, now), without(now, list)
	if !slices.Equal(ids(gone), ids(victims)) || len(fresh) != len(victims) {
		p.Fatalf("after the replacement of %v, %v are gone and %v have come", ids(victims), ids(gone), ids(fresh))
	}
}

func replaceAtMin(p *probe) {
	able := capable[cloudprovider.Replacer](p)
	p.must(p.group().DeleteNodes(p.ctx, nodes(p.alive(p.Group)[p.group().MinSize():]...)), "DeleteNodes down to the min")
	p.settle()
	list := p.alive(p.Group)
	p.can(able.ReplaceNodes(p.ctx, nodes(list[0])), "ReplaceNodes at the min")
	p.replaced(list, list[:1])
}

func replaceRepeated(p *probe) {
	able := capable[cloudprovider.Replacer](p)
	list := p.alive(p.Group)
	p.can(able.ReplaceNodes(p.ctx, nodes(list[0])), "ReplaceNodes")
	p.must(able.ReplaceNodes(p.ctx, nodes(list[0])), "ReplaceNodes a second time")
	p.replaced(list, list[:1])
	p.unchanged("a replacement of what was replaced", func() {
		p.must(able.ReplaceNodes(p.ctx, nodes(list[0])), "ReplaceNodes when it has come to its end")
	})
}

func replaceRefuses(p *probe) {
	able := capable[cloudprovider.Replacer](p)
	own := node(p.first())
	p.refusesStrangers("ReplaceNodes", func(stranger *corev1.Node) error {
		return able.ReplaceNodes(p.ctx, []*corev1.Node{own, stranger})
	})
}

func forceBelowMin(p *probe) {
	able := capable[cloudprovider.ForceDeleter](p)
	list := p.alive(p.Group)
	p.can(able.ForceDeleteNodes(p.ctx, nodes(list...)), "ForceDeleteNodes")
	p.settle()
	if left := without(list, p.alive(p.Group)); len(left) != len(list) {
		p.Fatalf("after the forced deletion of all %d instances %d of them are gone", len(list), len(left))
	}
	p.wantTarget(0, "after the forced deletion of all instances")
}

func forceRefuses(p *probe) {
	able := capable[cloudprovider.ForceDeleter](p)
	own := node(p.first())
	p.refusesStrangers("ForceDeleteNodes", func(stranger *corev1.Node) error {
		return able.ForceDeleteNodes(p.ctx, []*corev1.Node{own, stranger})
	})
}

func atomicIncreases(p *probe) {
	able := capable[cloudprovider.AtomicIncreaser](p)
	size, room := p.target(), p.group().MaxSize()-p.target()
	p.unchanged("an atomic increase beyond the max", func() {
		err := able.AtomicIncreaseSize(p.ctx, room+1)
		if errors.Is(err, cloudprovider.ErrNotImplemented) {
			p.Skipf("AtomicIncreaseSize: the provider says that it can't")
		}
		p.want(err, cloudprovider.ClassLimit, "AtomicIncreaseSize beyond the max")
	})
	p.must(able.AtomicIncreaseSize(p.ctx, room), "AtomicIncreaseSize")
	p.wantTarget(size+room, "after an atomic increase")
	p.settle()
	if now := p.alive(p.Group); len(now) != size+room {
		p.Fatalf("once an atomic increase by %d has settled there are %d instances, want %d", room, len(now), size+room)
	}
}

func atomicFailsWhole(p *probe) {
	able := capable[cloudprovider.AtomicIncreaser](p)
	p.unchanged("an atomic increase while the cloud makes no machines", func() {
		p.FailCreation(cloudprovider.ClassOutOfResources)
		err := able.AtomicIncreaseSize(p.ctx, 2)
		if errors.Is(err, cloudprovider.ErrNotImplemented) {
			p.Skipf("AtomicIncreaseSize: the provider says that it can't")
		}
		p.want(err, cloudprovider.ClassOutOfResources, "AtomicIncreaseSize while the cloud makes no machines")
	})
}

func tokenCountsOnce(p *probe) {
	able := capable[cloudprovider.TokenIncreaser](p)
	size := p.target()
	for range 3 {
		p.can(able.IncreaseSizeWithToken(p.ctx, 1, "one"), "IncreaseSizeWithToken")
		p.wantTarget(size+1, "after the first token, however often")
		p.settle()
	}
	p.must(able.IncreaseSizeWithToken(p.ctx, 1, "two"), "IncreaseSizeWithToken with another token")
	p.wantTarget(size+2, "after the second token")
	p.must(able.IncreaseSizeWithToken(p.ctx, 1, "one"), "IncreaseSizeWithToken with the first token again")
	p.wantTarget(size+2, "after the first token again")
}

func tokenIsNotSpent(p *probe) {
	able := capable[cloudprovider.TokenIncreaser](p)
	room := p.group().MaxSize() - p.target()
	list := p.alive(p.Group)
	p.can(able.IncreaseSizeWithToken(p.ctx, room, "one"), "IncreaseSizeWithToken")
	p.want(able.IncreaseSizeWithToken(p.ctx, 1, "two"), cloudprovider.ClassLimit, "IncreaseSizeWithToken beyond the max")
	p.must(p.group().DeleteNodes(p.ctx, nodes(list[0])), "DeleteNodes")
	p.settle()
	p.must(able.IncreaseSizeWithToken(p.ctx, 1, "two"), "IncreaseSizeWithToken with the token of a refused call")
	p.wantTarget(p.group().MaxSize(), "after a refused token was used again")
}

func tokenSurvives(p *probe) {
	able := capable[cloudprovider.TokenIncreaser](p)
	size := p.target()
	p.can(able.IncreaseSizeWithToken(p.ctx, 1, "one"), "IncreaseSizeWithToken")
	next := p.reconnect()
	next.must(capable[cloudprovider.TokenIncreaser](next).IncreaseSizeWithToken(p.ctx, 1, "one"), "IncreaseSizeWithToken after a restart")
	next.wantTarget(size+1, "after a token that was used before a restart")
}
