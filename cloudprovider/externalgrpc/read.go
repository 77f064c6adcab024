package externalgrpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// What is read by the usual protocol, and how often:
//
//	Refresh, and the target size of each group  | each time
//	the instances of a group                    | each time, unless the group is at rest: then when the list is older than listAge
//	the list of groups                          | when it is older than groupsAge, and when something about a group failed
//	template, options, version and price        | at first, then when older than slowAge, a few groups at a time
//	what the extension has                      | at first, then when older than discoverAge
//
// A group is at rest when all its instances run, they're as many as the target, the target has not changed, and nothing was written since the list was read.
const (
	listAge     = 15 * time.Second
	groupsAge   = 25 * time.Second
	slowAge     = 5 * time.Minute
	discoverAge = 10 * time.Minute
)

// together is how many groups are read at the same time.
const together = 8

// picture is what a Refresh has found out.
type picture struct {
	order    []string
	views    map[string]*view
	gpuLabel string
	able     ability
	// listed is zero when the groups have to be listed anew next time.
	listed, discovered time.Time
}

// Refresh implements [cloudprovider.CloudProvider]. A group that makes trouble keeps its former state, its TargetSize and Nodes give the error, and the other groups
// go on; only when the server as a whole does, or every group, Refresh itself fails.
func (p *Provider) Refresh(ctx context.Context) error {
	if err := p.reading.Acquire(ctx, 1); err != nil {
		return &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: "refresh", Err: err}
	}
	defer p.reading.Release(1)
	before, writes := p.before()
	next := before
	next.views = map[string]*view{}
	if err := p.discover(ctx, &next); err != nil {
		return err
	}
	read := p.readUsual
	if next.able.has(extension.Capability_CAPABILITY_READ_GROUPS) {
		read = p.readBulk
	}
	if err := read(ctx, before, &next); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: "refresh", Err: err}
	}
	if err := hopeless(next); err != nil {
		return err
	}
	p.accept(next, writes)
	return nil
}

// before is what was known until now, and how many writes had ended.
func (p *Provider) before() (picture, uint64) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return picture{
		order: p.order, views: maps.Clone(p.views), gpuLabel: p.gpuLabel, able: p.able, listed: p.listed, discovered: p.discovered,
	}, p.writes
}

// discover asks what the server has of the extension. Most servers have nothing of it.
func (p *Provider) discover(ctx context.Context, next *picture) error {
	now := p.clock.Now()
	if !next.discovered.IsZero() && now.Sub(next.discovered) < discoverAge {
		return nil
	}
	answer, err := ask(ctx, p.server, "ask what the server offers", p.server.more.Discover, &extension.DiscoverRequest{})
	switch {
	case err == nil:
		next.able = readAbility(answer)
	case errors.Is(err, cloudprovider.ErrTransient), errors.Is(err, cloudprovider.ErrUnauthorized) && !next.discovered.IsZero():
		if next.discovered.IsZero() {
			return err
		}
		return nil // what it had before it probably still has; it is asked again next time
	default:
		next.able = ability{}
	}
	next.discovered = now
	return nil
}

func readAbility(answer *extension.DiscoverResponse) ability {
	read := func(list []extension.Capability) map[extension.Capability]bool {
		set := map[extension.Capability]bool{}
		for _, c := range list {
			if _, known := extension.Capability_name[int32(c)]; known {
				set[c] = true
			}
		}
		return set
	}
	a := ability{all: read(answer.GetCapabilities()), lacking: map[string]map[extension.Capability]bool{}}
	for group, list := range answer.GetLacking() {
		a.lacking[group] = read(list.GetCapabilities())
	}
	return a
}

// readUsual reads everything that is due by the usual protocol.
func (p *Provider) readUsual(ctx context.Context, before picture, next *picture) error {
	now := p.clock.Now()
	_, err := ask(ctx, p.server, "have the provider refresh", p.server.usual.Refresh, &protos.RefreshRequest{})
	if err != nil && !errors.Is(err, cloudprovider.ErrNotImplemented) {
		return err
	}
	groups, err := p.list(ctx, before, next, now)
	if err != nil {
		return err
	}
	next.order = next.order[:0:0]
	for _, l := range groups {
		next.order = append(next.order, l.id)
	}
	slow := slowOnes(groups, before, now)
	var mutex sync.Mutex
	var group sync.WaitGroup
	places := make(chan struct{}, together)
	for i, l := range groups {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			v := p.readGroup(ctx, l, before.views[l.id], slow[l.id], next.able, now)
			if before.views[l.id] == nil { // so that not all have their next turn at once
				v.slow.at = v.slow.at.Add(-slowAge * time.Duration(i) / time.Duration(len(groups)))
			}
			mutex.Lock()
			defer mutex.Unlock()
			next.views[l.id] = v
		})
	}
	group.Wait()
	for _, v := range next.views {
		if v.problem != nil {
			next.listed = time.Time{}
		}
	}
	return nil
}

