package config

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// read sets the flags that the arguments name. It goes on after an error, so that all of them are told at once.
func (f *flags) read(args []string, p *problems) (help bool) {
	for len(args) > 0 {
		var err error
		n := 1
		switch arg := args[0]; {
		case arg == "--help" || arg == "-h":
			return true
		case len(arg) > 1 && arg[0] == '-' && arg != "--":
			n, err = f.readFlag(args)
		default:
			err = fmt.Errorf("argument %q: the daemon takes only flags; write --name=value", arg)
		}
		p.add(err)
		args = args[n:]
	}
	return false
}

// readFlag sets the flag that comes first among the arguments, and tells how many of them it took.
func (f *flags) readFlag(args []string) (taken int, err error) {
	name, value, hasValue := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	short := !strings.HasPrefix(args[0], "--")
	flag := f.all.Lookup(name)
	if flag == nil || short && flag.Shorthand != name {
		taken = 1
		if !hasValue && len(args) > 1 && !strings.HasPrefix(args[1], "-") {
			taken = 2 // it looks like the value of this flag
		}
		return taken, f.unknown(args[0], name)
	}
	taken = 1
	switch {
	case hasValue:
	case flag.NoOptDefVal != "":
		value = flag.NoOptDefVal
	case len(args) == 1:
		return 1, fmt.Errorf("--%s: the value is missing; write --%s=%s", flag.Name, flag.Name, example(flag))
	default:
		value, taken = args[1], 2
	}
	if err := f.all.Set(flag.Name, value); err != nil {
		_ = flag.Value.Set(flag.DefValue) // so that one mistake isn't told twice; a default is never refused
		return taken, wrongValue(flag, value, err)
	}
	return taken, nil
}

// unknown is the error for a flag that doesn't exist, with the one that was probably meant.
func (f *flags) unknown(arg, name string) error {
	written, _, _ := strings.Cut(arg, "=")
	remedy := "see --help for all flags"
	var names []string
	f.all.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	if near := nearest(name, names); near != "" {
		remedy = "did you mean --" + near + "?"
	}
	return fmt.Errorf("%s: unknown flag; %s", written, remedy)
}

// nearest is the name that was probably meant; empty if none is near.
func nearest(name string, known []string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, least := "", len(name)/3+1
	for _, candidate := range known {
		d := distance(name, strings.ToLower(candidate))
		if strings.HasSuffix(candidate, "-"+name) { // --max-surge for --upgrade-max-surge
			d = 0
		}
		if d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or changed to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := before
			if a[i] != b[j] {
				changed++
			}
			before = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// wrongValue is the error for a value that a flag can't take.
func wrongValue(flag *pflag.Flag, value string, err error) error {
	if invalid := new(pflag.InvalidValueError); errors.As(err, &invalid) {
		err = invalid.Unwrap()
	}
	switch flag.Value.Type() {
	case "duration":
		return fmt.Errorf("--%s: %q is not a duration: write it as in \"90s\", \"10m\" or \"1h30m\"", flag.Name, value)
	case "int", "int32", "Level":
		return fmt.Errorf("--%s: %q is not a whole number: write it as in \"%s\"", flag.Name, value, example(flag))
	case "float64":
		return fmt.Errorf("--%s: %q is not a number: write it as in \"%s\"", flag.Name, value, example(flag))
	case "bool":
		return fmt.Errorf("--%s: %q is neither true nor false", flag.Name, value)
	}
	return fmt.Errorf("--%s: %q can't be read: %w", flag.Name, value, err)
}

// example is a value that the flag could have.
func example(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "duration":
		return "10m"
	case "int", "int32", "Level":
		return "10"
	case "float64":
		return "0.5"
	}
	return "VALUE"
}

// usage tells of all flags, save those that only the cluster-autoscaler has.
func (f *flags) usage(out io.Writer) {
	fmt.Fprint(out, "Poolkeeper keeps the node pools of a cluster the right size, healthy and current.\n\nUsage:\n"+
		"  poolkeeper [flags]                  the daemon\n"+
		"  poolkeeper demo [flags]             the daemon at work on a simulated cluster\n"+
		"  poolkeeper provider-server [flags]  lends a cloud provider to a cluster-autoscaler, or to another Poolkeeper\n"+
		"  poolkeeper COMMAND [flags]          status, plan, explain, pause, validate, simulate and others; poolkeeper help lists them\n")
	for _, s := range f.sections {
		fmt.Fprintf(out, "\n%s:\n\n%s", s.title, s.FlagUsagesWrapped(120))
	}
	fmt.Fprint(out, "\nThe cluster-autoscaler's other flags are known, too, and answered with a warning or a remedy: docs/reference/flags.md has them all.\n")
}
