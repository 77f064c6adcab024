package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/test/mutants/chosen"
)

// explained are the mutants that nothing here can notice, and why their safeguard stays.
var explained = map[string]string{}

// options say which mutants are made, and how they are looked for.
type options struct {
	seeds          int
	only, from     string
	list, daysLast bool
	build, built   string
	within         time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.seeds, "seeds", 60, "how many random days a mutant has to survive before scenarios and unit tests are asked")
	flag.StringVar(&o.only, "only", "", "a regular expression: only the mutants that match it")
	flag.StringVar(&o.from, "from", "", "the mutant to begin with, to go on where an earlier run has stopped")
	flag.BoolVar(&o.list, "list", false, "only name the mutants")
	flag.BoolVar(&o.daysLast, "days-last", false, "ask unit tests first, then random days, then scenarios: each mutant is noticed sooner")
	flag.DurationVar(&o.within, "for", 0, "begin no mutant after so long, and name the next one; 0 tries them all")
	flag.StringVar(&o.build, "build", "", "only build the test binaries, into this folder: run one with "+chosen.Variable+"=<name> to live a mutant again")
	flag.StringVar(&o.built, "built", "", "take the test binaries that -build has made in this folder")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	wanted, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "poolkeeper-mutants-")
	if err != nil {
		return err
	}
	defer func(made string) { _ = os.RemoveAll(made) }(folder)
	if o.build != "" {
		folder = o.build
	}
	overlay, names, err := mutate(root, folder)
	if err != nil {
		return err
	}
	if o.from != "" {
		at := slices.Index(names, o.from)
		if at < 0 {
			return fmt.Errorf("-from: there is no mutant %q; see -list", o.from)
		}
		names = names[at:]
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !wanted.MatchString(name) })
	if o.list {
		for _, name := range names {
			fmt.Println(name)
		}
		return nil
	}
	all := hunters(o.seeds, o.daysLast)
	if o.built != "" {
		folder = o.built
	} else {
		if err := build(ctx, root, folder, overlay, all); err != nil || o.build != "" {
			return err
		}
		if err := healthy(ctx, root, folder, all); err != nil {
			return err
		}
	}
	return hunted(ctx, root, folder, all, names, o.within)
}

// hunted makes one mutant after the other, and prints what noticed it.
func hunted(ctx context.Context, root, folder string, all []hunter, names []string, within time.Duration) error {
	start, survivors := time.Now(), 0
	for i, name := range names {
		if within > 0 && time.Since(start) > within {
			fmt.Printf("the time is over after %d mutants, %d of which nothing noticed; go on with -from %q\n", i, survivors, name)
			return nil
		}
		began := time.Now()
		by, what, err := caughtBy(ctx, root, folder, all, name)
		switch {
		case err != nil:
			return err
		case what != "":
			fmt.Printf("%-70s  %s: %s (%s)\n", name, by, what, time.Since(began).Round(time.Second))
		case explained[name] != "":
			fmt.Printf("%-70s  not noticed; it stays because %s\n", name, explained[name])
		default:
			survivors++
			fmt.Printf("%-70s  NOT NOTICED (%s)\n", name, time.Since(began).Round(time.Second))
		}
	}
	if survivors > 0 {
		return fmt.Errorf("%d of %d mutants were noticed by nothing: delete the safeguard, make something notice, or explain it in test/mutants/main.go", survivors, len(names))
	}
	fmt.Printf("all %d mutants were noticed, or are explained\n", len(names))
	return nil
}

// healthy makes sure that the build without a mutant passes: else the mutants would prove nothing.
func healthy(ctx context.Context, root, folder string, all []hunter) error {
	_, what, err := caughtBy(ctx, root, folder, all, "")
	if err == nil && what != "" {
		err = fmt.Errorf("without a mutant something is noticed already: %s", what)
	}
	return err
}

// caughtBy asks one hunter after the other.
func caughtBy(ctx context.Context, root, folder string, all []hunter, mutant string) (by, what string, err error) {
	for _, h := range all {
		if what, err = hunt(ctx, root, folder, h, mutant); what != "" || err != nil {
			return h.what, what, err
		}
	}
	return "", "", nil
}
