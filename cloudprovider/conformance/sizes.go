package conformance

import (
	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// sizes are the checks about growing, and about taking back.
func sizes() []check {
	return []check{
		{name: "an increase raises the target at once and brings as many instances", do: increaseRaises},
		{name: "an increase must be positive", do: increaseIsPositive},
		{name: "an increase reaches the max and not beyond it", do: increaseEndsAtMax},
		{name: "a target can't be lowered below the instances that exist", do: decreaseKillsNothing},
		{name: "a decrease must be negative", do: decreaseIsNegative},
		{name: "a decrease takes back what has not come, if anything, and spares what was there before", do: decreaseAfterIncrease},
		{
			name: "a decrease takes back what the cloud does not deliver", do: decreaseTakesBack,
			needs: hook("Withhold", func(f Fixture) bool { return f.Withhold != nil }),
		},
	}
}

func increaseRaises(p *probe) {
	before, size, old := p.picture(), p.target(), p.alive(p.Group)
	p.must(p.group().IncreaseSize(p.ctx, 2), "IncreaseSize(2)")
	p.wantTarget(size+2, "right after IncreaseSize(2)")
	p.refresh()
	p.wantTarget(size+2, "after IncreaseSize(2) and a Refresh")
	p.settle()
	p.wantTarget(size+2, "once IncreaseSize(2) has settled")
	now := p.alive(p.Group)
	if fresh := without(now, old); len(fresh) != 2 || len(now) != size+2 {
		p.Fatalf("once IncreaseSize(2) has settled there are %d instances, %d of them new; want %d and 2", len(now), len(fresh), size+2)
	}
	p.apart(before)
}

func increaseIsPositive(p *probe) {
	for _, delta := range []int{0, -1} {
		p.unchanged("an increase by nothing or less", func() {
			p.want(p.group().IncreaseSize(p.ctx, delta), cloudprovider.ClassInvalid, "IncreaseSize with a delta of 0 or -1")
		})
	}
}

func increaseEndsAtMax(p *probe) {
	group := p.group()
	room := group.MaxSize() - p.target()
	p.unchanged("an increase beyond the max", func() {
		p.want(group.IncreaseSize(p.ctx, room+1), cloudprovider.ClassLimit, "IncreaseSize beyond the max")
	})
	p.must(group.IncreaseSize(p.ctx, room), "IncreaseSize up to the max")
	p.wantTarget(group.MaxSize(), "after an increase up to the max")
	p.settle()
	p.unchanged("an increase at the max", func() {
		p.want(p.group().IncreaseSize(p.ctx, 1), cloudprovider.ClassLimit, "IncreaseSize at the max")
	})
}

func decreaseKillsNothing(p *probe) {
	p.unchanged("a decrease below the instances that exist", func() {
		p.want(p.group().DecreaseTargetSize(p.ctx, -1), cloudprovider.ClassInvalid, "DecreaseTargetSize(-1) with as many instances as the target")
	})
}

func decreaseIsNegative(p *probe) {
	for _, delta := range []int{0, 1} {
		p.unchanged("a decrease by nothing or less", func() {
			p.want(p.group().DecreaseTargetSize(p.ctx, delta), cloudprovider.ClassInvalid, "DecreaseTargetSize with a delta of 0 or 1")
		})
	}
}

// decreaseAfterIncrease leaves it to the provider whether an instance that was asked for a moment ago exists already.
func decreaseAfterIncrease(p *probe) {
	size, old := p.target(), p.alive(p.Group)
	p.must(p.group().IncreaseSize(p.ctx, 2), "IncreaseSize(2)")
	err := p.group().DecreaseTargetSize(p.ctx, -2)
	want := size
	if err != nil {
		p.want(err, cloudprovider.ClassInvalid, "DecreaseTargetSize(-2) right after IncreaseSize(2)")
		want = size + 2
	}
	p.wantTarget(want, "after an increase and a decrease")
	p.settle()
	p.wantTarget(want, "once an increase and a decrease have settled")
	now := p.alive(p.Group)
	if gone := without(old, now); len(gone) > 0 || len(now) != want {
		p.Fatalf("once an increase and a decrease have settled there are %d instances, and %v are gone; want %d, and none gone", len(now), ids(gone), want)
	}
}

func decreaseTakesBack(p *probe) {
	before, size := p.picture(), p.target()
	p.Withhold()
	p.must(p.group().IncreaseSize(p.ctx, 2), "IncreaseSize(2) while the cloud makes nothing")
	p.settle()
	p.wantTarget(size+2, "after IncreaseSize(2) while the cloud makes nothing")
	p.want(p.group().DecreaseTargetSize(p.ctx, -3), cloudprovider.ClassInvalid, "DecreaseTargetSize(-3) where 2 are missing")
	p.wantTarget(size+2, "after a refused decrease")
	p.must(p.group().DecreaseTargetSize(p.ctx, -2), "DecreaseTargetSize(-2) where 2 are missing")
	p.same(before, p.picture(), "after an increase was taken back")
	p.settle()
	p.same(before, p.picture(), "some time after an increase was taken back")
}
