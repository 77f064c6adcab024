package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// gateFiles have lists of gates.
var gateFiles = []string{"arbiter/gates.go", "arbiter/rollouts.go"}

// mutate makes the mutated sources from those below root, into folder, and gives the overlay file for go build and the names of the mutants.
func mutate(root, folder string) (overlay string, names []string, err error) {
	sources, chooses := map[string]string{}, map[string]bool{}
	read := func(file string) (string, error) {
		if source, ok := sources[file]; ok {
			return source, nil
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		return string(text), err
	}
	for _, file := range gateFiles {
		source, err := read(file)
		if err != nil {
			return "", nil, err
		}
		mutated, gates := dropGates(source)
		if len(gates) == 0 {
			return "", nil, fmt.Errorf("%s has no list of gates that could be read; change test/mutants/gates.go", file)
		}
		sources[file], names = mutated, append(names, gates...)
	}
	for _, e := range edits {
		source, err := read(e.file)
		if err != nil {
			return "", nil, err
		}
		if sources[e.file], err = e.apply(source); err != nil {
			return "", nil, err
		}
		chooses[e.file], names = true, append(names, e.name)
	}
	for file := range chooses {
		sources[file] = choosing(sources[file])
	}
	sources["arbiter/mutant.go"] = gateMutant
	overlay, err = write(root, folder, sources)
	return overlay, names, err
}

// choosing adds the import that edits need.
func choosing(source string) string {
	clause, rest, _ := strings.Cut(source, "\nimport ")
	return clause + "\nimport \"github.com/poolkeeper/poolkeeper/test/mutants/chosen\"\n\nimport " + rest
}

// write puts the sources into the folder, and the overlay that puts them in the place of the real ones.
func write(root, folder string, sources map[string]string) (string, error) {
	replace := map[string]string{}
	for file, source := range sources {
		path := filepath.Join(folder, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = path
	}
	text, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}
