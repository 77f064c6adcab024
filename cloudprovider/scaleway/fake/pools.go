package fake

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The pools, on the wire.

func (c *Cloud) showPool(p *pool) map[string]any {
	list := func(t []Taint) []Taint { return append([]Taint{}, t...) }
	return map[string]any{
		"id": p.id, "cluster_id": c.cluster.id, "name": p.name, "status": p.status(c), "version": p.version, "node_type": p.nodeType,
		"autoscaling": p.autoscaling, "autohealing": p.autohealing, "size": p.size, "min_size": p.least, "max_size": p.most,
		"container_runtime": "containerd", "tags": append([]string{}, p.tags...), "kubelet_args": map[string]string{},
		"upgrade_policy": map[string]int{"max_surge": p.surge, "max_unavailable": p.unavailable}, "zone": p.zone, "region": c.opts.Region,
		"root_volume_type": "sbs_5k", "root_volume_size": int64(50_000_000_000), "public_ip_disabled": false, "labels": p.labels,
		"taints": list(p.taints), "startup_taints": list(p.startupTaints), "error_message": nil, "placement_group_id": nil,
		"max_termination_grace_period": seconds(p.grace), "created_at": p.created, "updated_at": p.updated,
	}
}

// seconds is a duration as the API writes it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 9, 64) + "s" }

func (c *Cloud) listPools(q *call) answer {
	var all []map[string]any
	for _, p := range c.pools {
		status := q.query.Get("status")
		if strings.Contains(p.name, q.query.Get("name")) && (status == "" || status == "unknown" || status == p.status(c)) {
			all = append(all, c.showPool(p))
		}
	}
	return page(q, "pools", all)
}

// withPool does something with the pool that the path names by its ID.
func (c *Cloud) withPool(q *call, do func(*pool) answer) answer {
	p := c.pool(q.in["pool"])
	if p == nil || p.id != q.in["pool"] {
		return notFound("pool", q.in["pool"])
	}
	return do(p)
}

func (c *Cloud) getPool(q *call) answer {
	return c.withPool(q, func(p *pool) answer { return ok(c.showPool(p)) })
}

// unchangeable is why a pool can't be changed right now; nil if it can.
func (c *Cloud) unchangeable(p *pool) *answer {
	var said answer
	switch status := p.status(c); {
	case status == "locked":
		said = locked("pool", p.id)
	case c.clusterStatus() == "updating":
		said = transient("cluster", c.cluster.id, "updating")
	case status == "upgrading", status == "deleting":
		said = transient("pool", p.id, status)
	default:
		return nil
	}
	return &said
}

func (c *Cloud) patchPool(q *call) answer {
	return c.withPool(q, func(p *pool) answer {
		var body struct {
			Autoscaling *bool     `json:"autoscaling"`
			Size        *int      `json:"size"`
			MinSize     *int      `json:"min_size"`
			MaxSize     *int      `json:"max_size"`
			Autohealing *bool     `json:"autohealing"`
			Tags        *[]string `json:"tags"`
			Policy      *struct {
				MaxUnavailable *int `json:"max_unavailable"`
				MaxSurge       *int `json:"max_surge"`
			} `json:"upgrade_policy"`
			Grace *string `json:"max_termination_grace_period"`
		}
		if bad := q.read(&body); bad != nil {
			return *bad
		}
		if bad := c.unchangeable(p); bad != nil {
			return *bad
		}
		set(&p.autoscaling, body.Autoscaling)
		set(&p.autohealing, body.Autohealing)
		set(&p.least, body.MinSize)
		set(&p.most, body.MaxSize)
		set(&p.tags, body.Tags)
		if body.Policy != nil { // with nulls it changes nothing
			set(&p.unavailable, body.Policy.MaxUnavailable)
			set(&p.surge, body.Policy.MaxSurge)
		}
		if body.Grace != nil {
			d, err := time.ParseDuration(*body.Grace)
			if err != nil || d > time.Hour {
				return invalid("max_termination_grace_period", "constraint", "is an hour at most")
			}
			p.grace = d
		}
		if body.Size == nil {
			p.updated = c.now
			return ok(c.showPool(p))
		}
		return c.resize(p, *body.Size)
	})
}

