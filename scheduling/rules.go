package scheduling

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumebinding"
)

// rules are the plugins of the default profile that say whether a pod fits, in the profile's order.
type rules struct {
	view *view
	// quiet carries a logger that drops everything.
	quiet   context.Context
	gates   []fwk.PreEnqueuePlugin
	before  []fwk.PreFilterPlugin
	filters []fwk.FilterPlugin
	// devices is the plugin that allocates them; see devices.go.
	devices allocator
}

// allocator is a plugin that finds out on which nodes a pod can have what it claims, and then takes it.
type allocator interface {
	fwk.FilterPlugin
	fwk.ReservePlugin
}

// unused are the plugins of the default profile that have no say in whether a pod fits: order of the queue, scores, binding, preemption.
var unused = map[string]bool{
	names.PrioritySort: true, names.ImageLocality: true, names.NodeResourcesBalancedAllocation: true, names.DefaultBinder: true,
	names.DefaultPreemption: true,
}

// newRules builds the plugins of the default profile. The second result is the volume plugin's binder.
func newRules(v *view) (*rules, volumebinding.SchedulerVolumeBinder, error) {
	config, err := latest.Default()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the kube-scheduler's default profile: %w", err)
	}
	profile := config.Profiles[0]
	arguments := map[string]runtime.Object{}
	for _, c := range profile.PluginConfig {
		arguments[c.Name] = c.Args
	}
	r := &rules{view: v, quiet: klog.NewContext(context.Background(), logr.Discard())}
	registry := plugins.NewInTreeRegistry()
	var binder volumebinding.SchedulerVolumeBinder
	for _, enabled := range profile.Plugins.MultiPoint.Enabled {
		if unused[enabled.Name] {
			continue
		}
		build, ok := registry[enabled.Name]
		if !ok {
			return nil, nil, fmt.Errorf("the kube-scheduler's default profile names plugin %s, which is not there", enabled.Name)
		}
		plugin, err := build(r.quiet, arguments[enabled.Name], handle{view: v})
		if err != nil {
			return nil, nil, fmt.Errorf("building the kube-scheduler's plugin %s: %w", enabled.Name, err)
		}
		r.add(plugin)
		if enabled.Name == names.DynamicResources {
			if r.devices, ok = plugin.(allocator); !ok {
				return nil, nil, fmt.Errorf("the kube-scheduler's plugin %s allocates nothing: it is a %T", enabled.Name, plugin)
			}
		}
		if volumes, ok := plugin.(*volumebinding.VolumeBinding); ok {
			binder = volumes.Binder
		}
	}
	return r, binder, nil
}

func (r *rules) add(plugin fwk.Plugin) {
	if p, ok := plugin.(fwk.PreEnqueuePlugin); ok {
		r.gates = append(r.gates, p)
	}
	if p, ok := plugin.(fwk.PreFilterPlugin); ok {
		r.before = append(r.before, p)
	}
	if p, ok := plugin.(fwk.FilterPlugin); ok {
		r.filters = append(r.filters, p)
	}
}

// question is a pod about which all that does not depend on the single node has been found out. It holds for one state of a trial.
type question struct {
	pod   *corev1.Pod
	state fwk.CycleState
	// refused is why the pod fits no node; nil if nodes have to be looked at.
	refused *refusal
	// only are the nodes that come into question, nil for all, and outside is what is wrong with the others.
	only    sets.Set[string]
	outside *refusal
	// filters are those that have something to say about the pod.
	filters []fwk.FilterPlugin
	// spoken is the pod's form if the fast path speaks for all but its volumes; nil if the plugins are asked about everything.
	spoken *form
}

// forVolumes are the plugins that a pod is left to which has volumes and is otherwise spoken for, farOff those whose preparation looks at all pods.
var (
	forVolumes = map[string]bool{
		names.VolumeRestrictions: true, names.NodeVolumeLimits: true, names.VolumeBinding: true, names.VolumeZone: true,
	}
	farOff = map[string]bool{names.PodTopologySpread: true, names.InterPodAffinity: true}
)

