package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// labProvider is a provider on a lab.
type labProvider struct {
	lab       *lab
	life      int // of the daemon
	order     []string
	seen      map[string]labPool
	refreshes int
	tokens    map[string]bool // of the breakage that keeps them here
	template  *corev1.Node    // of the breakage that gives out its own
	version   string          // of the breakage that keeps it here
}

type labGroup struct {
	*labProvider
	name string
}

func (p *labProvider) Name() string     { return "lab" }
func (p *labProvider) GPULabel() string { return "" }
func (p *labProvider) Cleanup() error   { return nil }

// enter begins a call of the cloud.
func (p *labProvider) enter(ctx context.Context) error {
	p.lab.mutex.Lock()
	err := ctx.Err()
	if p.lab.is("contexts are ignored") {
		err = nil
	}
	if err == nil {
		err = p.lab.denial
	}
	if err == nil && p.lab.away {
		err = errAway
		if p.lab.is("errors have no type") {
			err = errors.New("away")
		}
	}
	if err != nil {
		p.lab.mutex.Unlock()
	}
	return err
}

func (p *labProvider) Refresh(ctx context.Context) error {
	count := p.count()
	if p.lab.is("two refreshes at once fail") && count > 3 {
		p.lab.meet.wait()
		return cloudprovider.Errorf(cloudprovider.ClassTransient, "", "a Refresh is under way")
	}
	if err := p.enter(ctx); err != nil {
		if p.lab.is("a failed Refresh forgets everything") {
			p.order = nil
		}
		return err
	}
	defer p.lab.mutex.Unlock()
	p.lab.reads++
	if p.lab.cut && !p.lab.is("a broken list is a shorter list") {
		return errAway
	}
	p.order = slices.Clone(p.lab.order)
	if p.lab.is("the order of groups changes") && count%2 == 0 {
		slices.Reverse(p.order)
	}
	if p.lab.is("looking changes something") && count > 4 {
		p.lab.pool("back").target++
		p.lab.fill("back")
	}
	for _, name := range p.order {
		p.see(name)
	}
	return nil
}

// count counts the refreshes. The checks begin after the third.
func (p *labProvider) count() int {
	p.lab.mutex.Lock()
	defer p.lab.mutex.Unlock()
	p.refreshes++
	return p.refreshes
}

// see takes in what is known of the group.
func (p *labProvider) see(name string) {
	g := *p.lab.pool(name)
	g.machines = slices.DeleteFunc(slices.Clone(g.machines), func(m machine) bool { return m.id == p.lab.hidden })
	if p.lab.cut {
		g.machines = g.machines[:1]
	}
	p.seen[name] = g
	if p.lab.is("every instance is read by itself") {
		p.lab.reads += len(g.machines)
	}
}

// look gives what is known of the group, without asking.
func (g *labGroup) look() labPool {
	g.lab.mutex.Lock()
	defer g.lab.mutex.Unlock()
	if g.lab.is("reading asks the cloud") {
		g.lab.reads++
	}
	return g.seen[g.name]
}

func (p *labProvider) NodeGroups() []cloudprovider.NodeGroup {
	p.lab.mutex.Lock()
	defer p.lab.mutex.Unlock()
	var list []cloudprovider.NodeGroup
	for _, name := range p.order {
		list = append(list, &labGroup{p, name})
	}
	return list
}

func groupOf(node *corev1.Node) string {
	rest, ours := strings.CutPrefix(node.Spec.ProviderID, "lab://")
	name, _, whole := strings.Cut(rest, "/")
	if !ours || !whole {
		return ""
	}
	return name
}

func (p *labProvider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	name := groupOf(node)
	switch {
	case name == "" && p.lab.is("a stranger is an error"):
		return nil, errors.New("who is that?")
	case name == "" || node.Name == "" && p.lab.is("nodes are found by their names"):
		return nil, nil
	}
	return &labGroup{p, name}, nil
}

func (p *labProvider) HasInstance(ctx context.Context, node *corev1.Node) (bool, error) {
	name := groupOf(node)
	if name == "" && !p.lab.is("HasInstance knows strangers") {
		return false, cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "a stranger")
	}
	if err := p.enter(ctx); err != nil {
		if p.lab.is("HasInstance takes an error for an absence") {
			return false, nil
		}
		return false, err
	}
	defer p.lab.mutex.Unlock()
	if name == "" {
		return false, nil
	}
	g := *p.lab.pool(name)
	if p.lab.is("HasInstance asks the last Refresh") {
		g = p.seen[name]
	}
	return g.find(node.Spec.ProviderID) != nil || p.lab.is("HasInstance is always true"), nil
}

