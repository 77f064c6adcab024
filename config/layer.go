package config

import (
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/window"
)

// value is a setting with the place that it comes from; from is empty where nothing is said.
type value[T any] struct {
	is   T
	from string
}

// layer is what one place says about a pool: an entry of the file, the provider, the file's defaults, the flags.
type layer struct {
	autoscale, autoheal, autoUpgrade         value[bool]
	min, max                                 value[int]
	zeroOrMax, allowPartial                  value[bool]
	headroom                                 value[intstr.IntOrString]
	headroomPods                             value[[]cluster.Room]
	utilizationThreshold, gpuThreshold       value[float64]
	ignoreDaemonSets, consolidate            value[bool]
	unneededTime, unreadyTime                value[time.Duration]
	maxNodeProvisionTime, maxNodeStartupTime value[time.Duration]
	unhealthyAfter, unregisteredAfter        value[time.Duration]
	conditions                               value[[]cluster.ConditionRule]
	rebootFirst                              value[bool]
	window                                   value[window.Window]
	version                                  value[string]
	freezes                                  value[window.Freezes]
	channel                                  value[cluster.Channel]
	releaseSoak, maxNodeAge, canarySoak      value[time.Duration]
	native, paused, canary, cordonBlocked    value[bool]
	canaryNodes                              value[int]
	maxUnhealthy, maxBlocked                 value[intstr.IntOrString]
	maxSurge, maxUnavailable                 value[intstr.IntOrString]
	drainTimeout                             value[time.Duration]
}

// setting is one thing that can be said about a pool, in the file and, for all pools, by a flag.
type setting struct {
	// field is its name in the file.
	field string
	// flag is empty where only the provider says what holds for all pools.
	flag string
	// read takes the value over as it is written.
	read func(l *layer, text, from string) error
}

