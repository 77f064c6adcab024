package conformance

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// identities are the checks about who is who.
func identities() []check {
	return []check{
		{name: "groups have names of their own and a stable order", do: groupsHaveNames},
		{name: "instances have provider IDs of their own, and their nodes are found by them", do: instancesHaveIDs},
		{name: "an instance is listed under the same ID before and after it runs", do: instancesKeepIDs},
		{name: "a new instance says in its state that it does not run yet, or runs", do: newInstancesSayTheirState},
		{name: "a stranger has no group, and that is no error", do: strangersHaveNoGroup},
		{name: "a node without labels, name or status is found by its provider ID", do: foundByIDAlone},
		{name: "HasInstance knows what exists and what was deleted", do: hasInstanceKnows},
		{name: "HasInstance does not speak of strangers", do: hasInstanceRefusesStrangers},
		{
			name: "HasInstance asks the cloud and not the last Refresh", do: hasInstanceAsks,
			needs: hook("Vanish", func(f Fixture) bool { return f.Vanish != nil }),
		},
		{
			name: "deleting what vanished is done and does not lower the target", do: deleteVanished,
			needs: hook("Vanish", func(f Fixture) bool { return f.Vanish != nil }),
		},
	}
}

func groupsHaveNames(p *probe) {
	order := func() []string {
		var list []string
		for _, group := range p.Provider.NodeGroups() {
			list = append(list, group.Id())
		}
		return list
	}
	first := order()
	for i, name := range first {
		if name == "" || slices.Contains(first[:i], name) {
			p.Fatalf("the groups are %q; every group needs a name of its own", first)
		}
	}
	for range 5 {
		p.refresh()
		if now := order(); !slices.Equal(first, now) {
			p.Fatalf("NodeGroups gave %v and then %v; the order must be stable", first, now)
		}
	}
	if p.Provider.Name() == "" {
		p.Errorf("the provider has no name")
	}
}

func instancesHaveIDs(p *probe) {
	owner := map[string]string{}
	for _, group := range p.Provider.NodeGroups() {
		for _, one := range p.instances(group.Id()) {
			if one.ID == "" || owner[one.ID] != "" {
				p.Fatalf("instance %q of group %s: the ID is empty or also one of group %q", one.ID, group.Id(), owner[one.ID])
			}
			owner[one.ID] = group.Id()
			p.wantGroup(node(one), group.Id())
		}
	}
}

func (p *probe) wantGroup(node *corev1.Node, want string) {
	p.Helper()
	group, err := p.Provider.NodeGroupForNode(node)
	p.must(err, "NodeGroupForNode of "+node.Spec.ProviderID)
	if group == nil || group.Id() != want {
		p.Fatalf("NodeGroupForNode of %s gave %v, want group %s", node.Spec.ProviderID, group, want)
	}
}

func instancesKeepIDs(p *probe) {
	p.must(p.group().IncreaseSize(p.ctx, 1), "IncreaseSize(1)")
	p.refresh()
	early := p.alive(p.Group)
	p.settle()
	if lost := without(early, p.alive(p.Group)); len(lost) > 0 {
		p.Fatalf("%v were listed right after an increase and no longer once they had booted", ids(lost))
	}
}

func newInstancesSayTheirState(p *probe) {
	old := p.alive(p.Group)
	p.must(p.group().IncreaseSize(p.ctx, 1), "IncreaseSize(1)")
	p.refresh()
	for _, one := range without(p.instances(p.Group), old) {
		if state := one.Status.State; state != cloudprovider.InstanceCreating && state != cloudprovider.InstanceRunning {
			p.Fatalf("new instance %s is %q, want Creating or Running", one.ID, state)
		}
		p.wantGroup(standIn(one), p.Group)
	}
	p.settle()
	for _, one := range without(p.instances(p.Group), old) {
		if one.Status.State != cloudprovider.InstanceRunning || one.Status.ErrorInfo != nil {
			p.Fatalf("once it has settled new instance %s is %q (%v), want Running", one.ID, one.Status.State, one.Status.ErrorInfo)
		}
		if !one.Started.IsZero() && one.Started.Before(one.Created) {
			p.Fatalf("instance %s started %v, before it was made %v", one.ID, one.Started, one.Created)
		}
	}
}

func strangersHaveNoGroup(p *probe) {
	for _, stranger := range p.strangers() {
		group, err := p.Provider.NodeGroupForNode(stranger)
		if err != nil || group != nil {
			p.Fatalf("NodeGroupForNode of %s (provider ID %q) gave %v and %v, want neither", stranger.Name, stranger.Spec.ProviderID, group, err)
		}
	}
}

func foundByIDAlone(p *probe) {
	p.wantGroup(standIn(p.first()), p.Group)
	has, err := p.Provider.HasInstance(p.ctx, standIn(p.first()))
	if err != nil || !has {
		p.Fatalf("HasInstance of a stand-in gave %v and %v, want true", has, err)
	}
}

func hasInstanceKnows(p *probe) {
	victim := p.first()
	p.wantInstance(victim, true)
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes")
	p.settle()
	p.wantInstance(victim, false)
}

func (p *probe) wantInstance(one cloudprovider.Instance, want bool) {
	p.Helper()
	has, err := p.Provider.HasInstance(p.ctx, node(one))
	if err != nil || has != want {
		p.Fatalf("HasInstance of %s gave %v and %v, want %v", one.ID, has, err, want)
	}
}

func hasInstanceRefusesStrangers(p *probe) {
	for _, stranger := range p.strangers() {
		has, err := p.Provider.HasInstance(p.ctx, stranger)
		if err == nil {
			p.Fatalf("HasInstance of %s (provider ID %q) gave %v and no error; an absence there would be taken for certain", stranger.Name, stranger.Spec.ProviderID, has)
		}
	}
}

func hasInstanceAsks(p *probe) {
	victim := p.first()
	p.Vanish(victim.ID)
	p.wantInstance(victim, false)
	p.settle()
	p.wantInstance(victim, false)
	if p.has(victim.ID) {
		p.Fatalf("%s has vanished, and after a Refresh it is still listed", victim.ID)
	}
}

// deleteVanished leaves it to the cloud whether it made a new machine, and whether it lowered the target by itself.
func deleteVanished(p *probe) {
	victim := p.first()
	p.Vanish(victim.ID)
	p.settle()
	before := p.picture()
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes of an instance that has vanished")
	p.same(before, p.picture(), "after the deletion of what has vanished")
}
