package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestAnAPIServerThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := program(t, "--cloud-provider=kwok", "--cloud-config="+file(t, "pools.yaml", onePool), "--kubeconfig="+kubeconfig(t, "https://"+nobody(t)),
		"--address=127.0.0.1:0")
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	// await reads the log until a line matches, which a program that hangs is given a minute for.
	await := func(pattern string) string {
		t.Helper()
		var log []string
		for lines.Scan() {
			log = append(log, lines.Text())
			if found := regexp.MustCompile(pattern).FindStringSubmatch(lines.Text()); found != nil {
				return found[len(found)-1]
			}
		}
		t.Fatalf("no line matches %s:\n%s", pattern, strings.Join(log, "\n"))
		return ""
	}
	address := await(`Poolkeeper starts.* address="([^"]+)"`)
	for range 2 { // it keeps trying
		await(`The API server can't be asked.*trying again.*connection refused`)
	}
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		answer, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s answers %d %s, want %d", path, answer.StatusCode, body, want)
		}
		if path == "/readyz" && !strings.Contains(string(body), "the API server has not answered yet") {
			t.Errorf("/readyz says %q", body)
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(stderr)
	if err := c.Wait(); err != nil {
		t.Errorf("told to stop it ends with %v:\n%s", err, rest)
	}
}

func TestTheDemoTellsItsStoryToTheEnd(t *testing.T) {
	t.Parallel()
	code, out, errs := runs(t, "demo", "--speed=100000")
	if code != 0 || errs != "" {
		t.Errorf("the exit code is %d, standard error %q", code, errs)
	}
	for _, want := range []string{
		`autoscaler +pool small 2→5: 3 nodes for 10 pods of default/web`,
		`autoscaler +\S+ is gone after .*\(Removed\)`,
		`healer +.*\(Replaced\)`,
		`upgrader +\S+ is replaced by .*\(Replaced\)`,
		`POOL +MIN +MAX +TARGET +READY`,
		`small +2 +6 +2 +2 +0 +0 +0 +v1\.36\.3 +0`,
		`3 nodes were added for pods, 3 removed because nothing needed them, \d replaced`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no line matches %s", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
