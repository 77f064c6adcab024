package scenario

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster/dump"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// ofWorkload is the label by which a dumped workload's budget finds its pods: their own labels stay as they were.
const ofWorkload = "simulation.poolkeeper.io/workload"

// bootTime is how long machines of a dumped cluster boot: a dump doesn't know.
const bootTime = 90 * time.Second

// FromDump is the cluster of a dump: its pools at their sizes, with machines and pods made anew.
func FromDump(name string, content []byte) (kwok.Config, []Workload, error) {
	var d dump.Dump
	if err := yaml.UnmarshalStrict(content, &d); err != nil {
		return kwok.Config{}, nil, fmt.Errorf("%s: this is no dump: %w; make one by: poolkeeper snapshot > FILE", name, err)
	}
	if d.APIVersion != dump.APIVersion || d.Kind != dump.Kind {
		return kwok.Config{}, nil, fmt.Errorf("%s: this is a %q of %q, and no %s of %s; make one by: poolkeeper snapshot > FILE", name, d.Kind, d.APIVersion, dump.Kind, dump.APIVersion)
	}
	var cloud kwok.Config
	names := map[string]bool{}
	for i, p := range d.Pools {
		pool, err := pooled(p)
		if err != nil {
			return cloud, nil, fmt.Errorf("%s: pools.%d: %w", name, i, err)
		}
		for n := 2; names[pool.Name]; n++ {
			pool.Name = fmt.Sprintf("%.40s-%d", pool.Name, n)
		}
		names[pool.Name] = true
		cloud.Pools = append(cloud.Pools, pool)
	}
	if len(cloud.Pools) == 0 {
		return cloud, nil, fmt.Errorf("%s: there are no pools in it: nothing could be simulated", name)
	}
	var workloads []Workload
	for i := range d.Workloads {
		workloads = append(workloads, dumped(&d.Workloads[i], i))
	}
	return cloud, workloads, nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// poolName is a name as the simulated cloud takes it.
func poolName(name string) string {
	name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if len(name) > 45 {
		name = strings.Trim(name[len(name)-45:], "-")
	}
	return name
}

func pooled(p dump.Pool) (kwok.Pool, error) {
	cpu, memory := p.Capacity[corev1.ResourceCPU], p.Capacity[corev1.ResourceMemory]
	switch {
	case poolName(p.Name) == "":
		return kwok.Pool{}, fmt.Errorf("name: %q is none", p.Name)
	case cpu.Sign() <= 0 || memory.Sign() <= 0:
		return kwok.Pool{}, fmt.Errorf("capacity: cpu or memory is missing")
	case p.Min < 0 || p.Target < 0 || p.Max < p.Min || p.Price < 0 || max(p.Max, p.Target) > MaxNodes:
		return kwok.Pool{}, fmt.Errorf("min %d, max %d and target %d don't go together, or are more than %d", p.Min, p.Max, p.Target, MaxNodes)
	}
	pool := kwok.Pool{
		Name: poolName(p.Name), Min: p.Min, Max: max(p.Max, p.Target), InitialSize: max(p.Target, p.Min), StartupDelay: bootTime, DeleteDelay: 5 * time.Second,
		Template: kwok.Template{
			Capacity: p.Capacity, Allocatable: p.Allocatable, Taints: p.Taints, Version: p.Version, Price: p.Price, Labels: map[string]string{},
			Zone: p.Labels[corev1.LabelTopologyZone], Region: p.Labels[corev1.LabelTopologyRegion], InstanceType: p.Labels[corev1.LabelInstanceTypeStable],
			Architecture: p.Labels[corev1.LabelArchStable], OperatingSystem: p.Labels[corev1.LabelOSStable],
		},
	}
	for key, value := range p.Labels {
		if !strings.Contains(key, "kubernetes.io/") || strings.HasPrefix(key, "node-role.") {
			pool.Template.Labels[key] = value
		}
	}
	if pool.Template.Version == "" {
		pool.Template.Version = "v1.36.3"
	}
	return pool, nil
}

// dumped is a workload whose pods are as those of the dump.
func dumped(w *dump.Workload, number int) Workload {
	label := fmt.Sprintf("w%d", number)
	o := Workload{Name: w.Name, Namespace: w.Namespace, Replicas: w.Replicas, Daemon: w.Owner == "DaemonSet"}
	o.shape = func(p *corev1.PodTemplateSpec) {
		p.Labels = maps.Clone(w.Labels)
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[ofWorkload] = label
		p.Annotations = maps.Clone(w.Annotations)
		p.Spec.Containers[0].Resources.Requests = w.Requests
		p.Spec.NodeSelector, p.Spec.Affinity, p.Spec.Tolerations = w.Rules.NodeSelector, w.Rules.Affinity, w.Rules.Tolerations
		p.Spec.TopologySpreadConstraints, p.Spec.TerminationGracePeriodSeconds = w.Rules.TopologySpreadConstraints, w.Rules.TerminationGraceSeconds
	}
	if w.MinAvailable != "" || w.MaxUnavailable != "" {
		o.budget = &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: label},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{ofWorkload: label}}},
		}
		if w.MinAvailable != "" {
			least := intstr.Parse(w.MinAvailable)
			o.budget.Spec.MinAvailable = &least
		} else {
			most := intstr.Parse(w.MaxUnavailable)
			o.budget.Spec.MaxUnavailable = &most
		}
	}
	return o
}

// limit makes the workload's own budget.
func (o *Workload) limit(w *simulation.World) {
	if o.budget == nil {
		return
	}
	_, _ = simulation.Create(w.Store, o.budget.DeepCopy()) // its name is a number of its own
}
