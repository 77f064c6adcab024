package kwok

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// Refresh implements [cloudprovider.CloudProvider]. It reads one ConfigMap of each pool and lists the Nodes, then does what is due at the cloud by
// now: instances boot, register and disappear. A pool whose ConfigMap or Nodes make trouble keeps its former state, its TargetSize and Nodes
// give the error, and the other pools go on; only when no pool could be read does Refresh itself fail.
func (p *Provider) Refresh(ctx context.Context) error {
	if err := p.refreshing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.refreshing.Release(1)
	read, err := p.readCloud(ctx)
	if err != nil {
		return err
	}
	nodes, err := p.listNodes(ctx)
	if err != nil {
		return err
	}
	views := make(map[string]*view, len(read.pools))
	var problems []error
	for _, pool := range read.pools {
		v, err := p.refreshPool(ctx, pool, nodes)
		if err != nil {
			problems = append(problems, err)
			v = &view{problem: err}
		}
		views[pool.Name] = v
	}
	if ctx.Err() != nil {
		return fmt.Errorf("refresh: %w", ctx.Err())
	}
	if len(read.pools) > 0 && len(problems) == len(read.pools) {
		return errors.Join(problems...)
	}
	p.accept(read, views)
	return nil
}

// listNodes reads all Nodes of this cloud, by provider ID.
func (p *Provider) listNodes(ctx context.Context) (map[string]*corev1.Node, error) {
	list, err := p.store.api.ListNodes(ctx, PoolLabel)
	if err != nil {
		return nil, ofAPI(err, "list nodes")
	}
	nodes := make(map[string]*corev1.Node, len(list))
	for _, node := range list {
		if _, _, ours := parseProviderID(node.Spec.ProviderID); ours {
			nodes[node.Spec.ProviderID] = node
		}
	}
	return nodes, nil
}

// refreshPool brings one pool up to now, first at the cloud and then in its Nodes.
func (p *Provider) refreshPool(ctx context.Context, pool Pool, nodes map[string]*corev1.Node) (*view, error) {
	v, err := p.update(ctx, pool, nil)
	if err != nil {
		return nil, err
	}
	done, err := p.alignNodes(ctx, pool, v, nodes)
	if err != nil {
		return nil, err
	}
	if done.empty() {
		return v, nil
	}
	return p.update(ctx, pool, func(s *state, _ faults, _ time.Time) error {
		done.record(s)
		return nil
	})
}

// aligned is what was done to Nodes, to be written down.
type aligned struct {
	registered map[int]types.UID
	forgotten  []int
}

func (a aligned) empty() bool { return len(a.registered)+len(a.forgotten) == 0 }

func (a aligned) record(s *state) {
	for number, uid := range a.registered {
		if one := s.find(number); one != nil {
			one.Node = uid
		}
	}
	s.Instances = slices.DeleteFunc(s.Instances, func(i instance) bool {
		return !i.counts() && slices.Contains(a.forgotten, i.Number)
	})
}

// alignNodes does to the pool's Nodes what its instances call for. Each of it can be done twice: after a crash it is done again.
func (p *Provider) alignNodes(ctx context.Context, pool Pool, v *view, nodes map[string]*corev1.Node) (aligned, error) {
	done := aligned{registered: map[int]types.UID{}}
	for i := range v.state.Instances {
		one := &v.state.Instances[i]
		name := instanceName(pool.Name, one.Number)
		node := nodes[ProviderID(pool.Name, name)]
		switch {
		case !one.exists(v.at):
			if err := p.leave(ctx, one, node, v); err != nil {
				return done, err
			}
			done.forgotten = append(done.forgotten, one.Number)
		case node != nil:
			if one.Node != node.UID {
				done.registered[one.Number] = node.UID
			}
			if err := p.markNode(ctx, one, node, v); err != nil {
				return done, err
			}
		case one.registers(name, v):
			uid, err := p.register(ctx, pool, one, v)
			if err != nil {
				return done, err
			}
			done.registered[one.Number] = uid
		}
	}
	return done, nil
}

// registers tells whether the instance makes its Node now: when it has booted, and, if somebody deleted the Node, after the next reboot, as a kubelet does. It
// has also made it if it was stopped or deleted after that, and nobody looked in between.
func (i *instance) registers(name string, v *view) bool {
	booted := !v.at.Before(i.Up) && !v.at.Before(i.Rebooted) && i.Failed == nil &&
		(i.Stopped.IsZero() || !i.Stopped.Before(i.Up)) && (i.Deleted.IsZero() || !i.Deleted.Before(i.Up))
	never := i.NeverRegisters || slices.Contains(v.faults.neverRegister, name) || slices.Contains(v.faults.stop, name)
	return i.Node == "" && booted && !never
}

// register makes the instance's Node and gives its UID.
func (p *Provider) register(ctx context.Context, pool Pool, one *instance, v *view) (types.UID, error) {
	name := instanceName(pool.Name, one.Number)
	id := ProviderID(pool.Name, name)
	fresh := pool.node(name, id, one.Zone, one.Version)
	one.mark(fresh, v.faults, v.at)
	node, err := p.store.api.CreateNode(ctx, fresh)
	if apierrors.IsAlreadyExists(err) {
		node, err = p.store.api.GetNode(ctx, name)
		if err == nil && node.Spec.ProviderID != id {
			err = fmt.Errorf("there is another node of that name, with provider ID %q; delete one of the two", node.Spec.ProviderID)
		}
	}
	if err != nil {
		return "", ofAPI(err, "register node "+name)
	}
	return node.UID, nil
}

// leave cleans up behind an instance that is gone: the Node of one that the cloud deleted is deleted with it; the Node of one that vanished falls silent and
// is left to whoever watches over nodes.
func (p *Provider) leave(ctx context.Context, one *instance, node *corev1.Node, v *view) error {
	if node == nil {
		return nil
	}
	if !one.Vanished.IsZero() {
		return p.markNode(ctx, one, node, v)
	}
	err := p.store.api.DeleteNode(ctx, node.Name, node.UID)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return ofAPI(err, "delete node "+node.Name)
	}
	return nil
}

// markNode writes the marks of the instance onto its Node. A node that changed meanwhile is read again.
func (p *Provider) markNode(ctx context.Context, one *instance, node *corev1.Node, v *view) error {
	var err error
	for range tries {
		if !one.mark(node, v.faults, v.at) {
			return nil
		}
		_, err = p.store.api.UpdateNode(ctx, node)
		if !apierrors.IsConflict(err) {
			break
		}
		node, err = p.store.api.GetNode(ctx, node.Name)
		if err != nil {
			break
		}
	}
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return ofAPI(err, "mark node "+node.Name)
}
