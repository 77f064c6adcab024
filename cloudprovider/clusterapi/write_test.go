package clusterapi_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi/standin"
)

func nodesOf(list ...cloudprovider.Instance) []*corev1.Node {
	var nodes []*corev1.Node
	for _, i := range list {
		nodes = append(nodes, &corev1.Node{Spec: corev1.NodeSpec{ProviderID: i.ID}})
	}
	return nodes
}

func ids(list []cloudprovider.Instance) []string {
	var all []string
	for _, i := range list {
		all = append(all, i.ID)
	}
	slices.Sort(all)
	return all
}

// machine is the live Machine of an instance.
func (p *place) machine(i cloudprovider.Instance) *unstructured.Unstructured {
	return p.memory.objects[standin.Resource("machines")][namespace+"/"+strings.TrimPrefix(i.ID, standin.Scheme+namespace+"/")]
}

func TestASizeIsChangedByTheScaleSubresourceAndFromWhatIsThereNow(t *testing.T) {
	p := newPlace(t, "MachineDeployment")
	change(t, p.memory, p.object, field(int64(4), "spec", "replicas")) // somebody else, after the last Refresh
	p.memory.log = nil
	if err := p.group().IncreaseSize(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if p.target() != 5 || !slices.Equal(p.memory.log, []string{"update scale machinedeployments"}) {
		t.Errorf("the target is %d, the writes were %q", p.target(), p.memory.log)
	}
}

// TestAWriteThatMeetsAnotherOneBeginsAgain has somebody else raise the size just before each of our first three writes of the resource.
func TestAWriteThatMeetsAnotherOneBeginsAgain(t *testing.T) {
	for _, kind := range []string{"MachineDeployment", "MachineSet", "MachinePool"} {
		p := newPlace(t, kind, annotated(clusterapi.AnnotationMax, "20"))
		victim := p.instances()[0]
		meddled := 0
		p.memory.before = func(verb, what, name string) {
			if what == "machines" || name != "front" || meddled == 3 || !strings.HasPrefix(verb, "update") {
				return
			}
			meddled++
			before := p.memory.before
			p.memory.before = nil
			live := p.memory.objects[standin.Resource(what)][namespace+"/front"]
			size, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
			change(t, p.memory, p.object, field(size+1, "spec", "replicas"))
			p.memory.before = before
		}
		if err := p.group().DeleteNodes(t.Context(), nodesOf(victim)); err != nil {
			t.Fatal(err)
		}
		p.memory.before = nil
		p.settle()
		if p.target() != 3+3-1 || slices.Contains(ids(p.instances()), victim.ID) {
			t.Errorf("%s: the target is %d, want the three of the beginning, three of somebody else, and one less; the machines are %v", kind, p.target(), ids(p.instances()))
		}
	}
}

// TestADeletionThatIsInterruptedAnywhereEndsWhenItIsRepeated ends the daemon before each of a deletion's writes in turn; a new one repeats the call. Meanwhile the controllers go on.
func TestADeletionThatIsInterruptedAnywhereEndsWhenItIsRepeated(t *testing.T) {
	for _, kind := range []string{"MachineDeployment", "MachineSet", "MachinePool"} {
		for crash := range 4 {
			for _, busy := range []bool{false, true} {
				p := newPlace(t, kind)
				old := p.instances()
				victim := old[1]
				if busy { // an increase is under way
					if err := p.group().IncreaseSize(t.Context(), 1); err != nil {
						t.Fatal(err)
					}
				}
				size := p.target()
				writes := 0
				p.memory.before = func(string, string, string) {
					if writes++; writes > crash {
						p.memory.away = metavError()
					}
				}
				err := p.group().DeleteNodes(t.Context(), nodesOf(victim))
				p.memory.before, p.memory.away = nil, nil
				if crash < 3 && err == nil {
					t.Fatalf("%s: a deletion of %d writes was not interrupted after %d", kind, writes, crash)
				}
				p.settle()
				again := clusterapi.NewFromClient(clusterapi.Config{}, p.memory, mapper())
				p.provider = again
				p.refresh()
				if err := p.group().DeleteNodes(t.Context(), nodesOf(victim)); err != nil {
					t.Fatalf("%s, interrupted after %d writes: %v", kind, crash, err)
				}
				p.settle()
				left := ids(p.instances())
				lost := slices.DeleteFunc(ids(old), func(id string) bool { return slices.Contains(left, id) })
				if p.target() != size-1 || len(left) != size-1 || !slices.Equal(lost, []string{victim.ID}) {
					t.Errorf("%s, interrupted after %d writes (busy: %v): the target is %d of %d, the machines are %v, gone are %v; want %s gone", kind, crash, busy, p.target(), size, left, lost, victim.ID)
				}
			}
		}
	}
}

func metavError() error { return &cloudprovider.Error{Class: cloudprovider.ClassTransient} }

func TestAMarkThatWasLeftBehindTakesNoOtherMachineAlong(t *testing.T) {
	p := newPlace(t, "MachineDeployment")
	list := p.instances()
	change(t, p.memory, p.machine(list[0]), annotated("cluster.x-k8s.io/delete-machine", "poolkeeper")) // a deletion that was given up
	if err := p.group().DeleteNodes(t.Context(), nodesOf(list[2])); err != nil {
		t.Fatal(err)
	}
	if mark, marked := p.machine(list[0]).GetAnnotations()["cluster.x-k8s.io/delete-machine"]; marked {
		t.Errorf("the mark %q is still there", mark)
	}
	p.settle()
	if got := ids(p.instances()); !slices.Equal(got, ids(list[:2])) {
		t.Errorf("left are %v, want %v", got, ids(list[:2]))
	}
}

func TestWhatHasNotComeIsTakenBackByNameAndTheYoungestFirst(t *testing.T) {
	p := newPlace(t, "MachineSet")
	p.cloud.Withhold = true
	if err := p.group().IncreaseSize(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	p.settle() // there are Machines, and they have no provider ID
	before := ids(p.instances())
	if len(p.memory.objects[standin.Resource("machines")]) != 5 || len(before) != 3 {
		t.Fatalf("there are %d Machines, of which %d are listed", len(p.memory.objects[standin.Resource("machines")]), len(before))
	}
	if err := p.group().DecreaseTargetSize(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if p.target() != 4 || !slices.Equal(ids(p.instances()), before) || len(p.memory.objects[standin.Resource("machines")]) != 4 {
		t.Errorf("the target is %d, the machines are %v", p.target(), ids(p.instances()))
	}
}

func TestAFailedMachineThatHasComeToLifeIsNotDeleted(t *testing.T) {
	p := newPlace(t, "MachineSet")
	p.cloud.Fail = "InsufficientInstanceCapacity"
	if err := p.group().IncreaseSize(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	p.settle()
	var failed cloudprovider.Instance
	for _, i := range p.instances() {
		if i.Status.ErrorInfo != nil {
			failed = i
		}
	}
	if failed.ID != "clusterapi-failed://fleet/"+strings.TrimPrefix(failed.ID, "clusterapi-failed://fleet/") {
		t.Fatalf("the failed instance is %+v", failed)
	}
	p.cloud.Fail = ""
	if err := p.cloud.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := p.group().DeleteNodes(t.Context(), nodesOf(failed))
	if cloudprovider.ClassOf(err) != cloudprovider.ClassTransient {
		t.Errorf("the deletion gave %v", err)
	}
	p.settle()
	if p.target() != 4 || len(p.instances()) != 4 {
		t.Errorf("the target is %d with %d machines", p.target(), len(p.instances()))
	}
}

func TestAMachinePoolWithoutMachinesIsSeenAndNoSingleMachineOfItIsDeleted(t *testing.T) {
	p := newPlace(t, "MachinePool", field(int64(2), "spec", "replicas"), field([]any{"cloud://a", "cloud://b"}, "spec", "providerIDList"))
	for key := range p.memory.objects[standin.Resource("machines")] {
		delete(p.memory.objects[standin.Resource("machines")], key)
	}
	p.refresh()
	if got := ids(p.instances()); !slices.Equal(got, []string{"cloud://a", "cloud://b"}) {
		t.Fatalf("the instances are %v", got)
	}
	err := p.group().DeleteNodes(t.Context(), nodesOf(p.instances()[0]))
	if cloudprovider.ClassOf(err) != cloudprovider.ClassNotImplemented {
		t.Errorf("the deletion gave %v", err)
	}
	if _, can := cloudprovider.As[cloudprovider.Replacer](p.group()); can {
		t.Error("it says that it can replace")
	}
	change(t, p.memory, p.object, field([]any{"cloud://b"}, "spec", "providerIDList"))
	for id, want := range map[string]bool{"cloud://a": false, "cloud://b": true} {
		has, err := p.provider.HasInstance(t.Context(), &corev1.Node{Spec: corev1.NodeSpec{ProviderID: id}})
		if err != nil || has != want {
			t.Errorf("HasInstance of %s gave %v and %v", id, has, err)
		}
	}
}

func TestANodesSpellingOfItsProviderIDWins(t *testing.T) {
	p := newPlace(t, "MachineDeployment")
	written := strings.ToUpper(p.instances()[0].ID[:len(standin.Scheme)]) + "/" + p.instances()[0].ID[len(standin.Scheme):]
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NodeSpec{ProviderID: written}}
	if group, err := p.provider.NodeGroupForNode(node); err != nil || group == nil {
		t.Fatalf("the group of %s is %v (%v)", written, group, err)
	}
	p.refresh()
	if got := ids(p.instances()); !slices.Contains(got, written) {
		t.Errorf("the instances are %v, want %s among them", got, written)
	}
}
