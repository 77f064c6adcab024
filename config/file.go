package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// file is what the configuration file says.
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

// entry is the one with the pool's name, else the first whose pattern matches it.
func (f *file) entry(pool string) layer {
	var found *entry
	for i := range f.pools {
		e := &f.pools[i]
		if e.match.is == pool {
			return e.layer
		}
		if found == nil && e.pattern.MatchString(pool) {
			found = e
		}
	}
	if found == nil {
		return layer{}
	}
	return found.layer
}

// glob turns a match into a pattern: * is any text, ? any one character. There are pools with a slash in their names, which is nothing special.
func glob(match string) *regexp.Regexp {
	text := regexp.QuoteMeta(match)
	text = strings.ReplaceAll(text, `\*`, `.*`)
	text = strings.ReplaceAll(text, `\?`, `.`)
	return regexp.MustCompile(`^(?s:` + text + `)$`)
}

// Reload reads the file of --config again, and tells whether what it says has changed. After an error, which is as Parse's, what was read before
// still holds. Settings may be called meanwhile.
func (c *Config) Reload() (changed bool, err error) {
	if c.path == "" {
		return false, nil
	}
	content, err := os.ReadFile(c.path)
	if err != nil {
		return false, fmt.Errorf("--config: the file can't be read, give the path of one that can: %w", err)
	}
	if c.content != nil && bytes.Equal(content, c.content) {
		return false, nil
	}
	f, err := parseFile(c.path, content, c.flags)
	if err != nil {
		return false, err
	}
	c.content = content
	c.file.Store(f)
	return true, nil
}

// parseFile reads a file; flags are what holds where it says nothing. The error lists everything that is wrong with it, each with the file's name, the line,
// the field and the remedy.
func parseFile(name string, content []byte, flags layer) (*file, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty: begin it with \"apiVersion: %s\" and \"kind: %s\"", name, apiVersion, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: this is not YAML: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	r := &reader{name: name, flags: flags}
	f := r.file(document.Content[0])
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		r.addf("%s: the file has more than one document: keep one", name)
	}
	return f, errors.Join(r.problems...)
}
