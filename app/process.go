package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/access"
	"github.com/poolkeeper/poolkeeper/alerts"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/cluster/watch"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/dashboard"
	"github.com/poolkeeper/poolkeeper/expander"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

// Component is the daemon's name in Events and towards the API server and the clouds.
const Component = "poolkeeper"

// Run is the daemon as a process: it watches, stands by or leads, and ends when the context does. On a clean stop the workers end first, and
// then the lease is given back.
func Run(ctx context.Context, c *config.Config, providers registry.Registry, version string) error {
	p, err := newProcess(ctx, c, providers, version)
	if err != nil {
		return err
	}
	defer p.close()
	return p.run(ctx)
}

// process is the daemon with all that is around it.
type process struct {
	config *config.Config
	clock  clock.WithTicker
	client kubernetes.Interface
	// electionClient renews the lease, eventClient writes Events.
	electionClient, eventClient kubernetes.Interface
	door                        *api.Client
	providers                   []cloudprovider.CloudProvider
	events                      record.EventBroadcaster
	reporter                    *report.Reporter
	// dashboard is nil where nobody wants the page.
	dashboard *dashboard.Dashboard
	// told are those who are told of decisions beside the loop: they run until the process closes.
	told []func(context.Context)
	// fence is nil without leader election: then nobody else may act.
	fence    *fence
	loop     *loop
	listener net.Listener
	// certificate is nil where is served without encryption, gate where everybody is answered.
	certificate *access.Certificate
	gate        *access.Gate
	watcher     atomic.Pointer[watch.Watcher]
	// saved is the ledger as it was last saved, for workers.
	saved atomic.Pointer[ledger.Ledger]
}

func newProcess(ctx context.Context, c *config.Config, providers registry.Registry, version string) (*process, error) {
	p := &process{config: c, clock: clock.RealClock{}}
	restConfig, err := restConfig(c, version)
	if err != nil {
		return nil, err
	}
	// Each client has a rate limit of its own: neither Events by the thousand nor evictions may keep the lease from being renewed.
	for _, client := range []*kubernetes.Interface{&p.client, &p.electionClient, &p.eventClient} {
		if *client, err = kubernetes.NewForConfig(restConfig); err != nil {
			return nil, fmt.Errorf("make a client of the API server at %s: %w", restConfig.Host, err)
		}
	}
	p.door = api.NewClient(p.client)
	p.providers, err = providers.Build(ctx, c.CloudProvider, c.CloudConfig, registry.Options{
		API: p.door, RESTConfig: restConfig, Clock: p.clock, Namespace: c.Namespace, UserAgent: c.UserAgent + "/" + version,
	})
	if err != nil {
		return nil, &UsageError{err}
	}
	if err := p.listen(restConfig); err != nil {
		return nil, err
	}
	if c.Election.Enabled {
		p.fence = &fence{clock: p.clock, deadline: c.Election.RenewDeadline}
	}
	p.loop = newLoop(ctx, p.clock)
	p.events = record.NewBroadcaster(record.WithContext(ctx))
	p.events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: p.eventClient.CoreV1().Events("")})
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	audit, decided, err := p.tellers()
	if err != nil {
		return nil, &UsageError{err}
	}
	p.reporter, err = report.New(report.Options{
		Passed: p.passed, Audit: audit, Decided: decided,
		Now: p.clock.Now, Registry: metrics, Gatherer: metrics, Version: version, Identity: identity(),
		Log: klog.Background(), Events: p.events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: Component}),
		ConfigMaps: p.door, Namespace: c.Namespace, Drain: c.Arbiter.Drain, Stuck: p.loop.stuck, Ready: p.ready,
	})
	if err != nil {
		return nil, err
	}
	source, err := alertSource(c)
	if err != nil {
		return nil, &UsageError{err}
	}
	outside, err := expanderOf(c)
	if err != nil {
		return nil, &UsageError{err}
	}
	if c.Dashboard {
		p.dashboard = dashboard.New(p.reporter, version, p.clock)
	}
	p.loop.daemon, err = Assemble(RulesOf(c), Surroundings{
		Alerts: source, Expander: outside,
		API: p.door, Namespace: c.Namespace, Providers: p.providers, Reporter: p.reporter, Spawn: p.loop.spawn,
		Now: p.clock.Now, MayAct: p.mayAct, Ledger: p.ledger, Saved: func(l ledger.Ledger) { p.saved.Store(&l) },
	})
	return p, err
}

