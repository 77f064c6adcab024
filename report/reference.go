package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// ReferencePages are the pages of docs/reference that are made from code, by their file names.
func ReferencePages() map[string]string {
	return map[string]string{"reasons.md": reasonsPage(), "metrics.md": metricsPage()}
}

func reasonsPage() string {
	var b strings.Builder
	b.WriteString("# Reasons\n\n" +
		"Every decision has a reason, and every reason is in this list: Events, metric labels, log lines, the status and the plan all take\n" +
		"theirs from here. Made from package `plan/reason` by `make generate`; don't edit.\n")
	for _, part := range []struct {
		verdict      reason.Verdict
		title, intro string
	}{
		{reason.Acts, "Why something is done", ""},
		{reason.Holds, "Why something is left as it is", ""},
		{reason.Reports, "Progress and faults", ""},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| reason | means | what to do |\n|---|---|---|\n", part.title)
		for _, e := range reason.All() {
			if e.Verdict == part.verdict {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Reason, cell(e.Meaning), cell(e.Remedy))
			}
		}
	}
	b.WriteString("\n## Reasons of Events that the ecosystem knows\n\n" +
		"Three Events keep the reasons that people know from the cluster-autoscaler; their messages name the reasons above.\n\n" +
		"| Event | on | when |\n|---|---|---|\n" +
		"| `" + triggeredScaleUp + "` | pod | a pool grows for the pod |\n" +
		"| `" + notTriggerScaleUp + "` | pod | no pool grows for the pod; the message names each pool and why |\n" +
		"| `" + scaleDown + "` | node | the autoscaler begins to remove the node |\n\n" +
		"All other Events have a reason of the lists above, and are on the node that they are about, or on the ConfigMap\n`" + StatusName + "` where they are about a pool.\n")
	return b.String()
}

func metricsPage() string {
	var b strings.Builder
	b.WriteString("# Metrics\n\n" +
		"Served at `/metrics`. Gauges are those of the last plan, and only the leader has them; a series whose pool, claim or reason is gone\n" +
		"vanishes. The label `reason` takes its values from [the list of reasons](reasons.md). Made from package `report` by `make generate`; don't edit.\n\n" +
		"| metric | type | labels | means |\n|---|---|---|---|\n")
	for _, d := range definitions {
		labels := make([]string, 0, len(d.labels))
		for _, l := range d.labels {
			labels = append(labels, "`"+l+"`")
		}
		help := d.help
		if len(d.buckets) > 0 {
			help += " Buckets: " + buckets(d.buckets) + " s."
		}
		fmt.Fprintf(&b, "| `%s%s` | %s | %s | %s |\n", prefix, d.name, d.kind, strings.Join(labels, ", "), cell(help))
	}
	return b.String()
}

func buckets(all []float64) string {
	texts := make([]string, 0, len(all))
	for _, v := range all {
		texts = append(texts, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strings.Join(texts, ", ")
}

// cell writes a text into a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
