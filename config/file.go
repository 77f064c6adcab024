package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The first two fields of every file.
const (
	apiVersion = "poolkeeper.io/v1alpha1"
	kind       = "Config"
)

// file is a configuration file.
type file struct {
	defaults layer
	pools    []entry
}

// entry is what the file says about the pools that it matches.
type entry struct {
	match   value[string]
	pattern *regexp.Regexp
	layer
}

// entry is the first entry that matches the pool.
func (f *file) entry(pool string) layer {
	for _, e := range f.pools {
		if e.pattern.MatchString(pool) {
			return e.layer
		}
	}
	return layer{}
}

// glob turns a pattern into a regular expression: * is any text, ? any one character.
func glob(match string) *regexp.Regexp {
	text := regexp.QuoteMeta(match)
	text = strings.ReplaceAll(text, `\*`, `.*`)
	text = strings.ReplaceAll(text, `\?`, `.`)
	return regexp.MustCompile(`(?s)^` + text + `$`)
}

func readFile(path string) (*file, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--config: the file can't be read: %w", err)
	}
	return parseFile(path, content)
}

// parseFile reads a file. The error lists everything that is wrong with it, each with the file's name, the line, the field and the remedy.
func parseFile(name string, content []byte) (*file, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("%s: %w; check the YAML there", name, err)
	}
	if len(document.Content) == 0 {
		return nil, fmt.Errorf("%s:1: the file is empty; begin it with \"apiVersion: %s\" and \"kind: %s\"", name, apiVersion, kind)
	}
	r := &reader{name: name}
	f := r.file(document.Content[0])
	return f, errors.Join(r.problems...)
}
