package config

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// Settings are the effective settings of a pool: the file's entry for it wins, then what its provider says, then the file's defaults, then the
// flags. Options may be nil. The error names the places whose values can't both hold, and the remedy.
func (c *Config) Settings(pool string, minSize, maxSize int, options *cloudprovider.Options) (cluster.Settings, error) {
	var entry, defaults layer
	if c.file != nil {
		entry, defaults = c.file.entry(pool), c.file.defaults
	}
	m := merge(entry, providerLayer(minSize, maxSize, options), defaults, c.flags)
	if err := m.problem(); err != nil {
		return cluster.Settings{}, fmt.Errorf("pool %s: %w", pool, err)
	}
	s := cluster.Settings{
		Autoscale: m.autoscale.is, Autoheal: m.autoheal.is, AutoUpgrade: m.autoUpgrade.is, Min: m.min.is, Max: m.max.is,
		UtilizationThreshold: m.utilizationThreshold.is, UnneededTime: m.unneededTime.is, UnreadyTime: m.unreadyTime.is,
		MaxNodeProvisionTime: m.maxNodeProvisionTime.is, MaxNodeStartupTime: m.maxNodeStartupTime.is,
		UnhealthyAfter: m.unhealthyAfter.is, UnregisteredAfter: m.unregisteredAfter.is,
		Version: m.version.is, Window: m.window.is, MaxSurge: m.maxSurge.is, MaxUnavailable: m.maxUnavailable.is,
		DrainTimeout: m.drainTimeout.is,
	}
	if s.UnregisteredAfter == 0 {
		s.UnregisteredAfter = s.MaxNodeProvisionTime
	}
	return s, nil
}

// providerLayer is what a provider says about a pool.
func providerLayer(minSize, maxSize int, options *cloudprovider.Options) layer {
	const from = "the provider"
	l := layer{min: value[int]{minSize, from}, max: value[int]{maxSize, from}}
	if options == nil {
		return l
	}
	l.utilizationThreshold = given(options.ScaleDownUtilizationThreshold, from)
	l.unneededTime = given(options.ScaleDownUnneededTime, from)
	l.unreadyTime = given(options.ScaleDownUnreadyTime, from)
	l.maxNodeProvisionTime = given(options.MaxNodeProvisionTime, from)
	l.maxNodeStartupTime = given(options.MaxNodeStartupTime, from)
	return l
}

func given[T any](v *T, from string) value[T] {
	if v == nil {
		return value[T]{}
	}
	return value[T]{*v, from}
}

// merge lays the first layer over the second, and so on.
func merge(a, b, c, d layer) layer {
	return layer{
		autoscale:            first(a.autoscale, b.autoscale, c.autoscale, d.autoscale),
		autoheal:             first(a.autoheal, b.autoheal, c.autoheal, d.autoheal),
		autoUpgrade:          first(a.autoUpgrade, b.autoUpgrade, c.autoUpgrade, d.autoUpgrade),
		min:                  first(a.min, b.min, c.min, d.min),
		max:                  first(a.max, b.max, c.max, d.max),
		utilizationThreshold: first(a.utilizationThreshold, b.utilizationThreshold, c.utilizationThreshold, d.utilizationThreshold),
		unneededTime:         first(a.unneededTime, b.unneededTime, c.unneededTime, d.unneededTime),
		unreadyTime:          first(a.unreadyTime, b.unreadyTime, c.unreadyTime, d.unreadyTime),
		maxNodeProvisionTime: first(a.maxNodeProvisionTime, b.maxNodeProvisionTime, c.maxNodeProvisionTime, d.maxNodeProvisionTime),
		maxNodeStartupTime:   first(a.maxNodeStartupTime, b.maxNodeStartupTime, c.maxNodeStartupTime, d.maxNodeStartupTime),
		unhealthyAfter:       first(a.unhealthyAfter, b.unhealthyAfter, c.unhealthyAfter, d.unhealthyAfter),
		unregisteredAfter:    first(a.unregisteredAfter, b.unregisteredAfter, c.unregisteredAfter, d.unregisteredAfter),
		drainTimeout:         first(a.drainTimeout, b.drainTimeout, c.drainTimeout, d.drainTimeout),
		version:              first(a.version, b.version, c.version, d.version),
		window:               first(a.window, b.window, c.window, d.window),
		maxSurge:             first(a.maxSurge, b.maxSurge, c.maxSurge, d.maxSurge),
		maxUnavailable:       first(a.maxUnavailable, b.maxUnavailable, c.maxUnavailable, d.maxUnavailable),
	}
}

// problem is what the layers make impossible together. What each says on its own has been checked, save for the provider's.
func (m layer) problem() error {
	var problems []error
	if m.min.is < 0 {
		problems = append(problems, fmt.Errorf("min is %d (%s): give 0 or a positive number", m.min.is, m.min.from))
	}
	if m.min.is > m.max.is {
		problems = append(problems, fmt.Errorf("min is %d (%s), but max is %d (%s): raise max or lower min", m.min.is, m.min.from, m.max.is, m.max.from))
	}
	if t := m.utilizationThreshold; t.is < 0 || t.is > 1 {
		problems = append(problems, fmt.Errorf("the utilization threshold is %v (%s): give a number from 0 to 1", t.is, t.from))
	}
	for _, d := range []struct {
		name string
		value[time.Duration]
	}{
		{"unneeded time", m.unneededTime},
		{"unready time", m.unreadyTime},
		{"node provision time", m.maxNodeProvisionTime},
		{"node startup time", m.maxNodeStartupTime},
	} {
		if d.is < 0 {
			problems = append(problems, fmt.Errorf("the %s is %s (%s): give a duration that is not negative", d.name, d.is, d.from))
		}
	}
	if isNone(m.maxSurge.is) && isNone(m.maxUnavailable.is) {
		problems = append(problems, fmt.Errorf("maxSurge (%s) and maxUnavailable (%s) are both 0, so that no rollout could begin: raise one of them",
			m.maxSurge.from, m.maxUnavailable.from))
	}
	return errors.Join(problems...)
}

// isNone tells whether a number or percentage allows nothing.
func isNone(n intstr.IntOrString) bool { return n.String() == "0" || n.String() == "0%" }
