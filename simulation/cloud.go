package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// Namespace is the daemon's own namespace in the world; the fake cloud keeps its ConfigMaps there too.
const Namespace = "poolkeeper"

// cloud makes the kwok provider's cloud go on by itself, as a real cloud does: machines boot, register and disappear whether or not a daemon
// looks. It looks when the cloud's ConfigMaps change, when a delay of the configuration has passed, and each second while a machine is on its way.
type cloud struct {
	w        *World
	config   kwok.Config
	provider *kwok.Provider
	// truth is the same cloud, without the errors that it is told to answer with.
	truth *kwok.Provider
	look  alarm
}

// cloudPoll is how often the cloud is looked at while a machine is on its way for longer than its pool's delay.
const cloudPoll = time.Second

// newCloud makes the cloud; nil if it has no pools.
func newCloud(w *World, config kwok.Config) *cloud {
	if len(config.Pools) == 0 {
		return nil
	}
	c := &cloud{w: w, config: config}
	c.provider = c.newProvider()
	c.truth = c.providerBehind(truthDoor{cloudDoor{w.Store, w}})
	c.look = alarm{w: w, who: "cloud", needsAPI: true, run: c.refresh}
	c.look.within(0)
	return c
}

// newProvider makes a provider of the cloud, with nothing read yet.
func (c *cloud) newProvider() *kwok.Provider { return c.providerBehind(cloudDoor{c.w.Store, c.w}) }

func (c *cloud) providerBehind(door api.Interface) *kwok.Provider {
	return must(kwok.NewFromConfig(c.config, registry.Options{API: door, Clock: c.w.Clock(), Namespace: Namespace}))
}

func (c *cloud) saw(change Change) {
	cm, ok := change.any().(*corev1.ConfigMap)
	if !ok || cm.Namespace != Namespace || !strings.HasPrefix(cm.Name, kwok.ConfigMapName("")) {
		return
	}
	c.look.within(c.w.between(c.w.timing.Reaction, "cloud/"+cm.Name))
	for _, pool := range c.config.Pools {
		for _, delay := range []time.Duration{pool.DeleteDelay, pool.RebootDelay} {
			if delay > 0 {
				c.w.act(delay+time.Millisecond, "cloud", func() { c.look.within(0) })
			}
		}
	}
}

func (c *cloud) refresh() {
	if err := c.provider.Refresh(context.Background()); err != nil {
		c.w.Log.add(Full, "the cloud: %v", err)
		c.look.within(10 * cloudPoll)
		return
	}
	for _, group := range c.provider.NodeGroups() {
		c.watchBoots(group)
	}
}

// watchBoots makes the cloud look again when a machine that is on its way should have arrived.
func (c *cloud) watchBoots(group cloudprovider.NodeGroup) {
	instances, err := group.Nodes(context.Background())
	if err != nil {
		c.look.within(10 * cloudPoll)
		return
	}
	delay := time.Duration(0)
	for _, pool := range c.config.Pools {
		if pool.Name == group.Id() {
			delay = pool.StartupDelay
		}
	}
	for _, one := range instances {
		switch one.Status.State {
		case cloudprovider.InstanceCreating:
			if one.Status.ErrorInfo == nil {
				c.look.by(max(c.w.moment(one.Created.Add(delay)), c.w.elapsed+cloudPoll))
			}
		case cloudprovider.InstanceDeleting:
			c.look.within(cloudPoll)
		}
	}
}

// group is a pool of the cloud, as the cloud itself knows it.
func (c *cloud) group(name string) (cloudprovider.NodeGroup, error) {
	if c == nil {
		return nil, errors.New("the world has no cloud; give Options.Cloud at least one pool")
	}
	if err := c.provider.Refresh(context.Background()); err != nil {
		return nil, err
	}
	for _, group := range c.provider.NodeGroups() {
		if group.Id() == name {
			return group, nil
		}
	}
	return nil, fmt.Errorf("the cloud has no pool %q", name)
}
