package kwok

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// cloud is what is known of the cloud as a whole.
type cloud struct {
	// pools are those of the configuration in its order, then those that were made, by name.
	pools    []Pool
	versions []cloudprovider.Version
	faults   []Fault
}

// poolsKey is the key, in the ConfigMap of the whole cloud, with the pools that were made while it ran, one in each line.
const poolsKey = "pools"

// readCloud reads the configuration and the ConfigMap of the whole cloud, which it makes if it isn't there, for people to put faults onto.
func (p *Provider) readCloud(ctx context.Context) (cloud, error) {
	config, err := p.source()
	if err != nil {
		return cloud{}, &cloudprovider.Error{Class: cloudprovider.ClassInvalid, Doing: "read the configuration", Err: err}
	}
	var made []Pool
	err = p.store.update(ctx, "", func(cm *corev1.ConfigMap) error {
		if err := p.checkFaults(cm, config.Faults); err != nil {
			return err
		}
		made, err = decodePools(cm)
		return err
	})
	if err != nil {
		return cloud{}, err
	}
	read := cloud{pools: slices.Clone(config.Pools), versions: config.Versions, faults: config.Faults}
	for _, pool := range made {
		if !slices.ContainsFunc(config.Pools, func(c Pool) bool { return c.Name == pool.Name }) {
			read.pools = append(read.pools, pool)
		}
	}
	return read, nil
}

// checkCloud fails while the cloud as a whole has the fault error.
func (p *Provider) checkCloud(ctx context.Context) error {
	cm, err := p.store.read(ctx, "")
	if err != nil || cm == nil {
		return err
	}
	p.mutex.RLock()
	configured := p.cloud.faults
	p.mutex.RUnlock()
	return p.checkFaults(cm, configured)
}

func (p *Provider) checkFaults(cm *corev1.ConfigMap, configured []Fault) error {
	f, err := parseFaults(append(slices.Clone(configured), parseAnnotation(cm.Annotations[FaultAnnotation])...))
	if err != nil {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, fmt.Sprintf("read ConfigMap %s/%s", cm.Namespace, cm.Name), "annotation %s: %w", FaultAnnotation, err)
	}
	if f.broken != "" {
		return cloudprovider.Errorf(f.broken, "", "the fault error of the whole cloud is set")
	}
	return nil
}

func decodePools(cm *corev1.ConfigMap) ([]Pool, error) {
	var pools []Pool
	for text := range strings.Lines(cm.Data[poolsKey]) {
		var pool Pool
		err := json.Unmarshal([]byte(text), &pool)
		if err == nil {
			err = Config{Pools: []Pool{pool}}.Validate()
		}
		if err != nil {
			return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, fmt.Sprintf("read ConfigMap %s/%s", cm.Namespace, cm.Name),
				"key %q: %w; mend it, or take the line out", poolsKey, err)
		}
		pools = append(pools, pool)
	}
	return pools, nil
}

func encodePools(cm *corev1.ConfigMap, pools []Pool) error {
	var text strings.Builder
	for _, pool := range pools {
		line, err := json.Marshal(pool)
		if err != nil {
			return err
		}
		text.Write(line)
		text.WriteByte('\n')
	}
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Data[poolsKey] = text.String()
	return nil
}

// CreateNodeGroup implements [cloudprovider.GroupMaker]: the new pool is like the other one, with a min of 0, and empty.
func (p *Provider) CreateNodeGroup(ctx context.Context, like cloudprovider.NodeGroup, name string) (cloudprovider.NodeGroup, error) {
	doing := "make pool " + name
	pool, known := p.pool(like.Id())
	if !known {
		return nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there is no pool %s that it could be like", like.Id())
	}
	if _, exists := p.pool(name); exists {
		return nil, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "there is a pool of that name already")
	}
	pool.Name, pool.Min, pool.InitialSize = name, 0, 0
	if err := (Config{Pools: []Pool{pool}}).Validate(); err != nil {
		return nil, &cloudprovider.Error{Class: cloudprovider.ClassInvalid, Doing: doing, Err: err}
	}
	if err := p.checkCloud(ctx); err != nil {
		return nil, explain(err, doing)
	}
	err := p.changePools(ctx, func(made []Pool) []Pool {
		made = slices.DeleteFunc(made, func(other Pool) bool { return other.Name == name })
		made = append(made, pool)
		slices.SortFunc(made, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
		return made
	})
	if err == nil {
		err = (&group{p, name}).change(ctx, doing, func(Pool, *state, faults, time.Time) error { return nil })
	}
	if err != nil {
		return nil, explain(err, doing)
	}
	return &group{p, name}, nil
}

// DeleteNodeGroup implements [cloudprovider.GroupMaker], for pools that were made and are empty. Its ConfigMap stays behind: should a pool of that name be made
// again, it goes on with numbers that have not been used.
func (p *Provider) DeleteNodeGroup(ctx context.Context, name string) error {
	doing := "delete pool " + name
	if _, known := p.pool(name); !known {
		return cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "there is no such pool")
	}
	if err := p.checkCloud(ctx); err != nil {
		return explain(err, doing)
	}
	config, err := p.source()
	if err != nil {
		return explain(err, doing)
	}
	if slices.ContainsFunc(config.Pools, func(pool Pool) bool { return pool.Name == name }) {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the pool is in the configuration; take it out there")
	}
	cm, err := p.store.read(ctx, name)
	if err == nil && cm != nil {
		s, err := decode(cm.Data)
		if err != nil || s.Target > 0 || len(s.Instances) > 0 {
			return cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "the pool is not empty; delete its nodes first")
		}
	}
	if err != nil {
		return explain(err, doing)
	}
	return explain(p.changePools(ctx, func(made []Pool) []Pool {
		return slices.DeleteFunc(made, func(pool Pool) bool { return pool.Name == name })
	}), doing)
}

// changePools is a compare-and-swap on the pools that were made; what is known of the cloud is changed with it.
func (p *Provider) changePools(ctx context.Context, change func([]Pool) []Pool) error {
	if err := p.refreshing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.refreshing.Release(1)
	err := p.store.update(ctx, "", func(cm *corev1.ConfigMap) error {
		made, err := decodePools(cm)
		if err != nil {
			return err
		}
		return encodePools(cm, change(made))
	})
	if err != nil {
		return err
	}
	read, err := p.readCloud(ctx)
	if err != nil {
		return err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.cloud = read
	return nil
}
