package clusterapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// defaultPods is how many pods a machine takes if nobody says so.
const defaultPods = "110"

// TemplateNodeInfo implements [cloudprovider.NodeGroup].
func (g *group) TemplateNodeInfo(context.Context) (*cloudprovider.Template, error) {
	x, err := g.known()
	if err != nil {
		return nil, err
	}
	if x.templateErr != nil {
		return nil, x.templateErr
	}
	return &cloudprovider.Template{Node: x.template.Node.DeepCopy(), Price: x.template.Price}, nil
}

// addTemplates makes the template of each pool. Each kind of infrastructure template is listed once.
func (p *Provider) addTemplates(ctx context.Context, v *view) {
	type answer struct {
		list []*unstructured.Unstructured
		err  error
	}
	asked := map[schema.GroupKind]answer{}
	for _, name := range v.order {
		x := v.pools[name]
		gk, called := infrastructure(x.object)
		a, known := asked[gk]
		if !known && gk.Kind != "" {
			a.list, a.err = p.listKind(ctx, gk)
			asked[gk] = a
		}
		var infra *unstructured.Unstructured
		for _, o := range a.list {
			if o.GetNamespace() == x.object.GetNamespace() && o.GetName() == called {
				infra = o
			}
		}
		x.template, x.templateErr = x.makeTemplate(infra, a.err)
	}
}

// infrastructure is what the template's machines are made of, in either version of the API.
func infrastructure(o *unstructured.Unstructured) (kind schema.GroupKind, name string) {
	ref := func(field string) string {
		return text(o.Object, "spec", "template", "spec", "infrastructureRef", field)
	}
	group, _, _ := strings.Cut(ref("apiVersion"), "/")
	return schema.GroupKind{Group: cmp.Or(ref("apiGroup"), group), Kind: ref("kind")}, ref("name")
}

func (p *Provider) listKind(ctx context.Context, kind schema.GroupKind) ([]*unstructured.Unstructured, error) {
	mapping, err := p.mapper.RESTMapping(kind)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for _, namespace := range p.config.namespaces() {
		list, err := p.list(ctx, mapping.Resource, namespace)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// makeTemplate makes a new node of the resource's annotations, and where they say nothing of what its infrastructure template says in status.capacity.
func (x *pool) makeTemplate(infra *unstructured.Unstructured, infraErr error) (*cloudprovider.Template, error) {
	capacity := corev1.ResourceList{}
	var problems []error
	if infra != nil {
		problems = append(problems, addCapacity(capacity, infra))
	}
	problems = append(problems, x.addAnnotated(capacity))
	node := &corev1.Node{}
	var err error
	if node.Labels, err = x.labels(infra); err != nil {
		problems = append(problems, err)
	}
	if node.Spec.Taints, err = x.taints(); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, "make the template of "+x.name, "%w", err)
	}
	if capacity.Cpu().IsZero() || capacity.Memory().IsZero() {
		why := "its infrastructure template has no status.capacity"
		if infraErr != nil {
			why = fmt.Sprintf("its infrastructure template can't be read (%v)", infraErr)
		}
		return nil, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "make the template of "+x.name,
			"%s; add the annotations %scpu and %smemory", why, annotationCapacity, annotationCapacity)
	}
	if _, given := capacity[corev1.ResourcePods]; !given {
		capacity[corev1.ResourcePods] = resource.MustParse(defaultPods)
	}
	node.Status = corev1.NodeStatus{
		Capacity: capacity, Allocatable: capacity.DeepCopy(),
		NodeInfo: corev1.NodeSystemInfo{
			KubeletVersion: x.version(), Architecture: node.Labels[corev1.LabelArchStable], OperatingSystem: node.Labels[corev1.LabelOSStable],
		},
	}
	return &cloudprovider.Template{Node: node}, nil
}

func addCapacity(capacity corev1.ResourceList, infra *unstructured.Unstructured) error {
	said, _, _ := unstructured.NestedMap(infra.Object, "status", "capacity")
	for name, value := range said {
		amount, err := resource.ParseQuantity(fmt.Sprint(value))
		if err != nil {
			return fmt.Errorf("%s %s: status.capacity has %s=%v: %w", infra.GetKind(), infra.GetName(), name, value, err)
		}
		capacity[corev1.ResourceName(name)] = amount
	}
	return nil
}

