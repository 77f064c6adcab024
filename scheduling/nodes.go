package scheduling

import (
	"fmt"

	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// nodes are the board's nodes in the form in which the plugins want them. They are made when a plugin asks, and made again only where the
// slot has changed. Where the fast path speaks for all but the volumes of a pod, they hold only the pods with volumes that plugins
// look at: a cluster has few of them.
type nodes struct {
	board *board
	// whole are nodes with all of their pods, thin those with the pods with volumes alone.
	whole, thin infos
	// showsWhole says which of the two the plugins see.
	showsWhole bool
	// pods are the plugins' own form of pods; those of pods that are gone are forgotten now and then.
	pods map[*cluster.Pod]*framework.PodInfo
}

// infos are nodes by slot, each with the stamp that the slot had when it was made.
type infos struct {
	bySlot []*framework.NodeInfo
	stamp  []uint64
	// list are those that are there, affinity and antiAffinity those of them with pods that have terms of that kind, as of a version of the board.
	list, affinity, antiAffinity []fwk.NodeInfo
	version                      uint64
	listed                       bool
}

func newNodes(b *board) *nodes {
	return &nodes{board: b, pods: map[*cluster.Pod]*framework.PodInfo{}}
}

// shown are the nodes that the plugins see.
func (n *nodes) shown() *infos {
	if n.showsWhole {
		return &n.whole
	}
	return &n.thin
}

// at is the node in the slot.
func (n *nodes) at(slot int32) *framework.NodeInfo {
	in, b := n.shown(), n.board
	for int(slot) >= len(in.bySlot) {
		in.bySlot, in.stamp = append(in.bySlot, nil), append(in.stamp, 0)
	}
	now := b.stamp[slot].thin
	if n.showsWhole {
		now = b.stamp[slot].whole
	}
	if in.bySlot[slot] != nil && in.stamp[slot] == now {
		return in.bySlot[slot]
	}
	info := framework.NewNodeInfo()
	for _, p := range b.on[slot] {
		if n.showsWhole || p.form.volumes {
			info.AddPodInfo(n.pod(p.pod))
		}
	}
	info.SetNode(b.node(slot))
	in.bySlot[slot], in.stamp[slot] = info, now
	return info
}

// pod is the plugins' form of a pod. What is wrong with its terms is said by the plugin that reads them.
func (n *nodes) pod(pod *cluster.Pod) *framework.PodInfo {
	if info, ok := n.pods[pod]; ok {
		return info
	}
	info, _ := framework.NewPodInfo(pod.Object())
	n.pods[pod] = info
	return info
}

// all are the nodes that are there.
func (n *nodes) all() *infos {
	in, b := n.shown(), n.board
	if in.listed && in.version == b.version {
		return in
	}
	in.list, in.affinity, in.antiAffinity = in.list[:0], in.affinity[:0], in.antiAffinity[:0]
	for i := range b.nodes {
		slot := int32(i) //nolint:gosec // As many as nodes.
		if !b.alive.has(slot) {
			continue
		}
		info := n.at(slot)
		in.list = append(in.list, info)
		if len(info.PodsWithAffinity) > 0 {
			in.affinity = append(in.affinity, info)
		}
		if len(info.PodsWithRequiredAntiAffinity) > 0 {
			in.antiAffinity = append(in.antiAffinity, info)
		}
	}
	in.version, in.listed = b.version, true
	return in
}

// forget lets go of pods that have gone, when there are many of them.
func (n *nodes) forget() {
	held := 0
	for _, pods := range n.board.on {
		held += len(pods)
	}
	if len(n.pods) > 2*held+spareForms {
		clear(n.pods)
		n.whole, n.thin = infos{}, infos{}
	}
	n.whole.listed, n.thin.listed = false, false
}

// List implements the scheduler's NodeInfoLister.
func (n *nodes) List() ([]fwk.NodeInfo, error) { return n.all().list, nil }

// HavePodsWithAffinityList implements the scheduler's NodeInfoLister.
func (n *nodes) HavePodsWithAffinityList() ([]fwk.NodeInfo, error) { return n.all().affinity, nil }

// HavePodsWithRequiredAntiAffinityList implements the scheduler's NodeInfoLister.
func (n *nodes) HavePodsWithRequiredAntiAffinityList() ([]fwk.NodeInfo, error) {
	return n.all().antiAffinity, nil
}

// Get implements the scheduler's NodeInfoLister.
func (n *nodes) Get(name string) (fwk.NodeInfo, error) {
	if slot := n.board.slot(name); slot != none {
		return n.at(slot), nil
	}
	return nil, fmt.Errorf("node %q is not in the trial", name)
}
