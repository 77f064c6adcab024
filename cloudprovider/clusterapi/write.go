package clusterapi

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// isVersion is a Kubernetes version as Machines have it. Which ones there are nobody knows here.
var isVersion = regexp.MustCompile(`^v?[1-9][0-9]*\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

const (
	// tries is how often a write is tried while others change the same object.
	tries = 10
	// mostRemovals is how many removed machines are written down on a resource at the most; a call is repeated for minutes, not for so many deletions.
	mostRemovals = 100
)

// write reads the pool's resource, has it changed, and takes in what came of it. On a conflict it begins again: nothing is ever written that was
// computed from an older state than the one that it replaces. One write at a time changes a pool.
func (g *group) write(ctx context.Context, doing string, change func(*unstructured.Unstructured) (*unstructured.Unstructured, error)) error {
	turn := g.provider.turn(g.name)
	if err := turn.Acquire(ctx, 1); err != nil {
		return typed(err, doing)
	}
	defer turn.Release(1)
	kind, namespace, name := splitName(g.name)
	var err error
	for range tries {
		if err = ctx.Err(); err != nil {
			break
		}
		var o *unstructured.Unstructured
		if o, err = g.provider.get(ctx, kind, namespace, name); err != nil {
			break
		}
		if why := g.stopped(o); why != "" {
			return cloudprovider.Errorf(cloudprovider.ClassTransient, doing, "%s", why)
		}
		var written *unstructured.Unstructured
		if written, err = change(o); err == nil {
			written.SetManagedFields(nil)
			g.provider.wrote(g.name, written)
			return nil
		}
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return typed(err, doing)
}

// stopped says why nothing may be written to the resource now; empty if all may.
func (g *group) stopped(live *unstructured.Unstructured) string {
	kind, _, _ := splitName(g.name)
	x := &pool{name: g.name, kind: kind, object: live}
	if known := g.provider.pool(g.name); known != nil {
		x.cluster = known.cluster
	}
	if live.GetDeletionTimestamp() != nil {
		return g.name + " is being deleted"
	}
	return x.paused()
}

// update writes the whole resource; its resourceVersion is the precondition.
func (g *group) update(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	kind, namespace, _ := splitName(g.name)
	door, err := g.provider.of(kind, namespace)
	if err != nil {
		return nil, err
	}
	return door.Update(ctx, o, metav1.UpdateOptions{})
}

// scale writes the number of replicas by the scale subresource; the resourceVersion of the resource is the precondition.
func (g *group) scale(ctx context.Context, o *unstructured.Unstructured, to int) (*unstructured.Unstructured, error) {
	kind, namespace, name := splitName(g.name)
	door, err := g.provider.of(kind, namespace)
	if err != nil {
		return nil, err
	}
	wanted := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v1", "kind": "Scale",
		"metadata": map[string]any{"name": name, "namespace": namespace, "resourceVersion": o.GetResourceVersion()},
		"spec":     map[string]any{"replicas": int64(to)},
	}}
	scaled, err := door.Update(ctx, wanted, metav1.UpdateOptions{}, "scale")
	if err != nil {
		return nil, err
	}
	// The precondition held, so that this is the resource as it is now.
	written := o.DeepCopy()
	written.SetResourceVersion(scaled.GetResourceVersion())
	written.SetGeneration(o.GetGeneration() + 1)
	return written, unstructured.SetNestedField(written.Object, int64(to), "spec", "replicas")
}

// IncreaseSize implements [cloudprovider.NodeGroup].
func (g *group) IncreaseSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("increase %s by %d", g.name, delta)
	if delta <= 0 {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "an increase has to be positive")
	}
	return g.write(ctx, doing, func(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		most := limits(o).most
		if to := replicas(o) + delta; to > most {
			return nil, cloudprovider.Errorf(cloudprovider.ClassLimit, "", "that would be %d, and its max is %d", to, most)
		}
		return g.scale(ctx, o, replicas(o)+delta)
	})
}

// DecreaseTargetSize implements [cloudprovider.NodeGroup]. Machines that have no provider ID yet are what has not come: as many of them as there are too
// many are deleted by name, the youngest first.
func (g *group) DecreaseTargetSize(ctx context.Context, delta int) error {
	doing := fmt.Sprintf("take back %d of %s", -delta, g.name)
	if delta >= 0 {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "what is taken back has to be negative")
	}
	return g.write(ctx, doing, func(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		live, err := g.provider.live(ctx, g.name, o)
		if err != nil {
			return nil, err
		}
		var here int
		var pending []*machine
		for _, m := range live.machines {
			switch {
			case m.object != nil && (m.deleting() || live.wasRemoved(m.object.GetUID())):
			case m.id == "" && m.object == nil: // a list of provider IDs with an empty place: no machine that could be named
			case m.id == "":
				pending = append(pending, m)
			default:
				here++
			}
		}
		to := replicas(o) + delta
		if to < here {
			return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "that would be %d, and there are %d machines already", to, here)
		}
		excess := max(0, here+len(pending)-to)
		if excess == 0 {
			return g.scale(ctx, o, to)
		}
		return g.shrink(ctx, o, -delta, pending[len(pending)-excess:])
	})
}

// DeleteNodes implements [cloudprovider.NodeGroup].
func (g *group) DeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, fmt.Sprintf("delete %d machines of %s", len(nodes), g.name), nodes, false)
}

// ForceDeleteNodes implements [cloudprovider.ForceDeleter].
func (g *group) ForceDeleteNodes(ctx context.Context, nodes []*corev1.Node) error {
	return g.remove(ctx, fmt.Sprintf("force the deletion of %d machines of %s", len(nodes), g.name), nodes, true)
}

func (g *group) remove(ctx context.Context, doing string, nodes []*corev1.Node, force bool) error {
	wanted, err := g.refs(doing, nodes)
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		return typed(ctx.Err(), doing)
	}
	return g.write(ctx, doing, func(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		live, err := g.provider.live(ctx, g.name, o)
		if err != nil {
			return nil, err
		}
		if !live.chosen() {
			return nil, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "", "its infrastructure makes no Machines, so that no single one can be deleted")
		}
		var victims, unfinished []*machine
		for _, m := range live.machines {
			id, asked := wanted[m.object.GetUID()]
			switch {
			case !asked || m.deleting():
			case strings.HasPrefix(id, failedPrefix) && m.joined():
				return nil, cloudprovider.Errorf(cloudprovider.ClassTransient, "", "Machine %s had failed, and has become a node meanwhile", m.name)
			case live.wasRemoved(m.object.GetUID()):
				unfinished = append(unfinished, m) // the size was lowered for it, and then we were interrupted
			default:
				victims = append(victims, m)
			}
		}
		if to := replicas(o) - len(victims); len(victims) > 0 && to < live.least && !force {
			return nil, cloudprovider.Errorf(cloudprovider.ClassLimit, "", "that would leave %d, and its min is %d", to, live.least)
		}
		if len(victims) == 0 {
			return o, g.delete(ctx, unfinished)
		}
		if err := g.unmarkOthers(ctx, live, victims); err != nil {
			return nil, err
		}
		return g.shrink(ctx, o, len(victims), append(victims, unfinished...))
	})
}

// refs are the nodes' provider IDs by the UIDs of their Machines. A node of another pool is an error.
func (g *group) refs(doing string, nodes []*corev1.Node) (map[types.UID]string, error) {
	wanted := map[types.UID]string{}
	for _, node := range nodes {
		r, known := g.provider.find(node.Spec.ProviderID)
		if !known || r.group != g.name {
			return nil, notOurs(doing, node.Spec.ProviderID)
		}
		wanted[r.uid] = node.Spec.ProviderID
	}
	return wanted, nil
}

// shrink lowers the replicas and deletes these machines: it marks them, so that a controller which acts in between takes them and no others; lowers the
// replicas, and writes them down in the same write, so that a repetition lowers nothing; and deletes them, so that also while others are on
// their way none but them goes.
func (g *group) shrink(ctx context.Context, o *unstructured.Unstructured, by int, victims []*machine) (*unstructured.Unstructured, error) {
	for _, m := range victims {
		if err := g.mark(ctx, m, true); err != nil {
			return nil, err
		}
	}
	list := removedFrom(o)
	for _, m := range victims {
		if !slices.ContainsFunc(list, func(r removal) bool { return r.UID == m.object.GetUID() }) {
			list = append(list, removal{Machine: m.name, UID: m.object.GetUID(), ID: m.id})
		}
	}
	list = list[max(0, len(list)-mostRemovals):]
	encoded, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	annotations := o.GetAnnotations()
	annotations[annotationRemoved] = string(encoded)
	o.SetAnnotations(annotations)
	if err := unstructured.SetNestedField(o.Object, int64(replicas(o)-by), "spec", "replicas"); err != nil {
		return nil, err
	}
	written, err := g.update(ctx, o)
	if err != nil {
		return nil, err
	}
	g.provider.wrote(g.name, written) // also when the rest fails: the size is lowered
	return written, g.delete(ctx, victims)
}

// delete deletes Machines, each with its UID as precondition. One that is gone is done.
func (g *group) delete(ctx context.Context, victims []*machine) error {
	for _, m := range victims {
		door, err := g.provider.of(kindMachine, m.namespace)
		if err != nil {
			return err
		}
		uid := m.object.GetUID()
		err = door.Delete(ctx, m.name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if err != nil && !isGone(err) && !apierrors.IsConflict(err) { // a conflict: another Machine has the name by now
			return err
		}
		g.provider.mutex.Lock()
		g.provider.leaving[uid] = true
		g.provider.mutex.Unlock()
	}
	return nil
}

// unmarkOthers takes our mark off Machines that are not to go now: a deletion of theirs was begun and given up before the size was lowered.
func (g *group) unmarkOthers(ctx context.Context, live *pool, victims []*machine) error {
	for _, m := range live.machines {
		ours := m.object.GetAnnotations()[annotationDelete] == markedByUs
		if !ours || m.deleting() || slices.Contains(victims, m) || live.wasRemoved(m.object.GetUID()) {
			continue
		}
		if err := g.mark(ctx, m, false); err != nil {
			return err
		}
	}
	return nil
}

// mark marks a Machine for deletion, or takes the mark away. Its UID and resourceVersion are the precondition.
func (g *group) mark(ctx context.Context, m *machine, on bool) error {
	var value any
	if on {
		if _, marked := m.object.GetAnnotations()[annotationDelete]; marked {
			return nil
		}
		value = markedByUs
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": m.object.GetUID(), "resourceVersion": m.object.GetResourceVersion(), "annotations": map[string]any{annotationDelete: value},
	}})
	if err != nil {
		return err
	}
	door, err := g.provider.of(kindMachine, m.namespace)
	if err != nil {
		return err
	}
	_, err = door.Patch(ctx, m.name, types.MergePatchType, patch, metav1.PatchOptions{})
	if isGone(err) {
		return nil // it went by itself; the next look shows it
	}
	return err
}

// ReplaceNodes implements [cloudprovider.Replacer]: the Machines are deleted, and their owner makes new ones.
func (g *group) ReplaceNodes(ctx context.Context, nodes []*corev1.Node) error {
	doing := fmt.Sprintf("replace %d machines of %s", len(nodes), g.name)
	wanted, err := g.refs(doing, nodes)
	if err != nil {
		return err
	}
	return g.write(ctx, doing, func(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		live, err := g.provider.live(ctx, g.name, o)
		if err != nil {
			return nil, err
		}
		if !live.chosen() {
			return nil, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "", "its infrastructure makes no Machines, so that no single one can be replaced")
		}
		victims := slices.DeleteFunc(slices.Clone(live.machines), func(m *machine) bool {
			_, asked := wanted[m.object.GetUID()]
			return !asked || m.deleting() || live.wasRemoved(m.object.GetUID())
		})
		return o, g.delete(ctx, victims)
	})
}

// live reads the pool's machines, past the last Refresh.
func (p *Provider) live(ctx context.Context, name string, o *unstructured.Unstructured) (*pool, error) {
	kind, namespace, _ := splitName(name)
	all := lists{kind: {o}}
	for _, other := range []string{kindSet, kindMachine} {
		if other == kind {
			continue
		}
		p.mutex.RLock()
		r := p.kinds[other]
		p.mutex.RUnlock()
		list, err := p.list(ctx, r.gvr, namespace)
		if err != nil {
			return nil, err
		}
		all[other] = list
	}
	owners := owners(all)
	var members []*unstructured.Unstructured
	for _, m := range all[kindMachine] {
		if owner, owned := owners[controller(m)]; owned && owner == o.GetUID() {
			members = append(members, m)
		}
	}
	x := newPool(kind, o, nil, members)
	return x, x.problem
}

// limits are the pool's limits as the resource has them now.
func limits(o *unstructured.Unstructured) *pool {
	x := &pool{object: o}
	x.read()
	return x
}
