package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader takes a file's YAML apart. It goes on after a problem, so that all of them are told at once.
type reader struct {
	name string
	// flags are what holds where the file says nothing.
	flags layer
	problems
}

// field reads the value of one field; path is where it stands, such as pools[2].max.
type field func(node *yaml.Node, path string)

func (r *reader) wrong(node *yaml.Node, path, format string, args ...any) {
	r.addf("%s: %s", r.at(node, path), fmt.Sprintf(format, args...))
}

// at names a place for people.
func (r *reader) at(node *yaml.Node, path string) string {
	if path == "" {
		return fmt.Sprintf("%s:%d", r.name, node.Line)
	}
	return fmt.Sprintf("%s:%d: %s", r.name, node.Line, path)
}

// fields reads a mapping, each field by its own function. It tells whether it is one.
func (r *reader) fields(node *yaml.Node, path string, known map[string]field) bool {
	if node.Kind != yaml.MappingNode {
		r.wrong(node, path, "this has to be fields with values, one in a line")
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], resolve(node.Content[i+1])
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		read, ok := known[key.Value]
		line, twice := seen[key.Value]
		seen[key.Value] = key.Line
		switch {
		case !ok:
			r.wrong(key, at, "there is no such field; %s", fieldHint(key.Value, known))
		case twice:
			r.wrong(key, at, "the field is already in line %d: keep one of the two", line)
		case value.Tag == "!!null":
			r.wrong(key, at, "the value is missing: give one, or leave the field out")
		default:
			read(value, at)
		}
	}
	return true
}

// items reads a list.
func (r *reader) items(node *yaml.Node, path string, read field) {
	if node.Kind != yaml.SequenceNode {
		r.wrong(node, path, `this has to be a list, with "- " before each item`)
		return
	}
	for i, item := range node.Content {
		read(resolve(item), fmt.Sprintf("%s[%d]", path, i))
	}
}

// text is a scalar as it is written.
func (r *reader) text(node *yaml.Node, path string) (string, bool) {
	if node.Kind != yaml.ScalarNode {
		r.wrong(node, path, "this has to be a single value")
		return "", false
	}
	return node.Value, true
}

// resolve follows an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func fieldHint(name string, known map[string]field) string {
	names := slices.Sorted(maps.Keys(known))
	near := nearest(name, names)
	for _, known := range names {
		if near == "" && strings.HasPrefix(name, known) { // minSize for min
			near = known
		}
	}
	if near != "" {
		return "did you mean " + near + "?"
	}
	return "the known ones are " + strings.Join(names, ", ")
}
