package externalgrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
)

// readBulk reads everything in one call of the extension.
func (p *Provider) readBulk(ctx context.Context, before picture, next *picture) error {
	const doing = "read all groups"
	now := p.clock.Now()
	answer, err := ask(ctx, p.server, doing, p.server.more.ReadGroups, &extension.ReadGroupsRequest{})
	if errors.Is(err, cloudprovider.ErrNotImplemented) {
		next.able, next.discovered = ability{}, time.Time{} // another server has taken the place of the one that offered it
		return p.readUsual(ctx, before, next)
	}
	if err != nil {
		return err
	}
	if len(answer.GetGroups()) > mostGroups {
		return cloudprovider.Errorf(cloudprovider.ClassOther, doing, "%d groups are listed; at most %d are believed", len(answer.GetGroups()), mostGroups)
	}
	next.order, next.listed, next.gpuLabel = nil, time.Time{}, clip(answer.GetGpuLabel())
	if offers := answer.GetOffers(); offers != nil {
		next.able, next.discovered = readAbility(offers), now
	}
	for _, one := range answer.GetGroups() {
		id := one.GetId()
		if err := checkID(id); err != nil {
			return cloudprovider.Errorf(cloudprovider.ClassOther, doing, "group %q: %w", clip(id), err)
		}
		if next.views[id] != nil {
			return cloudprovider.Errorf(cloudprovider.ClassOther, doing, "group %s is listed twice", id)
		}
		next.order = append(next.order, id)
		next.views[id] = readWhole(one, before.views[id], now)
	}
	return nil
}

// readWhole is what is known of a group by the extension. What can't be right makes a problem, and leaves the rest as it was.
func readWhole(one *extension.Group, old *view, now time.Time) *view {
	doing := "read group " + one.GetId()
	v := &view{}
	if old != nil {
		kept := *old
		v = &kept
	}
	v.limits = checkLimits(limits{id: one.GetId(), least: int(one.GetMinSize()), most: int(one.GetMaxSize()), debug: one.GetDebug()})
	v.problem = nil
	if problem := one.GetProblem(); problem != nil {
		v.problem = readProblem(doing, problem)
		return v
	}
	target, err := readTarget(one.GetTargetSize())
	if err == nil {
		err = v.limits.incompatible
	}
	instances := make([]cloudprovider.Instance, 0, len(one.GetInstances()))
	for _, instance := range one.GetInstances() {
		instances = append(instances, readInstance(instance))
	}
	if err == nil {
		err = checkInstances(instances)
	}
	if err != nil {
		v.problem = cloudprovider.Errorf(cloudprovider.ClassOther, doing, "%w", err)
		return v
	}
	v.target, v.instances, v.read, v.stale = target, instances, now, false
	v.slow = readWholeSlow(one, now)
	v.capacityType = readCapacityType(one.GetCapacityType())
	v.held = readHeld(one.GetHeldJobs())
	return v
}

func readProblem(doing string, problem *extension.Problem) error {
	class := cloudprovider.Class(problem.GetClass())
	if !hasClass(class) {
		class = cloudprovider.ClassOther
	}
	return cloudprovider.Errorf(class, doing, "the provider can't read it: %s", clip(problem.GetMessage()))
}

func readWholeSlow(one *extension.Group, now time.Time) slow {
	s := slow{at: now, version: clip(one.GetTemplateVersion()), options: readOwnOptions(one.GetOptions())}
	template, err := readTemplate(one.GetTemplateNode(), nil, one.GetTemplatePods())
	if err != nil {
		s.templateErr = &cloudprovider.Error{Class: cloudprovider.ClassInvalid, Doing: "read the template of group " + one.GetId(), Err: err}
		if errors.Is(err, cloudprovider.ErrNotImplemented) {
			s.templateErr = err
		}
		return s
	}
	template.Price = readPrice(one.GetPrice())
	s.template = template
	if s.version == "" {
		s.version = template.Node.Status.NodeInfo.KubeletVersion
	}
	return s
}

