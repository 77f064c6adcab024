package architecture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
)

const module = "github.com/poolkeeper/poolkeeper"

// A house is all packages of the module by their path below it; the root package, should there be one, is ".".
type house map[string]room

// A room is one package as `go list` knows it.
type room struct {
	Dir     string
	GoFiles []string
	Imports []string
}

// list reads the house from `go list`. A package that doesn't compile is read as far as it goes: the compiler complains elsewhere.
func list() (house, error) {
	command := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports", module+"/...")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	rooms := house{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p struct {
			ImportPath string
			room
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return rooms, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the output of go list: %w", err)
		}
		rooms[short(p.ImportPath)] = p.room
	}
}

// short is a package's path below the module, or the whole path of somebody else's package.
func short(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

func matches(p pattern, name string) bool {
	prefix, below := strings.CutSuffix(p, "...")
	prefix = strings.TrimSuffix(prefix, "/")
	if !below {
		return name == p
	}
	return prefix == "" || name == prefix || strings.HasPrefix(name, prefix+"/")
}

func matchesAny(patterns []pattern, name string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return matches(p, name) })
}

// violations lists how the house breaks a rule, each with the chain of imports that does.
func (h house) violations(r importRule) []string {
	var found []string
	for _, name := range sorted(h) {
		if !matchesAny(r.of, name) || matchesAny(r.except, name) {
			continue
		}
		for _, imported := range h[name].Imports {
			if !ours(imported) && matchesAny(r.others, imported) {
				found = append(found, fmt.Sprintf("%s imports %s: %s", name, imported, r.why))
			}
		}
		if chain := h.chain(name, r.ours); chain != nil {
			found = append(found, fmt.Sprintf("%s: %s", strings.Join(chain, " imports "), r.why))
		}
	}
	return found
}

// chain is a shortest way of imports from a package to one that matches; nil when there is none.
func (h house) chain(from string, targets []pattern) []string {
	if len(targets) == 0 {
		return nil
	}
	came := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		if here != from && matchesAny(targets, here) {
			var way []string
			for step := here; step != ""; step = came[step] {
				way = append(way, step)
			}
			slices.Reverse(way)
			return way
		}
		for _, imported := range h[here].Imports {
			if _, seen := came[short(imported)]; ours(imported) && !seen {
				came[short(imported)] = here
				queue = append(queue, short(imported))
			}
		}
	}
	return nil
}

// emptilyNamed lists the packages with a folder in their path whose name says nothing.
func (h house) emptilyNamed() []string {
	var found []string
	for _, name := range sorted(h) {
		for folder := range strings.SplitSeq(path.Clean(name), "/") {
			if slices.Contains(emptyNames, folder) {
				found = append(found, fmt.Sprintf("%s: %q says nothing about what is in it; name it by the field's word", name, folder))
			}
		}
	}
	return found
}

func sorted(h house) []string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
