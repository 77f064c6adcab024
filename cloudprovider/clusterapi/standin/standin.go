// Package standin plays the controllers of Cluster API and an infrastructure that makes nothing, for tests of the provider: MachineDeployments make MachineSets
// and roll them one machine at a time, MachineSets and MachinePools make Machines, and Machines come up, join and leave. It works on any management
// cluster that serves Cluster API's kinds, one step at a time.
package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Version is the version of Cluster API's kinds that is played.
const Version = "v1beta2"

// Scheme begins the provider ID of every machine.
const Scheme = "standin://"

const (
	group      = "cluster.x-k8s.io"
	finalizer  = "machine." + group
	markDelete = group + "/delete-machine"
)

// Standin is the set of controllers. Its fields may be changed between two steps.
type Standin struct {
	Client dynamic.Interface
	// Namespace is the only one that is looked after; all are if it is empty.
	Namespace string
	// Join makes the node of a machine, and Leave takes it away, drained; nil does without nodes.
	Join  func(ctx context.Context, node, providerID, version string, labels map[string]string) error
	Leave func(ctx context.Context, node string) error
	// Fail is why the infrastructure makes no machines from now on, such as "InsufficientInstanceCapacity"; empty while it does.
	Fail string
	// Withhold makes nothing come of Machines that are new.
	Withhold bool
	// Made counts the machines that have come up, by MachineDeployment, MachineSet or MachinePool.
	Made map[string]int
}

// Resource is the resource of a kind, such as "machines".
func Resource(name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: Version, Resource: name}
}

func (s *Standin) of(resource, namespace string) dynamic.ResourceInterface {
	return s.Client.Resource(Resource(resource)).Namespace(namespace)
}

// Settle steps until nothing changes any more.
func (s *Standin) Settle(ctx context.Context) error {
	for range 200 {
		changed, err := s.Step(ctx)
		if err != nil || !changed {
			return err
		}
	}
	return fmt.Errorf("the machines don't come to rest")
}

// Step lets each controller do what is to be done now, and tells whether there was anything. Conflicts are left to the next step.
func (s *Standin) Step(ctx context.Context) (changed bool, err error) {
	if s.Made == nil {
		s.Made = map[string]int{}
	}
	p := &pass{Standin: s, ctx: ctx}
	for _, do := range []func() error{p.read, p.machines, p.deployments, p.sets, p.pools} {
		if err := do(); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return p.changed, err
		}
	}
	return p.changed, nil
}

// pass is one step.
type pass struct {
	*Standin
	ctx     context.Context
	changed bool

	clusters, mds, mss, mps, all []unstructured.Unstructured
}