// list lists the groups, unless that was done a moment ago.
func (p *Provider) list(ctx context.Context, before picture, next *picture, now time.Time) ([]limits, error) {
	if !before.listed.IsZero() && now.Sub(before.listed) < groupsAge {
		groups := make([]limits, len(before.order))
		for i, id := range before.order {
			groups[i] = before.views[id].limits
		}
		return groups, nil
	}
	const doing = "list the groups"
	answer, err := ask(ctx, p.server, doing, p.server.usual.NodeGroups, &protos.NodeGroupsRequest{})
	if err != nil {
		return nil, err
	}
	groups, err := readLimits(answer.GetNodeGroups())
	if err != nil {
		return nil, cloudprovider.Errorf(cloudprovider.ClassOther, doing, "%w", err)
	}
	next.listed = now
	if before.discovered.IsZero() || now.Sub(before.discovered) >= discoverAge { // as rarely as the extension
		label, err := ask(ctx, p.server, "ask for the GPU label", p.server.usual.GPULabel, &protos.GPULabelRequest{})
		if err == nil {
			next.gpuLabel = clip(label.GetLabel())
		}
	}
	return groups, nil
}

// slowOnes are the groups whose slow data is to be read now: those that were never read, and of the others the oldest, so few that all have had their turn in the
// time of slowAge.
func slowOnes(groups []limits, before picture, now time.Time) map[string]bool {
	due := map[string]bool{}
	oldest, others := "", 0
	for _, l := range groups {
		v := before.views[l.id]
		switch {
		case v == nil || v.slow.at.IsZero():
			due[l.id] = true
		case now.Sub(v.slow.at) >= 2*slowAge:
			due[l.id] = true // more groups than turns: all that are very old at once
		case now.Sub(v.slow.at) >= slowAge:
			others++
			if oldest == "" || v.slow.at.Before(before.views[oldest].slow.at) {
				oldest = l.id
			}
		}
	}
	if others > 0 {
		due[oldest] = true
	}
	return due
}

// readGroup reads one group. Old is nil for a group that is new.
func (p *Provider) readGroup(ctx context.Context, l limits, old *view, slowToo bool, able ability, now time.Time) *view {
	doing := "read group " + l.id
	v := &view{limits: l}
	if old != nil {
		kept := *old
		v = &kept
		v.limits, v.problem = l, nil
	}
	if l.incompatible != nil {
		v.problem = cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "%w", l.incompatible)
		return v
	}
	answer, err := ask(ctx, p.server, doing, p.server.usual.NodeGroupTargetSize, &protos.NodeGroupTargetSizeRequest{Id: l.id})
	if err != nil {
		v.problem = err
		return v
	}
	target, err := readTarget(answer.GetTargetSize())
	if err != nil {
		v.problem = cloudprovider.Errorf(cloudprovider.ClassOther, doing, "%w", err)
		return v
	}
	if old == nil || !old.atRest(target, now) {
		if err := p.readList(ctx, v, now); err != nil {
			v.problem = err
			return v
		}
	}
	v.target = target
	if slowToo {
		v.slow = p.readSlow(ctx, v, able, now)
	}
	return v
}

// atRest tells whether the list of instances can still be taken for what the server would say.
func (v *view) atRest(target int, now time.Time) bool {
	if v.problem != nil || v.stale || v.target != target || len(v.instances) != target || now.Sub(v.read) >= listAge {
		return false
	}
	for i := range v.instances {
		if v.instances[i].Status.State != cloudprovider.InstanceRunning {
			return false
		}
	}
	return true
}

// readList reads the instances of a group.
func (p *Provider) readList(ctx context.Context, v *view, now time.Time) error {
	doing := "list the instances of group " + v.id
	answer, err := ask(ctx, p.server, doing, p.server.usual.NodeGroupNodes, &protos.NodeGroupNodesRequest{Id: v.id})
	if err != nil {
		return err
	}
	instances, err := readInstances(answer.GetInstances())
	if err != nil {
		return cloudprovider.Errorf(cloudprovider.ClassOther, doing, "%w", err)
	}
	v.instances, v.read, v.stale = instances, now, false
	return nil
}

// hopeless is an error when no group at all could be read.
func hopeless(next picture) error {
	var problems []error
	for _, id := range next.order {
		if v := next.views[id]; v.problem == nil {
			return nil
		} else if len(problems) < 5 {
			problems = append(problems, v.problem)
		}
	}
	return errors.Join(problems...)
}

// accept takes in what a Refresh found. Of a group that was written to meanwhile the former state stays: it includes the write, and what was read may not.
func (p *Provider) accept(next picture, writes uint64) {
	owners := map[string]string{}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for id, v := range next.views {
		old := p.views[id]
		if old != nil && (old.write > writes || p.underway[id] > 0) {
			kept := *old
			kept.stale, kept.limits = true, v.limits
			next.views[id] = &kept
		} else if v.target != v.from {
			v.unsettled = time.Time{} // the write that was waited for has shown
		}
	}
	for _, id := range next.order {
		v := next.views[id]
		for i := range v.instances {
			one := v.instances[i].ID
			if other, taken := owners[one]; taken {
				v.problem = cloudprovider.Errorf(cloudprovider.ClassOther, "read group "+id, "instance %s is also listed for group %s", one, other)
				break
			}
			owners[one] = id
		}
	}
	p.forgetMembers(owners)
	p.order, p.views, p.owners, p.deaf = next.order, next.views, owners, nil
	p.gpuLabel, p.able, p.listed, p.discovered = next.gpuLabel, next.able, next.listed, next.discovered
}

// String says where the provider is connected to, for a log line.
func (p *Provider) String() string { return fmt.Sprintf("externalgrpc at %s", p.server.Target()) }
