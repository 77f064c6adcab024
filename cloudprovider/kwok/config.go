package kwok

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// Config is what the fake cloud offers. It comes from the file of --cloud-config, or is written down in Go.
type Config struct {
	// Versions are the Kubernetes versions that the cloud offers. One whose release lies in the future is not offered yet. Without any, a pool can
	// be set to every version, and none is listed.
	Versions []cloudprovider.Version
	// Pools are the node groups, in the order in which they are listed.
	Pools []Pool
	// Faults are faults of the whole cloud from the beginning, as in [Fault]; only "error" makes sense there.
	Faults []Fault
}

// Pool is one node group.
type Pool struct {
	// Name is the pool's name: a DNS label of at most 50 characters, as it begins the names of its nodes.
	Name string
	// Min and Max are the limits of the size.
	Min, Max int
	// InitialSize is the size with which the pool is made; zero means Min. It has no meaning once the pool exists.
	InitialSize int
	// StartupDelay is how long an instance takes from its creation until it runs and registers.
	StartupDelay time.Duration
	// DeleteDelay is how long an instance is seen in state Deleting before it is gone.
	DeleteDelay time.Duration
	// StopDelay is how long a machine takes to be off once its stop was asked for.
	StopDelay time.Duration
	// RebootDelay is how long a reboot takes until it shows an effect.
	RebootDelay time.Duration
	// Faults are the faults that the pool has from the beginning, as in [Fault], on top of those on its ConfigMap.
	Faults []Fault
	// Template is what its nodes look like.
	Template Template
}

// Template is what the nodes of a pool look like.
type Template struct {
	// Labels and Taints are on top of the well-known ones that every node gets.
	Labels map[string]string
	Taints []corev1.Taint
	// Capacity needs cpu and memory; pods is 110 if it is not given, as the kubelet has it.
	Capacity corev1.ResourceList
	// Allocatable is Capacity if it is not given; what is missing in it is taken from there.
	Allocatable corev1.ResourceList
	// Zone, Region and InstanceType become the well-known labels. They may be empty.
	Zone, Region, InstanceType string
	// Architecture is amd64 and OperatingSystem is linux if they are not given.
	Architecture, OperatingSystem string
	// Version is the Kubernetes version of new nodes, such as v1.36.3. It holds until the pool is given another one (SetTemplateVersion or by hand in its
	// ConfigMap); a change of it here wins over those.
	Version string
	// Price is the price of a node an hour; zero if unknown.
	Price float64
	// CapacityType is how the machines are sold; empty means on-demand.
	CapacityType cloudprovider.CapacityType
}

// defaultPods is the kubelet's default for the number of pods on a node.
const defaultPods = "110"

// maxInstances is how many instances a pool can have at most: its ConfigMap must stay far below the API server's limit of 1 MiB.
const maxInstances = 3000

// maxNameLength leaves room for "-" and a number in the 63 characters of a label value.
const maxNameLength = 50
