package conformance

import (
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// versions are the checks about versions, prices and capacity.
func versions() []check {
	again := hook("Reconnect", func(f Fixture) bool { return f.Reconnect != nil })
	return []check{
		{name: "VersionLister: versions are listed oldest first, each once", do: versionsAreListed},
		{name: "Versioned: a group has a version, and it is its template's", do: groupHasVersion},
		{name: "Versioned: another version is for new instances and leaves those that exist", do: setVersionIsForNewOnes},
		{name: "Versioned: a version that there is not is refused", do: nonsenseVersionIsRefused},
		{name: "Versioned: the version is known after a restart", do: versionSurvives, needs: again},
		{name: "NativeUpgrader: in the end all instances have the version and the size is the same", do: nativeUpgradeUpgrades},
		{name: "Pricer: a node's price grows with the time", do: priceGrows},
		{name: "Pricer: a bigger pod is not cheaper", do: biggerPodCostsMore},
		{name: "CapacityTyper: every group names a known capacity type", do: capacityTypesAreKnown},
	}
}

// listed are the versions that the provider offers. The check is skipped if it can't tell.
func (p *probe) listed() []cloudprovider.Version {
	p.Helper()
	lister, ok := cloudprovider.As[cloudprovider.VersionLister](p.Provider)
	if !ok {
		p.Skipf("the provider is no VersionLister")
	}
	list, err := lister.AvailableVersions(p.ctx)
	p.can(err, "AvailableVersions")
	return list
}

func versionsAreListed(p *probe) {
	list := p.listed()
	if len(list) == 0 {
		p.Fatalf("AvailableVersions is empty")
	}
	var last *version.Version
	for _, one := range list {
		parsed, err := version.ParseSemantic(one.Name)
		p.must(err, "version "+one.Name)
		if last != nil && !last.LessThan(parsed) {
			p.Fatalf("AvailableVersions has %s after %s; want the oldest first, and each once", one.Name, last)
		}
		last = parsed
	}
}

// current is the version of the group's template.
func (p *probe) current(able cloudprovider.VersionTeller) string {
	p.Helper()
	now, err := able.TemplateVersion(p.ctx)
	p.can(err, "TemplateVersion")
	return now
}

// another is a version that the group can have and doesn't, the newest if there are several.
func (p *probe) another(able cloudprovider.VersionTeller) string {
	p.Helper()
	now := p.current(able)
	if len(p.Versions) == 0 {
		for _, one := range p.listed() {
			p.Versions = append(p.Versions, one.Name)
		}
	}
	for _, name := range slices.Backward(p.Versions) {
		if name != now {
			return name
		}
	}
	p.Skipf("the provider offers no other version than %s", now)
	return ""
}

func groupHasVersion(p *probe) {
	able := capable[cloudprovider.VersionTeller](p)
	now := p.current(able)
	if _, err := version.ParseSemantic(now); err != nil {
		p.Fatalf("TemplateVersion gave %q: %v", now, err)
	}
	template, err := p.group().TemplateNodeInfo(p.ctx)
	p.must(err, "TemplateNodeInfo")
	if kubelet := template.Node.Status.NodeInfo.KubeletVersion; kubelet != "" && kubelet != now {
		p.Fatalf("TemplateVersion is %s and the template's kubelet is of %s", now, kubelet)
	}
}

func setVersionIsForNewOnes(p *probe) {
	able := capable[cloudprovider.Versioned](p)
	next := p.another(able)
	before := p.picture()
	old := versionsOf(p.alive(p.Group))
	p.must(able.SetTemplateVersion(p.ctx, next), "SetTemplateVersion to "+next)
	p.settle()
	if now := p.current(able); now != next {
		p.Fatalf("after SetTemplateVersion to %s TemplateVersion is %s", next, now)
	}
	p.same(before, p.picture(), "after SetTemplateVersion")
	p.must(p.group().IncreaseSize(p.ctx, 1), "IncreaseSize(1)")
	p.settle()
	for id, has := range versionsOf(p.alive(p.Group)) {
		was, existed := old[id]
		if existed && has != was || !existed && has != next {
			p.Fatalf("after SetTemplateVersion to %s and an increase, instance %s has version %s (before %q)", next, id, has, was)
		}
	}
}

func versionsOf(list []cloudprovider.Instance) map[string]string {
	all := map[string]string{}
	for _, one := range list {
		all[one.ID] = one.Version
	}
	return all
}

func nonsenseVersionIsRefused(p *probe) {
	able := capable[cloudprovider.Versioned](p)
	before := p.current(able)
	for _, nonsense := range []string{"", "newest", "v0.0.1-no-such-version"} {
		p.want(able.SetTemplateVersion(p.ctx, nonsense), cloudprovider.ClassInvalid, "SetTemplateVersion to \""+nonsense+"\"")
	}
	p.refresh()
	if now := p.current(able); now != before {
		p.Fatalf("after versions that were refused TemplateVersion is %s, before it was %s", now, before)
	}
}

func versionSurvives(p *probe) {
	able := capable[cloudprovider.Versioned](p)
	next := p.another(able)
	p.must(able.SetTemplateVersion(p.ctx, next), "SetTemplateVersion to "+next)
	again := p.reconnect()
	if now := again.current(capable[cloudprovider.Versioned](again)); now != next {
		p.Fatalf("the version was set to %s, and after a restart it is %s", next, now)
	}
}

// rounds is how often a native upgrade may have to settle until all instances have had their turn.
const rounds = 50

// nativeUpgradeUpgrades accepts both clouds that tell the version of an instance and those that don't: there the old instances have to be gone.
func nativeUpgradeUpgrades(p *probe) {
	able := capable[cloudprovider.NativeUpgrader](p)
	teller := capable[cloudprovider.VersionTeller](p)
	next, size, old := p.another(teller), p.target(), ids(p.alive(p.Group))
	p.can(able.UpgradeNatively(p.ctx, next), "UpgradeNatively to "+next)
	behind := func(i cloudprovider.Instance) bool {
		return i.Version != next && (i.Version != "" || slices.Contains(old, i.ID))
	}
	for range rounds {
		p.settle()
		if !slices.ContainsFunc(p.alive(p.Group), behind) {
			break
		}
	}
	if list := p.alive(p.Group); len(list) != size || slices.ContainsFunc(list, behind) {
		p.Fatalf("long after UpgradeNatively to %s the versions of the instances are %v; want %d instances, all of that version", next, versionsOf(list), size)
	}
	p.wantTarget(size, "after a native upgrade")
	if now := p.current(teller); now != next {
		p.Fatalf("long after UpgradeNatively to %s new instances come with %s", next, now)
	}
}

func (p *probe) pricer() cloudprovider.Pricer {
	p.Helper()
	able, ok := cloudprovider.As[cloudprovider.Pricer](p.Provider)
	if !ok {
		p.Skipf("the provider is no Pricer")
	}
	return able
}

func priceGrows(p *probe) {
	able := p.pricer()
	from := time.Date(2026, 8, 3, 0, 0, 0, 0, time.UTC)
	hour, err := able.NodePrice(p.ctx, node(p.first()), from, from.Add(time.Hour))
	p.can(err, "NodePrice")
	day, err := able.NodePrice(p.ctx, node(p.first()), from, from.Add(24*time.Hour))
	p.must(err, "NodePrice")
	if hour <= 0 || day <= hour {
		p.Fatalf("a node costs %v an hour and %v a day", hour, day)
	}
	_, err = able.NodePrice(p.ctx, p.strangers()[0], from, from.Add(time.Hour))
	if err == nil {
		p.Fatalf("NodePrice knows a price for a stranger")
	}
}

func biggerPodCostsMore(p *probe) {
	able := p.pricer()
	from := time.Date(2026, 8, 3, 0, 0, 0, 0, time.UTC)
	price := func(cpu string) float64 {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")},
		}}}}}
		amount, err := able.PodPrice(p.ctx, pod, from, from.Add(time.Hour))
		p.can(err, "PodPrice")
		return amount
	}
	if small, big := price("100m"), price("1"); small < 0 || big < small {
		p.Fatalf("a pod with 100m costs %v and one with 1 CPU %v", small, big)
	}
}

