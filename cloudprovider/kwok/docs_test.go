package kwok_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

func manual(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../../docs/providers/kwok.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTheFileInTheManualIsRight(t *testing.T) {
	_, rest, _ := strings.Cut(manual(t), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the manual has no example")
	}
	if _, err := kwok.ParseConfig("docs/providers/kwok.md", []byte(example)); err != nil {
		t.Error(err)
	}
}

func TestTheManualHasTheFaultsThatThereAreAndNoOthers(t *testing.T) {
	_, rest, _ := strings.Cut(manual(t), "| fault |")
	table, _, _ := strings.Cut(rest, "\n\n")
	named := map[string]bool{}
	for _, row := range strings.Split(table, "\n")[2:] {
		cell := strings.Split(row, "|")[1]
		for _, fault := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			config := kwok.Config{Pools: []kwok.Pool{front()}, Faults: []kwok.Fault{kwok.Fault(fault[1])}}
			if err := config.Validate(); err != nil {
				t.Errorf("the manual has a fault that there is not: %v", err)
			}
			name, _, _ := strings.Cut(fault[1], "=")
			named[name] = true
		}
	}
	err := kwok.Config{Pools: []kwok.Pool{front()}, Faults: []kwok.Fault{"none"}}.Validate()
	_, list, _ := strings.Cut(err.Error(), "the known ones are ")
	for name := range strings.SplitSeq(list, ", ") {
		if !named[name] {
			t.Errorf("the manual says nothing of the fault %q", name)
		}
	}
	if len(named) < 5 {
		t.Errorf("only %d faults were found in the manual", len(named))
	}
}
