package watching

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type rule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

// rules are the alerts of the chart.
func rules(t *testing.T) []rule {
	t.Helper()
	var spec struct{ Groups []struct{ Rules []rule } }
	must(t, yaml.Unmarshal([]byte(read(t, "charts", "poolkeeper", "files", "alerts.yaml")), &spec))
	var all []rule
	for _, group := range spec.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("the chart has no alerts")
	}
	return all
}

func TestAlertsFireWhenTheyShouldAndAreSilentOtherwise(t *testing.T) {
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "alerts.yaml"), []byte(read(t, "charts", "poolkeeper", "files", "alerts.yaml")), 0o600))
	cases, err := filepath.Glob("testdata/*_test.yaml")
	must(t, err)
	args, all := []string{"test", "rules"}, ""
	for _, path := range cases {
		text, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(folder, filepath.Base(path)), text, 0o600))
		args, all = append(args, filepath.Base(path)), all+string(text)
	}
	command := exec.CommandContext(t.Context(), "promtool", args...)
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for _, r := range rules(t) {
		for _, want := range []string{r.Alert + " fires: ", r.Alert + " is silent: "} {
			if !strings.Contains(all, want) {
				t.Errorf("no unit test %q", want)
			}
		}
	}
}

func TestEveryAlertHasARunbookAndNamesIt(t *testing.T) {
	index := read(t, "docs", "runbooks", "README.md")
	for _, r := range rules(t) {
		page := r.Alert + ".md"
		if text := read(t, "docs", "runbooks", page); !strings.HasPrefix(text, "# "+r.Alert+"\n") || !strings.Contains(text, "\n## Do\n") {
			t.Errorf("docs/runbooks/%s does not begin with its alert, or says nothing to do", page)
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/runbooks/"+page) {
			t.Errorf("%s names the runbook %q", r.Alert, r.Annotations["runbook_url"])
		}
		if !strings.Contains(index, "("+page+")") {
			t.Errorf("docs/runbooks/README.md has no line for %s", r.Alert)
		}
		if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks severity, summary or description", r.Alert)
		}
	}
	pages, err := filepath.Glob(file(t, "docs", "runbooks", "Poolkeeper*.md"))
	must(t, err)
	if len(pages) != len(rules(t)) {
		t.Errorf("%d runbooks for %d alerts", len(pages), len(rules(t)))
	}
}

// metric finds the names of our metrics in a query, without what a histogram adds.
var metric = regexp.MustCompile(`poolkeeper_[a-z_]+`)

func TestAlertsAndDashboardAskForMetricsThatThereAre(t *testing.T) {
	known := read(t, "docs", "reference", "metrics.md")
	check := func(where, query string) {
		for _, name := range metric.FindAllString(query, -1) {
			if name = strings.TrimSuffix(name, "_bucket"); !strings.Contains(known, "| `"+name+"` |") {
				t.Errorf("%s asks for %s, which no replica has", where, name)
			}
		}
	}
	for _, r := range rules(t) {
		check(r.Alert, r.Expr)
	}
	for _, q := range queries(t) {
		check(q.panel, q.expr)
	}
}
