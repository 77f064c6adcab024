package config

import (
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// FuzzFiles: a file is understood, or refused with its own name in each line of the error; never a panic.
func FuzzFiles(f *testing.F) {
	for _, text := range []string{"", begin, begin + "defaults:\n  min: 1\n", begin + "pools:\n- match: web\n  window: sat 22:00 4h\n", begin + "pools: &a [*a]", begin + "pools:\n- match: \"*\"\n  max: 1e9\n", "{", "\xff", "---\n---\n"} {
		f.Add([]byte(text))
	}
	flags, err := parsed(need)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := parseFile("f.yaml", text, flags.flags)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f.yaml:") {
					t.Fatalf("a line of the error doesn't name the file: %q of\n%v", line, err)
				}
			}
			return
		}
		c := &Config{flags: flags.flags}
		c.file.Store(read)
		if s, err := c.Settings("web", 0, 5, &cloudprovider.Options{}); err == nil && (s.Min < 0 || s.Max > 5 || s.Min > s.Max) {
			t.Errorf("%q gives pool web of 0 to 5 the limits %d to %d", text, s.Min, s.Max)
		}
	})
}
