package scaleway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

func TestScalewayIsAProvider(t *testing.T) {
	withoutSurroundings(t)
	t.Run("with the autoscaler endpoints", func(t *testing.T) {
		conformance.Run(t, conformance.Harness{Name: "scaleway", New: func(t conformance.TB) conformance.Fixture { return newFixture(t, fake.Options{}, false) }})
	})
	t.Run("with the instance catalogue, and failures that come late", func(t *testing.T) {
		conformance.Run(t, conformance.Harness{Name: "scaleway Kosmos", New: func(t conformance.TB) conformance.Fixture {
			return newFixture(t, fake.Options{NoAutoscalerEndpoints: true, Kosmos: true}, true)
		}})
	})
}

// newFixture is a cluster whose control plane is a version ahead of its pools. Late makes creations fail with nodes that could not be made, where the
// other way is a refusal.
func newFixture(t conformance.TB, opts fake.Options, late bool) conformance.Fixture {
	opts.Version = "1.36.3"
	b := newBench(t, opts,
		fake.PoolSpec{Name: "front", Size: 3, Tags: limits("1", "6"), Version: "1.35.4", MaxSurge: 1},
		fake.PoolSpec{Name: "back", Size: 2, NodeType: "dev1_m", Zone: "nl-ams-1", Version: "1.35.4"},
	)
	return conformance.Fixture{
		Provider: b.provider, Group: "front", Other: "back", Reconnect: b.connect,
		Settle: func() { b.clock.SetTime(b.clock.Now().Add(3 * time.Minute)) },
		Reads: func() int {
			n := 0
			for _, r := range b.cloud.Requests() {
				if r.Method == http.MethodGet {
					n++
				}
			}
			return n
		},
		Break: func(broken bool) {
			b.cloud.Heal()
			if broken {
				b.cloud.Inject(fake.Fault{Status: http.StatusBadGateway})
			}
		},
		Vanish: b.cloud.Vanish,
		FailCreation: func(class cloudprovider.Class) {
			kinds := map[cloudprovider.Class]string{cloudprovider.ClassOutOfResources: "out_of_stock", cloudprovider.ClassQuota: "quotas_exceeded"}
			if late {
				b.cloud.FailNodes("front", "Server creation failed: "+kinds[class])
				return
			}
			b.cloud.Refuse("front", kinds[class])
		},
		Withhold: func() { b.cloud.Withhold("front", true) },
		Lose: func() {
			b.cloud.Inject(fake.Fault{Writes: true, Late: true, Status: http.StatusGatewayTimeout, Times: 1})
		},
		Hide: b.cloud.Hide,
		Cut: func(cut bool) {
			b.cloud.Heal()
			if cut {
				b.cloud.Inject(fake.Fault{Lists: true, Cut: true})
			}
		},
		Refuse: func(class cloudprovider.Class, retryAfter time.Duration) {
			refusal := fake.Fault{Status: http.StatusForbidden, Type: "permissions_denied"}
			if class == cloudprovider.ClassTransient {
				refusal = fake.Fault{Status: http.StatusTooManyRequests, RetryAfter: retryAfter}
			}
			b.cloud.Inject(refusal)
		},
		Hold: func() []cloudprovider.Job {
			b.cloud.SetPool("front", func(s *fake.PoolSwitches) { s.Autoscaling, s.Autohealing = true, true })
			return []cloudprovider.Job{cloudprovider.Autoscale, cloudprovider.Autoheal}
		},
	}
}
