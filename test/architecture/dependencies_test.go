package architecture_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
)

// dependency is a path of a module in the table of docs/dependencies.md.
var dependency = regexp.MustCompile("`([a-z0-9.-]+\\.[a-z]+/[^`]+)`")

// row is a line of the table.
var row = regexp.MustCompile("(?m)^\\| (`.*) \\| (.*) \\|$")

// Each dependency has its reason: what go.mod requires directly and what docs/dependencies.md gives reasons for are the same.
func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json", "../../go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old, New struct{ Path string } }
	}
	if err := json.Unmarshal(out, &file); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, r := range row.FindAllStringSubmatch(string(page), -1) {
		if r[2] == "" {
			t.Errorf("docs/dependencies.md gives no reason for %s", r[1])
		}
		for _, m := range dependency.FindAllStringSubmatch(r[1], -1) {
			if slices.Contains(explained, m[1]) {
				t.Errorf("docs/dependencies.md has %s twice", m[1])
			}
			explained = append(explained, m[1])
		}
	}
	for _, r := range file.Require {
		i := slices.Index(explained, r.Path)
		switch {
		case r.Indirect:
		case i < 0:
			t.Errorf("go.mod requires %s, and docs/dependencies.md has no reason for it", r.Path)
		default:
			explained = slices.Delete(explained, i, i+1)
		}
	}
	for _, left := range explained {
		t.Errorf("docs/dependencies.md explains %s, which go.mod does not require", left)
	}
	for _, r := range file.Replace {
		t.Errorf("go.mod replaces %s by %s: whoever builds from this module would get another one", r.Old.Path, r.New.Path)
	}
}
