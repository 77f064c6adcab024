package scenarios

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Scenario 56: kill -9 again and again in the middle of a rollout: it goes on from there, three nodes are made and three end, and no mark is left.
func TestARolloutGoesOnWhenItsDaemonWasKilled(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 6, "v1.35.4")), "--upgrade-window=always", "--drain-load-balancer-delay=2s")
	web := s.KwokPool("web")
	p := s.Start("--auto-upgrade=false")
	web.Sized(3, time.Minute)
	s.Deploy("front", 3, "1500m")
	s.Running("front", 3, time.Minute)
	p.Kill()

	upgrade := []string{"--auto-upgrade=true", "--upgrade-version=v1.36.3"}
	p = s.Start(upgrade...)
	end := web.NeverFewerThan(3)
	killed, wait := 0, time.Now()
	s.Eventually(4*time.Minute, func(ctx context.Context) error {
		if err := web.Current(3, "v1.36.3")(ctx); err == nil {
			return nil
		}
		nodes, err := web.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, node := range nodes {
			if s.Marked(ctx, node.Name) && killed < 6 && time.Now().After(wait) {
				killed++
				p.Kill()
				p = s.Start(upgrade...)
				wait = time.Now().Add(4 * time.Second) // each life gets a little further
			}
		}
		return errors.New("the pool is not current")
	})
	end()
	if killed == 0 {
		t.Error("the daemon was never killed")
	}
	web.Sized(3, time.Minute)
	s.Running("front", 3, time.Minute)
	if n := len(s.created()); n != 6 {
		t.Errorf("%d nodes were made in all, want three at first and three in their place", n)
	}
	s.Eventually(time.Minute, func(ctx context.Context) error {
		nodes, err := web.Nodes(ctx)
		for _, node := range nodes {
			if s.Marked(ctx, node.Name) {
				return fmt.Errorf("%s is still marked", node.Name)
			}
		}
		return err
	})
	t.Logf("the daemon was killed %d times", killed)
}

// Scenario 41: a budget that can't be met: its node is set aside, named and uncordoned, and the others get the version.
func TestANodeThatCannotBeDrainedIsSetAsideAndTheNextIsTaken(t *testing.T) {
	s := install(t, "act", pools(pool("web", 3, 6, "v1.35.4")), "--upgrade-window=always", "--drain-load-balancer-delay=1s", "--drain-timeout=10s")
	web := s.KwokPool("web")
	p := s.Start("--auto-upgrade=false")
	web.Sized(3, time.Minute)
	s.Deploy("precious", 1, "1500m")
	s.Budget("precious", 1)
	node := s.Running("precious", 1, time.Minute)[0].Spec.NodeName
	s.Deploy("front", 3, "500m")
	s.Running("front", 3, time.Minute)
	p.Kill()
	s.Start("--auto-upgrade=true", "--upgrade-version=v1.36.3")
	s.Eventually(4*time.Minute, func(ctx context.Context) error {
		nodes, err := web.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			old := n.Status.NodeInfo.KubeletVersion != "v1.36.3"
			_, labelled := n.Labels[cluster.LabelBlocked]
			if old != (n.Name == node) || labelled != old || n.Spec.Unschedulable {
				return fmt.Errorf("%s has %s, labelled %v, cordoned %v; only %s is to stay as it is", n.Name, n.Status.NodeInfo.KubeletVersion, labelled, n.Spec.Unschedulable, node)
			}
		}
		return nil
	})
	if pods := s.Running("precious", 1, time.Minute); pods[0].Spec.NodeName != node {
		t.Errorf("the pod that may not go moved to %s", pods[0].Spec.NodeName)
	}
}
