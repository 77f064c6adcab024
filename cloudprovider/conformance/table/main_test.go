package main

import (
	"strings"
	"testing"
)

const output = `=== RUN   TestX
    report.go:30: conformance-report|kwok|sizes|6|1|0
    report.go:30: conformance-report|kwok|Rebooter|2|0|0
    report.go:30: conformance-report|clusterapi|sizes|7|0|0
    report.go:30: conformance-report|clusterapi|Rebooter|0|2|0
--- PASS: TestX (0.00s)
`

func TestTheTableHasSectionsDownAndProvidersAcross(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(output), &out); err != nil {
		t.Fatal(err)
	}
	want := []string{"SECTION clusterapi kwok", "sizes passed 7 passed 6 (1 skipped)", "Rebooter not offered passed 2"}
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if got := strings.Join(strings.Fields(line), " "); got != want[i] {
			t.Errorf("line %d is %q, want %q", i, got, want[i])
		}
	}
}

func TestAFailureFailsTheTable(t *testing.T) {
	for name, in := range map[string]string{
		"nothing ran":     "ok",
		"a check failed":  output + "    --- FAIL: TestX/sizes\n",
		"a package fails": output + "FAIL	some/package [build failed]\n",
		"a spoiled line":  "conformance-report|kwok|sizes|6\n",
	} {
		var out strings.Builder
		if err := run(strings.NewReader(in), &out); err == nil {
			t.Errorf("%s: no error:\n%s", name, &out)
		}
	}
}
