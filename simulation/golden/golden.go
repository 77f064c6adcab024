// Package golden compares logs with files. It is for tests.
package golden

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The flag has to be known before the tests parse their arguments, so it lives with the package.
var update = flag.Bool("update", false, "write the golden files anew instead of comparing with them")

// Equal compares the log with testdata/<name of the test>.txt and shows the difference. With -update the file is written anew.
func Equal(t testing.TB, log string) {
	t.Helper()
	path := filepath.Join("testdata", file(t.Name()))
	if *update {
		write(t, path, log)
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("there is no %s; run the test with -update, and read what it wrote before you keep it", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(want, []byte(log)) {
		return
	}
	t.Errorf("the log differs from %s; if it should, run the test with -update (-want +got):\n%s",
		path, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(log, "\n")))
}

// file is the name of the file of a test: one for each subtest, with only letters, digits and dashes.
func file(test string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		case r == '/':
			return '.'
		}
		return '_'
	}, test)
	return clean + ".txt"
}

func write(t testing.TB, path, log string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
}
