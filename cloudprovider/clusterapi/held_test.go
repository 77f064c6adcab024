package clusterapi_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
)

// field sets a field of an object.
func field(value any, path ...string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) { _ = unstructured.SetNestedField(o.Object, value, path...) }
}

func labelled(key, value string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{key: value}) }
}

// place is a management cluster with a Cluster and one pool, and a provider that has read it.
type place struct {
	*testing.T
	memory   *memory
	cloud    *standin.Standin
	provider *clusterapi.Provider
	object   *unstructured.Unstructured
	cluster  *unstructured.Unstructured
}

func newPlace(t *testing.T, kind string, how ...func(*unstructured.Unstructured)) *place {
	t.Helper()
	p := &place{T: t, memory: newMemory()}
	p.cluster = create(t, p.memory, cluster())
	p.object = create(t, p.memory, resource(kind, "front", how...))
	p.cloud = &standin.Standin{Client: p.memory}
	p.provider = clusterapi.NewFromClient(clusterapi.Config{}, p.memory, mapper())
	p.settle()
	return p
}

func (p *place) settle() {
	p.Helper()
	if err := p.cloud.Settle(p.Context()); err != nil {
		p.Fatal(err)
	}
	p.refresh()
}

func (p *place) refresh() {
	p.Helper()
	if err := p.provider.Refresh(p.Context()); err != nil {
		p.Fatal(err)
	}
}

func (p *place) group() cloudprovider.NodeGroup {
	p.Helper()
	groups := p.provider.NodeGroups()
	if len(groups) != 1 {
		p.Fatalf("there are %d pools, want 1", len(groups))
	}
	return groups[0]
}

func (p *place) instances() []cloudprovider.Instance {
	p.Helper()
	list, err := p.group().Nodes(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return list
}

func (p *place) target() int {
	p.Helper()
	size, err := p.group().TargetSize(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return size
}

func TestTheMachineSetsOfAMachineDeploymentAreNoPoolsOfTheirOwn(t *testing.T) {
	p := newPlace(t, "MachineDeployment")
	sets := p.memory.objects[standin.Resource("machinesets")]
	for _, set := range sets {
		if set.GetAnnotations()[clusterapi.AnnotationMax] == "" {
			t.Error("the stand-in does not hand the annotations down, as Cluster API does; this test would see nothing")
		}
	}
	if id := p.group().Id(); len(sets) != 1 || id != "MachineDeployment/fleet/front" || len(p.instances()) != 3 {
		t.Errorf("there are %d MachineSets, and pool %s with %d machines", len(sets), id, len(p.instances()))
	}
}

func TestWhatIsHeldAndWhy(t *testing.T) {
	topology := func(replicas bool) func(*unstructured.Unstructured) {
		entry := map[string]any{"name": "workers"}
		if replicas {
			entry["replicas"] = int64(3)
		}
		return field([]any{entry}, "spec", "topology", "workers", "machineDeployments")
	}
	everything := []cloudprovider.Job{cloudprovider.Autoscale, cloudprovider.Autoheal, cloudprovider.AutoUpgrade}
	for _, c := range []struct {
		name         string
		pool, around []func(*unstructured.Unstructured)
		want         []cloudprovider.Job
		why          string
	}{
		{name: "nothing, at rest"},
		{name: "everything, while the resource is paused", pool: some(field(true, "spec", "paused")), want: everything, why: "paused by its spec.paused"},
		{name: "everything, while its annotation says so", pool: some(annotated("cluster.x-k8s.io/paused", "")), want: everything, why: "paused by its annotation"},
		{name: "everything, while its Cluster is paused", around: some(field(true, "spec", "paused")), want: everything, why: "its Cluster fleet/prod is paused"},
		{
			name: "scaling and upgrades, where the topology has both",
			pool: some(owned), around: some(topology(true)), want: []cloudprovider.Job{cloudprovider.Autoscale, cloudprovider.AutoUpgrade}, why: "take them out there",
		},
		{name: "upgrades, where the topology has the version", pool: some(owned), around: some(topology(false)), want: []cloudprovider.Job{cloudprovider.AutoUpgrade}, why: "spec.topology.version"},
		{
			name: "upgrades, where people roll", pool: some(field("OnDelete", "spec", "rollout", "strategy", "type")),
			want: []cloudprovider.Job{cloudprovider.AutoUpgrade}, why: "OnDelete",
		},
		{
			name: "upgrades, where people roll, as older versions write it", pool: some(field("OnDelete", "spec", "strategy", "type")),
			want: []cloudprovider.Job{cloudprovider.AutoUpgrade}, why: "OnDelete",
		},
		{
			name: "all but growing, while it is rolled", pool: some(field("v1.36.3", "spec", "template", "spec", "version")),
			want: []cloudprovider.Job{cloudprovider.ScaleDown, cloudprovider.Autoheal, cloudprovider.AutoUpgrade}, why: "3 of its machines are not of version v1.36.3 yet",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, "MachineDeployment")
			change(t, p.memory, p.object, c.pool...)
			change(t, p.memory, p.cluster, c.around...)
			p.refresh()
			held := p.group().(cloudprovider.JobHolder).HeldJobs()
			var jobs []cloudprovider.Job
			for _, h := range held {
				jobs = append(jobs, h.Job)
			}
			if len(jobs) != len(c.want) {
				t.Fatalf("held are %+v, want %v", held, c.want)
			}
			for i, job := range c.want {
				if jobs[i] != job {
					t.Errorf("held are %v, want %v", jobs, c.want)
				}
			}
			if len(held) > 0 && !strings.Contains(held[0].Message, c.why) {
				t.Errorf("the reason is %q, want %q in it", held[0].Message, c.why)
			}
		})
	}
}

