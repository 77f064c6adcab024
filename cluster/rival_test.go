package cluster_test

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

func TestAnotherAutoscalerIsAliveWhileItsLeaseIsSeenToBeRenewed(t *testing.T) {
	start := time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)
	lease := func(holder string, renewed time.Time) cluster.Set {
		seconds := int32(15)
		return cluster.Set{Object: &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: cluster.RivalLease},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &metav1.MicroTime{Time: renewed}, LeaseDurationSeconds: &seconds},
		}}
	}
	for _, test := range []struct {
		name string
		does func(c *cluster.Cluster)
		at   time.Duration
		want bool
	}{
		{"it was just renewed", func(c *cluster.Cluster) { c.Apply(start, lease("ca", start)) }, 14 * time.Second, true},
		{"it was not renewed again", func(c *cluster.Cluster) { c.Apply(start, lease("ca", start)) }, 15 * time.Second, false},
		{"its clock is five minutes behind", func(c *cluster.Cluster) { c.Apply(start, lease("ca", start.Add(-5*time.Minute))) }, time.Second, true},
		{"somebody left it behind", func(c *cluster.Cluster) { c.Apply(start, lease("ca", start.Add(-time.Hour))) }, time.Second, false},
		{"its clock is an hour behind, and it renews", func(c *cluster.Cluster) {
			c.Apply(start, lease("ca", start.Add(-time.Hour)))
			c.Apply(start.Add(2*time.Second), lease("ca", start.Add(2*time.Second-time.Hour)))
		}, 16 * time.Second, true},
		{"it was given back", func(c *cluster.Cluster) {
			c.Apply(start, lease("ca", start))
			c.Apply(start.Add(time.Second), lease("", start.Add(time.Second)))
		}, 2 * time.Second, false},
		{"the same renewal was delivered again", func(c *cluster.Cluster) {
			c.Apply(start, lease("ca", start))
			c.Apply(start.Add(10*time.Second), lease("ca", start))
		}, 16 * time.Second, false},
		{"it was deleted", func(c *cluster.Cluster) {
			c.Apply(start, lease("ca", start))
			c.Apply(start, cluster.Unset{Object: lease("ca", start).Object})
		}, time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cluster.New()
			test.does(c)
			if _, alive := c.Snapshot().Rival(start.Add(test.at)); alive != test.want {
				t.Errorf("alive: %v, want %v", alive, test.want)
			}
		})
	}
}

func TestRenewalsOfAnotherAutoscalerMakeNoNewPicture(t *testing.T) {
	c, now := cluster.New(), time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)
	holder := "ca"
	renew := func() {
		c.Apply(now, cluster.Set{Object: &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: cluster.RivalLease},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &metav1.MicroTime{Time: now}},
		}})
	}
	renew()
	first := c.Snapshot()
	now = now.Add(2 * time.Second)
	renew()
	second := c.Snapshot()
	if first.Generation != second.Generation {
		t.Error("a renewal in time makes a new picture")
	}
	if _, alive := second.Rival(now.Add(14 * time.Second)); !alive {
		t.Error("the snapshot doesn't know of the renewal")
	}
	now = now.Add(time.Minute)
	renew()
	if c.Snapshot().Generation == second.Generation {
		t.Error("one that comes back after a silence is not told of")
	}
}
