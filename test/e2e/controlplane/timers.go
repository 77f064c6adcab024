package controlplane

import (
	"strconv"
	"time"
)

// Timers are how long the control plane waits before it believes that a node is gone. All are lengths of time, never zero.
type Timers struct {
	// NodeLease is how long a kubelet's lease lasts; it is renewed four times as often. Whole seconds, at least four.
	NodeLease time.Duration
	// NodeMonitorPeriod is how often the node lifecycle controller looks.
	NodeMonitorPeriod time.Duration
	// NodeMonitorGrace is how old the last sign of life may be before a node's conditions become Unknown.
	NodeMonitorGrace time.Duration
	// NodeStartupGrace is the same for a node that never gave a sign of life.
	NodeStartupGrace time.Duration
	// PodEviction is how long pods without tolerations of their own stay on a node that is not ready or unreachable. Whole seconds.
	PodEviction time.Duration
}

// KubernetesTimers are the defaults of Kubernetes 1.36.
func KubernetesTimers() Timers {
	return Timers{
		NodeLease:         40 * time.Second,
		NodeMonitorPeriod: 5 * time.Second,
		NodeMonitorGrace:  50 * time.Second,
		NodeStartupGrace:  60 * time.Second,
		PodEviction:       300 * time.Second,
	}
}

// ShortTimers are those of Kubernetes at a fifth of their length: short enough for tests, with the ratios kept, and still long enough
// for a busy machine with two cores not to take a living node for a dead one.
func ShortTimers() Timers {
	k := KubernetesTimers()
	return Timers{
		NodeLease:         k.NodeLease / 5,
		NodeMonitorPeriod: k.NodeMonitorPeriod / 5,
		NodeMonitorGrace:  k.NodeMonitorGrace / 5,
		NodeStartupGrace:  k.NodeStartupGrace / 5,
		PodEviction:       k.PodEviction / 5,
	}
}

// PatientTimers are those of Kubernetes at four times their length, for clusters of a thousand nodes: one kwok process plays all their kubelets, and on two
// cores it writes thirty to fifty renewals a second, so that leases which are to be renewed every two seconds are a minute old, and those of every ten are late.
func PatientTimers() Timers {
	k := KubernetesTimers()
	return Timers{
		NodeLease:         4 * k.NodeLease,
		NodeMonitorPeriod: 4 * k.NodeMonitorPeriod,
		NodeMonitorGrace:  4 * k.NodeMonitorGrace,
		NodeStartupGrace:  4 * k.NodeStartupGrace,
		PodEviction:       4 * k.PodEviction,
	}
}

// seconds writes a duration the way flags want it that count seconds.
func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
