package scheduling

import (
	"context"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	fwk "k8s.io/kube-scheduler/framework"
)

// handle is what the plugins are built with. It has what they ask for while they filter; the rest of the interface is for binding and
// preempting, which never happens here, and is left nil. (The kube-scheduler's own handle would do too, but starts a goroutine for its
// metrics and reads the clock in each call.)
type handle struct {
	fwk.Handle
	view *view
}

// SnapshotSharedLister implements the scheduler's Handle.
func (h handle) SnapshotSharedLister() fwk.SharedLister { return h.view }

// SharedInformerFactory implements the scheduler's Handle.
func (h handle) SharedInformerFactory() informers.SharedInformerFactory { return h.view.objects }

// SharedCSIManager implements the scheduler's Handle.
func (h handle) SharedCSIManager() fwk.CSIManager { return h.view }

// SharedDRAManager implements the scheduler's Handle.
func (h handle) SharedDRAManager() fwk.SharedDRAManager { return deviceManager{h.view} }

// ClientSet implements the scheduler's Handle. The volume plugin keeps it for binding.
func (h handle) ClientSet() kubernetes.Interface { return nil }

// Parallelizer implements the scheduler's Handle.
func (h handle) Parallelizer() fwk.Parallelizer { return oneByOne{} }

// oneByOne does one piece of work after the other: an engine belongs to one goroutine.
type oneByOne struct{}

// Until implements the scheduler's Parallelizer.
func (oneByOne) Until(_ context.Context, pieces int, do workqueue.DoWorkPieceFunc, _ string) {
	for i := range pieces {
		do(i)
	}
}