func capacityTypesAreKnown(p *probe) {
	capable[cloudprovider.CapacityTyper](p)
	for _, group := range p.Provider.NodeGroups() {
		able, ok := cloudprovider.As[cloudprovider.CapacityTyper](group)
		if !ok {
			p.Fatalf("group %s is no CapacityTyper, and %s is", group.Id(), p.Group)
		}
		if kind := able.CapacityType(); kind != cloudprovider.OnDemand && kind != cloudprovider.Spot {
			p.Fatalf("group %s is sold as %q; want %s or %s", group.Id(), kind, cloudprovider.OnDemand, cloudprovider.Spot)
		}
	}
}

// made is the name of a group that a check makes.
const made = "made-by-conformance"

// groups are the checks about making whole groups.
func groups() []check {
	return []check{
		{name: "GroupMaker: a group that was made is there, empty, and grows", do: madeGroupGrows},
		{name: "GroupMaker: a group is made once", do: groupIsMadeOnce},
		{name: "GroupMaker: only an empty group can be deleted, and then it is gone", do: madeGroupGoes},
	}
}

// maker makes a group like the one under test.
func (p *probe) maker() cloudprovider.GroupMaker {
	p.Helper()
	able, ok := cloudprovider.As[cloudprovider.GroupMaker](p.Provider)
	if !ok {
		p.Skipf("the provider is no GroupMaker")
	}
	group, err := able.CreateNodeGroup(p.ctx, p.group(), made)
	p.can(err, "CreateNodeGroup")
	if group == nil || group.Id() != made {
		p.Fatalf("CreateNodeGroup gave %v, want a group %s", group, made)
	}
	return able
}

