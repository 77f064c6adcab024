package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/actuator"
	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/ledger/store"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

// looks is how often the nodes are looked at for marks: each look takes off all that it finds, ten soft ones at a time.
const looks = 1000

// Retire takes the daemon out of a cluster: its marks off the nodes, as a daemon does that is put back to observing, then its ledger and its status. No cloud is asked, so
// that an installation whose cloud is away can be taken out as well; machines stay as they are. Nobody else may act meanwhile: the caller holds the lease. An error
// leaves the rest as it is, and what is done already is not done twice by the next try. It tells each thing that it does.
func Retire(ctx context.Context, door api.Interface, namespace string, mayAct func() bool, now func() time.Time, tell func(string)) error {
	claims, err := claimsLeft(ctx, door, namespace)
	if err != nil {
		return err
	}
	marks := actuator.New(door, PoolsOf(nil), actuator.Options{Now: now, MayAct: mayAct})
	for look := 1; ; look++ {
		nodes, err := door.ListNodes(ctx, "")
		if err != nil {
			return fmt.Errorf("list the nodes: %w", err)
		}
		steps := observersSteps(nodes, claims, now())
		if len(steps) == 0 {
			break
		}
		if look > looks {
			return fmt.Errorf("after %d looks there are marks on %d nodes yet, such as %s: somebody puts them there; is another Poolkeeper running?", looks, len(steps), steps[0].Node.Name)
		}
		for _, step := range steps {
			if result := marks.Do(ctx, step); result.Err != "" {
				return errors.New(result.Err)
			}
			tell("took the marks off node " + step.Node.Name)
		}
	}
	for _, name := range append(store.Names(), report.StatusName) {
		if !mayAct() {
			return errors.New("the lease was not renewed in time; nothing more is deleted")
		}
		if err := door.DeleteConfigMap(ctx, namespace, name); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete ConfigMap %s/%s: %w", namespace, name, err)
		} else if err == nil {
			tell("deleted ConfigMap " + namespace + "/" + name)
		}
	}
	return nil
}

// claimsLeft are the claims of the ledger: they know which cordons were there before. A ledger that can't be read in part gives what it can, since its nodes are to be
// freed all the same; the cordons that it says nothing about are known by the nodes' annotations.
func claimsLeft(ctx context.Context, door api.Interface, namespace string) ([]ledger.Change, error) {
	last, err := store.New(door, namespace, store.Options{}).Load(ctx)
	if _, corrupt := errors.AsType[*store.CorruptError](err); err != nil && !corrupt {
		return nil, err
	}
	var claims []ledger.Change
	for _, c := range last.Claims() {
		claims = append(claims, ledger.Put(c))
	}
	return claims, nil
}

// observersSteps are what a daemon that only observes does to these nodes: it takes its marks off, and leaves each cordon as it was before. What else the ledger
// knows, breakers and rollouts, holds nothing here.
func observersSteps(nodes []*corev1.Node, claims []ledger.Change, now time.Time) []plan.Step {
	c := cluster.New()
	for _, node := range nodes {
		c.Apply(now, cluster.Set{Object: node})
	}
	c.Apply(now, cluster.LedgerSaved{Ledger: ledger.Ledger{}.With(claims...)})
	opts := arbiter.Defaults()
	opts.Mode = arbiter.Observe
	p, _ := arbiter.Arbitrate(c.Snapshot(), nil, opts, now)
	return p.Steps
}

// Leave takes an installation out of its cluster: it ends the replicas of its Deployment (none if deployment is empty), waits for the lease that they give back,
// retires, and deletes the lease. It is what the chart's pre-delete hook does.
func Leave(ctx context.Context, c *config.Config, deployment, version string, tell func(string)) error {
	rc, err := restConfig(c, version)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return fmt.Errorf("make a client of the API server at %s: %w", rc.Host, err)
	}
	if deployment != "" {
		if err := stopReplicas(ctx, client, c.Namespace, deployment); err != nil {
			return err
		}
		tell("ended the replicas of Deployment " + c.Namespace + "/" + deployment)
	}
	electing, giveBack := context.WithCancel(ctx)
	defer giveBack()
	f := &fence{clock: clock.RealClock{}, deadline: c.Election.RenewDeadline}
	leads, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		election := Election{
			Identity: identity(), LeaseDuration: c.Election.LeaseDuration, RenewDeadline: c.Election.RenewDeadline, RetryPeriod: c.Election.RetryPeriod,
		}
		ended <- elect(electing, client, election, f, func(lead bool) {
			if lead {
				close(leads)
			}
		}, func(leader string) {
			if leader != election.Identity {
				tell("waits for the lease, which is held by " + leader)
			}
		})
	}()
	select {
	case <-leads:
	case err := <-ended:
		return errors.Join(errors.New("the lease could not be had: another replica holds it, and nothing was done"), err, ctx.Err())
	}
	err = Retire(ctx, api.NewClient(client), c.Namespace, f.open, time.Now, tell)
	giveBack()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	err = client.CoordinationV1().Leases(leaseNamespace).Delete(ctx, leaseName, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Lease %s/%s: %w", leaseNamespace, leaseName, err)
	}
	return nil
}

// stopReplicas scales a Deployment to none. One that is gone has none.
func stopReplicas(ctx context.Context, client kubernetes.Interface, namespace, name string) error {
	deployments := client.AppsV1().Deployments(namespace)
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		scale, err := deployments.GetScale(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		scale.Spec.Replicas = 0
		_, err = deployments.UpdateScale(ctx, name, scale, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("end the replicas of Deployment %s/%s: %w", namespace, name, err)
	}
	return nil
}
