package golden_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/simulation/golden"
)

// spy is a test that notes what is held against it.
type spy struct {
	testing.TB
	said []string
}

func (s *spy) Name() string                 { return "TestA/some case: 50%" }
func (s *spy) Helper()                      {}
func (s *spy) Errorf(f string, args ...any) { s.said = append(s.said, fmt.Sprintf(f, args...)) }
func (s *spy) Fatalf(f string, args ...any) { s.Errorf(f, args...); panic(s) }
func (s *spy) Fatal(args ...any)            { s.Errorf("%s", fmt.Sprint(args...)); panic(s) }

func TestADifferenceIsShown(t *testing.T) {
	t.Chdir(t.TempDir())
	run := func(log string) string {
		s := &spy{TB: t}
		func() {
			defer func() { _ = recover() }()
			golden.Equal(s, log)
		}()
		return strings.Join(s.said, "\n")
	}
	if said := run("one\n"); !strings.Contains(said, "-update") {
		t.Errorf("without a file: %q, want a word about -update", said)
	}
	if err := os.MkdirAll("testdata", 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", "TestA.some_case__50_.txt"), []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := run("one\n"); said != "" {
		t.Errorf("the same log: %q, want nothing", said)
	}
	if said := run("two\n"); !strings.Contains(said, `"two"`) {
		t.Errorf("another log: %q, want the difference", said)
	}
}