func (p *process) run(ctx context.Context) error {
	server := newServer(p.handler())
	serving := make(chan error, 1)
	go func() { serving <- serve(server, p.listener, p.certificate) }()
	defer func() { _ = server.Close() }() // the process ends; nobody is left to tell

	defer p.tell(ctx)()
	looping, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoop()
	looped := make(chan struct{})
	go func() {
		defer close(looped)
		p.loop.run(looping)
	}()
	klog.InfoS("Poolkeeper starts", "mode", p.config.Arbiter.Mode, "providers", p.config.CloudProvider, "address", p.listener.Addr().String(),
		"encrypted", p.certificate != nil, "authorized", p.gate != nil)
	if err := p.watch(ctx, looping); err != nil || ctx.Err() != nil {
		return err
	}
	go p.reload(looping)
	led := make(chan error, 1)
	electing, stopElecting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopElecting()
	go func() { led <- p.lead(electing) }()

	var err error
	select {
	case <-ctx.Done():
		klog.InfoS("Stopping: no new step is begun")
	case err = <-serving:
		err = fmt.Errorf("serve %s: %w", p.config.Address, err)
	case err = <-led:
		err = errors.Join(errors.New("the lease was lost; another replica may lead now"), err)
	}
	p.stop(stopLoop, looped)
	stopElecting() // the lease is given back last
	if ctx.Err() != nil {
		err = errors.Join(err, <-led)
	}
	return err
}

// listen opens the address, and makes ready what guards it.
func (p *process) listen(rc *rest.Config) (err error) {
	c := p.config
	if c.TLSCertFile != "" {
		if p.certificate, err = access.Load(c.TLSCertFile, c.TLSPrivateKeyFile, p.clock); err != nil {
			return &UsageError{err}
		}
	}
	if c.RequireAuthorization {
		// A client of its own: whoever reaches the address can have it ask, and must not take the rate of those that work.
		client, err := kubernetes.NewForConfig(rc)
		if err != nil {
			return fmt.Errorf("make a client of the API server at %s: %w", rc.Host, err)
		}
		p.gate = access.NewGate(client, p.clock)
	}
	if p.listener, err = net.Listen("tcp", c.Address); err != nil {
		return fmt.Errorf("--address=%s: %w", c.Address, err)
	}
	return nil
}

// handler serves the reporter's answers and, where it is wanted, the page, to those who may see them.
func (p *process) handler() http.Handler {
	handler := p.reporter.Handler()
	if p.dashboard != nil {
		handler = WithDashboard(p.reporter, p.dashboard)
	}
	if p.gate != nil {
		handler = p.gate.Guard(handler, report.Probes...)
	}
	return handler
}

// WithDashboard serves the page beside a reporter's answers.
func WithDashboard(r *report.Reporter, d *dashboard.Dashboard) http.Handler {
	mux, page := http.NewServeMux(), d.Handler()
	mux.Handle("/", r.Handler())
	mux.Handle("/{$}", page)
	mux.Handle("/assets/", page)
	mux.Handle("/dashboard/", page)
	return mux
}

func (p *process) passed(now time.Time, last *plan.Plan, s *cluster.Snapshot) {
	if p.dashboard != nil {
		p.dashboard.Pass(now, last, s)
	}
}

// watch starts the informers, and waits until the picture is whole. An API server that is away is waited for.
func (p *process) watch(ctx, looping context.Context) error {
	for pause := time.Second; ; pause = min(2*pause, 8*time.Second) {
		w, err := watch.Start(looping, p.client, p.config.Namespace, p.loop.sink(looping))
		if err == nil {
			p.watcher.Store(w)
			err = w.WaitForSync(ctx)
			if errors.Is(err, context.Canceled) {
				return nil // told to stop while it waited
			}
			return err
		}
		klog.ErrorS(err, "The API server can't be asked what it is and serves; trying again", "in", pause.String())
		select {
		case <-ctx.Done():
			return nil
		case <-p.clock.After(pause):
		}
	}
}

