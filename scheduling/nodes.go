package scheduling

import (
	"fmt"
	"slices"

	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// nodes are the nodes of a trial in the order of their names. The infos in it are never changed, only replaced.
type nodes struct {
	names []string
	infos []fwk.NodeInfo
	// affinity and antiAffinity are the nodes with pods that have terms of that kind, made when they are first asked for after a change.
	affinity, antiAffinity []fwk.NodeInfo
	listed                 bool
}

func newNodes(base []baseNode) *nodes {
	n := &nodes{names: make([]string, len(base)), infos: make([]fwk.NodeInfo, len(base))}
	for i := range base {
		n.names[i], n.infos[i] = base[i].node.Name, base[i].info
	}
	return n
}

// get is the node of that name; nil if there is none.
func (n *nodes) get(name string) *framework.NodeInfo {
	i, found := slices.BinarySearch(n.names, name)
	if !found {
		return nil
	}
	return n.at(i)
}

func (n *nodes) at(i int) *framework.NodeInfo {
	info, _ := n.infos[i].(*framework.NodeInfo)
	return info
}

// set puts a node in the place of the one with its name, or takes that away if info is nil. It gives what was there before.
func (n *nodes) set(name string, info *framework.NodeInfo) (before *framework.NodeInfo) {
	n.listed = false
	i, found := slices.BinarySearch(n.names, name)
	switch {
	case found && info != nil:
		before, n.infos[i] = n.at(i), info
	case found:
		before = n.at(i)
		n.names, n.infos = slices.Delete(n.names, i, i+1), slices.Delete(n.infos, i, i+1)
	case info != nil:
		n.names, n.infos = slices.Insert(n.names, i, name), slices.Insert(n.infos, i, fwk.NodeInfo(info))
	}
	return before
}

// List implements the scheduler's NodeInfoLister.
func (n *nodes) List() ([]fwk.NodeInfo, error) { return n.infos, nil }

// HavePodsWithAffinityList implements the scheduler's NodeInfoLister.
func (n *nodes) HavePodsWithAffinityList() ([]fwk.NodeInfo, error) {
	n.list()
	return n.affinity, nil
}

// HavePodsWithRequiredAntiAffinityList implements the scheduler's NodeInfoLister.
func (n *nodes) HavePodsWithRequiredAntiAffinityList() ([]fwk.NodeInfo, error) {
	n.list()
	return n.antiAffinity, nil
}

// Get implements the scheduler's NodeInfoLister.
func (n *nodes) Get(name string) (fwk.NodeInfo, error) {
	if info := n.get(name); info != nil {
		return info, nil
	}
	return nil, fmt.Errorf("node %q is not in the trial", name)
}

// list makes the lists of nodes with affinity terms.
func (n *nodes) list() {
	if n.listed {
		return
	}
	n.affinity, n.antiAffinity, n.listed = n.affinity[:0], n.antiAffinity[:0], true
	for i := range n.infos {
		info := n.at(i)
		if len(info.PodsWithAffinity) > 0 {
			n.affinity = append(n.affinity, info)
		}
		if len(info.PodsWithRequiredAntiAffinity) > 0 {
			n.antiAffinity = append(n.antiAffinity, info)
		}
	}
}
