package kwok_test

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

func TestTheFakeCloudIsAProvider(t *testing.T) {
	conformance.Run(t, conformance.Harness{New: newFixture})
}

func newFixture(t conformance.TB) conformance.Fixture {
	memory, clock := newMemory(), clocktesting.NewFakePassiveClock(start)
	config := kwok.Config{
		Versions: []cloudprovider.Version{{Name: "v1.36.3"}, {Name: "v1.35.4"}},
		Pools:    []kwok.Pool{front(), front()},
	}
	config.Pools[0].InitialSize, config.Pools[0].DeleteDelay = 3, 5*time.Second
	config.Pools[1].Name = "back"
	connect := func() cloudprovider.CloudProvider {
		provider, err := kwok.NewFromConfig(config, registry.Options{API: memory, Clock: clock, Namespace: namespace})
		if err != nil {
			t.Fatalf("connect: %v", err)
		}
		return provider
	}
	set := func(list ...kwok.Fault) {
		t.Helper()
		if err := kwok.SetFaults(t.Context(), memory, namespace, "front", list...); err != nil {
			t.Fatalf("set faults: %v", err)
		}
	}
	return conformance.Fixture{
		Provider: connect(), Group: "front", Other: "back", Reconnect: connect,
		Settle: func() { clock.SetTime(clock.Now().Add(time.Minute)) },
		Reads: func() int {
			memory.mutex.Lock()
			defer memory.mutex.Unlock()
			return memory.calls["get configmap"] + memory.calls["get node"] + memory.calls["list nodes"]
		},
		Break: func(broken bool) {
			memory.fail(nil)
			if broken {
				memory.fail(apierrors.NewInternalError(errors.New("the API server is away")))
			}
		},
		Vanish: func(id string) { set(kwok.Fault("vanish=" + id[len(kwok.ProviderIDPrefix+"front/"):])) },
		FailCreation: func(class cloudprovider.Class) {
			fault := kwok.Fault("outOfStock")
			if class == cloudprovider.ClassQuota {
				fault = "quota"
			}
			set(fault)
		},
		Withhold: func() { set("pending") },
		Lose: func() {
			memory.mutex.Lock()
			defer memory.mutex.Unlock()
			memory.lost = true
		},
		Refuse: func(class cloudprovider.Class, retryAfter time.Duration) {
			refusal := apierrors.NewUnauthorized("who are you?")
			if class == cloudprovider.ClassTransient {
				refusal = apierrors.NewTooManyRequests("too many requests", int(retryAfter.Seconds()))
			}
			memory.fail(refusal)
		},
	}
}
