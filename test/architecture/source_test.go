package architecture_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// impurities lists where the files of the pure packages reach for the clock, start goroutines or have an init function.
//
// All other packages' files are read too, though nothing is asked of them: `go test` repeats a test when a file that it read has changed.
func (h house) impurities() ([]string, error) {
	var found []string
	for _, name := range sorted(h) {
		for _, file := range h[name].GoFiles {
			source, err := os.ReadFile(filepath.Join(h[name].Dir, file))
			if err != nil {
				return nil, err
			}
			if !matchesAny(pure, name) {
				continue
			}
			impure, err := impurity(name+"/"+file, source)
			if err != nil {
				return nil, err
			}
			found = append(found, impure...)
		}
	}
	return found, nil
}

func impurity(name string, source []byte) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	clock := localName(file, "time")
	var found []string
	report := func(node ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s; inputs go in as values, results come out as values", files.Position(node.Pos()), what))
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && clock != "" && pkg.Name == clock && slices.Contains(noClock, n.Sel.Name) {
				report(n, "time."+n.Sel.Name+" in a pure package")
			}
		case *ast.GoStmt:
			report(n, "a goroutine in a pure package")
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				report(n, "an init function in a pure package")
			}
		}
		return true
	})
	return found, nil
}

// localName is what the file calls the package; empty when it doesn't import it.
func localName(file *ast.File, importPath string) string {
	for _, spec := range file.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err != nil || imported != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return filepath.Base(importPath)
	}
	return ""
}
