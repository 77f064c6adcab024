package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// picture drives a reader as the daemon does: what was read becomes the picture that the next read starts from.
type picture struct {
	*testing.T
	cluster *cluster.Cluster
	clouds  []*cloud
	reader  *reader
	said    said
	last    []cluster.ProviderObserved
}

func newPicture(t *testing.T, clouds ...*cloud) *picture {
	return &picture{T: t, cluster: cluster.New(), clouds: clouds, said: said{}, reader: &reader{settings: limits, timeout: time.Minute}}
}

func (p *picture) read() *cluster.Snapshot {
	p.last = nil
	for _, c := range p.clouds {
		p.last = append(p.last, p.reader.read(context.Background(), c, p.cluster.Snapshot(), func() time.Time { return start }))
	}
	for _, o := range p.last {
		for _, problem := range p.said.take(&o) {
			p.cluster.Apply(start, problem)
		}
		p.cluster.Apply(start, o)
	}
	return p.cluster.Snapshot()
}

func (p *picture) node(name, providerID string) {
	p.cluster.Apply(start, cluster.Set{Object: node(name, providerID)})
}

func (p *picture) pool(name string) *cluster.Pool {
	p.Helper()
	pool, ok := p.cluster.Snapshot().Pools.Get(name)
	if !ok {
		p.Fatalf("there is no pool %s", name)
	}
	return pool
}

func (p *picture) wantProblem(pool, part string) {
	p.Helper()
	if got := p.pool(pool).Problem; (part == "") != (got == "") || !strings.Contains(got, part) {
		p.Errorf("the problem of pool %s is %q, want one with %q", pool, got, part)
	}
}

// oneGroup is a cloud named "a" with a pool "front" of the instances.
func oneGroup(instances ...string) (*cloud, *group) {
	g := &group{name: "front", max: 9, target: len(instances), instances: instances}
	return &cloud{name: "a", groups: []cloudprovider.NodeGroup{g}, has: map[string]bool{}}, g
}

func TestAPoolIsReadAsItsProviderShowsIt(t *testing.T) {
	c, g := oneGroup("a://1", "a://2")
	g.min = 1
	c.groups = append(c.groups, &group{name: "could-be", unmade: true})
	p := newPicture(t, c)
	s := p.read()
	if s.Pools.Len() != 1 || s.Instances.Len() != 2 {
		t.Errorf("there are %d pools and %d instances, want 1 and 2: a group that isn't made is no pool", s.Pools.Len(), s.Instances.Len())
	}
	pool := p.pool("front")
	if pool.Provider != "a" || pool.Target != 2 || pool.Settings.Min != 1 || pool.Settings.Max != 9 || !pool.Observed.Equal(start) || pool.Template == nil {
		t.Errorf("the pool is %+v", pool)
	}
	p.wantProblem("front", "")
}

func TestAProviderThatFailsDoesNotStopTheOthers(t *testing.T) {
	a, _ := oneGroup("a://1")
	b := &cloud{name: "b", groups: []cloudprovider.NodeGroup{&group{name: "back", max: 1, target: 1, instances: []string{"b://1"}}}}
	p := newPicture(t, a, b)
	p.read()
	a.refresh = errors.New("the cloud is closed")
	s := p.read()
	p.wantProblem("front", "the cloud is closed")
	p.wantProblem("back", "")
	if i, ok := s.Instances.Get("a://1"); !ok || i.Gone || i.Absent > 0 {
		t.Errorf("the instance of the failing provider is %+v: what was not read stays as it was", i)
	}
	a.refresh = nil
	p.read()
	p.wantProblem("front", "")
}

func TestAProviderThatHangsIsGivenUp(t *testing.T) {
	a, _ := oneGroup("a://1")
	a.refresh = nil
	p := newPicture(t, a)
	p.reader.timeout = 0 // is over at once
	p.read()
	if got := p.last[0].Err; !strings.Contains(got, context.DeadlineExceeded.Error()) {
		t.Errorf("the error is %q", got)
	}
}

func TestAPoolsErrorIsItsOwnProblem(t *testing.T) {
	for _, method := range []string{"GetOptions", "TargetSize", "TemplateNodeInfo", "Nodes"} {
		t.Run(method, func(t *testing.T) {
			c, sick := oneGroup("a://1")
			c.groups = append(c.groups, &group{name: "back", max: 1, target: 1, instances: []string{"a://9"}})
			p := newPicture(t, c)
			p.read()
			sick.failing = map[string]error{method: errors.New("the disk is full")}
			sick.instances = nil
			c.has["a://1"] = false
			s := p.read()
			p.wantProblem("front", "the disk is full")
			p.wantProblem("back", "")
			if i, ok := s.Instances.Get("a://1"); !ok || i.Gone || i.Absent > 0 {
				t.Errorf("the instance of the failing pool is %+v: a list that failed says nothing", i)
			}
			if len(c.looks) > 0 {
				t.Errorf("it was looked directly at %v, whose list failed", c.looks)
			}
		})
	}
}

