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
				r.wrong(node, path, "%q is not known here: write %q", text, want)
			}
		}
	}
	ok := r.fields(node, "", map[string]field{
		"apiVersion": exactly(apiVersion),
		"kind":       exactly(kind),
		"defaults":   func(node *yaml.Node, path string) { r.defaults(node, path, &f.defaults) },
		"pools": func(node *yaml.Node, path string) {
			r.items(node, path, func(item *yaml.Node, at string) { f.pools = append(f.pools, r.pool(item, at)) })
		},
	})
	if ok && !seen["apiVersion"] {
		r.wrong(node, "apiVersion", "the field is missing: add \"apiVersion: %s\"", apiVersion)
	}
	if ok && !seen["kind"] {
		r.wrong(node, "kind", "the field is missing: add \"kind: %s\"", kind)
	}
	r.checkMatches(f.pools)
	r.checkRolls(f)
	return f
}

// defaults reads what is said about all pools.
func (r *reader) defaults(node *yaml.Node, path string, l *layer) {
	known := r.settings(l)
	for _, name := range []string{"min", "max"} {
		known[name] = func(node *yaml.Node, path string) {
			r.wrong(node, path, `every pool's provider says a min and a max, which win over defaults: write it under pools, with match: "*" for all of them`)
		}
	}
	r.fields(node, path, known)
}

// pool reads one entry of the list of pools.
func (r *reader) pool(node *yaml.Node, path string) entry {
	var e entry
	hasMatch := false
	known := r.settings(&e.layer)
	known["match"] = func(node *yaml.Node, path string) {
		hasMatch = true
		switch text, ok := r.text(node, path); {
		case !ok:
		case text == "":
			r.wrong(node, path, "this is empty: write a pool's name, or a pattern such as \"web-*\"")
		default:
			e.match, e.pattern = value[string]{text, r.at(node, path)}, glob(text)
		}
	}
	if ok := r.fields(node, path, known); ok && !hasMatch {
		r.wrong(node, path+".match", "the field is missing: add a pool's name, or a pattern such as \"web-*\"")
	}
	if e.min.from != "" && e.max.from != "" && e.min.is > e.max.is {
		r.wrong(node, path, "min is %d, but max is %d: lower min or raise max", e.min.is, e.max.is)
	}
	return e
}

// settings are the fields of a pool.
func (r *reader) settings(l *layer) map[string]field {
	known := map[string]field{}
	for _, s := range settings() {
		known[s.field] = func(node *yaml.Node, path string) {
			text, ok := r.text(node, path)
			if !ok {
				return
			}
			if err := s.read(l, text, r.at(node, path)); err != nil {
				r.wrong(node, path, "%v", err)
			}
		}
	}
	return known
}

// checkMatches finds entries with the same match, and patterns that no pool gets to.
func (r *reader) checkMatches(pools []entry) {
	for i, e := range pools {
		for j, earlier := range pools[:i] {
			if e.pattern == nil || earlier.pattern == nil {
				continue
			}
			if e.match.is == earlier.match.is {
				r.addf("%s: %q is already the match of pools[%d]: make one entry of the two", e.match.from, e.match.is, j)
				break
			}
			if covers(earlier, e) {
				r.addf("%s: no pool gets here, since %q of pools[%d] matches them all before: move this entry to before that one", e.match.from, earlier.match.is, j)
				break
			}
		}
	}
}

// covers tells whether every pool that a pattern matches is matched by an earlier one. It finds the plain cases: a ? in the earlier one is not looked
// into. An entry with a pool's name comes before all patterns anyway.
func covers(earlier, e entry) bool {
	isPattern := strings.ContainsAny(e.match.is, "*?")
	return isPattern && !strings.Contains(earlier.match.is, "?") && earlier.pattern.MatchString(e.match.is)
}

// checkRolls finds pools that could never be rolled, whatever their provider says: providers say nothing about that.
func (r *reader) checkRolls(f *file) {
	if err := neverRolls(f.defaults, r.flags); err != nil {
		r.addf("%s: defaults: %w", r.name, err)
		return
	}
	for _, e := range f.pools {
		if err := neverRolls(e.layer, f.defaults, r.flags); err != nil && e.match.from != "" {
			r.addf("%s: %w", strings.TrimSuffix(e.match.from, ".match"), err)
		}
	}
}