// settings are all of them, in the order of the documentation.
func settings() []setting {
	return []setting{
		{"autoscale", "autoscale", reads(parseSwitch, func(l *layer) *value[bool] { return &l.autoscale })},
		{"autoheal", "autoheal", reads(parseSwitch, func(l *layer) *value[bool] { return &l.autoheal })},
		{"autoUpgrade", "auto-upgrade", reads(parseSwitch, func(l *layer) *value[bool] { return &l.autoUpgrade })},
		{"min", "", reads(parseCount, func(l *layer) *value[int] { return &l.min })},
		{"max", "", reads(parseCount, func(l *layer) *value[int] { return &l.max })},
		{"zeroOrMax", "", reads(parseSwitch, func(l *layer) *value[bool] { return &l.zeroOrMax })},
		{"allowPartial", "", reads(parseSwitch, func(l *layer) *value[bool] { return &l.allowPartial })},
		{"headroom", "headroom", reads(parseShare, func(l *layer) *value[intstr.IntOrString] { return &l.headroom })},
		{"headroomPods", "", reads(parseRooms, func(l *layer) *value[[]cluster.Room] { return &l.headroomPods })},
		{"scaleDownUtilizationThreshold", "scale-down-utilization-threshold", reads(parseThreshold, func(l *layer) *value[float64] { return &l.utilizationThreshold })},
		{"scaleDownGpuUtilizationThreshold", "scale-down-gpu-utilization-threshold", reads(parseThreshold, func(l *layer) *value[float64] { return &l.gpuThreshold })},
		{"ignoreDaemonSetsUtilization", "ignore-daemonsets-utilization", reads(parseSwitch, func(l *layer) *value[bool] { return &l.ignoreDaemonSets })},
		{"consolidate", "consolidate", reads(parseSwitch, func(l *layer) *value[bool] { return &l.consolidate })},
		{"scaleDownUnneededTime", "scale-down-unneeded-time", reads(parseDuration, func(l *layer) *value[time.Duration] { return &l.unneededTime })},
		{"scaleDownUnreadyTime", "scale-down-unready-time", reads(parseDuration, func(l *layer) *value[time.Duration] { return &l.unreadyTime })},
		{"maxNodeProvisionTime", "max-node-provision-time", reads(parseLimit, func(l *layer) *value[time.Duration] { return &l.maxNodeProvisionTime })},
		{"maxNodeStartupTime", "max-node-startup-time", reads(parseLimit, func(l *layer) *value[time.Duration] { return &l.maxNodeStartupTime })},
		{"healUnhealthyAfter", "heal-unhealthy-after", reads(parseLimit, func(l *layer) *value[time.Duration] { return &l.unhealthyAfter })},
		{"healUnregisteredAfter", "heal-unregistered-after", reads(parseDuration, func(l *layer) *value[time.Duration] { return &l.unregisteredAfter })},
		{"healConditions", "heal-conditions", reads(cluster.ParseConditions, func(l *layer) *value[[]cluster.ConditionRule] { return &l.conditions })},
		{"healRebootFirst", "heal-reboot-first", reads(parseSwitch, func(l *layer) *value[bool] { return &l.rebootFirst })},
		{"window", "upgrade-window", reads(parseWindow, func(l *layer) *value[window.Window] { return &l.window })},
		{"freeze", "upgrade-freeze", reads(window.ParseFreezes, func(l *layer) *value[window.Freezes] { return &l.freezes })},
		{"channel", "upgrade-channel", reads(parseChannel, func(l *layer) *value[cluster.Channel] { return &l.channel })},
		{"releaseSoak", "upgrade-release-soak", reads(parseDuration, func(l *layer) *value[time.Duration] { return &l.releaseSoak })},
		{"maxNodeAge", "upgrade-max-node-age", reads(parseDuration, func(l *layer) *value[time.Duration] { return &l.maxNodeAge })},
		{"nativeUpgrade", "upgrade-native", reads(parseSwitch, func(l *layer) *value[bool] { return &l.native })},
		{"upgradePaused", "upgrade-paused", reads(parseSwitch, func(l *layer) *value[bool] { return &l.paused })},
		{"canary", "", reads(parseSwitch, func(l *layer) *value[bool] { return &l.canary })},
		{"canaryNodes", "upgrade-canary-nodes", reads(parseCount, func(l *layer) *value[int] { return &l.canaryNodes })},
		{"canarySoak", "upgrade-canary-soak", reads(parseDuration, func(l *layer) *value[time.Duration] { return &l.canarySoak })},
		{"maxUnhealthy", "upgrade-max-unhealthy", reads(parseShare, func(l *layer) *value[intstr.IntOrString] { return &l.maxUnhealthy })},
		{"maxBlocked", "upgrade-max-blocked", reads(parseShare, func(l *layer) *value[intstr.IntOrString] { return &l.maxBlocked })},
		{"cordonBlocked", "upgrade-cordon-blocked", reads(parseSwitch, func(l *layer) *value[bool] { return &l.cordonBlocked })},
		{"version", "upgrade-version", reads(parseVersion, func(l *layer) *value[string] { return &l.version })},
		{"maxSurge", "upgrade-max-surge", reads(parseShare, func(l *layer) *value[intstr.IntOrString] { return &l.maxSurge })},
		{"maxUnavailable", "upgrade-max-unavailable", reads(parseShare, func(l *layer) *value[intstr.IntOrString] { return &l.maxUnavailable })},
		{"drainTimeout", "drain-timeout", reads(parseLimit, func(l *layer) *value[time.Duration] { return &l.drainTimeout })},
	}
}

// reads makes the function that reads one setting.
func reads[T any](parse func(string) (T, error), place func(*layer) *value[T]) func(*layer, string, string) error {
	return func(l *layer, text, from string) error {
		is, err := parse(text)
		if err != nil {
			return err
		}
		*place(l) = value[T]{is, from}
		return nil
	}
}

// layerOf is what the flags say about every pool.
func layerOf(fs *pflag.FlagSet, p *problems) layer {
	var l layer
	for _, s := range settings() {
		if s.flag == "" {
			continue
		}
		text := fs.Lookup(s.flag).Value.String()
		if err := s.read(&l, text, "--"+s.flag); err != nil {
			p.addf("--%s: %w", s.flag, err)
		}
	}
	return l
}

// isNone tells whether a number or percentage is none at all.
func isNone(n intstr.IntOrString) bool { return strings.TrimSuffix(n.String(), "%") == "0" }