func TestSettingsThatContradictEachOtherAreThePoolsProblem(t *testing.T) {
	c, g := oneGroup()
	g.min, g.max = 3, 2
	p := newPicture(t, c)
	p.read()
	p.wantProblem("front", "min is above max")
}

func TestWhatAProviderCanNotDoIsNoProblem(t *testing.T) {
	c, g := oneGroup()
	g.failing = map[string]error{"GetOptions": cloudprovider.ErrNotImplemented, "TemplateNodeInfo": cloudprovider.ErrNotImplemented}
	p := newPicture(t, c)
	p.read()
	p.wantProblem("front", "")
}

func TestAMissingInstanceIsOnlyGoneWhenADirectLookSaysSo(t *testing.T) {
	for _, c := range []struct {
		name        string
		has         map[string]bool
		known, gone bool
	}{
		{"the look finds it", map[string]bool{"a://1": true}, true, false},
		{"the look fails", nil, true, false},
		{"the look finds nothing, and its node is left", map[string]bool{"a://1": false}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cloud, g := oneGroup("a://1", "a://2")
			p := newPicture(t, cloud)
			p.node("n1", "a://1")
			p.read()
			g.instances = []string{"a://2"}
			cloud.has = c.has
			s := p.read()
			i, ok := s.Instances.Get("a://1")
			if !ok || i.Gone != c.gone || i.Absent != 1 {
				t.Errorf("the instance is %+v (known: %v), want gone: %v, once absent", i, ok, c.gone)
			}
			if !slices.Equal(cloud.looks, []string{"a://1"}) {
				t.Errorf("it was looked at %v, want only at the one that is missing", cloud.looks)
			}
		})
	}
	t.Run("the look finds nothing, and it has no node", func(t *testing.T) {
		cloud, g := oneGroup("a://1")
		p := newPicture(t, cloud)
		p.read()
		g.instances, cloud.has = nil, map[string]bool{"a://1": false}
		if _, ok := p.read().Instances.Get("a://1"); ok {
			t.Error("the instance is still known")
		}
	})
}

func TestWhatIsKnownToBeGoneIsNotLookedAtAgain(t *testing.T) {
	cloud, g := oneGroup("a://1")
	p := newPicture(t, cloud)
	p.node("n1", "a://1")
	p.read()
	g.instances, cloud.has = nil, map[string]bool{"a://1": false}
	p.read()
	p.read()
	if len(cloud.looks) != 1 {
		t.Errorf("there were %d direct looks, want 1", len(cloud.looks))
	}
}

func TestALostListIsConfirmedBitByBit(t *testing.T) {
	cloud, g := oneGroup()
	for i := range 3*mostLooks - 5 {
		id := fmt.Sprintf("a://%03d", i)
		g.instances = append(g.instances, id)
		cloud.has[id] = false
	}
	p := newPicture(t, cloud)
	p.read()
	g.instances = nil
	for reads, left := 1, 3*mostLooks-5; left > 0; reads++ {
		before := len(cloud.looks)
		left = p.read().Instances.Len()
		if n := len(cloud.looks) - before; n > mostLooks {
			t.Fatalf("one read made %d direct looks, want at most %d", n, mostLooks)
		}
		if reads > 3 {
			t.Fatalf("after %d reads %d instances are left", reads, left)
		}
	}
}

func TestLooksThatFindSomethingDoNotKeepOthersFromTheirs(t *testing.T) {
	cloud, g := oneGroup()
	for i := range 2 * mostLooks {
		id := fmt.Sprintf("a://%03d", i)
		g.instances = append(g.instances, id)
		cloud.has[id] = i < mostLooks // the first are there, though no list shows them
	}
	p := newPicture(t, cloud)
	p.read()
	g.instances = nil
	p.read()
	if left := p.read().Instances.Len(); left != mostLooks {
		t.Errorf("after two reads %d instances are left, want the %d that exist", left, mostLooks)
	}
}

func TestTwoProvidersWithAPoolOfTheSameName(t *testing.T) {
	a, _ := oneGroup("a://1")
	b, other := oneGroup("b://1", "b://2")
	b.name = "b"
	p := newPicture(t, a, b)
	s := p.read()
	p.wantProblem("front", "providers a and b both have a pool front; rename one of them")
	if _, ok := s.Instances.Get("b://1"); ok {
		t.Error("the second provider's instance counts for the first one's pool")
	}
	t.Run("stay apart while one of them fails", func(t *testing.T) {
		a.refresh = errors.New("the cloud is closed")
		s := p.read()
		if pool := p.pool("front"); pool.Provider != "a" || pool.Target != 1 || pool.Problem == "" {
			t.Errorf("the pool is now %+v", pool)
		}
		if _, ok := s.Instances.Get("b://1"); ok {
			t.Error("the second provider's instance counts for the first one's pool")
		}
		a.refresh = nil
	})
	t.Run("are both kept once one is renamed", func(t *testing.T) {
		other.name = "back"
		p.read() // the first one still sees what the second one said before
		s := p.read()
		p.wantProblem("front", "")
		p.wantProblem("back", "")
		if s.Instances.Len() != 3 {
			t.Errorf("there are %d instances, want 3", s.Instances.Len())
		}
	})
}

