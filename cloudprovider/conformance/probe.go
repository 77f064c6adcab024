package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// probe is what a check works with.
type probe struct {
	TB
	Fixture
	ctx context.Context
}

// begin brings the fixture to rest and looks whether it is as the checks need it.
func (p *probe) begin() {
	p.Helper()
	p.settle()
	group, size := p.group(), p.target()
	lowest, highest := group.MinSize(), group.MaxSize()
	if lowest < 1 || size < lowest+2 || highest < size+3 {
		p.Fatalf("the fixture's group %s has min %d, target %d and max %d; it needs a min of at least 1, a target of at least min + 2 and a max of at least target + 3",
			p.Group, lowest, size, highest)
	}
	instances := p.alive(p.Group)
	for _, one := range instances {
		if one.Status.State != cloudprovider.InstanceRunning {
			p.Fatalf("instance %s of the fixture's group %s is %s; all have to be Running once they have settled", one.ID, p.Group, one.Status.State)
		}
	}
	if len(instances) != size {
		p.Fatalf("the fixture's group %s has %d instances and a target of %d once it has settled", p.Group, len(instances), size)
	}
	if p.Other == p.Group || len(p.alive(p.Other)) == 0 {
		p.Fatalf("the fixture needs another group than %s, with at least one instance", p.Group)
	}
}

// refresh lets the provider look at the cloud.
func (p *probe) refresh() {
	p.Helper()
	if err := p.Provider.Refresh(p.ctx); err != nil {
		p.Fatalf("Refresh: %v", err)
	}
}

// settle lets everything come to its end and looks.
func (p *probe) settle() {
	p.Helper()
	// What has come to its end may begin something new when it is looked at; thrice is enough for that.
	for range 3 {
		if p.Settle != nil {
			p.Settle()
		}
		p.refresh()
	}
}

// group is the group under test.
func (p *probe) group() cloudprovider.NodeGroup {
	p.Helper()
	return p.named(p.Group)
}

func (p *probe) named(name string) cloudprovider.NodeGroup {
	p.Helper()
	for _, group := range p.Provider.NodeGroups() {
		if group.Id() == name {
			return group
		}
	}
	p.Fatalf("NodeGroups has no group %s", name)
	return nil
}

// target is the target of the group under test.
func (p *probe) target() int {
	p.Helper()
	return p.targetOf(p.Group)
}

func (p *probe) targetOf(name string) int {
	p.Helper()
	size, err := p.named(name).TargetSize(p.ctx)
	if err != nil {
		p.Fatalf("TargetSize of %s: %v", name, err)
	}
	return size
}

func (p *probe) wantTarget(want int, when string) {
	p.Helper()
	if got := p.target(); got != want {
		p.Fatalf("%s the target is %d, want %d", when, got, want)
	}
}

// instances are the instances of the group.
func (p *probe) instances(name string) []cloudprovider.Instance {
	p.Helper()
	list, err := p.named(name).Nodes(p.ctx)
	if err != nil {
		p.Fatalf("Nodes of %s: %v", name, err)
	}
	return list
}

// alive are the instances of the group that aren't being deleted.
func (p *probe) alive(name string) []cloudprovider.Instance {
	p.Helper()
	return slices.DeleteFunc(slices.Clone(p.instances(name)), func(i cloudprovider.Instance) bool {
		return i.Status.State == cloudprovider.InstanceDeleting
	})
}

// first is some instance of the group under test.
func (p *probe) first() cloudprovider.Instance {
	p.Helper()
	return p.alive(p.Group)[0]
}

// has tells whether an instance with that ID is in the group under test, and isn't being deleted.
func (p *probe) has(id string) bool {
	p.Helper()
	return slices.Contains(ids(p.alive(p.Group)), id)
}

// without are those of the list whose ID is not in the other one.
func without(list, other []cloudprovider.Instance) []cloudprovider.Instance {
	taken := ids(other)
	return slices.DeleteFunc(slices.Clone(list), func(i cloudprovider.Instance) bool { return slices.Contains(taken, i.ID) })
}

// ids are the IDs, sorted.
func ids(list []cloudprovider.Instance) []string {
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = one.ID
	}
	slices.Sort(all)
	return all
}

// node is the Node of the instance.
func node(i cloudprovider.Instance) *corev1.Node {
	name := i.NodeName
	if name == "" {
		name = "node-of-" + i.ID
	}
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: i.ID}}
}

func nodes(list ...cloudprovider.Instance) []*corev1.Node {
	all := make([]*corev1.Node, len(list))
	for i, one := range list {
		all[i] = node(one)
	}
	return all
}

// standIn has the instance's provider ID and nothing else.
func standIn(i cloudprovider.Instance) *corev1.Node {
	return &corev1.Node{Spec: corev1.NodeSpec{ProviderID: i.ID}}
}

// strangers are nodes that are not of the provider.
func (p *probe) strangers() []*corev1.Node {
	list := slices.Clone(p.Strangers)
	for name, id := range map[string]string{"of-another-cloud": "another-cloud://zone/machine-1", "without-id": "", "nonsense": "://"} {
		list = append(list, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: id}})
	}
	slices.SortFunc(list, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// want fails unless the error is of that class.
func (p *probe) want(err error, class cloudprovider.Class, doing string) {
	p.Helper()
	if !errors.Is(err, &cloudprovider.Error{Class: class}) {
		p.Fatalf("%s gave %s; want an error of class %s", doing, describe(err), class)
	}
}

func describe(err error) string {
	if err == nil {
		return "no error"
	}
	return "the error \"" + err.Error() + "\" of class " + string(cloudprovider.ClassOf(err))
}

// must fails if there is an error.
func (p *probe) must(err error, doing string) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", doing, err)
	}
}

// picture is what there is to be seen of the cloud.
type picture struct {
	groups  []string
	targets map[string]int
	alive   map[string][]string
}

func (p *probe) picture() picture {
	p.Helper()
	seen := picture{targets: map[string]int{}, alive: map[string][]string{}}
	for _, group := range p.Provider.NodeGroups() {
		name := group.Id()
		seen.groups = append(seen.groups, name)
		seen.targets[name] = p.targetOf(name)
		seen.alive[name] = ids(p.alive(name))
	}
	return seen
}

// same fails if there is a difference between the two pictures.
func (p *probe) same(before, after picture, when string) {
	p.Helper()
	if !slices.Equal(before.groups, after.groups) {
		p.Fatalf("%s the groups are %v; before they were %v", when, after.groups, before.groups)
	}
	for _, name := range before.groups {
		if before.targets[name] != after.targets[name] {
			p.Fatalf("%s the target of %s is %d; before it was %d", when, name, after.targets[name], before.targets[name])
		}
		if !slices.Equal(before.alive[name], after.alive[name]) {
			p.Fatalf("%s the instances of %s are %v; before they were %v", when, name, after.alive[name], before.alive[name])
		}
	}
}

// unchanged does something that must change nothing, neither at once nor later.
func (p *probe) unchanged(doing string, do func()) {
	p.Helper()
	before := p.picture()
	do()
	p.same(before, p.picture(), "after "+doing)
	p.settle()
	p.same(before, p.picture(), "some time after "+doing)
}

// apart fails if something happened to other groups than the one under test since the picture.
func (p *probe) apart(before picture) {
	p.Helper()
	after := p.picture()
	after.targets[p.Group], after.alive[p.Group] = before.targets[p.Group], before.alive[p.Group]
	p.same(before, after, "in the end")
}
