package scaleway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/scaleway/scaleway-sdk-go/api/k8s/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// view is what is known. It is never changed: a Refresh or a write puts another in its place.
type view struct {
	pools []*poolView // in the order of their names
	facts facts
}

// poolView is what is known of one pool.
type poolView struct {
	pool  *k8s.Pool
	nodes []*k8s.Node // oldest first
	// missed are nodes that were listed once and are no longer, newest last: absent from a list is not gone. They stay until a direct look finds
	// that they don't exist.
	missed []*k8s.Node
	// write is the number of the last write to it.
	write uint64
}

func (k *poolView) external() bool { return k.pool.NodeType == "external" }

// find is the pool of that name, or nil.
func (v *view) find(name string) *poolView {
	at := slices.IndexFunc(v.pools, func(known *poolView) bool { return known.pool.Name == name })
	if at < 0 {
		return nil
	}
	return v.pools[at]
}

// instanceID is the ID of the node's instance: empty while it has no machine and may get one.
func instanceID(n *k8s.Node) string {
	if n.ProviderID == "" && n.Status == k8s.NodeStatusCreationError {
		return unmade + n.ID
	}
	return n.ProviderID
}

// nodeOf is the service's node with that instance, or nil.
func (v *view) nodeOf(instance string) *k8s.Node {
	if known := v.poolOf(instance); known != nil {
		return known.nodeOf(instance)
	}
	return nil
}

func (k *poolView) nodeOf(instance string) *k8s.Node {
	for _, n := range k.nodes {
		if instanceID(n) == instance && instance != "" {
			return n
		}
	}
	return nil
}

func (v *view) poolOf(instance string) *poolView {
	for _, known := range v.pools {
		if known.nodeOf(instance) != nil {
			return known
		}
	}
	return nil
}

// mostMissed is how many missed nodes of a pool are remembered.
const mostMissed = 500

// miss remembers what the former view of the pool had and this one has not.
func (k *poolView) miss(old *poolView) {
	listed := map[string]bool{}
	for _, n := range k.nodes {
		listed[n.ID] = true
	}
	for _, n := range slices.Concat(old.missed, old.nodes) {
		if !listed[n.ID] && instanceID(n) != "" {
			listed[n.ID] = true
			k.missed = append(k.missed, n)
		}
	}
	k.missed = k.missed[max(0, len(k.missed)-mostMissed):]
}

// missedNode is the pool and the node of an instance that was listed once and is no longer; nil if there is none.
func (v *view) missedNode(instance string) (*poolView, *k8s.Node) {
	for _, known := range v.pools {
		for _, n := range known.missed {
			if instanceID(n) == instance && instance != "" {
				return known, n
			}
		}
	}
	return nil, nil
}

// arrange sorts lists into pools. Nodes of pools that are not listed are left out, as are those that are gone.
func arrange(pools []*k8s.Pool, nodes []*k8s.Node) []*poolView {
	byID := map[string]*poolView{}
	seen := map[string]bool{}
	for _, pool := range pools {
		if pool.Status != k8s.PoolStatusDeleted && byID[pool.ID] == nil { // a list that shifts while it is paged may show one twice
			byID[pool.ID] = &poolView{pool: pool}
		}
	}
	for _, n := range nodes {
		known := byID[n.PoolID]
		if known == nil || n.Status == k8s.NodeStatusDeleted || seen[n.ID] {
			continue
		}
		seen[n.ID] = true
		known.nodes = append(known.nodes, n)
	}
	all := slices.Collect(maps.Values(byID))
	for _, known := range all {
		slices.SortFunc(known.nodes, byAge)
	}
	slices.SortFunc(all, func(a, b *poolView) int { return strings.Compare(a.pool.Name, b.pool.Name) })
	return all
}

func byAge(a, b *k8s.Node) int {
	if a.CreatedAt != nil && b.CreatedAt != nil && !a.CreatedAt.Equal(*b.CreatedAt) {
		return a.CreatedAt.Compare(*b.CreatedAt)
	}
	return cmp.Compare(a.ID, b.ID)
}

// The tags by which a pool's owner says its limits.
const (
	minTag = "poolkeeper-min"
	maxTag = "poolkeeper-max"
)

