// kubectl-poolkeeper is a kubectl plugin: kubectl poolkeeper status, plan, explain, pause and so on.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/poolkeeper/poolkeeper/cmd/command"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := command.Execute(ctx, command.Root(command.Options{Name: "kubectl poolkeeper", Version: version}), os.Args[1:])
	stop()
	os.Exit(code)
}