func TestNodesWithoutAListedInstanceBelongToThePoolThatTheirProviderNames(t *testing.T) {
	cloud, g := oneGroup("a://1")
	cloud.members = map[string]*group{"a://2": g}
	p := newPicture(t, cloud)
	p.node("listed", "a://1")
	p.node("unlisted", "a://2")
	p.node("stranger", "a://3")
	p.node("elsewhere", "b://1")
	p.node("nameless", "")
	p.read()
	if diff := cmp.Diff(map[string]string{"a://2": "front"}, p.last[0].Members); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestWhatAPoolCanDoIsFoundByWhatItsTypeHas(t *testing.T) {
	everything := cluster.Capabilities{Reboot: true, Stop: true, Replace: true, ForceDelete: true, SetVersion: true, NativeUpgrade: true}
	noVersions := everything
	noVersions.SetVersion = false
	g := func(name string) *group { return &group{name: name} }
	for _, c := range []struct {
		group   cloudprovider.NodeGroup
		can     cluster.Capabilities
		version string
	}{
		{g("plain"), cluster.Capabilities{}, ""},
		{able{group: g("able"), version: "v1.36.3"}, everything, "v1.36.3"},
		{able{group: g("wrapped"), versionErr: cloudprovider.ErrNotImplemented}, noVersions, ""},
	} {
		t.Run(c.group.Id(), func(t *testing.T) {
			p := newPicture(t, &cloud{name: "a", groups: []cloudprovider.NodeGroup{c.group}})
			p.read()
			p.wantProblem(c.group.Id(), "")
			pool := p.pool(c.group.Id())
			if diff := cmp.Diff(c.can, pool.Can); diff != "" {
				t.Errorf("what it can (-want +got):\n%s", diff)
			}
			if pool.Version != c.version {
				t.Errorf("the version is %q, want %q", pool.Version, c.version)
			}
		})
	}
	t.Run("a version that can't be read is the pool's problem", func(t *testing.T) {
		p := newPicture(t, &cloud{name: "a", groups: []cloudprovider.NodeGroup{able{group: g("able"), versionErr: errors.New("no such field")}}})
		p.read()
		p.wantProblem("able", "no such field")
	})
}

func TestAGroupGetsTheDefaultsForItsOwnOptions(t *testing.T) {
	cloud, g := oneGroup()
	ten := 10 * time.Minute
	g.options = &cloudprovider.Options{ScaleDownUnneededTime: &ten}
	p := newPicture(t, cloud)
	half := 0.5
	p.reader.defaults = func() cloudprovider.Options { return cloudprovider.Options{ScaleDownUtilizationThreshold: &half} }
	var said *cloudprovider.Options
	p.reader.settings = func(_ string, _, _ int, options *cloudprovider.Options) (cluster.Settings, error) {
		said = options
		return cluster.Settings{}, nil
	}
	p.read()
	if g.defaults == nil || g.defaults.ScaleDownUtilizationThreshold != &half {
		t.Errorf("the group got the defaults %+v", g.defaults)
	}
	if said != g.options {
		t.Errorf("the settings were made from %+v, want the group's own options", said)
	}
}

func TestTwoProvidersThatClaimOneMachineAreBothHeldBack(t *testing.T) {
	a, _ := oneGroup("a://1", "x://7")
	b := &cloud{name: "b", groups: []cloudprovider.NodeGroup{
		&group{name: "back", max: 2, target: 1, instances: []string{"x://7"}}, &group{name: "other", max: 2, target: 1, instances: []string{"b://2"}},
	}}
	p := newPicture(t, a, b)
	p.read()
	for _, pool := range []string{"front", "back"} {
		p.wantProblem(pool, "providers a and b both claim machine x://7, for the pools back and front; let one of them look after it")
	}
	p.wantProblem("other", "")
	t.Run("also while one of them is away", func(t *testing.T) {
		b.refresh = errors.New("the cloud is closed")
		p.read()
		p.wantProblem("front", "both claim machine x://7")
		b.refresh = nil
	})
	t.Run("and by membership alone", func(t *testing.T) {
		p.node("n9", "a://9")
		b.groups[0].(*group).instances = []string{"a://9"}
		a.groups[0].(*group).instances = []string{"a://1"}
		a.members = map[string]*group{"a://9": a.groups[0].(*group)}
		p.read()
		p.read()
		p.wantProblem("back", "both claim machine a://9")
	})
}
