package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/window"
)

// Settings are the effective settings of a pool: the file's entry for it wins, then what its provider says, then the file's defaults, then the
// flags. Min and max are never outside the provider's, which would refuse such a size. Options may be nil.
//
// An error names the places whose values can't both hold, and the remedy; the pool is then not to be touched.
func (c *Config) Settings(pool string, minSize, maxSize int, options *cloudprovider.Options) (cluster.Settings, error) {
	var entry, defaults layer
	if f := c.file.Load(); f != nil {
		entry, defaults = f.entry(pool), f.defaults
	}
	s, err := merge(entry, providerLayer(minSize, maxSize, options), defaults, c.flags)
	if err != nil {
		return cluster.Settings{}, fmt.Errorf("pool %s: %s", pool, strings.ReplaceAll(err.Error(), "\n", "; and ")) // a pool's problem is one line
	}
	return s, nil
}

// ProviderDefaults are what a provider is to give a node group's own options on top of.
func (c *Config) ProviderDefaults() cloudprovider.Options {
	var defaults layer
	if f := c.file.Load(); f != nil {
		defaults = f.defaults
	}
	places := []layer{defaults, c.flags}
	pick := func(of func(layer) value[time.Duration]) *time.Duration { return &first(places, of).is }
	return cloudprovider.Options{
		ScaleDownUtilizationThreshold:    &first(places, func(l layer) value[float64] { return l.utilizationThreshold }).is,
		ScaleDownGpuUtilizationThreshold: &first(places, func(l layer) value[float64] { return l.gpuThreshold }).is,
		ScaleDownUnneededTime:            pick(func(l layer) value[time.Duration] { return l.unneededTime }),
		ScaleDownUnreadyTime:             pick(func(l layer) value[time.Duration] { return l.unreadyTime }),
		MaxNodeProvisionTime:             pick(func(l layer) value[time.Duration] { return l.maxNodeProvisionTime }),
		MaxNodeStartupTime:               pick(func(l layer) value[time.Duration] { return l.maxNodeStartupTime }),
		IgnoreDaemonSetsUtilization:      &first(places, func(l layer) value[bool] { return l.ignoreDaemonSets }).is,
	}
}

// fromProvider is where a provider's values come from, for errors.
const fromProvider = "the provider's"

// providerLayer is what a provider says about a pool. A time to come up of 0 counts as not said: so answer providers that don't know the option, and
// every new node would be late.
func providerLayer(minSize, maxSize int, options *cloudprovider.Options) layer {
	l := layer{min: value[int]{minSize, fromProvider}, max: value[int]{maxSize, fromProvider}}
	if options == nil {
		return l
	}
	l.utilizationThreshold = given(options.ScaleDownUtilizationThreshold)
	l.gpuThreshold = given(options.ScaleDownGpuUtilizationThreshold)
	l.ignoreDaemonSets = given(options.IgnoreDaemonSetsUtilization)
	l.zeroOrMax, l.allowPartial = given(options.ZeroOrMaxNodeScaling), given(options.AllowNonAtomicScaleUpToMax)
	l.unneededTime = given(options.ScaleDownUnneededTime)
	l.unreadyTime = given(options.ScaleDownUnreadyTime)
	if t := options.MaxNodeProvisionTime; t != nil && *t != 0 {
		l.maxNodeProvisionTime = given(t)
	}
	if t := options.MaxNodeStartupTime; t != nil && *t != 0 {
		l.maxNodeStartupTime = given(t)
	}
	return l
}

func given[T any](v *T) value[T] {
	if v == nil {
		return value[T]{}
	}
	return value[T]{*v, fromProvider}
}

// first is a value from the first place that says one.
func first[T any](places []layer, of func(layer) value[T]) *value[T] {
	for _, l := range places {
		if v := of(l); v.from != "" {
			return &v
		}
	}
	return &value[T]{}
}

