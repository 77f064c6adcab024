// Table reads the output of `go test -v` of packages that run the conformance suite, and prints which provider passes which section.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// cell is how a provider's checks of a section went.
type cell struct{ passed, skipped, failed int }

// in is what stands in the table. Sections with the name of a capability are about what a provider may offer; of the others all that can be missing is the
// means to try them.
func (c cell) in(section string) string {
	switch {
	case c.failed > 0:
		return fmt.Sprintf("FAILED %d of %d", c.failed, c.failed+c.passed)
	case c.passed == 0 && section != strings.ToLower(section):
		return "not offered"
	case c.passed == 0:
		return "not tried"
	case c.skipped > 0:
		return fmt.Sprintf("passed %d (%d skipped)", c.passed, c.skipped)
	}
	return fmt.Sprintf("passed %d", c.passed)
}

// run prints the table, sections down and providers across. It fails if a check did, or a package, or if there was no report at all.
func run(in io.Reader, out io.Writer) error {
	var providers, sections []string
	cells := map[[2]string]cell{}
	var broken []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); strings.HasPrefix(text, "--- FAIL") || strings.HasPrefix(lines.Text(), "FAIL") {
			broken = append(broken, text)
		}
		_, report, found := strings.Cut(lines.Text(), "conformance-report|")
		if !found {
			continue
		}
		fields := strings.Split(report, "|")
		if len(fields) != 5 {
			return fmt.Errorf("a line of the report has %d fields, want 5: %s", len(fields), report)
		}
		if !slices.Contains(providers, fields[0]) {
			providers = append(providers, fields[0])
		}
		if !slices.Contains(sections, fields[1]) {
			sections = append(sections, fields[1])
		}
		var numbers [3]int
		for i := range numbers {
			var err error
			if numbers[i], err = strconv.Atoi(fields[2+i]); err != nil {
				return fmt.Errorf("a line of the report: %w: %s", err, report)
			}
		}
		cells[[2]string{fields[0], fields[1]}] = cell{numbers[0], numbers[1], numbers[2]}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if len(providers) == 0 {
		return errors.New("nobody ran the conformance suite; its tests have to run with -v")
	}
	slices.Sort(providers)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SECTION\t"+strings.Join(providers, "\t"))
	for _, section := range sections {
		row := []string{section}
		for _, provider := range providers {
			row = append(row, cells[[2]string{provider, section}].in(section))
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(broken) > 0 {
		return fmt.Errorf("\nnot all is well:\n%s", strings.Join(broken, "\n"))
	}
	return nil
}