func readInstance(one *extension.Instance) cloudprovider.Instance {
	instance := cloudprovider.Instance{
		ID: one.GetId(), Created: readTime(one.GetCreated()), Started: readTime(one.GetStarted()),
		Zone: clip(one.GetZone()), Version: clip(one.GetVersion()), NodeName: clip(one.GetNodeName()),
		Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning},
	}
	switch one.GetState() {
	case extension.InstanceState_INSTANCE_STATE_CREATING:
		instance.Status.State = cloudprovider.InstanceCreating
	case extension.InstanceState_INSTANCE_STATE_DELETING:
		instance.Status.State = cloudprovider.InstanceDeleting
	case extension.InstanceState_INSTANCE_STATE_STOPPED:
		instance.Status.State = cloudprovider.InstanceStopped
	}
	switch one.GetHealth() {
	case extension.Health_HEALTH_GOOD:
		instance.Healthy = cloudprovider.HealthGood
	case extension.Health_HEALTH_BAD:
		instance.Healthy = cloudprovider.HealthBad
	}
	if info := one.GetError(); info != nil {
		class := cloudprovider.Class(info.GetClass())
		if !hasClass(class) {
			class = cloudprovider.ClassOther
		}
		instance.Status.ErrorInfo = &cloudprovider.InstanceErrorInfo{ErrorClass: class, ErrorCode: clip(info.GetCode()), ErrorMessage: clip(info.GetMessage())}
	}
	return instance
}

func readCapacityType(t extension.CapacityType) cloudprovider.CapacityType {
	switch t {
	case extension.CapacityType_CAPACITY_TYPE_ON_DEMAND:
		return cloudprovider.OnDemand
	case extension.CapacityType_CAPACITY_TYPE_SPOT:
		return cloudprovider.Spot
	}
	return ""
}

// readHeld takes the jobs and causes that are known. One that isn't known holds every job: whoever says that something must be left alone is believed.
func readHeld(list []*extension.HeldJob) []cloudprovider.HeldJob {
	held := map[cloudprovider.Job]cloudprovider.HeldJob{}
	for _, one := range list {
		jobs := []cloudprovider.Job{cloudprovider.Job(one.GetJob())}
		if !slices.Contains(knownJobs, jobs[0]) {
			jobs = everyJob
		}
		cause := cloudprovider.HoldCause(one.GetCause())
		switch cause {
		case cloudprovider.CloudSwitchOn, cloudprovider.CloudAtWork, cloudprovider.ExternalMachines:
		default:
			cause = cloudprovider.CloudAtWork
		}
		for _, job := range jobs {
			held[job] = cloudprovider.HeldJob{Job: job, Cause: cause, Message: clip(one.GetMessage())}
		}
	}
	var all []cloudprovider.HeldJob
	for _, job := range knownJobs {
		if one, ok := held[job]; ok {
			all = append(all, one)
		}
	}
	return all
}

// everyJob are the three jobs; what else is known are parts of them.
var (
	everyJob  = []cloudprovider.Job{cloudprovider.Autoscale, cloudprovider.Autoheal, cloudprovider.AutoUpgrade}
	knownJobs = append(slices.Clone(everyJob), cloudprovider.ScaleDown)
)

// readOwnOptions are a group's own settings by the extension, which can say what is not set.
func readOwnOptions(o *extension.Options) *cloudprovider.Options {
	if o == nil {
		return nil
	}
	own := &cloudprovider.Options{
		ScaleDownUnneededTime: readWireDuration(o.GetScaleDownUnneededTime()), ScaleDownUnreadyTime: readWireDuration(o.GetScaleDownUnreadyTime()),
		MaxNodeProvisionTime: readWireDuration(o.GetMaxNodeProvisionTime()), MaxNodeStartupTime: readWireDuration(o.GetMaxNodeStartupTime()),
		ZeroOrMaxNodeScaling: o.ZeroOrMaxNodeScaling, AllowNonAtomicScaleUpToMax: o.AllowNonAtomicScaleUpToMax,
		IgnoreDaemonSetsUtilization: o.IgnoreDaemonSetsUtilization,
	}
	if o.ScaleDownUtilizationThreshold != nil {
		own.ScaleDownUtilizationThreshold = readShare(o.GetScaleDownUtilizationThreshold())
	}
	if o.ScaleDownGpuUtilizationThreshold != nil {
		own.ScaleDownGpuUtilizationThreshold = readShare(o.GetScaleDownGpuUtilizationThreshold())
	}
	return own
}

// readWireDuration takes a time that is set, zero among them only where it can be meant: that is nowhere.
func readWireDuration(d *durationpb.Duration) *time.Duration {
	if d == nil || !d.IsValid() {
		return nil
	}
	return readDuration(d.AsDuration())
}

// String is for log lines.
func (g *group) String() string { return fmt.Sprintf("group %s", g.id) }
