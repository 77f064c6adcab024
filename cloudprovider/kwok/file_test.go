package kwok_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

const wholeFile = `# Everything that can be said.
versions:
- v1.35.4
- name: v1.36.3
  released: 2026-08-01
  endOfLife: 2027-08-01T12:00:00Z
faults: [error=Transient]
pools:
- name: front
  min: 1
  max: 6
  initialSize: 2
  startupDelay: 30s
  deleteDelay: 5s
  rebootDelay: 1m
  stopDelay: 3s
  faults:
  - slow=2m
  - bad=front-1
  template:
    labels: {tier: web}
    taints:
    - {key: dedicated, value: web, effect: NoSchedule}
    capacity: {cpu: 4, memory: 16Gi, pods: 30, example.com/thing: "2"}
    allocatable: {cpu: 3800m}
    zone: eu-1a
    region: eu-1
    instanceType: m4
    architecture: arm64
    operatingSystem: linux
    version: v1.35.4
    price: 0.25
    capacityType: spot
`

func TestAFileCanSayEverything(t *testing.T) {
	got, err := kwok.ParseConfig("pools.yaml", []byte(wholeFile))
	if err != nil {
		t.Fatal(err)
	}
	want := kwok.Config{
		Versions: []cloudprovider.Version{
			{Name: "v1.35.4"},
			{Name: "v1.36.3", Released: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC), EndOfLife: time.Date(2027, 8, 1, 12, 0, 0, 0, time.UTC)},
		},
		Faults: []kwok.Fault{"error=Transient"},
		Pools: []kwok.Pool{{
			Name: "front", Min: 1, Max: 6, InitialSize: 2,
			StartupDelay: 30 * time.Second, DeleteDelay: 5 * time.Second, RebootDelay: time.Minute, StopDelay: 3 * time.Second,
			Faults: []kwok.Fault{"slow=2m", "bad=front-1"},
			Template: kwok.Template{
				Labels: map[string]string{"tier": "web"},
				Taints: []corev1.Taint{{Key: "dedicated", Value: "web", Effect: corev1.TaintEffectNoSchedule}},
				Capacity: corev1.ResourceList{
					"cpu": resource.MustParse("4"), "memory": resource.MustParse("16Gi"), "pods": resource.MustParse("30"), "example.com/thing": resource.MustParse("2"),
				},
				Allocatable: corev1.ResourceList{"cpu": resource.MustParse("3800m")},
				Zone:        "eu-1a", Region: "eu-1", InstanceType: "m4", Architecture: "arm64", OperatingSystem: "linux",
				Version: "v1.35.4", Price: 0.25, CapacityType: cloudprovider.Spot,
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

// smallFile is right. The tests below spoil one line of it.
const smallFile = `pools:
- name: front
  min: 1
  max: 6
  template:
    capacity: {cpu: 4, memory: 16Gi}
    version: v1.36.3
- name: back
  min: 0
  max: 2
  startupDelay: 10s
  template:
    labels:
      tier: db
    capacity:
      cpu: 8
      memory: 32Gi
    version: v1.36.3
`

func TestWhatIsWrongInAFileIsSaidWithItsLineAndTheRemedy(t *testing.T) {
	if _, err := kwok.ParseConfig("pools.yaml", []byte(smallFile)); err != nil {
		t.Fatalf("the file that is spoilt below is wrong itself: %v", err)
	}
	for name, c := range map[string]struct{ old, fresh, want string }{
		"an unknown field": {
			"  max: 2", "  max: 2\n  maxx: 3",
			"pools.yaml:11: pools[1].maxx: unknown field; the known ones are deleteDelay, faults, initialSize, max, min, name, rebootDelay, startupDelay, stopDelay, template",
		},
		"an unknown field at the top":    {"pools:", "pool: []\npools:", "pools.yaml:1: pool: unknown field; the known ones are faults, pools, versions"},
		"a field twice":                  {"  max: 2", "  max: 2\n  max: 3", "pools.yaml:11: pools[1].max: is there twice; take one out"},
		"min above max":                  {"min: 0", "min: 3", "pools.yaml:10: pools[1].max: 2 is below the min of 3; raise the max or lower the min"},
		"a negative min":                 {"min: 0", "min: -1", "pools.yaml:9: pools[1].min: -1 is negative; use 0 or more"},
		"a max beyond all bounds":        {"max: 2", "max: 100000", "pools.yaml:10: pools[1].max: 100000 is more than the 3000 that a pool can have; use several pools"},
		"an initial size out of bounds":  {"  max: 2", "  max: 2\n  initialSize: 3", "pools.yaml:11: pools[1].initialSize: 3 is not between the min of 0 and the max of 2"},
		"duplicate pools":                {"name: back", "name: front", `pools.yaml:8: pools[1].name: there is another pool "front" above; give each a name of its own`},
		"a pool without a name":          {"- name: back\n  min", "- min", "pools.yaml:8: pools[1].name: is missing; give the pool a name"},
		"a name that is none":            {"name: back", "name: Back End", `pools.yaml:8: pools[1].name: "Back End" is not a name`},
		"a name that is too long":        {"name: back", "name: " + strings.Repeat("b", 51), "has 51 characters; use at most 50"},
		"an unparsable quantity":         {"cpu: 8", "cpu: 8 cores", `pools.yaml:16: pools[1].template.capacity.cpu: "8 cores" is not a quantity; write it like 500m, 4 or 16Gi`},
		"a quantity that takes for ever": {"cpu: 8", "cpu: 1e-999999999", `pools.yaml:16: pools[1].template.capacity.cpu: "1e-999999999" is no quantity that a node can have`},
		"a quantity that never ends":     {"cpu: 8", "cpu: " + strings.Repeat("9", 1000), "pools.yaml:16: pools[1].template.capacity.cpu: "},
		"a resource that is missing":     {"      cpu: 8\n", "", "pools.yaml:15: pools[1].template.capacity: cpu is missing; say how much a node has"},
		"no memory at all":               {"memory: 32Gi", "memory: 0", "pools.yaml:17: pools[1].template.capacity.memory: 0 is too little"},
		"more allocatable than there is": {"capacity:\n      cpu: 8", "allocatable: {cpu: 9}\n    capacity:\n      cpu: 8", "pools.yaml:15: pools[1].template.allocatable.cpu: 9 is more than the capacity of 8"},
		"a bad version":                  {"    version: v1.36.3\n- name", "    version: 1.36\n- name", `pools.yaml:7: pools[0].template.version: "1.36" is not a version; write it like v1.36.3`},
		"no version":                     {"    version: v1.36.3\n- name", "- name", "pools.yaml:5: pools[0].template.version: is missing; name a Kubernetes version, such as v1.36.3"},
		"an unparsable duration":         {"10s", "10", `pools.yaml:11: pools[1].startupDelay: "10" is not a duration; write it like 30s or 2m`},
		"a negative duration":            {"10s", "-10s", "pools.yaml:11: pools[1].startupDelay: -10s is negative"},
		"a number that is none":          {"max: 2", "max: many", `pools.yaml:10: pools[1].max: "many" is not a whole number`},
		"a label that is no text":        {"tier: db", "tier: 1", "pools.yaml:14: pools[1].template.labels.tier: 1 is not text to YAML; write it in quotes"},
		"a label that can't be":          {"tier: db", `tier: "a b"`, `pools.yaml:14: pools[1].template.labels.tier: "a b" is not a value`},
		"a taint without an effect":      {"    labels:", "    taints: [{key: a}]\n    labels:", `pools.yaml:13: pools[1].template.taints[0].effect: "" is not an effect; use NoSchedule, PreferNoSchedule or NoExecute`},
		"an unknown capacity type":       {"    labels:", "    capacityType: cheap\n    labels:", `pools.yaml:13: pools[1].template.capacityType: "cheap" is not known; use on-demand or spot`},
		"a price that is none":           {"    labels:", "    price: cheap\n    labels:", `pools.yaml:13: pools[1].template.price: "cheap" is not a price; write it like 0.12`},
		"an unknown fault":               {"  max: 2", "  max: 2\n  faults: [slow=2m, fire]", `pools.yaml:11: pools[1].faults[1]: fault "fire" is not known`},
		"a list that is none":            {"  max: 2", "  max: 2\n  faults: slow=2m", `pools.yaml:11: pools[1].faults: has to be a list, with "- " before each item`},
		"a mapping that is none":         {"capacity: {cpu: 4, memory: 16Gi}", "capacity: big", "pools.yaml:6: pools[0].template.capacity: has to be a mapping"},
		"a value that is a mapping":      {"max: 2", "max: {of: 2}", "pools.yaml:10: pools[1].max: has to be a single value"},
		"a release that is no moment":    {"pools:", "versions: [{name: v1.36.3, released: soon}]\npools:", `pools.yaml:1: versions[0].released: "soon" is not a moment; write it like 2026-08-01`},
		"a version twice":                {"pools:", "versions: [v1.36.3, v1.36.3]\npools:", "pools.yaml:1: versions[1].name: version v1.36.3 is there twice; take one out"},
		"no YAML":                        {"pools:", "pools: [", "pools.yaml: yaml: line"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(smallFile, c.old) {
				t.Fatalf("there is no %q in the file", c.old)
			}
			_, err := kwok.ParseConfig("pools.yaml", []byte(strings.Replace(smallFile, c.old, c.fresh, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
	for content, want := range map[string]string{
		"":               "pools.yaml:1: the file is empty; add pools",
		"# nothing\n":    "pools.yaml:1: the file is empty; add pools",
		"pools: []\n":    "pools.yaml:1: pools: there are none; add at least one",
		"- name: front":  "pools.yaml:1: the file: has to be a mapping",
		"versions: []\n": "pools.yaml:1: pools: there are none; add at least one",
	} {
		_, err := kwok.ParseConfig("pools.yaml", []byte(content))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v\nwant %s", content, err, want)
		}
	}
}

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	content := strings.NewReplacer("max: 6", "max: 0", "min: 0", "min: -1").Replace(smallFile)
	_, err := kwok.ParseConfig("pools.yaml", []byte(content))
	if err == nil || strings.Count(err.Error(), "pools.yaml:") != 2 {
		t.Errorf("error %v, want two lines", err)
	}
}

func TestNothingInAFileMakesItPanic(t *testing.T) {
	for _, content := range []string{
		"&a [*a]", "pools: &a [*a]", "pools: [null, ~]", "pools: {}", "? [a]\n: b", "pools:\n- *x", "<<: {pools: []}", "pools: [[[]]]",
		"pools: [{template: {labels: {? {a: b} : c}}}]", "versions: [null, {}, [], 1, !!binary aGk=]", "\x00", "---\n---\n",
	} {
		if _, err := kwok.ParseConfig("pools.yaml", []byte(content)); err == nil {
			t.Errorf("%q is a configuration", content)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(wholeFile))
	f.Add([]byte(smallFile))
	f.Fuzz(func(t *testing.T, content []byte) {
		config, err := kwok.ParseConfig("pools.yaml", content)
		if err == nil && config.Validate() != nil {
			t.Errorf("what was read is not valid: %v", config.Validate())
		}
	})
}

func TestAProviderWithoutWhatItNeedsSaysWhat(t *testing.T) {
	b := newBench(t, front())
	options := b.options()
	_, err := kwok.New(t.Context(), options)
	b.wantError(err, "--cloud-config")
	options.CloudConfig = filepath.Join(t.TempDir(), "none.yaml")
	_, err = kwok.New(t.Context(), options)
	b.wantError(err, "none.yaml", "check --cloud-config")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that says that the file is not there", err)
	}
	_, err = kwok.NewFromConfig(kwok.Config{}, b.options())
	b.wantError(err, "pools: there are none")
	options = b.options()
	options.API = nil
	_, err = kwok.NewFromConfig(b.config, options)
	b.wantError(err, "needs an API, a clock and a namespace")
}

func TestAFileIsReadAgainAndABrokenOneLeavesEverythingAsItWas(t *testing.T) {
	b := newBench(t, front())
	path := filepath.Join(t.TempDir(), "pools.yaml")
	write := func(content string) {
		t.Helper()
		b.must(os.WriteFile(path, []byte(content), 0o600))
	}
	write(smallFile)
	options := b.options()
	options.CloudConfig = path
	provider, err := kwok.New(t.Context(), options)
	b.must(err)
	limits := func(want int) {
		t.Helper()
		if got := provider.NodeGroups()[0].MaxSize(); got != want {
			t.Errorf("the max is %d, want %d", got, want)
		}
	}
	b.must(provider.Refresh(t.Context()))
	limits(6)
	write(strings.Replace(smallFile, "max: 6", "max: 7", 1))
	b.must(provider.Refresh(t.Context()))
	limits(7)
	write(strings.Replace(smallFile, "max: 6", "max: much", 1))
	err = provider.Refresh(t.Context())
	b.wantError(err, "pools.yaml:4: pools[0].max")
	if !errors.Is(err, cloudprovider.ErrInvalid) {
		t.Errorf("the error is of class %s", cloudprovider.ClassOf(err))
	}
	limits(7)
	b.must(os.Remove(path))
	b.wantError(provider.Refresh(t.Context()), "can't be read")
	limits(7)
}
