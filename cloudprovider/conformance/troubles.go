package conformance

import (
	"context"
	"errors"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// troubles are the checks about errors and about looking.
func troubles() []check {
	breaks := hook("Break", func(f Fixture) bool { return f.Break != nil })
	reads := hook("Reads", func(f Fixture) bool { return f.Reads != nil })
	fails := hook("FailCreation", func(f Fixture) bool { return f.FailCreation != nil })
	return []check{
		{name: "a call whose context has ended fails and changes nothing", do: contextsAreHonoured},
		{name: "after a failed Refresh the former state stays", do: failedRefreshKeeps, needs: breaks},
		{name: "a write that the cloud refuses fails with a typed error and changes nothing", do: failedWriteChangesNothing, needs: breaks},
		{name: "HasInstance of a cloud that is away is an error and not an absence", do: hasInstanceFails, needs: breaks},
		{name: "between two refreshes reading asks nothing of the cloud", do: readingIsFree, needs: reads},
		{name: "a Refresh asks no more of the cloud for more instances", do: refreshIsBulk, needs: reads},
		{name: "a cloud that is out of machines says so", do: outOfResources, needs: fails},
		{name: "a quota that is used up is told from a cloud that is out of machines", do: quota, needs: fails},
		{name: "an instance that failed to be made can be deleted", do: failedInstanceGoes, needs: fails},
		{name: "a cloud at rest stays at rest however often it is looked at", do: restIsRest},
	}
}

func contextsAreHonoured(p *probe) {
	ended, cancel := context.WithCancel(p.ctx)
	cancel()
	victim := node(p.first())
	calls := map[string]func() error{
		"IncreaseSize":       func() error { return p.group().IncreaseSize(ended, 1) },
		"DeleteNodes":        func() error { return p.group().DeleteNodes(ended, nodes(p.first())) },
		"DecreaseTargetSize": func() error { return p.group().DecreaseTargetSize(ended, -1) },
		"Refresh":            func() error { return p.Provider.Refresh(ended) },
		"HasInstance": func() error {
			_, err := p.Provider.HasInstance(ended, victim)
			return err
		},
	}
	for name, call := range calls {
		p.unchanged(name+" with a context that has ended", func() {
			if err := call(); err == nil {
				p.Fatalf("%s with a context that has ended gave no error", name)
			}
		})
	}
}

func failedRefreshKeeps(p *probe) {
	before := p.picture()
	p.Break(true)
	if err := p.Provider.Refresh(p.ctx); err == nil {
		p.Fatalf("Refresh of a cloud that answers nothing gave no error")
	}
	p.same(before, p.picture(), "after a failed Refresh")
	p.Break(false)
	p.refresh()
	p.same(before, p.picture(), "after a Refresh that failed and one that didn't")
}

func failedWriteChangesNothing(p *probe) {
	size, list := p.target(), p.alive(p.Group)
	p.unchanged("writes that the cloud refused", func() {
		p.Break(true)
		for name, err := range map[string]error{
			"IncreaseSize(1)": p.group().IncreaseSize(p.ctx, 1),
			"DeleteNodes":     p.group().DeleteNodes(p.ctx, nodes(list[0])),
		} {
			if _, typed := errors.AsType[*cloudprovider.Error](err); !typed {
				p.Fatalf("%s while the cloud answers nothing gave %s; want a typed error", name, describe(err))
			}
		}
		p.wantTarget(size, "after writes that the cloud refused")
		p.Break(false)
	})
}

func hasInstanceFails(p *probe) {
	p.Break(true)
	has, err := p.Provider.HasInstance(p.ctx, node(p.first()))
	if err == nil {
		p.Fatalf("HasInstance while the cloud answers nothing gave %v and no error", has)
	}
}

func readingIsFree(p *probe) {
	before := p.Reads()
	for range 3 {
		for _, group := range p.Provider.NodeGroups() {
			for _, one := range p.instances(group.Id()) {
				p.wantGroup(node(one), group.Id())
			}
			p.targetOf(group.Id())
			_, err := group.TemplateNodeInfo(p.ctx)
			p.must(err, "TemplateNodeInfo of "+group.Id())
			if _, err = group.GetOptions(p.ctx, cloudprovider.Options{}); !errors.Is(err, cloudprovider.ErrNotImplemented) {
				p.must(err, "GetOptions of "+group.Id())
			}
			group.Debug()
		}
	}
	if asked := p.Reads() - before; asked > 0 {
		p.Fatalf("the read methods asked the cloud %d times between two refreshes; they must answer from the last one", asked)
	}
}

func refreshIsBulk(p *probe) {
	cost := func() int {
		before := p.Reads()
		p.refresh()
		return p.Reads() - before
	}
	few := cost()
	p.must(p.group().IncreaseSize(p.ctx, 3), "IncreaseSize(3)")
	p.settle()
	if many := cost(); many > few {
		p.Fatalf("a Refresh asked the cloud %d times, and %d times with 3 more instances; it has to read in bulk", few, many)
	}
}

func outOfResources(p *probe) { p.creationFails(cloudprovider.ClassOutOfResources) }

func quota(p *probe) { p.creationFails(cloudprovider.ClassQuota) }

// creationFails accepts both ways in which clouds tell it: the call is refused, or instances are listed that can't be made.
func (p *probe) creationFails(class cloudprovider.Class) {
	p.Helper()
	size, old := p.target(), p.alive(p.Group)
	p.FailCreation(class)
	if err := p.group().IncreaseSize(p.ctx, 1); err != nil {
		p.want(err, class, "IncreaseSize while the cloud makes no machines")
		p.wantTarget(size, "after a refused increase")
		p.refresh()
		p.wantTarget(size, "after a refused increase and a Refresh")
		return
	}
	p.settle()
	fresh := without(p.alive(p.Group), old)
	if len(fresh) != 1 {
		p.Fatalf("IncreaseSize(1) was accepted while the cloud makes no machines, and %d new instances are listed; want one that says why it failed", len(fresh))
	}
	status := fresh[0].Status
	if status.State != cloudprovider.InstanceCreating || status.ErrorInfo == nil || status.ErrorInfo.ErrorClass != class {
		p.Fatalf("instance %s, which could not be made, has the status %s and %v; want Creating and an error of class %s", fresh[0].ID, status.State, status.ErrorInfo, class)
	}
}

func failedInstanceGoes(p *probe) {
	size, old := p.target(), p.alive(p.Group)
	p.FailCreation(cloudprovider.ClassOutOfResources)
	if err := p.group().IncreaseSize(p.ctx, 1); err != nil {
		p.Skipf("this cloud refuses the call: %v", err)
	}
	p.settle()
	fresh := without(p.alive(p.Group), old)
	if len(fresh) != 1 {
		p.Fatalf("%d instances are listed that failed to be made, want 1", len(fresh))
	}
	p.must(p.group().DeleteNodes(p.ctx, nodes(fresh...)), "DeleteNodes of an instance that failed to be made")
	p.settle()
	p.wantTarget(size, "after the deletion of an instance that failed to be made")
	if p.has(fresh[0].ID) {
		p.Fatalf("instance %s, which failed to be made, is still listed after its deletion", fresh[0].ID)
	}
}

func restIsRest(p *probe) {
	p.unchanged("looking several times", func() {
		for range 3 {
			p.refresh()
		}
	})
}
