package app

import (
	"context"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
)

// leaseNamespace and leaseName are the fixed place of the one Lease of the cluster: two installations in two namespaces meet there, and one
// of them stands by.
const (
	leaseNamespace = "kube-system"
	leaseName      = "poolkeeper"
)

// Election is how leadership is held.
type Election struct {
	// Identity names this replica.
	Identity string
	// LeaseDuration, RenewDeadline and RetryPeriod are as in client-go (--leader-elect-lease-duration and so on).
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}

// fence knows when the lease was last renewed. An effect may only begin while that is within the renew deadline: a leader that lost touch
// must be still before another one can have taken over.
type fence struct {
	clock    clock.PassiveClock
	deadline time.Duration
	// renewed is when the lease was last renewed; nil if it is not held.
	renewed atomic.Pointer[time.Time]
}

// open tells whether an effect may begin now. The time that is kept has the monotonic clock's reading, so that a wall clock that jumps back can't keep
// the fence open.
func (f *fence) open() bool {
	at := f.renewed.Load()
	return at != nil && f.clock.Now().Sub(*at) < f.deadline
}

// renewals notes every successful write of the lease by this replica.
type renewals struct {
	resourcelock.Interface
	fence *fence
}

// Create implements resourcelock.Interface.
func (r renewals) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return r.note(record, func() error { return r.Interface.Create(ctx, record) })
}

// Update implements resourcelock.Interface.
func (r renewals) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return r.note(record, func() error { return r.Interface.Update(ctx, record) })
}

func (r renewals) note(record resourcelock.LeaderElectionRecord, write func() error) error {
	begun := r.fence.clock.Now() // the lease counts from before the write, not from its answer
	err := write()
	switch {
	case err != nil:
	case record.HolderIdentity == r.Identity():
		r.fence.renewed.Store(&begun)
	default:
		r.fence.renewed.Store(nil) // given back
	}
	return err
}

// elect holds the lease for as long as it can, and gives it back when the context ends. It returns when leadership is lost or given back.
func elect(ctx context.Context, client kubernetes.Interface, e Election, f *fence, lead func(bool), follow func(leader string)) error {
	lock := renewals{fence: f, Interface: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: leaseNamespace, Name: leaseName},
		Client:     client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: e.Identity},
	}}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: leaseName, ReleaseOnCancel: true,
		LeaseDuration: e.LeaseDuration, RenewDeadline: e.RenewDeadline, RetryPeriod: e.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { lead(true) },
			OnStoppedLeading: func() { lead(false) },
			OnNewLeader:      follow,
		},
	})
	if err != nil {
		return err
	}
	elector.Run(ctx)
	return nil
}
