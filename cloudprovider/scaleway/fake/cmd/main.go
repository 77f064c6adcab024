// Command cmd is the fake Scaleway as a program: it serves the API on an address, with one cluster whose pools are given as flags.
//
//	go run ./cloudprovider/scaleway/fake/cmd --pool=web,size=2 --pool=gpu,type=GPU-3070-S,size=0 --speed=10
//
// With --kubeconfig it makes a Node for each machine that has booted, for kwok to play.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tick lets the cloud's time go by.
func tick(ctx context.Context, cloud *fake.Cloud) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		cloud.Tick()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// settings are what the flags say.
type settings struct {
	address, kubeconfig string
	pools               []fake.PoolSpec
	options             fake.Options
}

func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("fake", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.address, "address", "127.0.0.1:8099", "where to serve")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "the cluster in which Nodes come and go with the machines; none if empty")
	flags.StringVar(&s.options.Region, "region", "fr-par", "the cluster's region")
	flags.StringVar(&s.options.Cluster, "cluster", "fake", "the cluster's name")
	flags.StringVar(&s.options.Version, "version", "1.36.3", "the control plane's version")
	flags.BoolVar(&s.options.Kosmos, "kosmos", false, "a multi-cloud cluster")
	flags.BoolVar(&s.options.NoAutoscalerEndpoints, "no-autoscaler-endpoints", false, "refuse the undocumented endpoints")
	flags.IntVar(&s.options.PerMinute, "per-minute", 0, "answer 429 beyond as many requests a minute; 0 is no limit")
	speed := flags.Float64("speed", 1, "how many times as fast as recorded everything goes")
	flags.Func("pool", "name[,type=GP1-XS][,zone=fr-par-1][,size=1][,version=1.35.4][,surge=1][,tag=key=value]…; can be given several times", func(text string) error {
		pool, err := parsePool(text)
		s.pools = append(s.pools, pool)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if *speed <= 0 {
		return s, fmt.Errorf("--speed: %v is not above 0", *speed)
	}
	d := fake.RecordedDelays()
	for _, one := range []*time.Duration{&d.Machine, &d.Register, &d.Boot, &d.Delete, &d.Reboot, &d.Update, &d.Settle} {
		*one = time.Duration(float64(*one) / *speed)
	}
	s.options.Delays = &d
	return s, nil
}

func parsePool(text string) (fake.PoolSpec, error) {
	parts := strings.Split(text, ",")
	pool := fake.PoolSpec{Name: parts[0], Size: 1}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "type":
			pool.NodeType = value
		case "zone":
			pool.Zone = value
		case "version":
			pool.Version = value
		case "tag":
			pool.Tags = append(pool.Tags, value)
		case "size":
			pool.Size, err = strconv.Atoi(value)
		case "surge":
			pool.MaxSurge, err = strconv.Atoi(value)
		default:
			err = errors.New("is not known; use type, zone, size, version, surge or tag")
		}
		if err != nil {
			return pool, fmt.Errorf("%s: %w", key, err)
		}
	}
	if pool.Name == "" || pool.Size < 0 || pool.Size > mostNodes {
		return pool, fmt.Errorf("a pool needs a name, and a size of 0 or more, up to %d", mostNodes)
	}
	return pool, nil
}

// mostNodes is the size that the fake stays small with.
const mostNodes = 1000

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.kubeconfig != "" {
		config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
		if err != nil {
			return fmt.Errorf("--kubeconfig: %w", err)
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return fmt.Errorf("--kubeconfig: %w", err)
		}
		kubelets := &fake.Kubelets{
			Client: client, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
			Failed: func(err error) { fmt.Fprintln(out, err) },
		}
		s.options.Hooks = kubelets.Hooks()
	}
	cloud := fake.New(s.options)
	for _, pool := range s.pools {
		cloud.AddPool(pool)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "cluster %s serves on http://%s; the provider's file:\n\nregion: %s\ncluster: %s\napiURL: http://%s\nsecretKey: %s\n\n",
		cloud.ClusterID(), listener.Addr(), s.options.Region, s.options.Cluster, listener.Addr(), fake.SecretKey)
	go tick(ctx, cloud)
	server := &http.Server{Handler: cloud.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	log := cloud.Requests()
	fmt.Fprintf(out, "%d requests were answered; by the minute: %v\n", len(log), fake.PerMinute(log))
	return nil
}
