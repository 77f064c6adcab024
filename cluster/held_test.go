package cluster_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

func TestWhoHoldsAutoscaleHoldsScaleDownAndNotTheOtherWayRound(t *testing.T) {
	holds := func(held, asked cloudprovider.Job) bool {
		p := cluster.Pool{Held: []cloudprovider.HeldJob{{Job: held, Cause: cloudprovider.CloudAtWork}}}
		_, _, is := p.Holds(asked)
		return is
	}
	if !holds(cloudprovider.Autoscale, cloudprovider.ScaleDown) || !holds(cloudprovider.ScaleDown, cloudprovider.ScaleDown) {
		t.Error("scale-down goes on in a pool whose size is to be left alone")
	}
	if holds(cloudprovider.ScaleDown, cloudprovider.Autoscale) || holds(cloudprovider.Autoheal, cloudprovider.ScaleDown) {
		t.Error("more is held than was asked for")
	}
}
