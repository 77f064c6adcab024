// Package docs_test reads the project's pages as their readers would: every link leads somewhere, and every command that no test runs is marked so.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/yaml"
)

const tree = "../.."

// pages are the paths of all pages, below the tree.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != tree && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "node_modules" || entry.Name() == "bin") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
		return nil
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d pages: %v", len(all), err)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	code    = regexp.MustCompile("(?ms)^ *```.*?\n *```|`[^`\n]*`")
)

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue // the tests have no network
			}
			target, part, _ := strings.Cut(m[1], "#")
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if part != "" && strings.HasSuffix(path, ".md") && !slices.Contains(anchors(read(t, path)), part) {
				t.Errorf("%s links to %s, where there is no such heading", page, m[1])
			}
		}
	}
}

// anchors are what the headings of a page are reached by.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, m[1]))
	}
	return all
}

var block = regexp.MustCompile("(?ms)^ *```sh *(by-hand)?\n((?:[^\n]*\n)*?) *```")

// runAsAWhole is the page whose commands are run, with the files that it shows, by a test of cmd/poolkeeper.
const runAsAWhole = "simulating.md"

// TestEveryCommandIsCheckedOrMarked: targets of make are in the Makefile, values of the chart are values, our own flags are flags. All else stands in a block
// that is marked by-hand.
func TestEveryCommandIsCheckedOrMarked(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(read(t, page), -1) {
			for _, command := range commands(m[2]) {
				problem := check(t, command)
				if problem == unchecked && (m[1] != "" || filepath.Base(page) == runAsAWhole) {
					continue
				}
				if problem != "" {
					t.Errorf("%s: %s: %s", page, command, problem)
				}
				checked++
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d commands were found and checked", checked)
	}
}

// commands are the commands of a block, without comments and with continued lines as one.
func commands(text string) []string {
	var all []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		line, _, _ = strings.Cut(line, " # ")
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, strings.Join(strings.Fields(line), " "))
		}
	}
	return all
}

const unchecked = "no test looks at such a command: mark the block by-hand (```sh by-hand)"

// check says what is wrong with a command.
func check(t *testing.T, command string) string {
	t.Helper()
	words := strings.Fields(command)
	switch {
	case words[0] == "make":
		return checkMake(t, words[1:])
	case words[0] == "helm" && slices.Contains(words, "charts/poolkeeper"):
		return checkValues(t, words)
	case words[0] == "poolkeeper" && len(words) > 1 && strings.HasPrefix(words[1], "--"):
		return checkFlags(t, words[1:])
	}
	return unchecked
}

func checkMake(t *testing.T, words []string) string {
	t.Helper()
	makefile := read(t, filepath.Join(tree, "Makefile"))
	for _, word := range words {
		name, _, variable := strings.Cut(word, "=")
		switch {
		case variable && !strings.Contains(makefile, "$("+name+")"):
			return "the Makefile has no variable " + name
		case !variable && !strings.HasPrefix(word, "-") && !strings.Contains(makefile, "\n"+word+":"):
			return "the Makefile has no target " + word
		}
	}
	return ""
}

func checkFlags(t *testing.T, words []string) string {
	t.Helper()
	known := read(t, filepath.Join(tree, "docs", "reference", "flags.md"))
	for _, word := range words {
		if name, _, _ := strings.Cut(word, "="); strings.HasPrefix(name, "--") && !strings.Contains(known, "`"+name+"`") {
			return "there is no flag " + name
		}
	}
	return ""
}

func checkValues(t *testing.T, words []string) string {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(tree, "charts", "poolkeeper", "values.yaml"))), &values); err != nil {
		t.Fatal(err)
	}
	for i, word := range words[:len(words)-1] {
		if word != "--set" && word != "--set-string" && word != "--set-file" {
			continue
		}
		key, _, _ := strings.Cut(words[i+1], "=")
		var at any = values
		for part := range strings.SplitSeq(key, ".") {
			inside, _ := at.(map[string]any)
			var ok bool
			if at, ok = inside[part]; !ok {
				return "the chart has no value " + key
			}
		}
	}
	return ""
}

var promised = regexp.MustCompile("`([^`]+)`")

// TestEveryPromiseNamesTestsThatAreThere: a row of the table of healing.md names packages, and tests that are in one of them.
func TestEveryPromiseNamesTestsThatAreThere(t *testing.T) {
	_, table, _ := strings.Cut(read(t, tree+"/docs/healing.md"), "| promise | shown by |\n")
	tests := 0
	for _, row := range strings.Split(strings.TrimSpace(table), "\n")[1:] {
		var packages []string
		cells := strings.Split(row, "|")
		for _, m := range promised.FindAllStringSubmatch(cells[2], -1) {
			if !strings.HasPrefix(m[1], "Test") {
				packages = append(packages, m[1])
				continue
			}
			tests++
			if !slices.ContainsFunc(packages, func(dir string) bool { return hasTest(t, dir, m[1]) }) {
				t.Errorf("%s: there is no %s in %v", cells[1], m[1], packages)
			}
		}
	}
	if tests < 30 {
		t.Errorf("only %d tests are named", tests)
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(tree, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool { return strings.Contains(read(t, file), "func "+name+"(") })
}
