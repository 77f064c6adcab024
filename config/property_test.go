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

// good is a value that each setting takes.
func good(t *rapid.T, name string) string {
	switch name {
	case "autoscale", "autoheal", "autoUpgrade", "consolidate", "ignoreDaemonSetsUtilization":
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "switch")
	case "min", "max":
		return rapid.SampledFrom([]string{"0", "1", "2", "5", "9"}).Draw(t, "count")
	case "scaleDownUtilizationThreshold", "scaleDownGpuUtilizationThreshold":
		return rapid.SampledFrom([]string{"0", "0.5", "1"}).Draw(t, "threshold")
	case "window":
		return rapid.SampledFrom([]string{"always", "never", "any 02:00", `""`}).Draw(t, "window")
	case "version":
		return rapid.SampledFrom([]string{"v1.36.3", "1.35.0", `""`}).Draw(t, "version")
	case "maxSurge", "maxUnavailable":
		return rapid.SampledFrom([]string{"0", "1", "25%"}).Draw(t, "share")
	}
	return rapid.SampledFrom([]string{"10s", "5m", "1h"}).Draw(t, "duration")
}

// fieldLines are some fields of a pool. One in some twenty has a value that is anything, or is no field at all.
func fieldLines(t *rapid.T) string {
	var names []string
	for _, s := range settings() {
		names = append(names, s.field)
	}
	var b strings.Builder
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string]).Draw(t, "fields") {
		text := good(t, name)
		switch rapid.IntRange(0, 60).Draw(t, "oddity") {
		case 0:
			text = texts().Draw(t, "text")
		case 1:
			text = rapid.SampledFrom([]string{"[]", "{}", "[1, 2]", "{a: 1}", "&a 1", "*a", "&b [*b]", "~", "!!binary x", "|\n    x", "'"}).Draw(t, "structure")
		case 2:
			name = rapid.SampledFrom([]string{"match", "foo", "<<", "autoscale"}).Draw(t, "odd name")
		}
		b.WriteString("  " + name + ": " + text + "\n")
	}
	return b.String()
}

// documents are files that are right or nearly so.
func documents() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		text := begin
		if rapid.Bool().Draw(t, "defaults") {
			// Limits are no defaults.
			text += "defaults:\n" + strings.NewReplacer("  min:", "  maxSurge:", "  max:", "  maxUnavailable:").Replace(fieldLines(t))
		}
		matches := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{`web`, `"web-?"`, `"web-*"`, `"*"`, `db`, `"["`}), 0, 3, rapid.ID[string])
		text += "pools:\n"
		for _, match := range matches.Draw(t, "matches") {
			text += "- match: " + match + "\n" + fieldLines(t)
		}
		if strings.HasSuffix(text, "pools:\n") {
			text = strings.TrimSuffix(text, "\n") + " []\n"
		}
		return text
	})
}

func TestNoFilePanicsAndWhatIsTakenKeepsWithinTheProvidersLimits(t *testing.T) {
	flags, err := parsed(need)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(documents(), documents(), documents(), rapid.String()).Draw(t, "file")
		f, err := parseFile("f.yaml", []byte(text), flags.flags)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f.yaml:") {
					t.Fatalf("a line of the error doesn't name the file: %q of\n%v", line, err)
				}
			}
			return
		}
		taken++
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
	if taken == 0 {
		t.Error("no file was taken, so that nothing was tried")
	}
}