// limits are the pool's min and max: of the configuration, else of its tags, else what the service has, which binds nobody while the service's own
// autoscaler is off.
func (c Config) limits(pool *k8s.Pool) (least, most int, err error) {
	least, most = int(pool.MinSize), int(pool.MaxSize)
	for _, tag := range pool.Tags {
		name, value, _ := strings.Cut(tag, "=")
		to := map[string]*int{minTag: &least, maxTag: &most}[name]
		if to == nil {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > mostNodes {
			return 0, 0, cloudprovider.Errorf(cloudprovider.ClassInvalid, "read pool "+pool.Name, "tag %.100q is no number of nodes; write it like %s=3", tag, name)
		}
		*to = n
	}
	if entry := c.Pools[pool.Name]; entry.Min != nil {
		least = *entry.Min
	}
	if entry := c.Pools[pool.Name]; entry.Max != nil {
		most = *entry.Max
	}
	if least > most {
		return 0, 0, cloudprovider.Errorf(cloudprovider.ClassInvalid, "read pool "+pool.Name,
			"the min of %d is above the max of %d; mend the tags %s and %s, or the configuration", least, most, minTag, maxTag)
	}
	return least, most, nil
}

// describe is a node in the contract's words.
//
// The statuses come from the kubelets and from what the service is doing, so they are no opinion of the cloud's own about a machine: its health is
// unknown. One that is registering runs, for the time to register counts from there. What isn't known here is not taken for anything worse than
// running: nothing may be destroyed for a new word.
func describe(n *k8s.Node, pool *k8s.Pool) cloudprovider.Instance {
	one := cloudprovider.Instance{ID: instanceID(n), NodeName: n.Name, Healthy: cloudprovider.HealthUnknown, Zone: string(pool.Zone)}
	if zone, ok := place(n.ProviderID); ok && zone != "" {
		one.Zone = zone
	}
	if n.CreatedAt != nil {
		one.Created = *n.CreatedAt
	}
	switch n.Status {
	case k8s.NodeStatusCreating, k8s.NodeStatusStarting:
		one.Status.State = cloudprovider.InstanceCreating
	case k8s.NodeStatusCreationError:
		one.Status.State, one.Status.ErrorInfo = cloudprovider.InstanceCreating, creationError(n)
	case k8s.NodeStatusDeleting, k8s.NodeStatusDeleted:
		one.Status.State = cloudprovider.InstanceDeleting
	default: // registering, ready, not_ready, rebooting, upgrading, locked
		one.Status.State = cloudprovider.InstanceRunning
	}
	return one
}

// creationError sorts the message of a node that could not be made: it is all that the service says.
func creationError(n *k8s.Node) *cloudprovider.InstanceErrorInfo {
	info := &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.ClassOther, ErrorCode: string(n.Status), ErrorMessage: "the service could not make the node, and doesn't say why"}
	if n.ErrorMessage == nil || *n.ErrorMessage == "" {
		return info
	}
	info.ErrorMessage = tidy([]string{*n.ErrorMessage})
	switch text := strings.NewReplacer("_", " ", "-", " ").Replace(strings.ToLower(info.ErrorMessage)); {
	case strings.Contains(text, "quota"):
		info.ErrorClass = cloudprovider.ClassQuota
	case strings.Contains(text, "out of stock"), strings.Contains(text, "no stock"), strings.Contains(text, "not enough capacity"), strings.Contains(text, "resource shortage"):
		info.ErrorClass = cloudprovider.ClassOutOfResources
	}
	return info
}

// held are the jobs to be left alone on the pool: of others' machines all, of those whose switch is on at the service that one, and all while the
// service itself is at work on the pool.
func (k *poolView) held(f facts) []cloudprovider.HeldJob {
	pool := k.pool
	if k.external() {
		return hold(nil, cloudprovider.ExternalMachines, fmt.Sprintf(
			"pool %s holds machines that are not Scaleway's, which it can neither make, restart nor delete; upgrade them one by one, by the agent that runs on each", pool.Name))
	}
	var jobs []cloudprovider.HeldJob
	on := func(job cloudprovider.Job, is bool, format string, args ...any) {
		if is {
			jobs = append(jobs, cloudprovider.HeldJob{Job: job, Cause: cloudprovider.CloudSwitchOn, Message: fmt.Sprintf(format, args...)})
		}
	}
	const remedy = "turn it off there (scw k8s pool update %s %s=false), or set %s: false for the pool here"
	on(cloudprovider.Autoscale, pool.Autoscaling, "autoscaling is on at Scaleway for pool %s; "+remedy, pool.Name, pool.ID, "autoscaling", cloudprovider.Autoscale)
	on(cloudprovider.Autoheal, pool.Autohealing, "autohealing is on at Scaleway for pool %s; "+remedy, pool.Name, pool.ID, "autohealing", cloudprovider.Autoheal)
	if cluster := f.cluster; cluster != nil {
		on(cloudprovider.AutoUpgrade, cluster.AutoUpgrade != nil && cluster.AutoUpgrade.Enabled,
			"auto-upgrade is on at Scaleway for cluster %s, which upgrades pools too; turn it off there (scw k8s cluster update %s auto-upgrade.enable=false), or set %s: false here",
			cluster.Name, cluster.ID, cloudprovider.AutoUpgrade)
	}
	switch pool.Status {
	case k8s.PoolStatusUpgrading, k8s.PoolStatusLocked, k8s.PoolStatusDeleting:
		return hold(jobs, cloudprovider.CloudAtWork, fmt.Sprintf("Scaleway says that pool %s is %s", pool.Name, pool.Status))
	}
	return jobs
}

// hold holds the jobs that are not held yet.
func hold(jobs []cloudprovider.HeldJob, cause cloudprovider.HoldCause, message string) []cloudprovider.HeldJob {
	for _, job := range []cloudprovider.Job{cloudprovider.Autoscale, cloudprovider.Autoheal, cloudprovider.AutoUpgrade} {
		if !slices.ContainsFunc(jobs, func(h cloudprovider.HeldJob) bool { return h.Job == job }) {
			jobs = append(jobs, cloudprovider.HeldJob{Job: job, Cause: cause, Message: message})
		}
	}
	return jobs
}
