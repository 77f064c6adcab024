package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// sources are the packages that know marks on objects of Kubernetes, and what their marks are about.
var sources = []struct{ folder, title string }{
	{"cluster", "Nodes"},
	{"healer", "Nodes that the healer leaves alone"},
	{"autoscaler", "Nodes and pods, for the autoscaler"},
	{"drain", "Pods, and what their node's drain makes of it"},
	{"arbiter", "Nodes that were drained"},
	{"ledger/store", "The daemon's own ConfigMaps"},
}

// markLike is what a label, a taint or an annotation looks like in the sources.
var markLike = regexp.MustCompile(`^([a-z0-9-]+\.)+(io|sh)/([a-z][a-z0-9-]*)?$|^ToBeDeleted`)

// annotationsPage is made of the constants of those packages and of what their comments say.
func annotationsPage(tree string) (string, error) {
	var b strings.Builder
	b.WriteString("# Labels, taints and annotations\n\n" +
		"Every one that the daemon writes, honours or reads, by the package that knows it; [marks](../marks.md) says which jobs each of them stops. Providers have their own, on their\n" +
		"[pages](../providers). Made from the constants and their comments by `make generate`; don't edit.\n")
	for _, source := range sources {
		marks, err := marksIn(filepath.Join(tree, source.folder))
		if err != nil {
			return "", err
		}
		if len(marks) == 0 {
			return "", fmt.Errorf("package %s knows no mark any more: take it off the list", source.folder)
		}
		fmt.Fprintf(&b, "\n## %s\n\nPackage `%s`.\n\n| mark | means |\n|---|---|\n", source.title, source.folder)
		for _, m := range marks {
			fmt.Fprintf(&b, "| `%s` | %s |\n", m.key, strings.ReplaceAll(m.means, "|", `\|`))
		}
	}
	return b.String(), nil
}

type mark struct{ key, means string }

// marksIn finds the constants of a folder that are marks, in the order of the files and lines. One without a comment is an error.
func marksIn(folder string) ([]mark, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var marks []mark
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, declared := range parsed.Decls {
			constants, ok := declared.(*ast.GenDecl)
			if !ok || constants.Tok != token.CONST {
				continue
			}
			for _, spec := range constants.Specs {
				found, err := markOf(constants, spec.(*ast.ValueSpec))
				if err != nil {
					return nil, fmt.Errorf("%s: %w", file, err)
				}
				marks = append(marks, found...)
			}
		}
	}
	return marks, nil
}

// markOf is the mark that a constant is; none if it is something else.
func markOf(all *ast.GenDecl, constant *ast.ValueSpec) ([]mark, error) {
	if len(constant.Values) != 1 {
		return nil, nil
	}
	literal, ok := constant.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return nil, nil
	}
	key, err := strconv.Unquote(literal.Value)
	if err != nil || !markLike.MatchString(key) {
		return nil, err
	}
	comment := constant.Doc.Text()
	if comment == "" && len(all.Specs) == 1 {
		comment = all.Doc.Text()
	}
	name := constant.Names[0].Name
	means, ok := strings.CutPrefix(strings.Join(strings.Fields(comment), " "), name+" ")
	if !ok {
		return nil, fmt.Errorf("the mark %s has no comment that begins with its name, %s", key, name)
	}
	return []mark{{key, strings.TrimSuffix(means, ".")}}, nil
}