// merge lays the entry over the provider, that over the defaults, and those over the flags.
func merge(entry, provider, defaults, flags layer) (cluster.Settings, error) {
	places := []layer{entry, provider, defaults, flags}
	duration := func(of func(layer) value[time.Duration]) time.Duration { return first(places, of).is }
	s := cluster.Settings{
		Autoscale:                   first(places, func(l layer) value[bool] { return l.autoscale }).is,
		Autoheal:                    first(places, func(l layer) value[bool] { return l.autoheal }).is,
		AutoUpgrade:                 first(places, func(l layer) value[bool] { return l.autoUpgrade }).is,
		ZeroOrMax:                   first(places, func(l layer) value[bool] { return l.zeroOrMax }).is,
		Headroom:                    first(places, func(l layer) value[intstr.IntOrString] { return l.headroom }).is,
		HeadroomPods:                first(places, func(l layer) value[[]cluster.Room] { return l.headroomPods }).is,
		AllowPartial:                first(places, func(l layer) value[bool] { return l.allowPartial }).is,
		UtilizationThreshold:        first(places, func(l layer) value[float64] { return l.utilizationThreshold }).is,
		GPUUtilizationThreshold:     first(places, func(l layer) value[float64] { return l.gpuThreshold }).is,
		IgnoreDaemonSetsUtilization: first(places, func(l layer) value[bool] { return l.ignoreDaemonSets }).is,
		Consolidate:                 first(places, func(l layer) value[bool] { return l.consolidate }).is,
		UnneededTime:                duration(func(l layer) value[time.Duration] { return l.unneededTime }),
		UnreadyTime:                 duration(func(l layer) value[time.Duration] { return l.unreadyTime }),
		MaxNodeProvisionTime:        duration(func(l layer) value[time.Duration] { return l.maxNodeProvisionTime }),
		MaxNodeStartupTime:          duration(func(l layer) value[time.Duration] { return l.maxNodeStartupTime }),
		UnhealthyAfter:              duration(func(l layer) value[time.Duration] { return l.unhealthyAfter }),
		UnregisteredAfter:           duration(func(l layer) value[time.Duration] { return l.unregisteredAfter }),
		Conditions:                  first(places, func(l layer) value[[]cluster.ConditionRule] { return l.conditions }).is,
		RebootFirst:                 first(places, func(l layer) value[bool] { return l.rebootFirst }).is,
		Version:                     first(places, func(l layer) value[string] { return l.version }).is,
		Window:                      first(places, func(l layer) value[window.Window] { return l.window }).is,
		Freezes:                     first(places, func(l layer) value[window.Freezes] { return l.freezes }).is,
		Channel:                     first(places, func(l layer) value[cluster.Channel] { return l.channel }).is,
		ReleaseSoak:                 duration(func(l layer) value[time.Duration] { return l.releaseSoak }),
		MaxNodeAge:                  duration(func(l layer) value[time.Duration] { return l.maxNodeAge }),
		Native:                      first(places, func(l layer) value[bool] { return l.native }).is,
		UpgradePaused:               first(places, func(l layer) value[bool] { return l.paused }).is,
		Canary:                      first(places, func(l layer) value[bool] { return l.canary }).is,
		CanaryNodes:                 first(places, func(l layer) value[int] { return l.canaryNodes }).is,
		CanarySoak:                  duration(func(l layer) value[time.Duration] { return l.canarySoak }),
		MaxUnhealthy:                first(places, func(l layer) value[intstr.IntOrString] { return l.maxUnhealthy }).is,
		MaxBlocked:                  first(places, func(l layer) value[intstr.IntOrString] { return l.maxBlocked }).is,
		CordonBlocked:               first(places, func(l layer) value[bool] { return l.cordonBlocked }).is,
		MaxSurge:                    first(places, func(l layer) value[intstr.IntOrString] { return l.maxSurge }).is,
		MaxUnavailable:              first(places, func(l layer) value[intstr.IntOrString] { return l.maxUnavailable }).is,
		DrainTimeout:                duration(func(l layer) value[time.Duration] { return l.drainTimeout }),
	}
	if s.UnregisteredAfter == 0 {
		s.UnregisteredAfter = s.MaxNodeProvisionTime
	}
	least, most := narrow(entry, provider)
	s.Min, s.Max = least.is, most.is
	return s, errors.Join(wrongSizes(least, most), wrongOptions(provider), neverRolls(places...))
}

// narrow gives the limits that hold: the entry's, as far as they are within the provider's.
func narrow(entry, provider layer) (least, most value[int]) {
	least, most = provider.min, provider.max
	if entry.min.from != "" && entry.min.is > least.is {
		least = entry.min
	}
	if entry.max.from != "" && entry.max.is < most.is {
		most = entry.max
	}
	return least, most
}

func wrongSizes(least, most value[int]) error {
	switch {
	case least.is < 0:
		return fmt.Errorf("min is %d (%s): give 0 or a positive number", least.is, least.from)
	case least.is > most.is:
		return fmt.Errorf("min is %d (%s), but max is %d (%s): lower min or raise max", least.is, least.from, most.is, most.from)
	}
	return nil
}

// wrongOptions checks what a provider says, as the file and the flags have been checked when they were read.
func wrongOptions(provider layer) error {
	var p problems
	for _, t := range []struct {
		name string
		value[float64]
	}{
		{"scale-down utilization threshold", provider.utilizationThreshold},
		{"scale-down GPU utilization threshold", provider.gpuThreshold},
	} {
		if !(t.is >= 0 && t.is <= 1) {
			p.addf("the %s is %v (%s): give a number from 0 to 1", t.name, t.is, t.from)
		}
	}
	for _, d := range []struct {
		name string
		value[time.Duration]
	}{
		{"scale-down unneeded time", provider.unneededTime},
		{"scale-down unready time", provider.unreadyTime},
		{"max node provision time", provider.maxNodeProvisionTime},
		{"max node startup time", provider.maxNodeStartupTime},
	} {
		if d.is < 0 {
			p.addf("the %s is %s (%s): give a duration that is not negative", d.name, d.is, d.from)
		}
	}
	return errors.Join(p...)
}

// neverRolls is the error of settings with which no node of a pool could ever be replaced, though the pool is to be rolled.
func neverRolls(places ...layer) error {
	surge := first(places, func(l layer) value[intstr.IntOrString] { return l.maxSurge })
	unavailable := first(places, func(l layer) value[intstr.IntOrString] { return l.maxUnavailable })
	auto := first(places, func(l layer) value[bool] { return l.autoUpgrade })
	known := surge.from != "" && unavailable.from != "" // else it could not be read, which has been told
	if !known || !auto.is || !isNone(surge.is) || !isNone(unavailable.is) {
		return nil
	}
	return fmt.Errorf("maxSurge (%s) and maxUnavailable (%s) are both 0, so that no node could be replaced: raise one of them, or set autoUpgrade to false",
		surge.from, unavailable.from)
}
