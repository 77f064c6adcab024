package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/cmd/command"
)

// commands are the program's subcommands: those of the kubectl plugin, and those that need the deciders or a provider.
func commands(out, errs io.Writer) *cobra.Command {
	return command.Root(command.Options{Name: "poolkeeper", Version: version, Out: out, Err: errs},
		simulate(out, errs),
		own("validate", "Says everything that would fail with these flags: configuration, rights, providers", out, errs, validate),
		own("demo", "The daemon at work on a simulated cluster", out, errs, demo),
		own("provider-server", "Lends a cloud provider to a cluster-autoscaler, or to another Poolkeeper", out, errs, lend),
		own("retire", "Takes an installation out of its cluster: its marks, its ledger, its lease; for helm uninstall", out, errs, retire),
		own("ready", "Asks a replica whether it is ready, for helm test", out, errs, ready),
	)
}

// own is a command that reads its arguments by itself.
func own(name, short string, out, errs io.Writer, run func(ctx context.Context, args []string, out, errs io.Writer) int) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if code := run(c.Context(), args, out, errs); code != 0 {
				return command.ExitError(code)
			}
			return nil
		},
	}
}

// taken takes a flag that has a value out of the arguments, as --flag VALUE or --flag=VALUE: the rest are the daemon's own. The last value counts.
func taken(args []string, flag string) (value string, rest []string) {
	for i := 0; i < len(args); i++ {
		name, given, has := strings.Cut(args[i], "=")
		switch {
		case name != flag:
			rest = append(rest, args[i])
		case !has && i+1 < len(args):
			i++
			value = args[i]
		default:
			value = given
		}
	}
	return value, rest
}

func asksForHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "-h")
}
