package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// A reason that nothing gives makes the documentation promise an answer that nobody ever gets.
func TestEveryReasonIsGivenSomewhere(t *testing.T) {
	used := map[string]bool{}
	rooms := mustList(t)
	for _, name := range sorted(rooms) {
		if name == "plan/reason" {
			continue
		}
		for _, file := range rooms[name].GoFiles {
			source, err := os.ReadFile(filepath.Join(rooms[name].Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			words, err := reasonsIn(name+"/"+file, source)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range words {
				used[word] = true
			}
		}
	}
	names := constants(t, filepath.Join(rooms["plan/reason"].Dir, "reason.go"))
	for _, entry := range reason.All() {
		name, ok := names[entry.Reason]
		switch {
		case !ok:
			t.Errorf("plan/reason/reason.go has no constant for the reason %s", entry.Reason)
		case !used[name]:
			t.Errorf("nothing outside plan/reason gives the reason %s: use it, or take it out of the list", entry.Reason)
		}
	}
}

// constants are the names of the reasons in the source, by their words.
func constants(t *testing.T, path string) map[reason.Reason]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[reason.Reason]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if word, err := strconv.Unquote(literal.Value); err == nil {
				names[reason.Reason(word)] = spec.Names[0].Name
			}
		}
		return true
	})
	return names
}

func TestReasonsAreFoundUnderWhateverNameTheirListIsImported(t *testing.T) {
	const source = `package healer

import why "github.com/poolkeeper/poolkeeper/plan/reason"

// reason.Empty is only spoken of.
var given, text = why.NotReady, "why.Unreachable"
`
	if got, err := reasonsIn("healer/healer.go", []byte(source)); err != nil || !slices.Equal(got, []string{"NotReady"}) {
		t.Errorf("found %q, error %v", got, err)
	}
}

// reasonsIn are the names that a file takes from plan/reason.
func reasonsIn(name string, source []byte) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	list := localName(file, module+"/plan/reason")
	var found []string
	ast.Inspect(file, func(node ast.Node) bool {
		if n, ok := node.(*ast.SelectorExpr); ok {
			if pkg, ok := n.X.(*ast.Ident); ok && list != "" && pkg.Name == list {
				found = append(found, n.Sel.Name)
			}
		}
		return true
	})
	return found, nil
}
