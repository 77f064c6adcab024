package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThePageOfMarksIsCurrent(t *testing.T) {
	tree := filepath.Join("..", "..")
	want, err := annotationsPage(tree)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(tree, "docs", "reference", "annotations.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/reference/annotations.md is not what the code says; run: make generate (-code +page):\n%s", diff)
	}
	for _, key := range []string{"poolkeeper.io/disruption", "poolkeeper.io/heal", "cluster-autoscaler.kubernetes.io/safe-to-evict", "karpenter.sh/disrupted"} {
		if !strings.Contains(want, "| `"+key+"` |") {
			t.Errorf("%s is missing", key)
		}
	}
}

func TestAMarkWithoutACommentIsAnError(t *testing.T) {
	folder := t.TempDir()
	source := "package p\n\n// A says something.\nconst A = \"example.io/a\"\n\nconst B = \"example.io/b\"\n"
	if err := os.WriteFile(filepath.Join(folder, "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := marksIn(folder); err == nil || !strings.Contains(err.Error(), "example.io/b") {
		t.Errorf("the error is %v", err)
	}
}

// What the daemon's sources call a mark and is in no package of the list is missing on the page.
func TestNoMarkIsInAPackageThatIsNotOnTheList(t *testing.T) {
	tree := filepath.Join("..", "..")
	listed := map[string]bool{}
	for _, source := range sources {
		listed[source.folder] = true
	}
	for _, folder := range []string{"actuator", "app", "arbiter", "autoscaler", "cluster", "drain", "explain", "healer", "ledger", "ledger/store", "plan", "preflight", "report", "upgrader", "window"} {
		marks, err := marksIn(filepath.Join(tree, folder))
		if err != nil || len(marks) > 0 && !listed[folder] && folder != "report" {
			t.Errorf("package %s has marks (%v) and is not on the list: %v", folder, marks, err)
		}
	}
}
