package autoscaler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// Controllers make pods bit by bit: of a large Deployment the first are pending long before the last exist. Those that are still missing are foreseen, so
// that one growth serves them all.

// making is for how long after its last pod a controller counts as making pods. One that is stuck (a quota, a webhook) must bring no nodes.
const making = 10 * time.Second

// foreseen are the pods that controllers are about to make, each like one that they made and that waits. They are on nobody's list: no verdict and no
// operation names them.
func (p *pass) foreseen() []*cluster.Pod {
	if p.opts.ForeseeLimit <= 0 {
		return nil
	}
	models := map[types.UID]*cluster.Pod{}
	for pod := range p.s.Pending.Values() {
		if p.modelling(pod) && (models[pod.Controller.UID] == nil || models[pod.Controller.UID].CreationTimestamp.Before(&pod.CreationTimestamp)) {
			models[pod.Controller.UID] = pod
		}
	}
	if len(models) == 0 {
		return nil
	}
	has := map[types.UID]int{}
	for pod := range p.s.Pods.Values() {
		if pod.Controller != nil && pod.DeletionTimestamp == nil && models[pod.Controller.UID] != nil {
			has[pod.Controller.UID]++
		}
	}
	var all []*cluster.Pod
	for _, model := range inOrder(models) {
		workload, _ := p.s.Workloads.Get(string(model.Controller.UID))
		for i := has[model.Controller.UID]; i < int(workload.Pods) && len(all) < p.opts.ForeseeLimit; i++ {
			all = append(all, p.imagine(model, fmt.Sprintf("%s-foreseen-%d", model.Controller.Name, i+1)))
		}
	}
	return all
}

// modelling tells whether a pod that waits shows what others of its controller will be like: it is new, its controller is known, and nothing of it is its
// own alone.
func (p *pass) modelling(pod *cluster.Pod) bool {
	if pod.Controller == nil || pod.DeletionTimestamp != nil || drain.IsDaemonSetPod(pod) || pod.NominatedNodeName != "" {
		return false
	}
	if p.now.Sub(pod.CreationTimestamp.Time) > making || len(pod.Spec.ResourceClaims) > 0 {
		return false
	}
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].PersistentVolumeClaim != nil || pod.Spec.Volumes[i].Ephemeral != nil {
			return false
		}
	}
	_, known := p.s.Workloads.Get(string(pod.Controller.UID))
	why, _ := p.leaves(pod)
	return known && why == ""
}

// inOrder are the models by their keys.
func inOrder(models map[types.UID]*cluster.Pod) []*cluster.Pod {
	all := make([]*cluster.Pod, 0, len(models))
	for _, model := range models {
		all = append(all, model)
	}
	slices.SortFunc(all, func(a, b *cluster.Pod) int { return cmp.Compare(a.Key(), b.Key()) })
	return all
}

// imagine is a pod like another one, under its own name, that does not exist.
func (p *pass) imagine(like *cluster.Pod, name string) *cluster.Pod {
	one := &cluster.Pod{Name: name, PodTemplate: like.PodTemplate, Controller: like.Controller}
	one.CreationTimestamp = like.CreationTimestamp
	p.imagined[one.Key()] = true
	return one
}

// real leaves out what nobody can see: verdicts about pods that do not exist.
func (p *pass) real(verdicts []plan.Verdict) []plan.Verdict {
	if len(p.imagined) == 0 {
		return verdicts
	}
	return slices.DeleteFunc(verdicts, func(v plan.Verdict) bool {
		return v.Owner == ledger.Autoscaler && v.Kind == plan.Pod && p.imagined[v.Name]
	})
}

// existing are those of the pods that exist.
func (p *pass) existing(pods []*cluster.Pod) []*cluster.Pod {
	if len(p.imagined) == 0 {
		return pods
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod *cluster.Pod) bool { return p.imagined[pod.Key()] })
}
