package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// ReferencePages are the pages of docs/reference that are made from code, by their file names.
func ReferencePages() map[string]string {
	return map[string]string{"reasons.md": reasonsPage(), "metrics.md": metricsPage(), "events.md": eventsPage()}
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
	return b.String()
}

func eventsPage() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Events\n\n"+
		"Every decision is an Event as well: `kubectl get events`, with `-n` of the daemon's namespace for those about pools. What goes on unchanged is told again after %s at the\n"+
		"earliest, and other words for the same thing after %s; a message has %d letters at most. Events are of type Normal, and Warning where a person should look. The words come\n"+
		"from package `report`, the reasons from `plan/reason`. Made by `make generate`; don't edit.\n\n"+
		"Three Events have the reasons that people know from the cluster-autoscaler; their messages name the reason below.\n\n"+
		"| Event | on | when |\n|---|---|---|\n"+
		"| `%s` | pod | a pool grows for the pod |\n"+
		"| `%s` | pod | no pool grows for the pod; the message names each pool and why |\n"+
		"| `%s` | node | the autoscaler begins to remove the node |\n", hours(repeatAfter), hours(hushFor), longestEvent, triggeredScaleUp, notTriggerScaleUp, scaleDown)
	for _, part := range []struct {
		verdict      reason.Verdict
		title, intro string
	}{
		{reason.Acts, "Something is done", "On the node that it is about, else on the ConfigMap `" + StatusName + "`; once."},
		{reason.Holds, "Something is held back or can't be read", "On the ConfigMap `" + StatusName + "`, for as long as it holds. About pods it is part of the message of `" + notTriggerScaleUp + "`."},
		{reason.Reports, "Progress and faults", "On the node that it is about, else on the ConfigMap `" + StatusName + "`; once."},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| Event | means |\n|---|---|\n", part.title, part.intro)
		for _, e := range reason.All() {
			if e.Verdict == part.verdict && !quiet[e.Reason] {
				fmt.Fprintf(&b, "| `%s` | %s |\n", e.Reason, cell(e.Meaning))
			}
		}
	}
	b.WriteString("\n## No Event\n\nPods that wait for one of these get none: they will run without our help, or we are not the ones to help them.\n\n")
	for _, e := range reason.All() {
		if quiet[e.Reason] {
			fmt.Fprintf(&b, "- `%s`: %s\n", e.Reason, e.Meaning)
		}
	}
	return b.String()
}

// hours writes a time without zeros at its end.
func hours(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "0s")
	return strings.TrimSuffix(text, "0m")
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
