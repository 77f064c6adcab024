package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

func pool(name, problem string) *Pool {
	return &Pool{Name: name, Provider: "cloud", Problem: problem}
}

func machine(id, in string) *Instance {
	return &Instance{
		Instance: cloudprovider.Instance{ID: id, Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}}, Pool: in,
	}
}

func nodeOf(name, id string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: id}}
}

// Each case begins with one list in which the pool front has the machines a and b, and the pool back has c, and goes on with what the provider says
// next. Nodes are there for a and c.
func TestWhatAProviderSays(t *testing.T) {
	said := func(instances []*Instance, gone ...string) ProviderObserved {
		return ProviderObserved{
			Provider: "cloud", Pools: []*Pool{pool("front", ""), pool("back", "")}, Instances: instances, Gone: gone,
		}
	}
	a, b, c := machine("a", "front"), machine("b", "front"), machine("c", "back")
	all := []*Instance{a, b, c}
	type fate struct {
		absent int
		gone   bool
	}
	here := fate{}
	tests := map[string]struct {
		next     []Event
		fates    map[string]fate
		problems map[string]string
	}{
		"a list that is whole leaves all where they are": {
			next:  []Event{said(all)},
			fates: map[string]fate{"a": here, "b": here, "c": here},
		},
		"a list that shrinks makes machines absent and not gone": {
			next:  []Event{said([]*Instance{a})},
			fates: map[string]fate{"a": here, "b": {absent: 1}, "c": {absent: 1}},
		},
		"absence is counted list by list, and never becomes gone by itself": {
			next:  []Event{said(nil), said(nil), said(nil)},
			fates: map[string]fate{"a": {absent: 3}, "b": {absent: 3}, "c": {absent: 3}},
		},
		"a machine that comes back into the list was never away": {
			next:  []Event{said(nil), said(all)},
			fates: map[string]fate{"a": here, "b": here, "c": here},
		},
		"a confirmed absence takes out the machine that has no node": {
			next:  []Event{said([]*Instance{a, c}, "b")},
			fates: map[string]fate{"a": here, "c": here},
		},
		"a confirmed absence keeps the machine while its node is there": {
			next:  []Event{said([]*Instance{b, c}, "a")},
			fates: map[string]fate{"a": {absent: 1, gone: true}, "b": here, "c": here},
		},
		"a machine that is gone stays gone without being confirmed again, and goes after its node": {
			next:  []Event{said([]*Instance{b, c}, "a"), said([]*Instance{b, c}), Unset{Object: nodeOf("node-a", "a")}, said([]*Instance{b, c})},
			fates: map[string]fate{"b": here, "c": here},
		},
		"a machine that is gone and stands in a list again is here": {
			next:  []Event{said([]*Instance{b, c}, "a"), said(all)},
			fates: map[string]fate{"a": here, "b": here, "c": here},
		},
		"a word about a machine that is in the list does not make it gone": {
			next:  []Event{said(all, "a")},
			fates: map[string]fate{"a": here, "b": here, "c": here},
		},
		"an error of the whole read keeps everything and is every pool's problem": {
			next:     []Event{ProviderObserved{Provider: "cloud", Err: "away"}},
			fates:    map[string]fate{"a": here, "b": here, "c": here},
			problems: map[string]string{"front": "away", "back": "away"},
		},
		"an error of another provider is nobody's problem here": {
			next:  []Event{ProviderObserved{Provider: "elsewhere", Err: "away"}},
			fates: map[string]fate{"a": here, "b": here, "c": here},
		},
		"a pool's error keeps its machines, and does not hide what happened in the others": {
			next: []Event{ProviderObserved{
				Provider: "cloud", Pools: []*Pool{pool("front", "quota"), pool("back", "")}, Gone: []string{"b"},
			}},
			fates:    map[string]fate{"a": here, "b": here, "c": {absent: 1}},
			problems: map[string]string{"front": "quota"},
		},
		"a pool's problem ends with its next good answer": {
			next: []Event{ProviderObserved{Provider: "cloud", Pools: []*Pool{pool("front", "quota"), pool("back", "")}}, said(all)},
			fates: map[string]fate{
				"a": here, "b": here, "c": here,
			},
		},
		"a pool that is no longer listed stays, with that as its problem, while machines of it may be there": {
			next:     []Event{ProviderObserved{Provider: "cloud", Pools: []*Pool{pool("front", "")}, Instances: []*Instance{a, b}}},
			fates:    map[string]fate{"a": here, "b": here, "c": {absent: 1}},
			problems: map[string]string{"back": notListed},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := New()
			now := time.Unix(1000, 0)
			cluster.Apply(now, Set{Object: nodeOf("node-a", "a")})
			cluster.Apply(now, Set{Object: nodeOf("node-c", "c")})
			cluster.Apply(now, said(all))
			for _, e := range test.next {
				now = now.Add(time.Minute)
				cluster.Apply(now, e)
			}
			s := cluster.Snapshot()
			if s.Instances.Len() != len(test.fates) {
				t.Errorf("%d instances are left, want %d", s.Instances.Len(), len(test.fates))
			}
			for id, want := range test.fates {
				got, ok := s.Instances.Get(id)
				if !ok || got.Absent != want.absent || got.Gone != want.gone {
					t.Errorf("%s is %+v, want absent %d gone %v", id, got, want.absent, want.gone)
					continue
				}
				if got.Here() != (want == here) {
					t.Errorf("%s: Here is %v", id, got.Here())
				}
				if !got.Appeared.Equal(time.Unix(1000, 0)) {
					t.Errorf("%s appeared at %v, and was seen from the first list on", id, got.Appeared)
				}
			}
			for _, name := range []string{"front", "back"} {
				got, ok := s.Pools.Get(name)
				if !ok || got.Problem != test.problems[name] {
					t.Errorf("pool %s is %+v, want problem %q", name, got, test.problems[name])
				}
			}
		})
	}
}

