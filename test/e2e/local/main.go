// Local is a Kubernetes control plane for a person to try the daemon on, with nodes that kwok plays; see `make local`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// namespace is the daemon's, and address where it serves: for this machine alone.
const (
	namespace = "poolkeeper"
	address   = "127.0.0.1:8085"
)

// run starts everything, tells how to use it, and ends it all when the context does.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	pools := flags.String("pools", "", "file with the pools of the fake cloud (default: test/e2e/local/pools.yaml)")
	daemon := flags.Bool("daemon", true, "run the daemon too")
	short := flags.Bool("short-timers", true, "find a silent node after a fifth of the time that Kubernetes takes by default")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "local [flags] [-- flags of the daemon]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	tree, err := controlplane.Tree()
	if err != nil {
		return err
	}
	if *pools == "" {
		*pools = filepath.Join(tree, "test", "e2e", "local", "pools.yaml")
	}

	options := controlplane.Options{Timers: controlplane.KubernetesTimers()}
	if *short {
		options.Timers = controlplane.ShortTimers()
	}
	fmt.Fprintln(out, "starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok ...")
	plane, err := controlplane.Start(ctx, options)
	if err != nil {
		return err
	}
	defer plane.Stop()
	if *daemon {
		if err := startDaemon(ctx, plane, tree, *pools, flags.Args()); err != nil {
			return err
		}
	}
	explain(out, plane, *daemon)
	return wait(ctx, plane, out)
}

// startDaemon builds the daemon and starts it with the admin's rights.
func startDaemon(ctx context.Context, plane *controlplane.ControlPlane, tree, pools string, more []string) error {
	build := exec.CommandContext(ctx, "make", "-s", "-C", tree, "build")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the daemon: %w", err)
	}
	_, err := plane.Client().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making the daemon's namespace: %w", err)
	}
	flags := append([]string{
		"--kubeconfig", plane.Kubeconfig(controlplane.Admin),
		"--cloud-provider", "kwok", "--cloud-config", pools,
		"--namespace", namespace, "--mode", "act", "--address", address, "--dashboard",
	}, more...)
	_, err = plane.Run(namespace, filepath.Join(tree, "bin", "poolkeeper"), flags...)
	return err
}

func explain(out io.Writer, plane *controlplane.ControlPlane, daemon bool) {
	fmt.Fprintf(out, `
The control plane is up. In another terminal:

  export KUBECONFIG=%s

  kubectl get nodes --watch
  kubectl create deployment web --image=web --replicas=12
  kubectl set resources deployment web --requests=cpu=2        # more than there is room for: a pool grows
  kubectl label node NAME poolkeeper.io/kwok-off=true          # switch a machine off
  kubectl annotate node NAME poolkeeper.io/kwok-sick='broken'  # make its kubelet report that it is not ready
`, plane.Kubeconfig(controlplane.Admin))
	if daemon {
		fmt.Fprintf(out, `
  # the daemon runs beside the cluster and not in it: it is asked by its address
  bin/kubectl-poolkeeper status --address=%[2]s
  bin/kubectl-poolkeeper explain pool general --address=%[2]s
  bin/kubectl-poolkeeper history --follow --address=%[2]s
  bin/kubectl-poolkeeper pause everything --until=10m --namespace=%[1]s    # what people ask for is written into the cluster
  bin/kubectl-poolkeeper resume --all --namespace=%[1]s
  and the page: %[2]s
`, namespace, "http://"+address)
	}
	fmt.Fprintf(out, "\nLogs: %s\nCtrl-C ends it all.\n", plane.LogFolder())
}

// wait returns when the context ends, or with an error when a program has ended by itself: without one the rest makes no sense.
func wait(ctx context.Context, plane *controlplane.ControlPlane, out io.Writer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := plane.Crashed(); err != nil {
				return err
			}
		case <-ctx.Done():
			fmt.Fprintln(out, "\nending")
			if daemon := plane.Component(namespace); daemon != nil {
				return daemon.Terminate(30 * time.Second)
			}
			return nil
		}
	}
}
