package server

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// ourDefaults are the client's defaults in our words.
func ourDefaults(o *protos.NodeGroupAutoscalingOptions) cloudprovider.Options {
	if o == nil {
		return cloudprovider.Options{}
	}
	duration := func(d *durationpb.Duration, old *protos.OldDuration) *time.Duration {
		value := time.Duration(old.GetDuration())
		if d != nil {
			value = d.AsDuration()
		}
		if value <= 0 {
			return nil
		}
		return &value
	}
	return cloudprovider.Options{
		ScaleDownUtilizationThreshold:    &o.ScaleDownUtilizationThreshold,
		ScaleDownGpuUtilizationThreshold: &o.ScaleDownGpuUtilizationThreshold,
		ScaleDownUnneededTime:            duration(o.GetScaleDownUnneededDuration(), o.GetScaleDownUnneededTime()),
		ScaleDownUnreadyTime:             duration(o.GetScaleDownUnreadyDuration(), o.GetScaleDownUnreadyTime()),
		MaxNodeProvisionTime:             duration(o.GetMaxNodeProvisionDuration(), o.GetMaxNodeProvisionTime()),
		MaxNodeStartupTime:               duration(o.GetMaxNodeStartupDuration(), nil),
		ZeroOrMaxNodeScaling:             &o.ZeroOrMaxNodeScaling,
		AllowNonAtomicScaleUpToMax:       &o.AllowNonAtomicScaleUpToMax,
		IgnoreDaemonSetsUtilization:      &o.IgnoreDaemonSetsUtilization,
	}
}

// overlaid are the defaults with the group's own options on top, in today's fields and in those of old clients.
func overlaid(defaults *protos.NodeGroupAutoscalingOptions, own cloudprovider.Options) *protos.NodeGroupAutoscalingOptions {
	all := ourDefaults(defaults)
	put(&all.ScaleDownUtilizationThreshold, own.ScaleDownUtilizationThreshold)
	put(&all.ScaleDownGpuUtilizationThreshold, own.ScaleDownGpuUtilizationThreshold)
	put(&all.ScaleDownUnneededTime, own.ScaleDownUnneededTime)
	put(&all.ScaleDownUnreadyTime, own.ScaleDownUnreadyTime)
	put(&all.MaxNodeProvisionTime, own.MaxNodeProvisionTime)
	put(&all.MaxNodeStartupTime, own.MaxNodeStartupTime)
	put(&all.ZeroOrMaxNodeScaling, own.ZeroOrMaxNodeScaling)
	put(&all.AllowNonAtomicScaleUpToMax, own.AllowNonAtomicScaleUpToMax)
	put(&all.IgnoreDaemonSetsUtilization, own.IgnoreDaemonSetsUtilization)
	return &protos.NodeGroupAutoscalingOptions{
		ScaleDownUtilizationThreshold:    value(all.ScaleDownUtilizationThreshold),
		ScaleDownGpuUtilizationThreshold: value(all.ScaleDownGpuUtilizationThreshold),
		ScaleDownUnneededTime:            &protos.OldDuration{Duration: int64(value(all.ScaleDownUnneededTime))},
		ScaleDownUnreadyTime:             &protos.OldDuration{Duration: int64(value(all.ScaleDownUnreadyTime))},
		MaxNodeProvisionTime:             &protos.OldDuration{Duration: int64(value(all.MaxNodeProvisionTime))},
		ZeroOrMaxNodeScaling:             value(all.ZeroOrMaxNodeScaling),
		IgnoreDaemonSetsUtilization:      value(all.IgnoreDaemonSetsUtilization),
		ScaleDownUnneededDuration:        wireDuration(all.ScaleDownUnneededTime),
		ScaleDownUnreadyDuration:         wireDuration(all.ScaleDownUnreadyTime),
		MaxNodeProvisionDuration:         wireDuration(all.MaxNodeProvisionTime),
		MaxNodeStartupDuration:           wireDuration(all.MaxNodeStartupTime),
		AllowNonAtomicScaleUpToMax:       value(all.AllowNonAtomicScaleUpToMax),
	}
}

func put[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}

func value[T any](from *T) T {
	if from == nil {
		var zero T
		return zero
	}
	return *from
}

func wireDuration(d *time.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	return durationpb.New(*d)
}
