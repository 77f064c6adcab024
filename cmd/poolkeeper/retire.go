package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/config"
)

const retireUsage = `poolkeeper retire takes an installation out of its cluster: it ends the replicas, waits for their lease, takes Poolkeeper's marks off the nodes (a node that was cordoned
before stays so), and deletes the ledger, the status and the lease. Machines stay as they are, and no cloud is asked. The chart does it before it is uninstalled. It takes the
daemon's own flags, of which --kubeconfig, --namespace and those of the leader election matter.

Usage:
  poolkeeper retire [--deployment NAME] [the daemon's flags]

Flags:
      --deployment NAME   the Deployment in the namespace whose replicas are ended first; without it, end them yourself
`

// retire takes an installation out of its cluster. It gives the exit code.
func retire(ctx context.Context, args []string, out, errs io.Writer) int {
	deployment, own := taken(args, "--deployment")
	if asksForHelp(own) {
		fmt.Fprint(out, retireUsage)
		return 0
	}
	c, err := config.Parse(own)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		complain(errs, err)
		return 2
	}
	return codeOf(app.Leave(ctx, c, deployment, version, func(what string) { fmt.Fprintln(out, what) }), errs)
}
