package config

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/window"
)

// value is a setting with the place that it comes from; from is empty where nothing is said.
type value[T any] struct {
	is   T
	from string
}

// first is the first value that is said.
func first[T any](values ...value[T]) value[T] {
	for _, v := range values {
		if v.from != "" {
			return v
		}
	}
	return value[T]{}
}

// layer is what one place says about a pool: an entry of the file, the provider, the file's defaults, the flags.
type layer struct {
	autoscale, autoheal, autoUpgrade         value[bool]
	min, max                                 value[int]
	utilizationThreshold                     value[float64]
	unneededTime, unreadyTime                value[time.Duration]
	maxNodeProvisionTime, maxNodeStartupTime value[time.Duration]
	unhealthyAfter, unregisteredAfter        value[time.Duration]
	drainTimeout                             value[time.Duration]
	version                                  value[string]
	window                                   value[window.Window]
	maxSurge, maxUnavailable                 value[intstr.IntOrString]
}
