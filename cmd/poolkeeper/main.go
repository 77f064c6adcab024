// Poolkeeper keeps the node pools of a Kubernetes cluster the right size, healthy and current.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // maintenance windows name time zones, and images have none

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cloudprovider/clusterapi"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway"
	"github.com/poolkeeper/poolkeeper/cmd/command"
	"github.com/poolkeeper/poolkeeper/config"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run gives the exit code: 0 for a clean end, 1 for a fault, 2 for a command line or configuration that can't be used.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return command.Execute(ctx, commands(out, errs), args)
	}
	c, err := config.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		complain(errs, err)
		return 2
	case c.Version:
		fmt.Fprintln(out, version)
		return 0
	}
	if err := c.SetupLogs(); err != nil {
		complain(errs, err)
		return 2
	}
	defer klog.Flush()
	for _, warning := range c.Warnings {
		klog.Warning(warning)
	}
	return codeOf(app.Run(ctx, c, providers(), version), errs)
}

// codeOf is the exit code of what has ended so, once that is said.
func codeOf(err error, errs io.Writer) int {
	if err == nil {
		return 0
	}
	complain(errs, err)
	if usage := new(app.UsageError); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// complain says what is wrong, one thing a line.
func complain(errs io.Writer, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(errs, "poolkeeper: %s\n", line)
	}
}

// providers are the clouds that can be named in --cloud-provider.
func providers() registry.Registry {
	return registry.Registry{
		clusterapi.Name:   clusterapi.New,
		externalgrpc.Name: externalgrpc.New,
		kwok.Name:         kwok.New,
		scaleway.Name:     scaleway.New,
	}
}
