package standin

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// deployments have a MachineSet for their template, and roll to it with one machine more and none less, as Cluster API does by default.
func (p *pass) deployments() error {
	for i := range p.mds {
		o := &p.mds[i]
		if p.paused(o) || o.GetDeletionTimestamp() != nil {
			continue
		}
		if err := p.deployment(o); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) deployment(o *unstructured.Unstructured) error {
	spec, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	template, err := hash(spec)
	if err != nil {
		return err
	}
	name, target := o.GetName()+"-"+template, replicas(o)
	var current *unstructured.Unstructured
	var old []*unstructured.Unstructured
	total, ready, olds, machines := 0, 0, 0, 0
	for i := range p.mss {
		set := &p.mss[i]
		if r := metav1.GetControllerOf(set); r == nil || r.UID != o.GetUID() {
			continue
		}
		list := p.owned(set)
		ready, total, machines = ready+up(list), total+replicas(set), machines+len(list)
		if set.GetName() == name {
			current = set
			continue
		}
		old, olds = append(old, set), olds+replicas(set)
	}
	if current == nil {
		return p.newSet(o, name, spec)
	}
	want := target
	if olds > 0 {
		want = min(target, max(replicas(current), target+1-olds))
	}
	if err := p.resize(current, want); err != nil {
		return err
	}
	slices.SortFunc(old, func(a, b *unstructured.Unstructured) int { return replicas(b) - replicas(a) })
	if olds > 0 && ready > target && total > target && machines == total {
		if err := p.resize(old[0], replicas(old[0])-1); err != nil {
			return err
		}
	}
	rolling := "False"
	if olds > 0 || machines > len(p.owned(current)) {
		rolling = "True"
	}
	return p.status("machinedeployments", o, map[string]any{
		"replicas": int64(machines), "upToDateReplicas": int64(len(p.owned(current))), "observedGeneration": o.GetGeneration(),
		"conditions": []any{condition("RollingOut", rolling, "Rolling")},
	})
}

func (p *pass) resize(set *unstructured.Unstructured, to int) error {
	if replicas(set) == to {
		return nil
	}
	if err := unstructured.SetNestedField(set.Object, int64(to), "spec", "replicas"); err != nil {
		return err
	}
	return p.update("machinesets", set)
}

func (p *pass) newSet(o *unstructured.Unstructured, name string, template map[string]any) error {
	clusterName, _, _ := unstructured.NestedString(o.Object, "spec", "clusterName")
	labels := map[string]any{group + "/deployment-name": o.GetName()}
	handed, _, _ := unstructured.NestedMap(template, "metadata", "labels")
	if handed == nil {
		handed = map[string]any{}
	}
	maps.Copy(handed, labels)
	if err := unstructured.SetNestedMap(template, handed, "metadata", "labels"); err != nil {
		return err
	}
	set := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/" + Version, "kind": "MachineSet",
		"spec": map[string]any{
			"clusterName": clusterName, "replicas": int64(0), "template": template, "selector": map[string]any{"matchLabels": labels},
		},
	}}
	set.SetNamespace(o.GetNamespace())
	set.SetName(name)
	// As Cluster API does it, the annotations go down with it, those of the cluster-autoscaler as well.
	set.SetAnnotations(o.GetAnnotations())
	set.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(o, o.GroupVersionKind())})
	p.changed = true
	_, err := p.of("machinesets", o.GetNamespace()).Create(p.ctx, set, metav1.CreateOptions{})
	return err
}
