package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The mutants are made from the sources as they are: whoever changes a place that one of them takes away hears of it here, and not in the long tests.
func TestEveryMutantFindsItsPlaceAndTheMutatedSourcesParse(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	_, names, err := mutate(root, folder)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			t.Errorf("two mutants are named %q", name)
		}
		seen[name] = true
	}
	for name := range explained {
		if !seen[name] {
			t.Errorf("%q is explained, and there is no such mutant", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d mutated files, %v", len(files), err)
	}
	all := ""
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution); err != nil {
			t.Error(err)
		}
		all += string(source)
	}
	for _, name := range names {
		if !strings.Contains(all, `"`+name+`"`) {
			t.Errorf("mutant %q is in no source", name)
		}
	}
}

// Every gate is a mutant: a list that is written in another way must not fall out of the count.
func TestEveryGateOfEveryListIsAMutant(t *testing.T) {
	for _, file := range gateFiles {
		source, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		_, names := dropGates(string(source))
		if want := strings.Count(string(source), ", (*pass)."); len(names) != want {
			t.Errorf("%s names %d gates, and %d of them are mutants", file, want, len(names))
		}
	}
}