func TestAPoolThatIsNotListedAndHasNoMachineLeftGoes(t *testing.T) {
	cluster := New()
	now := time.Unix(1000, 0)
	cluster.Apply(now, ProviderObserved{Provider: "cloud", Pools: []*Pool{pool("front", "")}, Instances: []*Instance{machine("a", "front")}})
	cluster.Apply(now, ProviderObserved{Provider: "cloud", Gone: []string{"a"}})
	if _, ok := cluster.Snapshot().Pools.Get("front"); ok {
		t.Error("the pool is still there")
	}
}

func TestANewObjectOfAKnownPoolKeepsItsLastGoodAnswerWhileItHasAProblem(t *testing.T) {
	cluster := New()
	good := pool("front", "")
	good.Target, good.Observed = 3, time.Unix(1000, 0)
	cluster.Apply(time.Unix(1000, 0), ProviderObserved{Provider: "cloud", Pools: []*Pool{good}})
	cluster.Apply(time.Unix(2000, 0), ProviderObserved{Provider: "cloud", Pools: []*Pool{pool("front", "quota")}})
	got, _ := cluster.Snapshot().Pools.Get("front")
	if got.Target != 3 || !got.Observed.Equal(time.Unix(1000, 0)) || got.Problem != "quota" {
		t.Errorf("the pool is %+v", got)
	}
}

func TestPoolOf(t *testing.T) {
	cluster := New()
	cluster.Apply(time.Unix(1000, 0), ProviderObserved{
		Provider: "cloud", Pools: []*Pool{pool("front", ""), pool("back", "")},
		Instances: []*Instance{machine("a", "front"), machine("b", "front")},
		Members:   map[string]string{"b": "back", "m": "back", "": "back", "n": "unknown"},
	})
	s := cluster.Snapshot()
	tests := map[string]struct{ id, pool string }{
		"a node whose machine is listed":                           {"a", "front"},
		"a node whose machine is listed and a member, by the list": {"b", "front"},
		"a node without a machine, by the provider's word":         {"m", "back"},
		"a node of nobody": {"z", ""},
		"a node without a provider ID, whatever the provider says":  {"", ""},
		"a node of a pool that is not there (the pool was deleted)": {"n", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := s.PoolOf(nodeOf("n", test.id))
			if test.pool == "" && got != nil {
				t.Errorf("the node is of pool %s, want none", got.Name)
			}
			if test.pool != "" && (got == nil || got.Name != test.pool) {
				t.Errorf("the node is of pool %v, want %s", got, test.pool)
			}
		})
	}
}

func TestAMemberIsForgottenAfterItsNode(t *testing.T) {
	cluster := New()
	now := time.Unix(1000, 0)
	cluster.Apply(now, Set{Object: nodeOf("n", "m")})
	first := ProviderObserved{Provider: "cloud", Pools: []*Pool{pool("front", "")}, Members: map[string]string{"m": "front"}}
	later := ProviderObserved{Provider: "cloud", Pools: []*Pool{pool("front", "")}}
	cluster.Apply(now, first)
	cluster.Apply(now, later)
	if _, ok := cluster.Snapshot().Members.Get("m"); !ok {
		t.Error("the member is forgotten while its node is there")
	}
	cluster.Apply(now, Unset{Object: nodeOf("n", "m")})
	cluster.Apply(now, later)
	if _, ok := cluster.Snapshot().Members.Get("m"); ok {
		t.Error("the member outlived its node")
	}
}
