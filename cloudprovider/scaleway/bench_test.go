package scaleway_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway"
	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

var start = time.Date(2026, 8, 3, 9, 0, 0, 0, time.UTC)

// bench is a fake cloud on a virtual clock, and a provider that talks to it over HTTP.
type bench struct {
	t        conformance.TB
	clock    *clocktesting.FakePassiveClock
	cloud    *fake.Cloud
	server   *httptest.Server
	provider cloudprovider.CloudProvider
	// config is appended to the provider's file.
	config string
}

func newBench(t conformance.TB, opts fake.Options, pools ...fake.PoolSpec) *bench {
	t.Helper()
	b := &bench{t: t, clock: clocktesting.NewFakePassiveClock(start)}
	opts.Clock = b.clock
	b.cloud = fake.New(opts)
	for _, pool := range pools {
		b.cloud.AddPool(pool)
	}
	b.server = httptest.NewServer(b.cloud.Handler())
	t.Cleanup(b.server.Close)
	b.provider = b.connect()
	return b
}

// connect is another provider on the same cloud.
func (b *bench) connect() cloudprovider.CloudProvider {
	b.t.Helper()
	folder, err := os.MkdirTemp("", "poolkeeper-scaleway-")
	if err != nil {
		b.t.Fatalf("%v", err)
	}
	b.t.Cleanup(func() { _ = os.RemoveAll(folder) })
	path := filepath.Join(folder, "scaleway.yaml")
	content := "region: fr-par\ncluster: fake\napiURL: " + b.server.URL + "\nsecretKey: " + fake.SecretKey + "\n" + b.config
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.t.Fatalf("%v", err)
	}
	provider, err := scaleway.New(b.t.Context(), registry.Options{CloudConfig: path, Clock: b.clock, UserAgent: "poolkeeper/test"})
	if err != nil {
		b.t.Fatalf("connect: %v", err)
	}
	return provider
}

// pass lets time go by and looks.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	b.clock.SetTime(b.clock.Now().Add(d))
	b.must(b.provider.Refresh(b.t.Context()))
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%v", err)
	}
}

func (b *bench) group(name string) cloudprovider.NodeGroup {
	b.t.Helper()
	for _, group := range b.provider.NodeGroups() {
		if group.Id() == name {
			return group
		}
	}
	b.t.Fatalf("there is no group %s", name)
	return nil
}

func (b *bench) size(name string) int {
	b.t.Helper()
	size, err := b.group(name).TargetSize(b.t.Context())
	b.must(err)
	return size
}

func (b *bench) instances(name string) []cloudprovider.Instance {
	b.t.Helper()
	list, err := b.group(name).Nodes(b.t.Context())
	b.must(err)
	return list
}

func (b *bench) wantSize(name string, want int) {
	b.t.Helper()
	if got := b.size(name); got != want {
		b.t.Errorf("the size of %s is %d, want %d", name, got, want)
	}
}

func (b *bench) wantClass(err error, want cloudprovider.Class) {
	b.t.Helper()
	if got := cloudprovider.ClassOf(err); got != want {
		b.t.Errorf("error %v is of class %q, want %q", err, got, want)
	}
}

func nodeOf(i cloudprovider.Instance) *corev1.Node {
	node := &corev1.Node{Spec: corev1.NodeSpec{ProviderID: i.ID}}
	node.Name = i.NodeName
	return node
}

// limits are tags that say min and max.
func limits(least, most string) []string {
	return []string{"poolkeeper-min=" + least, "poolkeeper-max=" + most}
}

// withoutSurroundings takes away what the machine on which the test runs may say.
func withoutSurroundings(t *testing.T) {
	t.Helper()
	for _, name := range []string{"SCW_ACCESS_KEY", "SCW_SECRET_KEY", "SCW_DEFAULT_REGION", "SCW_API_URL", "SCW_PROFILE", "SCW_INSECURE", scaleway.ClusterEnv} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SCW_CONFIG_PATH", filepath.Join(t.TempDir(), "none.yaml"))
}
