package fake

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
)

// product is a type of machine in the instance catalogue.
type product struct {
	cpus   int
	memory int64 // bytes
	gpus   int
	price  float64 // euro an hour; made up, of the right size
	arch   string
}

const gib = int64(1) << 30

var catalogue = map[string]product{
	"DEV1-M":     {3, 4 * gib, 0, 0.0202, "x86_64"},
	"PRO2-XXS":   {2, 8 * gib, 0, 0.055, "x86_64"},
	"GP1-XS":     {4, 16 * gib, 0, 0.091, "x86_64"},
	"GP1-S":      {8, 32 * gib, 0, 0.187, "x86_64"},
	"COPARM1-4C": {4, 16 * gib, 0, 0.0857, "arm64"},
	"GPU-3070-S": {8, 16 * gib, 1, 0.98, "x86_64"},
}

// listServerTypes is a call of the instance API: one page, its size in a header.
func (c *Cloud) listServerTypes(*call) answer {
	servers := map[string]any{}
	for name, p := range catalogue {
		servers[name] = map[string]any{
			"ncpus": p.cpus, "ram": p.memory, "gpu": p.gpus, "arch": p.arch, "hourly_price": p.price, "monthly_price": p.price * 720,
			"end_of_service": false, "alt_names": []string{},
		}
	}
	return answer{status: http.StatusOK, body: map[string]any{"servers": servers}, header: http.Header{"X-Total-Count": {strconv.Itoa(len(servers))}}}
}

// listAutoscalerPools is the undocumented call of the cluster-autoscaler: the pools with what a new node of each has.
func (c *Cloud) listAutoscalerPools(q *call) answer {
	if c.opts.NoAutoscalerEndpoints {
		return refusal(http.StatusForbidden, "permissions_denied", map[string]any{"details": []map[string]any{{"resource": "autoscaler", "action": "read"}}})
	}
	var all []map[string]any
	for _, p := range c.pools {
		kind, sold := catalogue[p.nodeType]
		if !sold {
			continue
		}
		shown := map[string]any{}
		for _, key := range []string{"id", "cluster_id", "name", "status", "version", "node_type", "autoscaling", "size", "min_size", "max_size", "zone", "created_at", "updated_at"} {
			shown[key] = c.showPool(p)[key]
		}
		capacity := map[string]int64{"cpu": int64(kind.cpus), "memory": kind.memory, "ephemeral-storage": 50_000_000_000, "pods": 110}
		if kind.gpus > 0 {
			capacity["nvidia.com/gpu"] = int64(kind.gpus)
		}
		allocatable := maps.Clone(capacity)
		allocatable["memory"] -= gib
		taints := map[string]string{}
		for _, t := range p.taints {
			taints[t.Key] = fmt.Sprintf("%s:%s", t.Value, t.Effect)
		}
		labels := p.nodeLabels(c)
		if kind.arch == "arm64" {
			labels["kubernetes.io/arch"] = "arm64"
		}
		shown["capacity"], shown["allocatable"], shown["labels"], shown["taints"] = capacity, allocatable, labels, taints
		shown["node_price_per_hour"] = kind.price
		all = append(all, shown)
	}
	said := page(q, "pools", all)
	said.header = http.Header{"Cache-Control": {"max-age=60"}}
	return said
}