func madeGroupGrows(p *probe) {
	before := p.picture()
	p.maker()
	p.settle()
	if size := p.targetOf(made); size != 0 {
		p.Fatalf("a group that was just made has a target of %d", size)
	}
	p.must(p.named(made).IncreaseSize(p.ctx, 1), "IncreaseSize of a group that was made")
	p.settle()
	if list := p.alive(made); len(list) != 1 {
		p.Fatalf("a group that was made and grew by one has %d instances", len(list))
	}
	after := p.picture()
	after.groups = slices.DeleteFunc(after.groups, func(name string) bool { return name == made })
	p.same(before, after, "after another group was made")
}

func groupIsMadeOnce(p *probe) {
	able := p.maker()
	p.unchanged("making a group that there is", func() {
		if _, err := able.CreateNodeGroup(p.ctx, p.group(), made); err == nil {
			p.Fatalf("CreateNodeGroup of a group that there is gave no error")
		}
	})
}

func madeGroupGoes(p *probe) {
	before := p.picture()
	able := p.maker()
	p.must(p.named(made).IncreaseSize(p.ctx, 1), "IncreaseSize of a group that was made")
	p.settle()
	p.unchanged("deleting a group with instances", func() {
		if err := able.DeleteNodeGroup(p.ctx, made); err == nil || errors.Is(err, cloudprovider.ErrNotImplemented) {
			p.Fatalf("DeleteNodeGroup of a group with an instance gave %s", describe(err))
		}
	})
	p.must(p.named(made).DeleteNodes(p.ctx, nodes(p.alive(made)...)), "DeleteNodes of the group that was made")
	p.settle()
	p.must(able.DeleteNodeGroup(p.ctx, made), "DeleteNodeGroup")
	p.settle()
	p.same(before, p.picture(), "after a group was made and deleted")
	p.want(able.DeleteNodeGroup(p.ctx, made), cloudprovider.ClassNotFound, "DeleteNodeGroup of a group that is gone")
}
