package config

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// texts are what people write, and what they don't.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "0", "1", "-1", "3", "0.5", "NaN", "Inf", "1e309", "9223372036854775808", "10m", "-10m", "0s", "99999999h", "true", "false", "25%", "0%", "-5%",
			"v1.36.3", "1.36", "v999999999999999999999.0.0", "any 02:00", "always", "never", "mon-fri 22:00 4h Europe/Paris", "act", "observe", "least-waste", "a,b", "\"", "=", "-", "--",
			"web", "web-*", "*", "?", "[", "\x00", "日本",
		}),
		rapid.String(),
	)
}

// arguments are command lines of known flags, unknown ones and noise.
func arguments() *rapid.Generator[[]string] {
	var names []string
	newFlags().all.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "config" { // which would read files of the machine
			names = append(names, flag.Name)
		}
	})
	return rapid.Custom(func(t *rapid.T) []string {
		var args []string
		for range rapid.IntRange(0, 8).Draw(t, "number") {
			name := "--" + rapid.SampledFrom(names).Draw(t, "name")
			text := texts().Draw(t, "text")
			switch rapid.IntRange(0, 4).Draw(t, "way") {
			case 0, 1:
				args = append(args, name+"="+text)
			case 2:
				args = append(args, name, text)
			case 3:
				args = append(args, name)
			case 4:
				args = append(args, text)
			}
		}
		return args
	})
}

func TestNoCommandLinePanicsAndWhatIsTakenGivesSettings(t *testing.T) {
	all := arguments()
	rapid.Check(t, func(t *rapid.T) {
		args := all.Draw(t, "args")
		c, err := parse(append([]string{need}, args...), func(string) string { return "" }, io.Discard)
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v: want one of them", c, err)
		}
		if c == nil || c.Version {
			return
		}
		s, err := c.Settings("web", 0, 3, nil)
		if err != nil {
			t.Fatalf("the command line is taken, and gives no settings: %v", err)
		}
		if s.DrainTimeout <= 0 || s.UnhealthyAfter <= 0 || s.MaxNodeProvisionTime <= 0 || s.UnregisteredAfter <= 0 || c.ScanInterval <= 0 {
			t.Fatalf("a limit is no time at all: %+v", s)
		}
	})
}

// documents are files that are nearly right.
func documents() *rapid.Generator[string] {
	fields := []string{"match", "foo", "<<", "autoscale"}
	for _, s := range settings() {
		fields = append(fields, s.field)
	}
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		if rapid.Bool().Draw(t, "begun") {
			b.WriteString(begin)
		}
		lines := func(indent string) {
			for range rapid.IntRange(0, 4).Draw(t, "fields") {
				b.WriteString(indent + rapid.SampledFrom(fields).Draw(t, "field") + ": ")
				if rapid.Bool().Draw(t, "structured") {
					b.WriteString(rapid.SampledFrom([]string{"[]", "{}", "[1, 2]", "{a: 1}", "&a 1", "*a", "&b [*b]", "~", "!!binary x", "|\n    x", "'"}).Draw(t, "structure"))
				} else {
					b.WriteString(texts().Draw(t, "text"))
				}
				b.WriteString("\n")
			}
		}
		b.WriteString("defaults:\n")
		lines("  ")
		b.WriteString("pools:\n")
		for range rapid.IntRange(0, 3).Draw(t, "pools") {
			b.WriteString("- match: " + texts().Draw(t, "match") + "\n")
			lines("  ")
		}
		return b.String()
	})
}

func TestNoFilePanicsAndWhatIsTakenKeepsWithinTheProvidersLimits(t *testing.T) {
	flags, err := parsed(need)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(documents(), rapid.String()).Draw(t, "file")
		f, err := parseFile("f.yaml", []byte(text), flags.flags)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f.yaml:") {
					t.Fatalf("a line of the error doesn't name the file: %q of\n%v", line, err)
				}
			}
			return
		}
		c := &Config{flags: flags.flags}
		c.file.Store(f)
		pool := rapid.SampledFrom([]string{"web", "web-a", "db", ""}).Draw(t, "pool")
		least := rapid.IntRange(-1, 5).Draw(t, "min")
		most := rapid.IntRange(-1, 9).Draw(t, "max")
		s, err := c.Settings(pool, least, most, &cloudprovider.Options{})
		if err == nil && (s.Min < 0 || s.Min < least || s.Max > most || s.Min > s.Max) {
			t.Fatalf("got %d to %d within %d to %d", s.Min, s.Max, least, most)
		}
	})
}
