package scheduling

import (
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// view is what the plugins look at: the nodes of the open trial, and the snapshot that it stands on. The plugins keep what they are given
// when they are built, so there is one view for the life of an engine.
type view struct {
	trial    *trial
	nodes    *nodes
	objects  *objects
	extended extended
}

func newView() *view {
	v := &view{}
	v.show(&trial{snapshot: &cluster.Snapshot{}})
	v.objects = newObjects(v)
	return v
}

// show lets the plugins see another trial.
func (v *view) show(t *trial) {
	v.trial = t
	v.extended = extended{}
	if v.objects != nil {
		v.objects.forget()
	}
}

// NodeInfos implements the scheduler's SharedLister.
func (v *view) NodeInfos() fwk.NodeInfoLister { return v.nodes }

// StorageInfos implements the scheduler's SharedLister.
func (v *view) StorageInfos() fwk.StorageInfoLister { return v }

// PodGroupStates implements the scheduler's SharedLister.
func (v *view) PodGroupStates() fwk.PodGroupStateLister { return noGroups{} }

// noGroups knows no group of pods: they are behind a feature gate that is off by default.
type noGroups struct{}

// Get implements the scheduler's PodGroupStateLister.
func (noGroups) Get(namespace, name string) (fwk.PodGroupState, error) {
	return nil, fmt.Errorf("pod group %s/%s: groups of pods are not simulated yet", namespace, name)
}

// IsPVCUsedByPods implements the scheduler's StorageInfoLister. Only pods with a ReadWriteOncePod claim are asked about.
func (v *view) IsPVCUsedByPods(key string) bool {
	for _, info := range v.nodes.all().list {
		if info.GetPVCRefCounts()[key] > 0 {
			return true
		}
	}
	return false
}

// CSINodes implements the scheduler's CSIManager.
func (v *view) CSINodes() fwk.CSINodeLister { return csiNodes{v} }

// csiNodes are the snapshot's, and those of the trial's new nodes.
type csiNodes struct{ view *view }

// List implements the scheduler's CSINodeLister.
func (c csiNodes) List() ([]*storagev1.CSINode, error) {
	var all []*storagev1.CSINode
	for node := range c.view.trial.snapshot.CSINodes.Values() {
		all = append(all, node)
	}
	return all, nil
}

// Get implements the scheduler's CSINodeLister.
func (c csiNodes) Get(name string) (*storagev1.CSINode, error) {
	if node, ok := c.view.trial.csiNode(name); ok {
		return node, nil
	}
	return nil, apierrors.NewNotFound(storagev1.Resource("csinodes"), name)
}
