package externalgrpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// The usual protocol can't say that an option is not set: a server gets the defaults, and gives back all options, mostly those that it got. So what equals the default
// that was sent is taken for no opinion; where the server means it, nothing is lost as long as the core's own default is the same.

// fallback are the cluster-autoscaler's defaults; they're sent where the core's are not known.
var fallback = struct {
	utilization                  float64
	unneeded, unready, provision time.Duration
}{0.5, 10 * time.Minute, 20 * time.Minute, 15 * time.Minute}

// wireOptions are the defaults as they are sent. Durations are sent in the fields of old servers too.
func wireOptions(o cloudprovider.Options) *protos.NodeGroupAutoscalingOptions {
	unneeded, unready := or(o.ScaleDownUnneededTime, fallback.unneeded), or(o.ScaleDownUnreadyTime, fallback.unready)
	provision, startup := or(o.MaxNodeProvisionTime, fallback.provision), or(o.MaxNodeStartupTime, fallback.provision)
	return &protos.NodeGroupAutoscalingOptions{
		ScaleDownUtilizationThreshold:    or(o.ScaleDownUtilizationThreshold, fallback.utilization),
		ScaleDownGpuUtilizationThreshold: or(o.ScaleDownGpuUtilizationThreshold, fallback.utilization),
		ScaleDownUnneededTime:            &protos.OldDuration{Duration: int64(unneeded)},
		ScaleDownUnreadyTime:             &protos.OldDuration{Duration: int64(unready)},
		MaxNodeProvisionTime:             &protos.OldDuration{Duration: int64(provision)},
		ZeroOrMaxNodeScaling:             or(o.ZeroOrMaxNodeScaling, false),
		IgnoreDaemonSetsUtilization:      or(o.IgnoreDaemonSetsUtilization, false),
		ScaleDownUnneededDuration:        durationpb.New(unneeded),
		ScaleDownUnreadyDuration:         durationpb.New(unready),
		MaxNodeProvisionDuration:         durationpb.New(provision),
		MaxNodeStartupDuration:           durationpb.New(startup),
		AllowNonAtomicScaleUpToMax:       or(o.AllowNonAtomicScaleUpToMax, false),
	}
}

// or is what the pointer points to, or else the other value.
func or[T any](value *T, other T) T {
	if value == nil {
		return other
	}
	return *value
}

// readOptions takes from a server's answer what differs from the defaults that it was sent. Nil means that nothing does.
func readOptions(sent, got *protos.NodeGroupAutoscalingOptions) *cloudprovider.Options {
	if got == nil {
		return nil
	}
	var own cloudprovider.Options
	if got.GetScaleDownUtilizationThreshold() != sent.GetScaleDownUtilizationThreshold() {
		own.ScaleDownUtilizationThreshold = readShare(got.GetScaleDownUtilizationThreshold())
	}
	if got.GetScaleDownGpuUtilizationThreshold() != sent.GetScaleDownGpuUtilizationThreshold() {
		own.ScaleDownGpuUtilizationThreshold = readShare(got.GetScaleDownGpuUtilizationThreshold())
	}
	own.ScaleDownUnneededTime = ownDuration(sent.GetScaleDownUnneededDuration(), got.GetScaleDownUnneededDuration(), got.GetScaleDownUnneededTime())
	own.ScaleDownUnreadyTime = ownDuration(sent.GetScaleDownUnreadyDuration(), got.GetScaleDownUnreadyDuration(), got.GetScaleDownUnreadyTime())
	own.MaxNodeProvisionTime = ownDuration(sent.GetMaxNodeProvisionDuration(), got.GetMaxNodeProvisionDuration(), got.GetMaxNodeProvisionTime())
	own.MaxNodeStartupTime = ownDuration(sent.GetMaxNodeStartupDuration(), got.GetMaxNodeStartupDuration(), nil)
	own.ZeroOrMaxNodeScaling = ownSwitch(sent.GetZeroOrMaxNodeScaling(), got.GetZeroOrMaxNodeScaling())
	own.AllowNonAtomicScaleUpToMax = ownSwitch(sent.GetAllowNonAtomicScaleUpToMax(), got.GetAllowNonAtomicScaleUpToMax())
	own.IgnoreDaemonSetsUtilization = ownSwitch(sent.GetIgnoreDaemonSetsUtilization(), got.GetIgnoreDaemonSetsUtilization())
	if own == (cloudprovider.Options{}) {
		return nil
	}
	return &own
}

// ownDuration prefers today's field to the one of old servers. A time of zero is none: it would make every node late, or unneeded, at once.
func ownDuration(sent, got *durationpb.Duration, old *protos.OldDuration) *time.Duration {
	value := time.Duration(old.GetDuration())
	if got != nil {
		value = got.AsDuration()
	}
	if value == sent.AsDuration() {
		return nil
	}
	return readDuration(value)
}

func ownSwitch(sent, got bool) *bool {
	if sent == got {
		return nil
	}
	return &got
}
