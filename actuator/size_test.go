package actuator_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

func TestASizeThatSomebodyElseChangedIsLeftToThem(t *testing.T) {
	s := newScene(t)
	s.cloud.elsewhere = 4
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 2}, cluster.ClassConflict, "from 3 by 2", "target of 4")
	s.cloud.elsewhere = 4
	s.refuses(plan.Step{Do: plan.Decrease, Pool: "small", From: 3, Delta: -1}, cluster.ClassConflict, "target of 4")
	if s.cloud.target != 4 {
		t.Errorf("the target is %d, want the other's 4", s.cloud.target)
	}
}

func TestWhatTheProviderRefusesKeepsItsClass(t *testing.T) {
	s := newScene(t)
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 9}, cloudprovider.ClassLimit, "max of 5")
	s.calls.made, s.calls.fail, s.calls.err = nil, 2, &cloudprovider.Error{
		Class: cloudprovider.ClassOutOfResources, Code: "out_of_stock", RetryAfter: time.Minute, Err: errors.New("no machine"),
	}
	r := s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 1}, cloudprovider.ClassOutOfResources, "out_of_stock")
	if r.RetryAfter != time.Minute {
		t.Errorf("retry after %v, want the cloud's minute", r.RetryAfter)
	}
	s.refuses(plan.Step{Do: plan.ChangeVersion, Pool: "small", Version: "v1.36.3"}, cloudprovider.ClassNotImplemented)
	s.must(s.step(plan.Mark))
	s.refuses(s.step(plan.ReplaceInstance), cloudprovider.ClassNotImplemented)
}

func TestSenselessSizesAreRefused(t *testing.T) {
	s := newScene(t)
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3}, cloudprovider.ClassInvalid)
	s.refuses(plan.Step{Do: plan.Decrease, Pool: "small", From: 3, Delta: 1}, cloudprovider.ClassInvalid)
}

func TestACallThatHangsIsCutOff(t *testing.T) {
	s := newScene(t)
	s.options.APITimeout, s.options.ProviderTimeout = time.Nanosecond, time.Nanosecond
	if r := s.do(s.step(plan.Mark)); r.Class != cluster.ClassAPI || !strings.Contains(r.Err, "deadline") {
		t.Errorf("result %+v", r)
	}
	s.refuses(plan.Step{Do: plan.Increase, Pool: "small", From: 3, Delta: 1}, cloudprovider.ClassTransient, "deadline")
}

// native is the cloud with an upgrade of its own.
type native struct{ *cloud }

func (n native) TemplateVersion(context.Context) (string, error) { return n.version, nil }

func (n native) UpgradeNatively(ctx context.Context, version string) error {
	return n.call(ctx, "UpgradeNatively", func() error {
		n.version = version
		return nil
	})
}

func TestTheProvidersOwnUpgradeIsAskedForOnce(t *testing.T) {
	s := newScene(t)
	step := plan.Step{Do: plan.UpgradePool, Pool: "small", Version: "v1.36.3"}
	s.refuses(step, cloudprovider.ClassNotImplemented)
	s.group = native{s.cloud}
	s.must(step)
	s.must(step) // again after a crash, say
	asked := 0
	for _, call := range s.calls.made {
		if call == "UpgradeNatively" {
			asked++
		}
	}
	if asked != 1 || s.cloud.version != "v1.36.3" {
		t.Errorf("the cloud was asked %d times, and has %s", asked, s.cloud.version)
	}
}