func set[T any](to, value *T) {
	if value != nil {
		*to = *value
	}
}

func (c *Cloud) resize(p *pool, size int) answer {
	switch {
	case p.external:
		return precondition("a pool of external nodes has no size that could be set")
	case size < 0:
		return invalid("size", "constraint", "must not be negative")
	case p.autoscaling && (size < p.least || size > p.most):
		return invalid("size", "constraint", fmt.Sprintf("must be between min_size %d and max_size %d while autoscaling is enabled", p.least, p.most))
	case size > p.size && p.refuses == "out_of_stock":
		return refusal(http.StatusGone, "out_of_stock", map[string]any{"resource": p.nodeType})
	case size > p.size && (p.refuses == "quotas_exceeded" || c.opts.Quota > 0 && c.size()+size-p.size > c.opts.Quota):
		return refusal(http.StatusForbidden, "quotas_exceeded", map[string]any{
			"details": []map[string]any{{"resource": "instances", "quota": c.opts.Quota, "current": c.size()}},
		})
	}
	p.resize(c, size)
	return ok(c.showPool(p))
}

func (c *Cloud) postPool(q *call) answer {
	var body struct {
		Name     string   `json:"name"`
		NodeType string   `json:"node_type"`
		Zone     string   `json:"zone"`
		Size     int      `json:"size"`
		MinSize  *int     `json:"min_size"`
		MaxSize  *int     `json:"max_size"`
		Tags     []string `json:"tags"`
	}
	if bad := q.read(&body); bad != nil {
		return *bad
	}
	_, sold := catalogue[body.NodeType]
	switch {
	case c.clusterStatus() == "updating":
		return transient("cluster", c.cluster.id, "updating")
	case body.Name == "":
		return invalid("name", "required", "")
	case slices.ContainsFunc(c.pools, func(p *pool) bool { return p.name == body.Name }):
		return invalid("name", "constraint", "pool name must be unique across the cluster")
	case !sold && body.NodeType != "external":
		return invalid("node_type", "constraint", "no such type")
	case body.NodeType == "external" && !c.opts.Kosmos:
		return invalid("node_type", "constraint", "only multi-cloud clusters have external pools")
	}
	p := &pool{
		id: c.uuid(), name: body.Name, nodeType: body.NodeType, external: body.NodeType == "external", zone: cmp.Or(body.Zone, c.opts.Region+"-1"),
		least: 1, most: body.Size, tags: body.Tags, version: c.cluster.version, grace: 15 * time.Minute, created: c.now, updated: c.now,
	}
	set(&p.least, body.MinSize)
	set(&p.most, body.MaxSize)
	c.pools = append(c.pools, p)
	p.resize(c, body.Size)
	return ok(c.showPool(p))
}

// deletePool is accepted in every state.
func (c *Cloud) deletePool(q *call) answer {
	return c.withPool(q, func(p *pool) answer {
		p.deletingUntil = c.now.Add(c.opts.Delays.Delete)
		p.upgrading, p.size = false, 0
		for _, n := range p.alive() {
			p.remove(c, n)
		}
		c.after(c.opts.Delays.Delete, func() {
			c.pools = slices.DeleteFunc(c.pools, func(other *pool) bool { return other == p })
		})
		return ok(c.showPool(p))
	})
}

func (c *Cloud) postPoolUpgrade(q *call) answer {
	return c.withPool(q, func(p *pool) answer {
		var body struct {
			Version string `json:"version"`
		}
		if bad := q.read(&body); bad != nil {
			return *bad
		}
		if bad := c.unchangeable(p); bad != nil {
			return *bad
		}
		switch status := p.status(c); {
		case p.external:
			return precondition("external nodes are upgraded one by one, by the agent on them")
		case body.Version != c.cluster.version:
			return invalid("version", "constraint", "must be the cluster's version "+c.cluster.version)
		case body.Version == p.version:
			return invalid("version", "constraint", "the pool has this version")
		case status == "scaling":
			return transient("pool", p.id, status)
		}
		p.upgrade(c, body.Version)
		return ok(c.showPool(p))
	})
}
