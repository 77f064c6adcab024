package fake

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c *Cloud) metadata(*call) answer {
	return ok(map[string]string{"platform": "scaleway", "partition": "scw", "domain": "scw"})
}

// The cluster, on the wire.

func (c *Cloud) showCluster() map[string]any {
	kind := "kapsule"
	if c.opts.Kosmos {
		kind = "multicloud"
	}
	return map[string]any{
		"id": c.cluster.id, "name": c.cluster.name, "type": kind, "status": c.clusterStatus(), "version": c.cluster.version, "region": c.opts.Region,
		"created_at": c.cluster.created, "updated_at": c.cluster.updated, "cni": "cilium", "tags": []string{}, "description": "",
		"upgrade_available": len(c.availableVersions()) > 0,
		"auto_upgrade": map[string]any{
			"enabled": c.cluster.autoUpgrade, "maintenance_window": map[string]any{"start_hour": c.cluster.startHour, "day": c.cluster.day},
		},
		"autoscaler_config": map[string]any{"scale_down_disabled": false, "estimator": "binpacking", "expander": "random"},
	}
}

func (c *Cloud) listClusters(q *call) answer {
	var all []map[string]any
	if strings.Contains(c.cluster.name, q.query.Get("name")) { // the filter takes parts of names
		all = append(all, c.showCluster())
	}
	return page(q, "clusters", all)
}

func (c *Cloud) getCluster(*call) answer { return ok(c.showCluster()) }

func (c *Cloud) patchCluster(q *call) answer {
	var body struct {
		AutoUpgrade *struct {
			Enable *bool `json:"enable"`
			Window *struct {
				StartHour *int    `json:"start_hour"`
				Day       *string `json:"day"`
			} `json:"maintenance_window"`
		} `json:"auto_upgrade"`
	}
	if bad := q.read(&body); bad != nil {
		return *bad
	}
	if status := c.clusterStatus(); status == "updating" {
		return transient("cluster", c.cluster.id, status)
	}
	if a := body.AutoUpgrade; a != nil {
		if a.Enable == nil || a.Window == nil || a.Window.StartHour == nil || a.Window.Day == nil {
			return invalid("auto_upgrade", "required", "all members must be given")
		}
		c.cluster.autoUpgrade, c.cluster.startHour, c.cluster.day = *a.Enable, *a.Window.StartHour, *a.Window.Day
	}
	c.touchCluster()
	return ok(c.showCluster())
}

func (c *Cloud) postClusterUpgrade(q *call) answer {
	var body struct {
		Version string `json:"version"`
		Pools   bool   `json:"upgrade_pools"`
	}
	if bad := q.read(&body); bad != nil {
		return *bad
	}
	if status := c.clusterStatus(); status == "updating" {
		return transient("cluster", c.cluster.id, status)
	}
	if !slices.Contains(c.availableVersions(), body.Version) {
		return invalid("version", "constraint", "the cluster can't be upgraded to this version")
	}
	c.upgradeCluster(body.Version, body.Pools)
	return ok(c.showCluster())
}

// availableVersions are the higher patches of the cluster's minor version, and the next minor one.
func (c *Cloud) availableVersions() []string {
	var list []string
	minor, patch := parse(c.cluster.version)
	for _, version := range c.opts.Versions {
		m, p := parse(version)
		if m == minor && p > patch || m == minor+1 {
			list = append(list, version)
		}
	}
	return list
}

func parse(version string) (minor, patch int) {
	parts := strings.Split(version+"..", ".")
	minor, _ = strconv.Atoi(parts[1])
	patch, _ = strconv.Atoi(parts[2])
	return minor, patch
}

func (c *Cloud) showVersions(names []string) answer {
	all := make([]map[string]any, 0, len(names))
	for i, name := range slices.Backward(names) { // the newest first
		released := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC).AddDate(0, i, 0)
		all = append(all, map[string]any{
			"name": name, "label": "Kubernetes " + name, "region": c.opts.Region, "available_cnis": []string{"cilium"},
			"released_at": released, "deprecated_at": released.AddDate(1, 0, 0), "end_of_life_at": released.AddDate(1, 2, 0),
		})
	}
	return ok(map[string]any{"versions": all})
}

func (c *Cloud) listAvailableVersions(*call) answer { return c.showVersions(c.availableVersions()) }

func (c *Cloud) listVersions(*call) answer { return c.showVersions(c.opts.Versions) }