func (x *pool) addAnnotated(capacity corev1.ResourceList) error {
	annotations := x.object.GetAnnotations()
	gpu := corev1.ResourceName(cmp.Or(annotations[annotationCapacity+"gpu-type"], "nvidia.com/gpu"))
	var problems []error
	for short, name := range map[string]corev1.ResourceName{
		"cpu": corev1.ResourceCPU, "memory": corev1.ResourceMemory, "ephemeral-disk": corev1.ResourceEphemeralStorage,
		"maxPods": corev1.ResourcePods, "gpu-count": gpu,
	} {
		value, there := annotations[annotationCapacity+short]
		if !there {
			continue
		}
		amount, err := resource.ParseQuantity(value)
		if err == nil && amount.Sign() < 0 {
			err = errors.New("it is negative")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("annotation %s%s=%q: %w", annotationCapacity, short, value, err))
			continue
		}
		capacity[name] = amount
	}
	return errors.Join(problems...)
}

// labels are those that Cluster API hands down from a Machine to its node, what the infrastructure says, and on top the annotation.
func (x *pool) labels(infra *unstructured.Unstructured) (map[string]string, error) {
	all := map[string]string{corev1.LabelArchStable: "amd64", corev1.LabelOSStable: "linux"}
	if infra != nil {
		all[corev1.LabelArchStable] = cmp.Or(text(infra.Object, "status", "nodeInfo", "architecture"), all[corev1.LabelArchStable])
		all[corev1.LabelOSStable] = cmp.Or(text(infra.Object, "status", "nodeInfo", "operatingSystem"), all[corev1.LabelOSStable])
	}
	if zone := text(x.object.Object, "spec", "template", "spec", "failureDomain"); zone != "" {
		all[corev1.LabelTopologyZone] = zone
	}
	handed, _, _ := unstructured.NestedStringMap(x.object.Object, "spec", "template", "metadata", "labels")
	for key, value := range handed {
		domain, _, _ := strings.Cut(key, "/")
		if domain == "node-role.kubernetes.io" || under(domain, "node-restriction.kubernetes.io") || under(domain, "node."+Group) {
			all[key] = value
		}
	}
	for pair := range strings.SplitSeq(x.object.GetAnnotations()[annotationCapacity+"labels"], ",") {
		key, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case key == "" && !found:
		case key == "" || !found:
			return nil, fmt.Errorf("annotation %slabels: %q is no label; write key=value", annotationCapacity, pair)
		default:
			all[key] = value
		}
	}
	return all, nil
}

func under(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// taints are those of the template that stay, and those of the annotation.
func (x *pool) taints() ([]corev1.Taint, error) {
	var all []corev1.Taint
	list, _, _ := unstructured.NestedSlice(x.object.Object, "spec", "template", "spec", "taints")
	for _, one := range list {
		if t, ok := one.(map[string]any); ok && text(t, "propagation") != "OnInitialization" {
			all = append(all, corev1.Taint{Key: text(t, "key"), Value: text(t, "value"), Effect: corev1.TaintEffect(text(t, "effect"))})
		}
	}
	for written := range strings.SplitSeq(x.object.GetAnnotations()[annotationCapacity+"taints"], ",") {
		written = strings.TrimSpace(written)
		if written == "" {
			continue
		}
		pair, effect, found := strings.Cut(written, ":")
		key, value, _ := strings.Cut(pair, "=")
		switch e := corev1.TaintEffect(effect); {
		case !found || key == "",
			e != corev1.TaintEffectNoSchedule && e != corev1.TaintEffectPreferNoSchedule && e != corev1.TaintEffectNoExecute:
			return nil, fmt.Errorf("annotation %staints: %q is no taint; write key=value:NoSchedule, PreferNoSchedule or NoExecute", annotationCapacity, written)
		default:
			all = append(all, corev1.Taint{Key: key, Value: value, Effect: e})
		}
	}
	return all, nil
}