func (g *labGroup) Id() string   { return g.name }
func (g *labGroup) MinSize() int { return g.look().least }
func (g *labGroup) MaxSize() int { return g.look().most }
func (g *labGroup) Exist() bool  { return true }

func (g *labGroup) Debug() string {
	if g.lab.is("Debug has two lines") {
		return g.name + "\n" + g.name
	}
	return g.name
}

func (g *labGroup) TargetSize(context.Context) (int, error) { return g.look().target, nil }

func (g *labGroup) Nodes(context.Context) ([]cloudprovider.Instance, error) {
	var list []cloudprovider.Instance
	for _, m := range g.look().machines {
		list = append(list, g.describe(m))
	}
	return list, nil
}

func (g *labGroup) describe(m machine) cloudprovider.Instance {
	one := cloudprovider.Instance{ID: m.id, Version: m.version, Status: cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}}
	switch {
	case m.going:
		one.Status.State = cloudprovider.InstanceDeleting
	case m.failed != "":
		one.Status.State = cloudprovider.InstanceCreating
		if !g.lab.is("instances fail without a word") {
			one.Status.ErrorInfo = &cloudprovider.InstanceErrorInfo{ErrorClass: m.failed}
		}
	case m.stopped && !g.lab.is("a stopped instance is said to run"):
		one.Status.State = cloudprovider.InstanceStopped
	case !m.running && g.lab.is("a booting instance has no state"):
		one.Status.State = ""
	case !m.running, g.life > 1 && g.lab.is("a new daemon takes instances for new ones"):
		one.Status.State = cloudprovider.InstanceCreating
	}
	return one
}

func (g *labGroup) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	if g.template != nil && g.lab.is("templates are given out themselves") {
		return &cloudprovider.Template{Node: g.template}, nil
	}
	room := func() corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110"),
		}
	}
	fresh := &corev1.Node{Status: corev1.NodeStatus{Capacity: room(), Allocatable: room(), NodeInfo: corev1.NodeSystemInfo{KubeletVersion: g.look().version}}}
	if g.lab.is("templates have nothing allocatable") {
		fresh.Status.Allocatable = nil
	}
	if g.lab.is("templates are given out themselves") {
		g.template = fresh
	}
	return &cloudprovider.Template{Node: fresh}, nil
}

func (g *labGroup) GetOptions(context.Context, cloudprovider.Options) (*cloudprovider.Options, error) {
	if g.lab.is("options are zero where there are none") {
		return &cloudprovider.Options{MaxNodeStartupTime: new(time.Duration)}, nil
	}
	if g.name == "front" || g.lab.is("options are those of all groups") {
		return frontOptions(), nil
	}
	return nil, nil
}

func (g *labGroup) HeldJobs() []cloudprovider.HeldJob {
	g.lab.mutex.Lock()
	defer g.lab.mutex.Unlock()
	switch {
	case g.lab.is("a group at rest holds jobs"):
		return []cloudprovider.HeldJob{{Job: cloudprovider.Autoscale, Cause: cloudprovider.CloudAtWork, Message: "busy"}}
	case !g.lab.halted || g.name != "front":
		return nil
	case g.lab.is("a held job has no message"):
		return []cloudprovider.HeldJob{{Job: cloudprovider.Autoheal, Cause: cloudprovider.CloudAtWork}}
	}
	return []cloudprovider.HeldJob{{Job: cloudprovider.Autoheal, Cause: cloudprovider.CloudAtWork, Message: "busy"}}
}

func (g *labGroup) CapacityType() cloudprovider.CapacityType {
	if g.lab.is("machines are sold in a way of their own") {
		return "barter"
	}
	return cloudprovider.Spot
}

func (p *labProvider) NodePrice(_ context.Context, node *corev1.Node, start, end time.Time) (float64, error) {
	if groupOf(node) == "" {
		return 0, cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "a stranger")
	}
	if p.lab.is("the price is always that of an hour") {
		return 0.1, nil
	}
	return 0.1 * end.Sub(start).Hours(), nil
}

func (p *labProvider) PodPrice(_ context.Context, pod *corev1.Pod, start, end time.Time) (float64, error) {
	share := pod.Spec.Containers[0].Resources.Requests.Cpu().AsApproximateFloat64()
	if p.lab.is("bigger pods are cheaper") {
		share = 1 / share
	}
	return share * end.Sub(start).Hours(), nil
}

func (p *labProvider) AvailableVersions(context.Context) ([]cloudprovider.Version, error) {
	list := []cloudprovider.Version{{Name: "v1.35.4"}, {Name: "v1.36.3"}}
	if p.lab.is("the newest version is listed first") {
		slices.Reverse(list)
	}
	return list, nil
}
