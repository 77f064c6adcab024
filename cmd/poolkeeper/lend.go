package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/poolkeeper/poolkeeper/app"
)

// lend serves one of our providers to a cluster-autoscaler, or to another Poolkeeper, until the context ends. It gives the exit code.
func lend(ctx context.Context, args []string, out, errs io.Writer) int {
	l := app.Lending{UserAgent: "poolkeeper/" + version}
	flags := pflag.NewFlagSet("poolkeeper provider-server", pflag.ContinueOnError)
	flags.SetOutput(out)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Fprintf(out, "poolkeeper provider-server lends a cloud provider to a cluster-autoscaler with --cloud-provider=externalgrpc, or to another Poolkeeper.\n\n"+
			"Usage:\n  poolkeeper provider-server [flags]\n\nFlags:\n%s", flags.FlagUsagesWrapped(120))
	}
	flags.StringVar(&l.CloudProvider, "cloud-provider", "", "the cloud provider to lend")
	flags.StringVar(&l.CloudConfig, "cloud-config", "", "its own configuration `file`")
	flags.StringVar(&l.Address, "address", ":8086", "where it is served")
	flags.StringVar(&l.Files.Cert, "cert", "", "the `file` of the server's certificate; read again for each connection, as the next two are")
	flags.StringVar(&l.Files.Key, "key", "", "the `file` of its private key")
	flags.StringVar(&l.Files.CA, "cacert", "", "the `file` of the authority that clients' certificates have to come from")
	flags.BoolVar(&l.Insecure, "insecure", false, "serve without encryption, to everybody who can reach the address")
	flags.BoolVar(&l.UsualOnly, "no-extension", false, "offer what the cluster-autoscaler knows and no more")
	flags.StringVar(&l.Kubeconfig, "kubeconfig", "", "the kubeconfig `file`, for providers that need the API server; without one it is that of the cluster this runs in")
	flags.StringVar(&l.Namespace, "namespace", "kube-system", "the namespace for what such providers keep there")
	verbosity := flags.Int("v", 0, "how much is logged: 4 has every call")
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		complain(errs, fmt.Errorf("provider-server: %w; see --help", err))
		return 2
	case flags.NArg() > 0:
		complain(errs, fmt.Errorf("provider-server: argument %q: it takes only flags; write --name=value", flags.Arg(0)))
		return 2
	}
	var level klog.Level
	if err := level.Set(fmt.Sprint(*verbosity)); err != nil {
		complain(errs, fmt.Errorf("provider-server: --v: %w", err))
		return 2
	}
	defer klog.Flush()
	return codeOf(app.Lend(ctx, l, providers()), errs)
}
