package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// file reads the whole file.
func (r *reader) file(node *yaml.Node) *file {
	f := &file{}
	seen := map[string]bool{}
	exactly := func(want string) field {
		return func(node *yaml.Node, path string) {
			seen[path] = true
			if text, ok := r.text(node, path); ok && text != want {
				r.wrong(node, path, "is %q; this program reads %q", text, want)
			}
		}
	}
	r.fields(node, "", map[string]field{
		"apiVersion": exactly(apiVersion),
		"kind":       exactly(kind),
		"defaults":   func(node *yaml.Node, path string) { r.fields(node, path, r.defaults(&f.defaults)) },
		"pools": func(node *yaml.Node, path string) {
			r.items(node, path, func(item *yaml.Node, at string) { f.pools = append(f.pools, r.pool(item, at)) })
		},
	})
	if node.Kind == yaml.MappingNode {
		for _, want := range []struct{ name, value string }{{"apiVersion", apiVersion}, {"kind", kind}} {
			if !seen[want.name] {
				r.wrong(node, "", "%s is missing; add \"%s: %s\"", want.name, want.name, want.value)
			}
		}
	}
	r.checkMatches(f.pools)
	return f
}

// defaults are the fields that can be said about all pools.
func (r *reader) defaults(l *layer) map[string]field {
	known := r.settings(l)
	for _, name := range []string{"min", "max"} {
		known[name] = func(node *yaml.Node, path string) {
			r.wrong(node, path, "each pool's provider says its min and max, so that a default would never hold; set it for the pools that need it, under pools")
		}
	}
	return known
}

// pool is one entry of the list of pools.
func (r *reader) pool(node *yaml.Node, path string) entry {
	var e entry
	known := r.settings(&e.layer)
	known["match"] = scalar(r, &e.match, parseMatch)
	before := len(r.problems)
	r.fields(node, path, known)
	if e.match.from == "" && len(r.problems) == before {
		r.wrong(node, path, "match is missing; add the pool's name, or a pattern such as \"web-*\"")
	}
	if e.match.from != "" {
		e.pattern = glob(e.match.is)
	}
	if e.min.from != "" && e.max.from != "" && e.min.is > e.max.is {
		r.wrong(node, path, "min is %d, but max is %d; raise max or lower min", e.min.is, e.max.is)
	}
	return e
}

// settings are the fields of a pool.
func (r *reader) settings(l *layer) map[string]field {
	return map[string]field{
		"autoscale":                     scalar(r, &l.autoscale, parseSwitch),
		"autoheal":                      scalar(r, &l.autoheal, parseSwitch),
		"autoUpgrade":                   scalar(r, &l.autoUpgrade, parseSwitch),
		"min":                           scalar(r, &l.min, parseCount),
		"max":                           scalar(r, &l.max, parseCount),
		"scaleDownUtilizationThreshold": scalar(r, &l.utilizationThreshold, parseThreshold),
		"scaleDownUnneededTime":         scalar(r, &l.unneededTime, parseDuration),
		"scaleDownUnreadyTime":          scalar(r, &l.unreadyTime, parseDuration),
		"maxNodeProvisionTime":          scalar(r, &l.maxNodeProvisionTime, parseDuration),
		"maxNodeStartupTime":            scalar(r, &l.maxNodeStartupTime, parseDuration),
		"healUnhealthyAfter":            scalar(r, &l.unhealthyAfter, parseDuration),
		"healUnregisteredAfter":         scalar(r, &l.unregisteredAfter, parseDuration),
		"version":                       scalar(r, &l.version, parseVersion),
		"window":                        scalar(r, &l.window, parseWindow),
		"maxSurge":                      scalar(r, &l.maxSurge, parseShare),
		"maxUnavailable":                scalar(r, &l.maxUnavailable, parseShare),
		"drainTimeout":                  scalar(r, &l.drainTimeout, parseDuration),
	}
}

// checkMatches finds entries that say the same match, or that no pool can reach.
func (r *reader) checkMatches(pools []entry) {
	for i, e := range pools {
		for j, earlier := range pools[:i] {
			if e.pattern == nil || earlier.pattern == nil {
				continue
			}
			place, _, _ := strings.Cut(e.match.from, ": pools")
			if e.match.is == earlier.match.is {
				r.addf("%s: pools[%d].match: %q is already the match of pools[%d]; make one entry of them", place, i, e.match.is, j)
				break
			}
			if !strings.ContainsAny(e.match.is, "*?") && earlier.pattern.MatchString(e.match.is) {
				r.addf("%s: pools[%d].match: no pool gets here, because %q of pools[%d] matches %q first; move this entry before it", place, i, earlier.match.is, j, e.match.is)
				break
			}
		}
	}
}
