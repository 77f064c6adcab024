package conformance

import (
	"sync"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// crowds are the checks about many callers at once. They say most under the race detector.
func crowds() []check {
	return []check{
		{name: "increases at the same time all count, and end at the max", do: increasesAtOnce},
		{name: "deletions of one node at the same time count once", do: deletionsAtOnce},
		{name: "reading and refreshing at the same time as writing is safe", do: readingAtOnce},
	}
}

// atOnce calls all functions at the same time, and gives their errors in the functions' order.
func atOnce(calls ...func() error) []error {
	problems := make([]error, len(calls))
	var group sync.WaitGroup
	for i, call := range calls {
		group.Go(func() { problems[i] = call() })
	}
	group.Wait()
	return problems
}

func times(n int, call func() error) []func() error {
	calls := make([]func() error, n)
	for i := range calls {
		calls[i] = call
	}
	return calls
}

func increasesAtOnce(p *probe) {
	group := p.group()
	room := group.MaxSize() - p.target()
	refused := 0
	for _, err := range atOnce(times(room+2, func() error { return group.IncreaseSize(p.ctx, 1) })...) {
		if err != nil {
			p.want(err, cloudprovider.ClassLimit, "IncreaseSize(1), one of many at once")
			refused++
		}
	}
	if refused != 2 {
		p.Fatalf("%d increases by one at once, with room for %d: %d were refused, want 2", room+2, room, refused)
	}
	p.settle()
	p.wantTarget(group.MaxSize(), "after increases at once")
	if now := p.alive(p.Group); len(now) != group.MaxSize() {
		p.Fatalf("after increases at once up to the max of %d there are %d instances", group.MaxSize(), len(now))
	}
}

func deletionsAtOnce(p *probe) {
	group, size, victim := p.group(), p.target(), p.first()
	for _, err := range atOnce(times(5, func() error { return group.DeleteNodes(p.ctx, nodes(victim)) })...) {
		p.must(err, "DeleteNodes, one of five at once")
	}
	p.settle()
	p.wantTarget(size-1, "after one node was deleted five times at once")
}

func readingAtOnce(p *probe) {
	group, size, victim := p.group(), p.target(), p.first()
	read := func() error {
		for range 10 {
			for _, other := range p.Provider.NodeGroups() {
				if _, err := other.Nodes(p.ctx); err != nil {
					return err
				}
				if _, err := other.TargetSize(p.ctx); err != nil {
					return err
				}
				if _, err := other.TemplateNodeInfo(p.ctx); err != nil {
					return err
				}
			}
			if _, err := p.Provider.NodeGroupForNode(node(victim)); err != nil {
				return err
			}
		}
		return nil
	}
	refresh := func() error {
		for range 5 {
			if err := p.Provider.Refresh(p.ctx); err != nil {
				return err
			}
		}
		return nil
	}
	write := func() error {
		if err := group.IncreaseSize(p.ctx, 2); err != nil {
			return err
		}
		return group.DeleteNodes(p.ctx, nodes(victim))
	}
	for _, err := range atOnce(read, read, refresh, refresh, write) {
		p.must(err, "reading, refreshing and writing at once")
	}
	p.wantTarget(size+1, "after a write during refreshes") // a Refresh that began before the write must not bring back what was
	p.settle()
	p.wantTarget(size+1, "once a write during refreshes has settled")
}
