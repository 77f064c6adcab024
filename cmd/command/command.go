// Package command has the commands by which a person asks a running Poolkeeper what it does and why, and asks it for something. The kubectl plugin
// and the poolkeeper binary offer the same ones.
//
// What is asked goes through the API server's service proxy, so that RBAC decides who may. What is asked for is written as Kubernetes objects with the
// user's own rights. Nothing is ever changed through the daemon's HTTP address.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// Options say in which program the commands are, and what is around them. Every field but Name has a default.
type Options struct {
	// Name is how a person calls the program: "kubectl poolkeeper".
	Name, Version string
	Out, Err      io.Writer
	// Colour and Progress say whether what is written to Out may be coloured, and whether Err may show how far something is. By default both go by what is a
	// terminal, and NO_COLOR is honoured.
	Colour, Progress *bool
	Now              func() time.Time
	Getenv           func(string) string
}

func (o *Options) complete() {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Err == nil {
		o.Err = os.Stderr
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Colour == nil {
		colour := o.Getenv("NO_COLOR") == "" && o.Getenv("TERM") != "dumb" && isTerminal(o.Out)
		o.Colour = &colour
	}
	if o.Progress == nil {
		progress := isTerminal(o.Err)
		o.Progress = &progress
	}
}

func isTerminal(w io.Writer) bool {
	f, is := w.(*os.File)
	return is && term.IsTerminal(int(f.Fd()))
}

// UsageError is a command line that can't be used: the exit code is 2.
type UsageError struct{ Err error }

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the mistake.
func (e *UsageError) Unwrap() error { return e.Err }

func usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// Root is a program of all commands, and of more ones that it alone has.
func Root(o Options, more ...*cobra.Command) *cobra.Command {
	o.complete()
	root := &cobra.Command{
		Use: strings.ReplaceAll(o.Name, " ", "-"), Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: o.Name},
		Short:   "Sees what Poolkeeper does with the node pools of a cluster, and why, and asks it for something",
		Version: o.Version, SilenceUsage: true, SilenceErrors: true, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return unknown(c, args[0])
		},
	}
	root.SetOut(o.Out)
	root.SetErr(o.Err)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%s: %w; see %s --help", c.Name(), err, c.CommandPath())
	})
	root.SuggestionsMinimumDistance = 2
	root.AddGroup(
		&cobra.Group{ID: "see", Title: "See what is and what would be:"},
		&cobra.Group{ID: "ask", Title: "Ask for something:"},
		&cobra.Group{ID: "try", Title: "Try out and set up:"},
	)
	for _, c := range []func(*Options) *cobra.Command{status, planned, explained, incidents, history, requests, drained, snapshot} {
		root.AddCommand(grouped("see", c(&o)))
	}
	for _, c := range []func(*Options) *cobra.Command{pause, resume, heal, exclude} {
		root.AddCommand(grouped("ask", c(&o)))
	}
	for _, c := range more {
		root.AddCommand(grouped("try", c))
	}
	return root
}

func grouped(id string, c *cobra.Command) *cobra.Command {
	if c.GroupID == "" {
		c.GroupID = id
	}
	return c
}

// ExitError is the exit code of a command that has said all there is to say.
type ExitError int

// Error implements error.
func (e ExitError) Error() string { return fmt.Sprintf("it ended with the exit code %d", int(e)) }

// Execute runs the program. It gives the exit code: 0 for a clean end, 1 for a fault, 2 for a command line that can't be used.
func Execute(ctx context.Context, root *cobra.Command, args []string) int {
	if args == nil {
		args = []string{} // nil is os.Args to cobra
	}
	root.SetArgs(args)
	err := misnamed(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	if ended := ExitError(0); errors.As(err, &ended) {
		return int(ended)
	}
	for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(root.ErrOrStderr(), "%s: %s\n", root.DisplayName(), line)
	}
	if usage := new(UsageError); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// daemons are commands that the daemon's own program alone has.
var daemons = []string{"demo", "provider-server", "ready", "retire", "simulate", "validate"}

// unknown is the error of a command that isn't, with the one that was perhaps meant.
func unknown(root *cobra.Command, name string) error {
	remedy := "see --help for all commands"
	if near := root.SuggestionsFor(name); len(near) > 0 {
		remedy = "did you mean " + strings.Join(near, " or ") + "?"
	}
	if slices.Contains(daemons, name) {
		return usagef("%[1]s is a command of the daemon's own program: poolkeeper %[1]s", name)
	}
	return usagef("unknown command %q; %s", name, remedy)
}

// misnamed says that the first word is no command, before flags are looked at: the flags of a command that isn't are unknown too, and that would be said instead.
func misnamed(root *cobra.Command, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[0], "__") { // a shell asks by __complete
		return nil
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	if c, _, err := root.Find(args); err == nil && c == root {
		return unknown(root, args[0])
	}
	return nil
}

// noArgs, oneArg and someArgs refuse what a command can't take, with the remedy.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s: argument %q: it takes only flags; see %s --help", c.Name(), args[0], c.CommandPath())
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s: give one %s and no more, not %d arguments: %s", c.Name(), what, len(args), c.UseLine())
		}
		return nil
	}
}

// addOutput is -o, for commands that have a table and data.
func addOutput(fs *pflag.FlagSet, to *string) {
	fs.StringVarP(to, "output", "o", "table", "table, json or yaml")
}

func checkOutput(c *cobra.Command, output string) error {
	switch output {
	case "table", "json", "yaml":
		return nil
	}
	return usagef("%s: --output is %q: give table, json or yaml", c.Name(), output)
}
