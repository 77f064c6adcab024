package watching

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
)

// A query is one of the dashboard's.
type query struct{ panel, expr string }

func queries(t *testing.T) []query {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal([]byte(read(t, "charts", "poolkeeper", "files", "dashboard.json")), &dashboard))
	var all []query
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, query{panel.Title, target.Expr})
		}
	}
	return all
}

// TestEveryPanelShowsSomethingOfARealRun lets the daemon live through the demo's story, which has a scale-up, a scale-down, a repair and a rollout, while a
// Prometheus scrapes it; then each panel's query has to give numbers.
func TestEveryPanelShowsSomethingOfARealRun(t *testing.T) {
	began, address := time.Now(), freeAddress(t)
	prometheus := scraping(t, address)
	over := story(t, address)
	select {
	case <-over:
	case <-time.After(5 * time.Minute):
		t.Fatal("the demo does not come to its end")
	}
	asGrafana := strings.NewReplacer("$__rate_interval", "5m", "$pool", ".*")
	for _, q := range queries(t) {
		t.Run(q.panel, func(t *testing.T) {
			if err := givesNumbers(prometheus, asGrafana.Replace(q.expr), began); err != nil {
				t.Error(err)
			}
		})
	}
}

// story runs the demo, whose daemon answers at the address; over is closed when the story is, and the daemon goes on.
func story(t *testing.T, address string) (over <-chan struct{}) {
	t.Helper()
	daemon, err := installation.Build(t.TempDir())
	must(t, err)
	lines := run(t, daemon, "demo", "--dashboard="+address, "--speed=30")
	told := make(chan struct{})
	go func() {
		for lines.Scan() { // to its end, so that it is never held up by a full pipe
			if strings.Contains(lines.Text(), "Going on until interrupted") {
				close(told)
			}
		}
	}()
	return told
}

// run starts a program that ends with the test, and gives the lines that it prints.
func run(t *testing.T, path string, args ...string) *bufio.Scanner {
	t.Helper()
	command := exec.CommandContext(t.Context(), path, args...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	reader, writer, err := os.Pipe()
	must(t, err)
	command.Stdout, command.Stderr = writer, writer
	must(t, command.Start())
	must(t, writer.Close())
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = command.Wait()
		_ = reader.Close()
	})
	return bufio.NewScanner(reader)
}

// scraping is the address of a Prometheus that scrapes the daemon every second, with the chart's alerts as its rules.
func scraping(t *testing.T, target string) (address string) {
	t.Helper()
	folder := t.TempDir()
	config := filepath.Join(folder, "prometheus.yml")
	must(t, os.WriteFile(config, []byte(fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 5s}
rule_files: [%q]
scrape_configs:
  - job_name: poolkeeper
    static_configs: [{targets: [%q]}]
`, file(t, "charts", "poolkeeper", "files", "alerts.yaml"), target)), 0o600))
	address = freeAddress(t)
	log := run(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	go func() {
		for log.Scan() {
		}
	}()
	controlplane.Eventually(t, time.Minute, func(context.Context) error {
		_, err := get("http://" + address + "/-/ready")
		return err
	})
	return address
}

// freeAddress is one at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, free.Close())
	return free.Addr().String()
}

// givesNumbers tells why a query gave none at any second since the beginning.
func givesNumbers(prometheus, expr string, began time.Time) error {
	text, err := get(fmt.Sprintf("http://%s/api/v1/query_range?query=%s&start=%d&end=%d&step=1", prometheus, url.QueryEscape(expr), began.Unix(), time.Now().Unix()))
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	for _, series := range answer.Data.Result {
		for _, value := range series.Values {
			if number, err := strconv.ParseFloat(fmt.Sprint(value[1]), 64); err == nil && !math.IsNaN(number) {
				return nil
			}
		}
	}
	return fmt.Errorf("%s gives no number: %.300s", expr, text)
}

func get(address string) ([]byte, error) {
	answer, err := http.Get(address) //nolint:noctx // the test's own limit ends it
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status + ": " + string(text))
	}
	return text, err
}