func (p *process) lead(ctx context.Context) error {
	if !p.config.Election.Enabled {
		p.setLeader(true)
		<-ctx.Done()
		return nil
	}
	return elect(ctx, p.electionClient, Election{
		Identity: identity(), LeaseDuration: p.config.Election.LeaseDuration, RenewDeadline: p.config.Election.RenewDeadline,
		RetryPeriod: p.config.Election.RetryPeriod,
	}, p.fence, p.setLeader, func(leader string) { p.reporter.Lead(p.loop.lead.Load(), leader) })
}

// reload reads the configuration file again from time to time, and has the pools' settings resolved anew when it changed. A file that can't be
// used changes nothing, and is complained about once.
func (p *process) reload(ctx context.Context) {
	complained := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.clock.After(p.config.ScanInterval):
		}
		changed, err := p.config.Reload()
		switch {
		case err != nil && err.Error() != complained:
			complained = err.Error()
			klog.ErrorS(err, "The configuration file can't be used any more; what it said before stays in force")
		case changed:
			complained = ""
			klog.InfoS("The configuration file has changed")
			p.loop.deliver(p.loop.daemon.Reread)
		}
	}
}

func (p *process) setLeader(lead bool) {
	p.reporter.Lead(lead, "")
	p.loop.setLeader(lead)
}

// stopWithin is how long steps that run may take to end, and then the ledger to be stored: together less than the 30 seconds that a pod has.
const stopWithin = 10 * time.Second

// stop ends the loop, so that no new step begins, lets the steps that run end, and stores what waits to be stored.
func (p *process) stop(stopLoop context.CancelFunc, looped <-chan struct{}) {
	led := p.loop.lead.Load()
	stopLoop()
	<-looped
	working, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	p.loop.stop(working)
	if !led {
		return
	}
	storing, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := p.loop.daemon.Stop(storing); err != nil {
		klog.ErrorS(err, "What waited to be stored was not stored")
	}
}

func (p *process) close() {
	p.events.Shutdown()
	_ = p.listener.Close() // the server may have closed it
	for _, provider := range p.providers {
		if err := provider.Cleanup(); err != nil {
			klog.ErrorS(err, "A provider did not clean up", "provider", provider.Name())
		}
	}
}

func (p *process) mayAct() bool { return p.fence == nil || p.fence.open() }

// ready tells what is still missing before this replica could lead.
func (p *process) ready() error {
	w := p.watcher.Load()
	switch {
	case w == nil:
		return errors.New("the API server has not answered yet")
	case !w.Synced():
		problems := []error{errors.New("the caches are not synced yet")}
		for _, problem := range w.Problems() {
			problems = append(problems, errors.New(problem.String()))
		}
		return errors.Join(problems...)
	}
	return nil
}

func (p *process) ledger() ledger.Ledger {
	if l := p.saved.Load(); l != nil {
		return *l
	}
	return ledger.Ledger{}
}

// RulesOf are the rules that a configuration holds.
func RulesOf(c *config.Config) Rules {
	timing := DefaultTiming()
	timing.Resync, timing.ProviderInterval, timing.ProviderTimeout = c.ScanInterval, c.CloudScanInterval, c.CloudTimeout
	return Rules{
		Autoscaler: c.Autoscaler, Healer: c.Healer, Upgrader: c.Upgrader, Arbiter: c.Arbiter, Scheduling: c.Scheduling,
		Settings: c.Settings, Defaults: c.ProviderDefaults, Timing: timing,
	}
}

// alertSource is what --upgrade-alerts-url says; nil if it says nothing.
func alertSource(c *config.Config) (AlertSource, error) {
	if c.AlertsURL == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	return alerts.New(c.AlertsURL, c.AlertsMatcher, c.AlertsIgnored)
}

// expanderOf is what --grpc-expander-url says; nil if it says nothing.
func expanderOf(c *config.Config) (Expander, error) {
	if c.ExpanderURL == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	return expander.New(c.ExpanderURL, c.ExpanderCert)
}

// identity names this replica: the pod's name, else the host's and the process's.
func identity() string {
	if pod := os.Getenv("POD_NAME"); pod != "" {
		return pod
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s_%d", host, os.Getpid())
}