func some(how ...func(*unstructured.Unstructured)) []func(*unstructured.Unstructured) { return how }

// owned makes it a resource of the Cluster's topology.
func owned(o *unstructured.Unstructured) {
	o.SetLabels(map[string]string{"topology.cluster.x-k8s.io/owned": "", "topology.cluster.x-k8s.io/deployment-name": "workers"})
}

func TestNothingIsWrittenToWhatIsPaused(t *testing.T) {
	p := newPlace(t, "MachineDeployment")
	victim := p.instances()[0]
	change(t, p.memory, p.object, field(true, "spec", "paused")) // after the last Refresh: the live object counts
	for name, err := range map[string]error{
		"IncreaseSize": p.group().IncreaseSize(t.Context(), 1),
		"DeleteNodes":  p.group().DeleteNodes(t.Context(), nodesOf(victim)),
		"ReplaceNodes": p.group().(cloudprovider.Replacer).ReplaceNodes(t.Context(), nodesOf(victim)),
		"Upgrade":      p.group().(cloudprovider.NativeUpgrader).UpgradeNatively(t.Context(), "v1.36.3"),
	} {
		if cloudprovider.ClassOf(err) != cloudprovider.ClassTransient || !strings.Contains(err.Error(), "paused") {
			t.Errorf("%s gave %v", name, err)
		}
	}
	p.settle()
	if p.target() != 3 || len(p.instances()) != 3 {
		t.Errorf("the target is %d, with %d machines", p.target(), len(p.instances()))
	}
}

func TestWhoRollsDependsOnTheKind(t *testing.T) {
	for kind, native := range map[string]bool{"MachineDeployment": true, "MachinePool": true, "MachineSet": false} {
		p := newPlace(t, kind)
		_, isNative := cloudprovider.As[cloudprovider.NativeUpgrader](p.group())
		_, isVersioned := cloudprovider.As[cloudprovider.Versioned](p.group())
		_, tells := cloudprovider.As[cloudprovider.VersionTeller](p.group())
		if isNative != native || isVersioned == native || !tells {
			t.Errorf("%s: native %v, versioned %v, tells its version %v", kind, isNative, isVersioned, tells)
		}
	}
}

func TestLimitsThatMakeNoSenseAreThePoolsProblem(t *testing.T) {
	for want, how := range map[string]func(*unstructured.Unstructured){
		"has no annotation " + clusterapi.AnnotationMax: func(o *unstructured.Unstructured) {
			o.SetAnnotations(map[string]string{clusterapi.AnnotationMin: "1"})
		},
		`is "many"; write a whole number`:    annotated(clusterapi.AnnotationMax, "many"),
		`is "-1"; write a whole number`:      annotated(clusterapi.AnnotationMin, "-1"),
		"its min of 9 is above its max of 6": annotated(clusterapi.AnnotationMin, "9"),
	} {
		p := newPlace(t, "MachineDeployment", how)
		if _, err := p.group().TargetSize(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q in it", err, want)
		}
	}
}

func TestAResourceWithoutAnnotationsIsNoPool(t *testing.T) {
	p := newPlace(t, "MachineDeployment", func(o *unstructured.Unstructured) { o.SetAnnotations(nil) })
	if groups := p.provider.NodeGroups(); len(groups) != 0 {
		t.Errorf("the pools are %v", groups)
	}
}

func TestOnlyWhatIsToBeDiscoveredIsAPool(t *testing.T) {
	m := newMemory()
	create(t, m, cluster())
	create(t, m, resource("MachineDeployment", "front", labelled("team", "shop")))
	create(t, m, resource("MachineSet", "back", labelled("team", "data"), field("other", "spec", "clusterName")))
	for _, c := range []struct {
		discover []clusterapi.Discover
		want     int
	}{
		{nil, 2},
		{[]clusterapi.Discover{{Namespace: namespace}}, 2},
		{[]clusterapi.Discover{{Namespace: "elsewhere"}}, 0},
		{[]clusterapi.Discover{{ClusterName: "prod"}}, 1},
		{[]clusterapi.Discover{{Labels: map[string]string{"team": "data"}}}, 1},
		{[]clusterapi.Discover{{Labels: map[string]string{"team": "data"}, ClusterName: "prod"}}, 0},
		{[]clusterapi.Discover{{Labels: map[string]string{"team": "data"}}, {ClusterName: "prod"}}, 2},
	} {
		p := clusterapi.NewFromClient(clusterapi.Config{Discover: c.discover}, m, mapper())
		if err := p.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(p.NodeGroups()); got != c.want {
			t.Errorf("with %+v there are %d pools, want %d", c.discover, got, c.want)
		}
	}
}