// ask does the part of the question that is the same for all nodes. The order and the words are those of the scheduler's framework. With a form
// the plugins are asked about the volumes alone.
func (r *rules) ask(pod *corev1.Pod, spoken *form) *question {
	q := &question{pod: pod, state: framework.NewCycleState(), spoken: spoken}
	for _, gate := range r.gates {
		if status := gate.PreEnqueue(r.quiet, pod); !status.IsSuccess() {
			q.refused = refuse(gate.Name(), status)
			return q
		}
	}
	skipped := make(map[string]bool, len(r.before))
	r.view.nodes.showsWhole = spoken == nil
	var infos []fwk.NodeInfo // The plugins for volumes do without.
	if spoken == nil {
		infos = r.view.nodes.all().list
	}
	var result *fwk.PreFilterResult
	var narrowed []string
	for _, plugin := range r.before {
		if spoken != nil && farOff[plugin.Name()] {
			continue
		}
		narrows, status := plugin.PreFilter(r.quiet, q.state, pod, infos)
		if status.IsSkip() {
			skipped[plugin.Name()] = true
			continue
		}
		if !status.IsSuccess() {
			q.refused = refuse(plugin.Name(), status)
			if status.Code() != fwk.Unschedulable {
				return q
			}
			// What preemption could help against is said only if nothing worse follows.
			continue
		}
		if !narrows.AllNodes() {
			narrowed = append(narrowed, plugin.Name())
		}
		result = result.Merge(narrows)
	}
	if q.refused != nil {
		return q
	}
	if !result.AllNodes() {
		slices.Sort(narrowed)
		q.only = result.NodeNames
		q.outside = refuseFor(strings.Join(narrowed, ", "), fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", narrowed))
	}
	for _, filter := range r.filters {
		if !skipped[filter.Name()] && (spoken == nil || forVolumes[filter.Name()]) {
			q.filters = append(q.filters, filter)
		}
	}
	return q
}

// answer says whether the pod fits the node: nil, or why not.
func (r *rules) answer(q *question, slot int32) *refusal {
	if q.refused != nil {
		return q.refused
	}
	b := r.view.nodes.board
	if q.only != nil && !q.only.Has(b.names[slot]) {
		return q.outside
	}
	if q.spoken != nil {
		if v := b.early(q.spoken, slot); v != fits {
			return b.words(q.spoken, v)
		}
	}
	r.view.nodes.showsWhole = q.spoken == nil
	info := r.view.nodes.at(slot)
	for _, filter := range q.filters {
		if status := filter.Filter(r.quiet, q.state, q.pod, info); !status.IsSuccess() {
			return refuse(filter.Name(), status)
		}
	}
	if q.spoken != nil {
		return b.words(q.spoken, b.late(q.spoken, slot))
	}
	return nil
}

// refusal is a misfit with its reasons one by one, as the scheduler counts them in its events.
type refusal struct {
	Misfit
	reasons []string
}

// refuse puts a plugin's answer into our form. The reasons are sorted, as in the scheduler's own events: the resource plugin gives them in
// the order of a map. A plugin that fails refuses: nothing is concluded from a question that could not be answered.
func refuse(plugin string, status *fwk.Status) *refusal {
	if !status.IsRejected() {
		return refuseFor(plugin, fmt.Sprintf("running plugin %s: %s", plugin, status.Message()))
	}
	return refuseFor(plugin, slices.Sorted(slices.Values(status.Reasons()))...)
}

func refuseFor(plugin string, reasons ...string) *refusal {
	return &refusal{Misfit: Misfit{Plugin: plugin, Message: strings.Join(reasons, ", ")}, reasons: reasons}
}

// misfit is the part of a refusal that callers see; nil for none.
func (r *refusal) misfit() *Misfit {
	if r == nil {
		return nil
	}
	return &r.Misfit
}
