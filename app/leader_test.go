package app

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
)

var testElection = Election{Identity: "me", LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}

// candidacy is an election in which one replica runs.
type candidacy struct {
	fence *fence
	leads atomic.Bool
	away  atomic.Bool // the API server
	quit  context.CancelFunc
	over  chan struct{}
}

func campaign(t *testing.T, test func(c *candidacy, client *fake.Clientset)) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		c := &candidacy{fence: &fence{clock: clock.RealClock{}, deadline: testElection.RenewDeadline}, over: make(chan struct{})}
		client.PrependReactor("*", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return c.away.Load(), nil, errors.New("connection refused")
		})
		ctx, quit := context.WithCancel(t.Context())
		c.quit = quit
		go func() {
			defer close(c.over)
			if err := elect(ctx, client, testElection, c.fence, c.leads.Store, func(string) {}); err != nil {
				t.Error(err)
			}
		}()
		defer func() {
			quit()
			<-c.over
		}()
		pass(time.Second)
		test(c, client)
	})
}

func TestTheFenceIsOpenWhileTheLeaseIsRenewed(t *testing.T) {
	campaign(t, func(c *candidacy, _ *fake.Clientset) {
		for range 100 {
			if !c.leads.Load() || !c.fence.open() {
				t.Fatalf("leads: %v, fence open: %v", c.leads.Load(), c.fence.open())
			}
			pass(time.Second)
		}
	})
}

func TestTheFenceClosesBeforeAnotherReplicaCanLead(t *testing.T) {
	campaign(t, func(c *candidacy, _ *fake.Clientset) {
		c.away.Store(true)
		pass(testElection.RenewDeadline + time.Millisecond)
		if c.fence.open() {
			t.Error("the fence is open though the lease was not renewed within the deadline")
		}
		pass(testElection.LeaseDuration)
		if c.leads.Load() {
			t.Error("it still leads")
		}
		<-c.over
	})
}

func TestTheFenceClosesWhenTheLeaseIsGivenBack(t *testing.T) {
	campaign(t, func(c *candidacy, client *fake.Clientset) {
		c.quit()
		<-c.over
		if c.fence.open() || c.leads.Load() {
			t.Errorf("leads: %v, fence open: %v", c.leads.Load(), c.fence.open())
		}
		lease, err := client.CoordinationV1().Leases(leaseNamespace).Get(context.Background(), leaseName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
			t.Errorf("the lease is still held by %s", *holder)
		}
	})
}

func TestTheFenceIsClosedBeforeTheFirstLease(t *testing.T) {
	if f := (&fence{clock: clock.RealClock{}, deadline: time.Hour}); f.open() {
		t.Error("the fence is open")
	}
}
