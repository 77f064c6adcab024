package kwok

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file is the configuration in a file. It is read whenever it is asked for, and taken apart again when its content has changed.
type file struct {
	path   string
	bytes  []byte
	config Config
}

func (f *file) read() (Config, error) {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return Config{}, fmt.Errorf("the file with the pools can't be read; check --cloud-config: %w", err)
	}
	if f.bytes != nil && bytes.Equal(content, f.bytes) {
		return f.config, nil
	}
	config, err := ParseConfig(f.path, content)
	if err != nil {
		return Config{}, err
	}
	f.bytes, f.config = content, config
	return config, nil
}

// ParseConfig reads a configuration. The error lists everything that is wrong with it, each with the file's name, the line, the field and the remedy.
func ParseConfig(name string, content []byte) (Config, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return Config{}, fmt.Errorf("%s: %w; check the YAML there", name, err)
	}
	if len(document.Content) == 0 {
		return Config{}, fmt.Errorf("%s:1: the file is empty; add pools", name)
	}
	r := &reader{lines: map[string]int{}}
	config := r.config(document.Content[0])
	problems := r.problems
	if len(problems) == 0 {
		problems = config.problems()
	}
	all := make([]error, len(problems))
	for i, found := range problems {
		all[i] = fmt.Errorf("%s:%d: %s: %s", name, r.line(found.path), cmp.Or(found.path, "the file"), found.text)
	}
	return config, errors.Join(all...)
}

// reader takes YAML apart. It remembers in which line each field stands.
type reader struct {
	lines    map[string]int
	problems findings
}

// line is the line of the field, or of what it would have to be in.
func (r *reader) line(path string) int {
	for path != "" {
		if line, known := r.lines[path]; known {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 1
}

// fields reads a mapping, each field by its own function.
func (r *reader) fields(node *yaml.Node, path string, known map[string]func(*yaml.Node, string)) {
	r.each(node, path, func(key string, value *yaml.Node, at string) {
		read, ok := known[key]
		if !ok {
			r.problems.add(at, "unknown field; the known ones are %s", strings.Join(slices.Sorted(keys(known)), ", "))
			return
		}
		read(value, at)
	})
}

// each goes through the fields of a mapping.
func (r *reader) each(node *yaml.Node, path string, do func(key string, value *yaml.Node, at string)) {
	node = resolve(node)
	if node.Kind != yaml.MappingNode {
		r.wrong(node, path, "has to be a mapping, with one field in a line")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], resolve(node.Content[i+1])
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		if seen[key.Value] {
			r.lines[at] = key.Line
			r.problems.add(at, "is there twice; take one out")
			continue
		}
		seen[key.Value] = true
		r.lines[at] = key.Line
		if value.Tag != "!!null" {
			do(key.Value, value, at)
		}
	}
}

// items goes through a list.
func (r *reader) items(node *yaml.Node, path string, do func(item *yaml.Node, at string)) {
	if node.Kind != yaml.SequenceNode {
		r.wrong(node, path, `has to be a list, with "- " before each item`)
		return
	}
	for i, item := range node.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.lines[at] = item.Line
		do(resolve(item), at)
	}
}

func (r *reader) wrong(node *yaml.Node, path, text string) {
	if _, known := r.lines[path]; !known {
		r.lines[path] = node.Line
	}
	r.problems.add(path, "%s", text)
}

// resolve follows an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// scalar reads one value by a function that can fail.
func scalar[T any](r *reader, to *T, parse func(string) (T, error)) func(*yaml.Node, string) {
	return func(node *yaml.Node, path string) {
		if node.Kind != yaml.ScalarNode {
			r.wrong(node, path, "has to be a single value")
			return
		}
		value, err := parse(node.Value)
		if err != nil {
			r.problems.add(path, "%v", err)
			return
		}
		*to = value
	}
}

// text reads a string. What YAML takes for a number or a yes has to be quoted.
func text[T ~string](r *reader, to *T) func(*yaml.Node, string) {
	return func(node *yaml.Node, path string) {
		if node.Kind == yaml.ScalarNode && node.Tag != "!!str" {
			r.problems.add(path, "%s is not text to YAML; write it in quotes", node.Value)
			return
		}
		scalar(r, to, func(value string) (T, error) { return T(value), nil })(node, path)
	}
}
