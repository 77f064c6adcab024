package main

import "time"

// line is one row of the table: a workload, what is asked of us for it, and what others need for the same.
type line struct {
	id   string
	what string
	// target is the time, and targetBytes the memory allocated, that we set ourselves; zero if nothing is set.
	target      time.Duration
	targetBytes float64
	peers       []peer
	// targetRSS is the memory of the daemon that we set ourselves; zero if nothing is set.
	targetRSS float64
	// times is how often it is run. What takes long for a first time and a half is still run more than once.
	times int
}

// peer is what another program needs for the same workload: its own code, on a shared machine of the same two cores, Go 1.26, August 2026. Other
// load may have doubled its times; bytes are steady. Zero is what is not known.
type peer struct {
	name string
	// least and most are its times.
	least, most time.Duration
	bytes       float64
	// nodes is how many new nodes it asked for.
	nodes int
}

const (
	mb = 1e6
	gb = 1e9
	// The programs: the cores of both, their scheduling simulations included, without clouds.
	clusterAutoscaler = "CA"
	karpenter         = "K"
)

func took(name string, t time.Duration, bytes float64, nodes int) peer {
	return peer{name: name, least: t, most: t, bytes: bytes, nodes: nodes}
}

// lines are the rows in their order.
var lines = []line{
	{"idle-1000", "a pass: 1,000 nodes, 30,000 pods", 5 * time.Millisecond, 1 * mb, []peer{took(clusterAutoscaler, 1390*time.Millisecond, 0.68*gb, 0)}, 0, 50},
	{"idle-3000", "a pass: 3,000 nodes, 90,000 pods", 10 * time.Millisecond, 1 * mb, []peer{took(clusterAutoscaler, 5400*time.Millisecond, 2*gb, 0)}, 300 * mb, 50},
	{"idle-5000", "a pass: 5,000 nodes, 150,000 pods", 20 * time.Millisecond, 0, nil, 500 * mb, 50},
	{"up-50k-bare", "50,000 pods without controller", 500 * time.Millisecond, 0, []peer{took(clusterAutoscaler, 19500*time.Millisecond, 8.5*gb, 1000)}, 0, 3},
	{"up-50k", "50,000 pods in 50 ReplicaSets", 200 * time.Millisecond, 0, []peer{took(clusterAutoscaler, 9500*time.Millisecond, 2.7*gb, 1000)}, 0, 3},
	{"up-50-pools", "5,000 pods, 50 pools that fit", 200 * time.Millisecond, 0, []peer{took(clusterAutoscaler, 20300*time.Millisecond, 6.8*gb, 0)}, 0, 3},
	{"up-anti-2000", "2,000 pods, one a host", 100 * time.Millisecond, 0, []peer{
		took(clusterAutoscaler, 18900*time.Millisecond, 0, 2000), took(karpenter, 11700*time.Millisecond, 0, 2000),
	}, 0, 5},
	{"up-mixed-5000", "5,000 pods of five kinds", 300 * time.Millisecond, 0, []peer{took(karpenter, 6400*time.Millisecond, 950*mb, 1000)}, 0, 3},
	{"up-mixed-20000", "20,000 of them", 1500 * time.Millisecond, 0, []peer{took(karpenter, 87*time.Second, 10.8*gb, 4000)}, 0, 2},
	{"up-preferences", "4,000 pods with preferences", 300 * time.Millisecond, 0, []peer{{name: karpenter, least: 106 * time.Second, most: 154 * time.Second, nodes: 4000}}, 0, 3},
	{"full-12k", "12,000 pods wait, nodes are full", 100 * time.Millisecond, 0, []peer{took(clusterAutoscaler, 7700*time.Millisecond, 0, 0)}, 0, 5},
	{"down-2000", "which of 2,000 nodes can leave?", 500 * time.Millisecond, 0, []peer{took(clusterAutoscaler, 29*time.Second, 10.4*gb, 0)}, 0, 3},
	{"remove-one-1000", "can this one of 1,000 leave?", time.Millisecond, 0, []peer{{name: karpenter, least: 129 * time.Millisecond, most: 142 * time.Millisecond}}, 0, 50},
}

// family is one workload at three sizes, each twice the one before.
type family struct {
	what string
	ids  [3]string
}

// families show how time grows with size.
var families = []family{
	{"a pass: 1,250, 2,500, 5,000 nodes", [3]string{"idle-1250", "idle-2500", "idle-5000"}},
	{"mixed pods: 5,000, 10,000, 20,000", [3]string{"up-mixed-5000", "up-mixed-10000", "up-mixed-20000"}},
	{"one a host: 1,000, 2,000, 4,000", [3]string{"up-anti-1000", "up-anti-2000", "up-anti-4000"}},
	{"plain pods: 12,500, 25,000, 50,000", [3]string{"up-12500-bare", "up-25000-bare", "up-50k-bare"}},
	{"which can leave? 500, 1,000, 2,000", [3]string{"down-500", "down-1000", "down-2000"}},
}
