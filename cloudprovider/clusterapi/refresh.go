package clusterapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// pageSize bounds one answer of the management cluster.
const pageSize = 1000

// served is a kind as the management cluster serves it.
type served struct {
	kind string
	gvr  schema.GroupVersionResource
}

// lists are all objects of the kinds that matter, by kind.
type lists map[string][]*unstructured.Unstructured

// Refresh implements [cloudprovider.CloudProvider]: it lists each kind once, and each kind of infrastructure template that some pool uses.
func (p *Provider) Refresh(ctx context.Context) error {
	p.mutex.Lock()
	p.refreshes++
	number := p.refreshes
	p.mutex.Unlock()
	const doing = "read the management cluster"
	if err := ctx.Err(); err != nil {
		return typed(err, doing)
	}
	if err := p.learnKinds(); err != nil {
		return typed(err, doing)
	}
	all := lists{}
	for _, kind := range []string{kindCluster, kindDeployment, kindSet, kindPool, kindMachine} {
		if err := p.listInto(ctx, all, kind); err != nil {
			return typed(err, doing+": list "+kind+"s")
		}
	}
	fresh := p.build(all)
	p.addTemplates(ctx, fresh)
	if err := ctx.Err(); err != nil {
		return typed(err, doing)
	}
	p.accept(number, fresh)
	return nil
}

// learnKinds finds out once in which versions the kinds are served. MachinePools may not be there.
func (p *Provider) learnKinds() error {
	p.mutex.RLock()
	known := p.kinds != nil
	p.mutex.RUnlock()
	if known {
		return nil
	}
	kinds := map[string]served{}
	for _, kind := range []string{kindCluster, kindDeployment, kindSet, kindPool, kindMachine} {
		mapping, err := p.mapper.RESTMapping(schema.GroupKind{Group: Group, Kind: kind})
		switch {
		case meta.IsNoMatchError(err) && kind == kindPool:
			continue
		case meta.IsNoMatchError(err):
			return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the management cluster serves no %s of %s; install Cluster API there, or name another kubeconfig in --cloud-config", kind, Group)
		case err != nil:
			return err
		}
		kinds[kind] = served{kind, mapping.Resource}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.kinds = kinds
	return nil
}

// forgetKinds has the kinds learned anew: another version may be served after an upgrade of Cluster API.
func (p *Provider) forgetKinds() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.kinds = nil
	if resettable, ok := p.mapper.(meta.ResettableRESTMapper); ok {
		resettable.Reset()
	}
}

func (p *Provider) listInto(ctx context.Context, all lists, kind string) error {
	p.mutex.RLock()
	r, known := p.kinds[kind]
	p.mutex.RUnlock()
	if !known {
		return nil
	}
	for _, namespace := range p.config.namespaces() {
		list, err := p.list(ctx, r.gvr, namespace)
		if classOf(err) == cloudprovider.ClassNotFound && err != nil {
			p.forgetKinds()
		}
		if err != nil {
			return err
		}
		all[kind] = append(all[kind], list...)
	}
	return nil
}

func (p *Provider) list(ctx context.Context, gvr schema.GroupVersionResource, namespace string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := p.client.Resource(gvr).Namespace(namespace).List(ctx, options)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			page.Items[i].SetManagedFields(nil)
			all = append(all, &page.Items[i])
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return all, nil
		}
	}
}

// view is what is known of the management cluster. It is never changed, but replaced.
type view struct {
	order []string
	pools map[string]*pool
	// machines are the Machines of all pools, by namespace and name.
	machines map[string]*machine
}

// build makes the picture.
func (p *Provider) build(all lists) *view {
	v := &view{pools: map[string]*pool{}, machines: map[string]*machine{}}
	clusters := map[string]*unstructured.Unstructured{}
	for _, o := range all[kindCluster] {
		clusters[o.GetNamespace()+"/"+o.GetName()] = o
	}
	owners := owners(all)
	members := map[types.UID][]*unstructured.Unstructured{}
	for _, o := range all[kindMachine] {
		if owner, owned := owners[controller(o)]; owned {
			members[owner] = append(members[owner], o)
		}
	}
	for _, kind := range []string{kindDeployment, kindSet, kindPool} {
		for _, o := range all[kind] {
			if owners[o.GetUID()] != o.GetUID() || !p.isPool(o) {
				continue
			}
			cluster := clusters[o.GetNamespace()+"/"+text(o.Object, "spec", "clusterName")]
			v.add(newPool(kind, o, cluster, members[o.GetUID()]))
		}
	}
	slices.Sort(v.order)
	return v
}

