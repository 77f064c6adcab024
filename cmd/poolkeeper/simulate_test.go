package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Every command of docs/simulating.md is run, with the files that the page shows.
func TestTheExamplesOfTheDocumentationRun(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulating.md")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, file := range regexp.MustCompile("(?s)```yaml (\\S+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if err := os.WriteFile(filepath.Join(folder, file[1]), []byte(file[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	commands := regexp.MustCompile("(?s)```sh\npoolkeeper (.*?)\n```").FindAllStringSubmatch(string(page), -1)
	if len(commands) < 3 {
		t.Fatalf("there are %d commands", len(commands))
	}
	for _, command := range commands {
		t.Run(command[1], func(t *testing.T) {
			t.Parallel()
			var args []string
			for i, part := range strings.Split(command[1], "'") {
				if i%2 == 1 {
					args = append(args, part)
				} else {
					args = append(args, strings.Fields(part)...)
				}
			}
			c := program(t, args...)
			c.Dir = folder
			out, err := c.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "node-hours") {
				t.Fatalf("%v:\n%s", err, out)
			}
			t.Logf("\n%s", out)
			for i, arg := range args {
				if arg == "--picture" {
					if svg, err := os.ReadFile(filepath.Join(folder, args[i+1])); err != nil || !strings.HasPrefix(string(svg), "<svg") {
						t.Errorf("no picture was drawn: %v", err)
					}
				}
			}
		})
	}
}

func TestASimulationThatCanNotBeIsRefused(t *testing.T) {
	pools := file(t, "pools.yaml", onePool)
	wrong := file(t, "scenario.yaml", "apiVersion: poolkeeper.io/v1alpha1\nkind: Scenario\nlength: 1h\nevnts: []\n")
	for _, c := range []struct{ name, args, want string }{
		{"no cluster", "simulate", "say which cluster: --nodes for a synthetic one, --pools with a file, or --dump"},
		{"two clusters", "simulate --nodes=3 --pools=" + pools, "one of them"},
		{"too many nodes", "simulate --nodes=1000000", "give a number from 1 to 3000"},
		{"pools without a scenario", "simulate --pools=" + pools, "--pools needs --scenario"},
		{"a file that isn't", "simulate --nodes=3 --scenario=/nowhere", "--scenario: open /nowhere"},
		{"a scenario with a mistake", "simulate --nodes=3 --scenario=" + wrong, wrong + ":4: evnts: there is no such field"},
		{"flags with a mistake", "simulate --nodes=3 --flags=--scale-down-unneded-time=5m", "did you mean --scale-down-unneeded-time?"},
		{"other flags with a mistake", "simulate --nodes=3 --compare=--max-nodes-total=many", `"many" is not a whole number`},
		{"a configuration that isn't", "simulate --nodes=3 --compare=/nowhere.yaml", "/nowhere.yaml"},
		{"an argument", "simulate --nodes=3 now", `argument "now"`},
		{"a page of two runs", "simulate --nodes=3 --dashboard=127.0.0.1:0 --compare=--mode=act", "--dashboard shows one run"},
		{"a page that stands still", "simulate --nodes=3 --dashboard=127.0.0.1:0 --speed=0", "--speed is 0: give a number above 0"},
		{"a page nowhere", "simulate --nodes=3 --dashboard=nowhere:-1", "--dashboard=nowhere:-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, _, errs := runs(t, strings.Fields(c.args)...)
			if code != 2 || !strings.Contains(errs, c.want) {
				t.Errorf("exit code %d and %q, want 2 and %q", code, errs, c.want)
			}
		})
	}
}

func TestThePageShowsASimulationAndStays(t *testing.T) {
	what := file(t, "scenario.yaml", "apiVersion: poolkeeper.io/v1alpha1\nkind: Scenario\nlength: 1h\nworkloads: [{name: web, replicas: 9, cpu: 1, memory: 1Gi}]\n")
	c := program(t, "simulate", "--pools="+file(t, "pools.yaml", onePool), "--scenario="+what, "--dashboard=127.0.0.1:0", "--speed=100000")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the program says nothing: %v", lines.Err())
	}
	address := strings.TrimPrefix(lines.Text(), "The page: ")
	for over := false; !over && lines.Scan(); { // until the last line of the table: the hour has been lived through
		over = strings.Contains(lines.Text(), "passes")
	}
	for path, want := range map[string]string{"": "<title>Poolkeeper</title>", "status?format=json": `"ready":`, "explain?kind=pool&name=front&format=text": "The pool has a target of", "dashboard/course": `"capacity":`} {
		answer, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s%s: %s, %v: %.300s", address, path, answer.Status, err, text)
		}
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("interrupted at the end: %v", err)
	}
}
