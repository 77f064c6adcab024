package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/preflight"
)

// foretell prints how the rollouts of the running daemon would go, before anything of them starts. It gives the exit code.
func foretell(ctx context.Context, args []string, out, errs io.Writer) int {
	var a app.Asking
	flags := pflag.NewFlagSet("poolkeeper plan", pflag.ContinueOnError)
	flags.SetOutput(out)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Fprintf(out, "poolkeeper plan --upgrade says how the upgrade of each pool would go: order, waves, time against the window, and what stands in the way.\n"+
			"It asks the running daemon, which has to be the leader, and changes nothing.\n\nUsage:\n  poolkeeper plan --upgrade [flags]\n\nFlags:\n%s",
			flags.FlagUsagesWrapped(120))
	}
	upgrade := flags.Bool("upgrade", false, "the plan of upgrades; the only one so far")
	output := flags.StringP("output", "o", "table", "table, json or yaml")
	pool := flags.String("pool", "", "this pool alone")
	flags.StringVar(&a.URL, "address", "", "where the daemon serves, such as http://127.0.0.1:8085; without it, it is asked through the API server")
	flags.StringVar(&a.Kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "the kubeconfig `file`")
	flags.StringVar(&a.Namespace, "namespace", "kube-system", "the daemon's namespace")
	flags.StringVar(&a.Service, "service", "poolkeeper:8085", "its service, as name:port")
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		complain(errs, fmt.Errorf("plan: %w; see --help", err))
		return 2
	case flags.NArg() > 0:
		complain(errs, fmt.Errorf("plan: argument %q: it takes only flags; see --help", flags.Arg(0)))
		return 2
	case !*upgrade:
		complain(errs, errors.New("plan: say which plan: --upgrade"))
		return 2
	case *output != "table" && *output != "json" && *output != "yaml":
		complain(errs, fmt.Errorf("plan: --output is %q: give table, json or yaml", *output))
		return 2
	}
	reports, err := rollouts(ctx, a, *pool)
	if err == nil {
		err = write(out, *output, reports)
	}
	if err == nil {
		return 0
	}
	complain(errs, fmt.Errorf("plan: %w", err))
	if usage := new(app.UsageError); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// rollouts asks the daemon.
func rollouts(ctx context.Context, a app.Asking, pool string) ([]preflight.Report, error) {
	body, err := app.Ask(ctx, a, "/plan")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Upgrade []preflight.Report `json:"upgrade"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read the daemon's answer: %w", err)
	}
	var reports []preflight.Report
	for _, r := range answer.Upgrade {
		if pool == "" || r.Pool == pool {
			reports = append(reports, r)
		}
	}
	return reports, nil
}

func write(out io.Writer, output string, reports []preflight.Report) error {
	switch output {
	case "json":
		text, err := json.MarshalIndent(reports, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	case "yaml":
		text, err := yaml.Marshal(reports)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	if len(reports) == 0 {
		_, err := fmt.Fprintln(out, "Nothing is to be upgraded.")
		return err
	}
	for i := range reports {
		if _, err := io.WriteString(out, reports[i].String()); err != nil {
			return err
		}
	}
	return nil
}
