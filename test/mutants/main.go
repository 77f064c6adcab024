package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/poolkeeper/poolkeeper/test/mutants/chosen"
)

// explained are the mutants that nothing here can notice, and why their safeguard stays.
var explained = map[string]string{}

func main() {
	seeds := flag.Int("seeds", 60, "how many random days a mutant has to survive before scenarios and unit tests are asked")
	only := flag.String("only", "", "a regular expression: only the mutants that match it")
	list := flag.Bool("list", false, "only name the mutants")
	keep := flag.String("build", "", "only build the test binaries, into this folder: run one with "+chosen.Variable+"=<name> to live a mutant again")
	flag.Parse()
	if err := run(context.Background(), *seeds, *only, *list, *keep); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, seeds int, only string, list bool, keep string) error {
	wanted, err := regexp.Compile(only)
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
	if keep != "" {
		folder = keep
	}
	overlay, names, err := mutate(root, folder)
	if err != nil {
		return err
	}
	if list {
		for _, name := range names {
			fmt.Println(name)
		}
		return nil
	}
	all := hunters(seeds)
	if err := build(ctx, root, folder, overlay, all); err != nil {
		return err
	}
	if keep != "" {
		return nil
	}
	if err := healthy(ctx, root, folder, all); err != nil {
		return err
	}
	survivors, met := 0, 0
	for _, name := range names {
		if !wanted.MatchString(name) {
			continue
		}
		met++
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
		return fmt.Errorf("%d of %d mutants were noticed by nothing: delete the safeguard, make something notice, or explain it in test/mutants/main.go", survivors, met)
	}
	fmt.Printf("all %d mutants were noticed, or are explained\n", met)
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
