package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// answer is what becomes of a flag of the cluster-autoscaler.
type answer string

const (
	honoured answer = "honoured" // it does here what it does there, save for what the note says
	ignored  answer = "ignored"  // it is taken with a warning: what it is for is so anyway, or isn't needed
	refused  answer = "refused"  // it stops the start: without it something would happen that its user doesn't expect
)

// upstream is a flag of the cluster-autoscaler.
type upstream struct {
	name string
	// kind is bool, int, float, duration, string, or list for one that can be given several times.
	kind string
	// def is its default there; for those of former releases, the last one.
	def    string
	answer answer
	// note says what is different, why there is no need for it, or what to do instead.
	note string
	// fits is the value that asks for what happens here anyway, so that nothing has to be said about it; empty if there is none.
	fits string
}

// empty is what fits where the empty text does.
const empty = `""`

// fit tells whether a value of the flag asks for nothing else than what happens anyway.
func (u upstream) fit(text string) bool {
	switch u.kind {
	case "bool":
		given, err := strconv.ParseBool(text)
		return err == nil && strconv.FormatBool(given) == u.fits
	case "duration":
		given, err := time.ParseDuration(text)
		fits, errFits := time.ParseDuration(u.fits)
		return err == nil && errFits == nil && given == fits
	}
	return u.fits != "" && text == strings.Trim(u.fits, `"`)
}

// foreign is a flag of the cluster-autoscaler that has no effect here. It takes any value.
type foreign struct {
	upstream
	given []string
}

// String implements pflag.Value.
func (f *foreign) String() string { return f.def }

// Set implements pflag.Value.
func (f *foreign) Set(text string) error {
	f.given = append(f.given, text)
	return nil
}

// Type implements pflag.Value.
func (f *foreign) Type() string { return "foreign" }

// addForeign makes the flags known that are ignored or refused. The usage doesn't show them.
func (f *flags) addForeign(fs *pflag.FlagSet) {
	for _, u := range upstreamFlags() {
		if u.answer == honoured {
			continue
		}
		own := &foreign{upstream: u}
		f.foreign = append(f.foreign, own)
		if flag := fs.VarPF(own, u.name, "", u.note); u.kind == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// judgeForeign gives warnings and refusals for the flags that have no effect here. Of a flag that is given several times the last value holds,
// save for lists.
func (f *flags) judgeForeign(p *problems) (warnings []string) {
	for _, flag := range f.foreign {
		switch {
		case len(flag.given) == 0 || flag.fit(flag.given[len(flag.given)-1]):
		case flag.answer == ignored:
			warnings = append(warnings, "--"+flag.name+" has no effect: "+flag.note)
		default:
			p.addf("--%s is not supported: %s", flag.name, flag.note)
		}
	}
	return warnings
}
