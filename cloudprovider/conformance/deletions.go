package conformance

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// deletions are the checks about deleting by name.
func deletions() []check {
	return []check{
		{name: "a deletion takes that very instance and lowers the target", do: deleteTakesThat},
		{name: "several instances can be deleted in one call", do: deleteSeveral},
		{name: "deleting no nodes changes nothing", do: deleteNone},
		{name: "an instance that is no node yet can be deleted by its provider ID alone", do: deleteStandIn},
		{name: "a deletion with a stranger among the nodes deletes nothing", do: deleteStranger},
		{name: "a deletion below the min deletes nothing", do: deleteBelowMin},
		{name: "a repeated deletion is done and does not lower the target again", do: deleteRepeated},
		{name: "a node that is named twice in one deletion counts once", do: deleteNamedTwice},
	}
}

func deleteTakesThat(p *probe) {
	before, size, list := p.picture(), p.target(), p.alive(p.Group)
	victim := list[len(list)/2]
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes")
	p.wantTarget(size-1, "right after the deletion of one node")
	p.settle()
	p.wantTarget(size-1, "once the deletion of one node has settled")
	if gone := without(list, p.alive(p.Group)); !slices.Equal(ids(gone), []string{victim.ID}) {
		p.Fatalf("after the deletion of %s, %v are gone", victim.ID, ids(gone))
	}
	if left := p.alive(p.Group); len(left) != size-1 {
		p.Fatalf("after the deletion of one node of %d, %d instances are there", size, len(left))
	}
	if slices.Contains(ids(p.instances(p.Group)), victim.ID) {
		p.Fatalf("once its deletion has settled, Nodes still lists %s", victim.ID)
	}
	p.apart(before)
}

func deleteSeveral(p *probe) {
	size, list := p.target(), p.alive(p.Group)
	p.must(p.group().DeleteNodes(p.ctx, nodes(list[0], list[1])), "DeleteNodes of two")
	p.wantTarget(size-2, "after the deletion of two nodes")
	p.settle()
	p.wantTarget(size-2, "once the deletion of two nodes has settled")
	if gone := without(list, p.alive(p.Group)); !slices.Equal(ids(gone), ids(list[:2])) {
		p.Fatalf("after the deletion of %v, %v are gone", ids(list[:2]), ids(gone))
	}
}

func deleteNone(p *probe) {
	p.unchanged("a deletion of no nodes", func() {
		p.must(p.group().DeleteNodes(p.ctx, nil), "DeleteNodes of none")
	})
}

func deleteStandIn(p *probe) {
	size, old := p.target(), p.alive(p.Group)
	p.must(p.group().IncreaseSize(p.ctx, 1), "IncreaseSize(1)")
	p.refresh()
	fresh := without(p.alive(p.Group), old)
	if len(fresh) == 0 {
		p.settle() // this cloud lists its machines only when they are there
		fresh = without(p.alive(p.Group), old)
	}
	if len(fresh) != 1 {
		p.Fatalf("after IncreaseSize(1) there are %d new instances, want 1", len(fresh))
	}
	p.must(p.group().DeleteNodes(p.ctx, []*corev1.Node{standIn(fresh[0])}), "DeleteNodes of an instance that is no node yet")
	p.wantTarget(size, "after the deletion of an instance that is no node yet")
	p.settle()
	p.wantTarget(size, "once the deletion of an instance that is no node yet has settled")
	if now := p.alive(p.Group); !slices.Equal(ids(now), ids(old)) {
		p.Fatalf("after an increase and the deletion of what came, the instances are %v; want %v", ids(now), ids(old))
	}
}

func deleteStranger(p *probe) {
	own := node(p.first())
	for _, stranger := range append(p.strangers(), node(p.alive(p.Other)[0])) {
		doing := "DeleteNodes with the stranger " + stranger.Name + " (provider ID " + stranger.Spec.ProviderID + ")"
		p.unchanged(doing, func() {
			p.want(p.group().DeleteNodes(p.ctx, []*corev1.Node{own, stranger}), cloudprovider.ClassNotFound, doing)
		})
	}
}

func deleteBelowMin(p *probe) {
	lowest, list := p.group().MinSize(), p.alive(p.Group)
	p.unchanged("a deletion that would end below the min", func() {
		victims := list[:p.target()-lowest+1]
		p.want(p.group().DeleteNodes(p.ctx, nodes(victims...)), cloudprovider.ClassLimit, "DeleteNodes that would end below the min")
	})
	p.must(p.group().DeleteNodes(p.ctx, nodes(list[:p.target()-lowest]...)), "DeleteNodes down to the min")
	p.settle()
	p.unchanged("a deletion at the min", func() {
		p.want(p.group().DeleteNodes(p.ctx, nodes(p.first())), cloudprovider.ClassLimit, "DeleteNodes at the min")
	})
}

func deleteRepeated(p *probe) {
	size, victim := p.target(), p.first()
	repeat := func(when string) {
		p.Helper()
		p.must(p.group().DeleteNodes(p.ctx, nodes(victim)), "DeleteNodes "+when)
		p.wantTarget(size-1, "after DeleteNodes "+when)
	}
	repeat("once")
	repeat("a second time at once")
	p.refresh()
	repeat("again after a Refresh")
	p.settle()
	repeat("again after the instance is gone")
	p.settle()
	p.wantTarget(size-1, "in the end")
	if left := p.alive(p.Group); len(left) != size-1 {
		p.Fatalf("after one deletion and its repetitions %d instances are left of %d", len(left), size)
	}
}

func deleteNamedTwice(p *probe) {
	size, victim := p.target(), p.first()
	p.must(p.group().DeleteNodes(p.ctx, nodes(victim, victim)), "DeleteNodes of the same node twice")
	p.wantTarget(size-1, "after one node was named twice")
	p.settle()
	if left := p.alive(p.Group); len(left) != size-1 {
		p.Fatalf("after one node was named twice %d instances are left of %d", len(left), size)
	}
}
