package conformance

import (
	"slices"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// restarts are the checks about a second daemon that comes after the first.
func restarts() []check {
	again := hook("Reconnect", func(f Fixture) bool { return f.Reconnect != nil })
	return []check{
		{name: "after a restart everything looks the same", do: restartSeesTheSame, needs: again},
		{name: "what was under way when the daemon died goes on", do: restartGoesOn, needs: again},
		{name: "a deletion that is repeated after a restart is done", do: restartRepeatsDeletion, needs: again},
	}
}

// reconnect is the probe with the daemon's next life.
func (p *probe) reconnect() *probe {
	p.Helper()
	next := *p
	next.Provider = p.Reconnect()
	next.refresh()
	return &next
}

func restartSeesTheSame(p *probe) {
	p.must(p.group().IncreaseSize(p.ctx, 1), "IncreaseSize(1)")
	p.settle()
	next := p.reconnect()
	p.same(p.picture(), next.picture(), "after a restart")
	before, after := p.instances(p.Group), next.instances(p.Group)
	for i, one := range before {
		other := after[i]
		if one.ID != other.ID || one.Status.State != other.Status.State || one.Version != other.Version || one.Zone != other.Zone || !one.Created.Equal(other.Created) {
			p.Fatalf("before a restart instance %d was %+v, after it %+v", i, one, other)
		}
	}
}

func restartGoesOn(p *probe) {
	size, list := p.target(), p.alive(p.Group)
	p.must(p.group().IncreaseSize(p.ctx, 1), "IncreaseSize(1)")
	p.must(p.group().DeleteNodes(p.ctx, nodes(list[0])), "DeleteNodes")
	next := p.reconnect()
	next.wantTarget(size, "after a restart in the middle of an increase and a deletion")
	next.settle()
	next.wantTarget(size, "once all has settled after a restart")
	now := next.alive(p.Group)
	if lost := without(list, now); len(now) != size || !slices.Equal(ids(lost), ids(list[:1])) {
		p.Fatalf("once all has settled after a restart there are %d instances, and %v are gone; want %d, and %s gone", len(now), ids(lost), size, list[0].ID)
	}
	for _, one := range now {
		if one.Status.State != cloudprovider.InstanceRunning {
			p.Fatalf("once all has settled after a restart instance %s is %s", one.ID, one.Status.State)
		}
	}
}

func restartRepeatsDeletion(p *probe) {
	size, victim := p.target(), p.first()
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes")
	p.settle()
	next := p.reconnect()
	next.must(next.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes, repeated after a restart")
	next.settle()
	next.wantTarget(size-1, "after a deletion that was repeated after a restart")
}