func (v *view) add(x *pool) {
	v.order = append(v.order, x.name)
	v.pools[x.name] = x
	for _, m := range x.machines {
		if m.name != "" {
			v.machines[m.namespace+"/"+m.name] = m
		}
	}
}

// owners says for the UID of each MachineDeployment, MachineSet and MachinePool which of them the machines belong to: a MachineSet's to the
// MachineDeployment that made it, so that they are counted once.
func owners(all lists) map[types.UID]types.UID {
	owner := map[types.UID]types.UID{}
	for _, kind := range []string{kindDeployment, kindPool} {
		for _, o := range all[kind] {
			owner[o.GetUID()] = o.GetUID()
		}
	}
	for _, o := range all[kindSet] {
		owner[o.GetUID()] = o.GetUID()
		for _, r := range o.GetOwnerReferences() {
			if r.Kind == kindDeployment && strings.HasPrefix(r.APIVersion, Group+"/") {
				owner[o.GetUID()] = r.UID
			}
		}
	}
	return owner
}

// controller is the UID of what controls the object.
func controller(o *unstructured.Unstructured) types.UID {
	if r := metav1.GetControllerOf(o); r != nil {
		return r.UID
	}
	for _, r := range o.GetOwnerReferences() { // a MachinePool's Machines may have no controller
		if r.Kind == kindPool {
			return r.UID
		}
	}
	return ""
}

// isPool tells whether the resource is to be a pool: it has one of the annotations at least, and is among those to be discovered.
func (p *Provider) isPool(o *unstructured.Unstructured) bool {
	annotations := o.GetAnnotations()
	_, least := annotations[AnnotationMin]
	_, most := annotations[AnnotationMax]
	return (least || most) && p.config.fits(o.GetNamespace(), text(o.Object, "spec", "clusterName"), o.GetLabels())
}

// forgetAfter is in how many lists a machine has to be missing until its provider ID is a stranger's again.
const forgetAfter = 10000

// accept takes in a picture, unless a later one is there already. What we have written since the lists were read is newer than they are.
func (p *Provider) accept(number int, fresh *view) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if number < p.accepted {
		return
	}
	p.accepted = number
	for name, x := range fresh.pools {
		old := p.view.pools[name]
		if old != nil && old.object.GetUID() == x.object.GetUID() && old.object.GetGeneration() > x.object.GetGeneration() {
			kept := *old
			kept.template, kept.templateErr = x.template, x.templateErr
			fresh.pools[name] = &kept
		}
	}
	listed := map[types.UID]bool{}
	for key, r := range p.seen {
		r.absent++
		if p.seen[key] = r; r.absent > forgetAfter {
			delete(p.seen, key)
			delete(p.spelling, key)
		}
	}
	for _, x := range fresh.pools {
		p.remember(x)
		for _, m := range x.machines {
			if m.object != nil && !m.deleting() {
				listed[m.object.GetUID()] = true
			}
		}
	}
	for uid := range p.leaving {
		if !listed[uid] {
			delete(p.leaving, uid)
		}
	}
	p.view = *fresh
}

// remember notes the pool's machines, and those that were removed from it before this process began. The mutex is held.
func (p *Provider) remember(x *pool) {
	for _, gone := range x.removed {
		key := normal(gone.ID)
		if _, known := p.seen[key]; !known && gone.ID != "" {
			p.seen[key] = ref{group: x.name, namespace: x.object.GetNamespace(), name: gone.Machine, uid: gone.UID}
		}
	}
	for _, m := range x.machines {
		if m.id == "" {
			continue
		}
		r := ref{group: x.name, namespace: m.namespace, name: m.name}
		if m.object != nil {
			r.uid = m.object.GetUID()
		}
		p.seen[normal(m.id)] = r
	}
}

// wrote takes in what was written to a pool's resource, with the machines as they were.
func (p *Provider) wrote(name string, o *unstructured.Unstructured) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	old := p.view.pools[name]
	if old == nil || old.object.GetGeneration() > o.GetGeneration() {
		return
	}
	fresh := *old
	fresh.object = o
	fresh.read()
	pools := maps.Clone(p.view.pools)
	pools[name] = &fresh
	p.view.pools = pools
	p.remember(&fresh)
}
