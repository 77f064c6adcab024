package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/config"
)

const validateUsage = `poolkeeper validate takes the daemon's own flags, and says everything that would fail with them: in the command line and the configuration file, at the
API server, in the rights there, and at the providers. It changes nothing. The exit code is 0 if the daemon would work, 1 if it would not, and 2 if the configuration
can't be used.

Usage:
  poolkeeper validate [--offline] [--as USER] [the daemon's flags]

Flags:
      --offline   look at the command line and the files alone
      --as USER   look at the rights of that user instead of your own: system:serviceaccount:NAMESPACE:NAME
`

// validate says what would fail. It gives the exit code.
func validate(ctx context.Context, args []string, out, errs io.Writer) int {
	as, own := taken(args, "--as")
	if asksForHelp(own) {
		fmt.Fprint(out, validateUsage)
		return 0
	}
	daemons := slices.DeleteFunc(slices.Clone(own), func(arg string) bool { return arg == "--offline" })
	offline := len(daemons) < len(own)
	failed := 0
	tell := func(f app.Finding) {
		mark := "ok  "
		if f.Fails {
			mark = "FAIL"
			failed++
		}
		fmt.Fprintf(out, "%s  %s: %s\n", mark, f.What, f.Says)
	}
	c, err := config.Parse(daemons)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = providers().Check(c.CloudProvider, c.CloudConfig)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			tell(app.Finding{What: "configuration", Says: line, Fails: true})
		}
		mistakes := "1 mistake"
		if failed > 1 {
			mistakes = fmt.Sprintf("%d mistakes", failed)
		}
		complain(errs, fmt.Errorf("validate: %s in the configuration", mistakes))
		return 2
	}
	tell(app.Finding{What: "configuration", Says: fmt.Sprintf("can be used, in mode %s with provider %s", c.Arbiter.Mode, c.CloudProvider)})
	for _, warning := range c.Warnings {
		fmt.Fprintf(out, "note  configuration: %s\n", warning)
	}
	if !offline {
		app.Validate(ctx, c, providers(), version, as, tell)
	}
	if failed == 0 {
		return 0
	}
	complain(errs, fmt.Errorf("validate: %d of these would fail", failed))
	return 1
}
