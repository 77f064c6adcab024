package fake

import (
	"net/http"
	"slices"
	"strings"
)

// The nodes, on the wire. They have neither a version nor a zone there.

func (c *Cloud) showNode(p *pool, n *node) map[string]any {
	var message any
	if n.message != "" {
		message = n.message
	}
	return map[string]any{
		"id": n.id, "pool_id": p.id, "cluster_id": c.cluster.id, "provider_id": n.providerID, "region": c.opts.Region, "name": n.name,
		"status": n.status, "error_message": message, "created_at": n.created, "updated_at": n.updated, "conditions": map[string]string{},
	}
}

func (c *Cloud) listNodes(q *call) answer {
	var all []map[string]any
	for _, p := range c.pools {
		if id := q.query.Get("pool_id"); id != "" && id != p.id {
			continue
		}
		for _, n := range p.nodes {
			status := q.query.Get("status")
			if !n.hidden && strings.Contains(n.name, q.query.Get("name")) && (status == "" || status == "unknown" || status == n.status) {
				all = append(all, c.showNode(p, n))
			}
		}
	}
	return page(q, "nodes", all)
}

func (c *Cloud) withNode(q *call, do func(*pool, *node) answer) answer {
	for _, p := range c.pools {
		for _, n := range p.nodes {
			if n.id == q.in["node"] {
				return do(p, n)
			}
		}
	}
	return notFound("node", q.in["node"])
}

func (c *Cloud) getNode(q *call) answer {
	return c.withNode(q, func(p *pool, n *node) answer { return ok(c.showNode(p, n)) })
}

// deleteNode makes the pool smaller by one. An external node is only detached.
func (c *Cloud) deleteNode(q *call) answer {
	return c.withNode(q, func(p *pool, n *node) answer {
		if bad := c.unchangeable(p); bad != nil {
			return *bad
		}
		switch {
		case n.status == "locked":
			return locked("node", n.id)
		case n.status == "deleting":
			return transient("node", n.id, n.status) // an assumption: a second deletion is refused
		case p.external:
			p.nodes = slices.DeleteFunc(p.nodes, func(other *node) bool { return other == n })
			return ok(c.showNode(p, n))
		case p.autoscaling && p.size <= p.least:
			return precondition("the pool is at its min_size") // an assumption: the service's min binds deletions too while it binds at all
		}
		p.size, p.updated = max(0, p.size-1), c.now
		p.scalingUntil = c.now.Add(c.opts.Delays.Settle)
		p.remove(c, n)
		return ok(c.showNode(p, n))
	})
}

// settled is whether a node is in a state in which it can be replaced or rebooted.
func settled(n *node) bool {
	return slices.Contains([]string{"ready", "not_ready", "creation_error"}, n.status)
}

func (c *Cloud) postReplace(q *call) answer {
	return c.nodeAction(q, func(p *pool, n *node) answer {
		if p.refuses != "" {
			return refusal(http.StatusGone, "out_of_stock", map[string]any{"resource": p.nodeType})
		}
		p.remove(c, n)
		p.make(c) // an assumption, from the action's name: the size stays
		return ok(c.showNode(p, n))
	})
}

func (c *Cloud) postReboot(q *call) answer {
	return c.nodeAction(q, func(p *pool, n *node) answer {
		p.reboot(c, n)
		return ok(c.showNode(p, n))
	})
}

func (c *Cloud) nodeAction(q *call, do func(*pool, *node) answer) answer {
	return c.withNode(q, func(p *pool, n *node) answer {
		var body struct{}
		if bad := q.read(&body); bad != nil {
			return *bad
		}
		if bad := c.unchangeable(p); bad != nil {
			return *bad
		}
		switch {
		case n.status == "locked":
			return locked("node", n.id)
		case p.external:
			return precondition("the machine is not Scaleway's")
		case !settled(n):
			return transient("node", n.id, n.status)
		}
		return do(p, n)
	})
}