func (p *pass) read() error {
	for name, to := range map[string]*[]unstructured.Unstructured{
		"clusters": &p.clusters, "machinedeployments": &p.mds, "machinesets": &p.mss, "machinepools": &p.mps, "machines": &p.all,
	} {
		list, err := p.of(name, p.Namespace).List(p.ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		*to = slices.DeleteFunc(list.Items, func(o unstructured.Unstructured) bool { return p.Namespace != "" && o.GetNamespace() != p.Namespace })
	}
	return nil
}

// paused tells whether the controllers leave the object alone.
func (p *pass) paused(o *unstructured.Unstructured) bool {
	if b, _, _ := unstructured.NestedBool(o.Object, "spec", "paused"); b {
		return true
	}
	name, _, _ := unstructured.NestedString(o.Object, "spec", "clusterName")
	return slices.ContainsFunc(p.clusters, func(c unstructured.Unstructured) bool {
		b, _, _ := unstructured.NestedBool(c.Object, "spec", "paused")
		return b && c.GetName() == name && c.GetNamespace() == o.GetNamespace()
	})
}

// machines bring each Machine one step further: it gets its provider ID, then its node; one that is deleted loses both.
func (p *pass) machines() error {
	for i := range p.all {
		m := &p.all[i]
		if p.paused(m) {
			continue
		}
		var err error
		providerID, _, _ := unstructured.NestedString(m.Object, "spec", "providerID")
		node, _, _ := unstructured.NestedString(m.Object, "status", "nodeRef", "name")
		switch {
		case m.GetDeletionTimestamp() != nil:
			err = p.end(m, node)
		case providerID == "" && p.Fail != "":
			err = p.fail(m)
		case providerID == "" && !p.Withhold:
			if err = unstructured.SetNestedField(m.Object, Scheme+m.GetNamespace()+"/"+m.GetName(), "spec", "providerID"); err == nil {
				err = p.update("machines", m)
			}
		case providerID != "" && node == "":
			err = p.join(m, providerID)
		}
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func (p *pass) fail(m *unstructured.Unstructured) error {
	return p.status("machines", m, map[string]any{"phase": "Provisioning", "conditions": []any{condition("InfrastructureReady", "False", p.Fail)}})
}

func (p *pass) join(m *unstructured.Unstructured, providerID string) error {
	version, _, _ := unstructured.NestedString(m.Object, "spec", "version")
	if p.Join != nil {
		if err := p.Join(p.ctx, m.GetName(), providerID, version, m.GetLabels()); err != nil {
			return err
		}
	}
	p.Made[p.ownerOf(m)]++
	return p.status("machines", m, map[string]any{
		"phase": "Running", "nodeRef": map[string]any{"name": m.GetName()}, "conditions": []any{condition("InfrastructureReady", "True", "Provisioned")},
	})
}

// ownerOf is the name of what the Machine was made for.
func (p *pass) ownerOf(m *unstructured.Unstructured) string {
	for _, label := range []string{"/deployment-name", "/pool-name", "/set-name"} {
		if name := m.GetLabels()[group+label]; name != "" {
			return name
		}
	}
	return ""
}

func (p *pass) end(m *unstructured.Unstructured, node string) error {
	if p.Leave != nil && node != "" {
		if err := p.Leave(p.ctx, node); err != nil {
			return err
		}
	}
	m.SetFinalizers(slices.DeleteFunc(m.GetFinalizers(), func(f string) bool { return f == finalizer }))
	return p.update("machines", m)
}

// sets have as many Machines as they should.
func (p *pass) sets() error {
	for i := range p.mss {
		o := &p.mss[i]
		if err := p.fill("machinesets", o, map[string]string{group + "/set-name": o.GetName()}); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) pools() error {
	for i := range p.mps {
		o := &p.mps[i]
		if err := p.fill("machinepools", o, map[string]string{group + "/pool-name": o.GetName()}); err != nil {
			return err
		}
		if err := p.rollPool(o); err != nil {
			return err
		}
	}
	return nil
}

// rollPool replaces the next Machine of another version than the template's, when all others are up.
func (p *pass) rollPool(o *unstructured.Unstructured) error {
	version, _, _ := unstructured.NestedString(o.Object, "spec", "template", "spec", "version")
	list := p.owned(o)
	if p.paused(o) || up(list) != replicas(o) || len(list) != replicas(o) {
		return nil
	}
	for _, m := range list {
		if has, _, _ := unstructured.NestedString(m.Object, "spec", "version"); has != version {
			p.changed = true
			return p.of("machines", m.GetNamespace()).Delete(p.ctx, m.GetName(), metav1.DeleteOptions{})
		}
	}
	return nil
}

// fill makes the Machines that are missing, or deletes those that are too many: as Cluster API does it, those that are going, then those that are marked,
// then those that are no nodes yet.
func (p *pass) fill(resource string, o *unstructured.Unstructured, labels map[string]string) error {
	if p.paused(o) || o.GetDeletionTimestamp() != nil {
		return nil
	}
	list := p.owned(o)
	for n := len(list); n < replicas(o); n++ {
		if err := p.newMachine(o, labels); err != nil {
			return err
		}
	}
	slices.SortStableFunc(list, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	for _, m := range list[:max(0, len(list)-replicas(o))] {
		if m.GetDeletionTimestamp() != nil {
			continue
		}
		p.changed = true
		if err := p.of("machines", m.GetNamespace()).Delete(p.ctx, m.GetName(), metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	return p.status(resource, o, map[string]any{"replicas": int64(len(list)), "observedGeneration": o.GetGeneration()})
}

func rank(m *unstructured.Unstructured) int {
	_, marked := m.GetAnnotations()[markDelete]
	node, _, _ := unstructured.NestedString(m.Object, "status", "nodeRef", "name")
	switch {
	case m.GetDeletionTimestamp() != nil:
		return 0
	case marked:
		return 1
	case node == "":
		return 2
	}
	return 3
}

func (p *pass) newMachine(o *unstructured.Unstructured, labels map[string]string) error {
	spec, _, _ := unstructured.NestedMap(o.Object, "spec", "template", "spec")
	handed, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
	all := map[string]string{}
	maps.Copy(all, handed)
	maps.Copy(all, labels)
	m := &unstructured.Unstructured{Object: map[string]any{"apiVersion": group + "/" + Version, "kind": "Machine", "spec": spec}}
	m.SetNamespace(o.GetNamespace())
	m.SetGenerateName(o.GetName() + "-")
	m.SetLabels(all)
	m.SetFinalizers([]string{finalizer})
	m.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(o, o.GroupVersionKind())})
	p.changed = true
	_, err := p.of("machines", o.GetNamespace()).Create(p.ctx, m, metav1.CreateOptions{})
	return err
}

// owned are the Machines of the object, also those that are going, by name.
func (p *pass) owned(o *unstructured.Unstructured) []*unstructured.Unstructured {
	var list []*unstructured.Unstructured
	for i := range p.all {
		if r := metav1.GetControllerOf(&p.all[i]); r != nil && r.UID == o.GetUID() {
			list = append(list, &p.all[i])
		}
	}
	slices.SortFunc(list, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return list
}

// up counts the Machines that are nodes, and stay.
func up(list []*unstructured.Unstructured) int {
	n := 0
	for _, m := range list {
		if rank(m) == 3 {
			n++
		}
	}
	return n
}

func replicas(o *unstructured.Unstructured) int {
	n, found, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if !found {
		return 1
	}
	return int(n)
}

func condition(kind, status, reason string) map[string]any {
	return map[string]any{"type": kind, "status": status, "reason": reason, "message": reason, "lastTransitionTime": "2026-08-03T00:00:00Z"}
}

// status writes the status, unless it is that already.
func (p *pass) status(resource string, o *unstructured.Unstructured, status map[string]any) error {
	has, _, _ := unstructured.NestedMap(o.Object, "status")
	if reflect.DeepEqual(has, status) {
		return nil
	}
	o.Object["status"] = status
	p.changed = true
	_, err := p.of(resource, o.GetNamespace()).UpdateStatus(p.ctx, o, metav1.UpdateOptions{})
	return err
}

func (p *pass) update(resource string, o *unstructured.Unstructured) error {
	p.changed = true
	_, err := p.of(resource, o.GetNamespace()).Update(p.ctx, o, metav1.UpdateOptions{})
	return err
}

// hash names a template.
func hash(spec any) (string, error) {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	h := fnv.New32a()
	_, _ = h.Write(encoded) // never fails
	return fmt.Sprintf("%08x", h.Sum32()), nil
}
