// Package parity has scenarios that are told once and played on two clusters: the simulated one on its virtual clock, and real control planes (test/e2e/parity), there with
// the daemon's binary and the rights of the chart. On both the daemon has the same flags and the same pools, and has to decide the same: what it did to each pool and node in which
// order and why, read from its audit log, and what it answers once it has come to rest. That is what the simulated cluster's proofs are worth.
//
// Left out of the comparison are times, the names of nodes and pods, which of several like nodes it was, in how many pieces a pool grew or a node was drained, and calls that failed
// and were repeated.
package parity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

// Cluster is where a scenario is played. What can't be done fails the test.
type Cluster interface {
	// Start starts the daemon, or ends it and starts it anew with further flags.
	Start(flags ...string)
	// Deploy makes pods of a ReplicaSet or Deployment; their budget is of the same name.
	Deploy(w Workload)
	// Scale gives a workload another number of pods.
	Scale(name string, replicas int)
	// GoDark switches a machine off, which nobody tells; Sicken has its kubelet say that it is not ready, and Cure ends that.
	GoDark(node string)
	Sicken(node string)
	Cure(node string)
	// Cordon is what a person does; Taint too, with the key of somebody else.
	Cordon(node string)
	Taint(node, key string)
	// Request writes a person's request, of that name, into poolkeeper-requests.
	Request(name, text string)
	// Trouble is what goes wrong with a pool at its cloud.
	Trouble(pool string, faults ...kwok.Fault)
	// Nodes are a pool's nodes, and Pods the pods of a workload.
	Nodes(pool string) []*corev1.Node
	Pods(workload string) []*corev1.Pod
	// Until waits until the condition holds, and fails the test after the limit.
	Until(what string, limit time.Duration, holds func() bool)
	// Now is the cluster's time, and Pass lets some of it pass.
	Now() time.Time
	Pass(d time.Duration)
}

// Workload is a set of pods that ask for that much CPU and 64 Mi. Budget is the least of them that have to be available; none if zero.
type Workload struct {
	Name     string
	Replicas int
	CPU      string
	Budget   int
}

// Scenario is a story with what it needs.
type Scenario struct {
	// Name is a sentence; Number that of the list of scenarios, 0 for one that is in none.
	Name   string
	Number int
	// Mode is the daemon's; act if empty.
	Mode  string
	Pools []Pool
	// Flags are the daemon's, on top of [Timers].
	Flags []string
	// Play is what happens. The cluster comes to rest afterwards.
	Play func(t *testing.T, c Cluster)
	// Small scenarios are those that CI plays on a real control plane.
	Small bool
}

// Pool is a pool of machines with 4 cores and 16 GiB, which need a second to boot.
type Pool struct {
	Name     string
	Min, Max int
	// Version is that of its kubelets; v1.36.3 if empty.
	Version string
}

// Timers are the daemon's at a fraction of their length, with their ratios kept.
var Timers = []string{
	"--scale-down-unneeded-time=6s", "--scale-down-unready-time=12s", "--scale-down-delay-after-add=6s", "--scale-down-delay-after-failure=2s",
	"--node-delete-delay-after-taint=1s", "--max-node-provision-time=60s", "--scan-interval=2s", "--cloud-scan-interval=1s",
	"--heal-unhealthy-after=6s", "--heal-drain-timeout=3s", "--heal-detach-timeout=6s", "--heal-recovered-after=4s",
}

// ModeOf is the daemon's mode.
func (s *Scenario) ModeOf() string {
	if s.Mode == "" {
		return "act"
	}
	return s.Mode
}

// Cloud is the file of the kwok provider.
func (s *Scenario) Cloud() string {
	var b strings.Builder
	b.WriteString("versions: [v1.35.4, v1.36.3]\npools:\n")
	for _, p := range s.Pools {
		version := p.Version
		if version == "" {
			version = "v1.36.3"
		}
		fmt.Fprintf(&b, "- name: %s\n  min: %d\n  max: %d\n  startupDelay: 1s\n  template:\n    capacity: {cpu: \"4\", memory: 16Gi, pods: \"110\"}\n"+
			"    instanceType: kwok-4\n    zone: zone-1\n    region: region\n    version: %s\n", p.Name, p.Min, p.Max, version)
	}
	return b.String()
}
