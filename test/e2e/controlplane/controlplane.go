package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

// startLimit is how long a component may take until it is ready. It is far above what is needed (five seconds), for machines that do
// much else at the same time.
const startLimit = 3 * time.Minute

// Options say how a control plane differs from the usual one; the zero value is usual.
type Options struct {
	// KubernetesVersion is the minor version, "1.36" when empty; there must be a module tools/kubernetes-VERSION.
	KubernetesVersion string
	// Timers are [ShortTimers] when zero.
	Timers Timers
	// These are added to the command lines; of a flag that is given twice the last one counts.
	APIServerFlags, ControllerManagerFlags, SchedulerFlags []string
}

// ControlPlane is a running control plane. Its methods can be called from several goroutines.
type ControlPlane struct {
	options                     Options
	dir                         string
	authority                   []byte // PEM of what the API server's certificate is checked against
	etcdPort, peerPort, apiPort port
	client                      kubernetes.Interface

	mu        sync.Mutex
	processes []*process.Process // in the order of their start; one entry a name
}

// Start starts a control plane and returns when it works: the API server is ready and the controllers have begun. The caller ends it
// with [ControlPlane.Stop]; most tests want [Main] instead.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	if options.KubernetesVersion == "" {
		options.KubernetesVersion = "1.36"
	}
	if options.Timers == (Timers{}) {
		options.Timers = ShortTimers()
	}
	dir, err := makeFolder()
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{options: options, dir: dir}
	if err := c.start(ctx); err != nil {
		logs := c.Tails(15)
		c.Stop()
		return nil, fmt.Errorf("starting the control plane: %w\n%s", err, logs)
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context) error {
	for _, p := range []*port{&c.etcdPort, &c.peerPort, &c.apiPort} {
		reserved, err := reservePort()
		if err != nil {
			return err
		}
		*p = reserved
	}
	if err := c.writeFiles(); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		return err
	}
	c.client = client

	commands, err := c.commands(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{Etcd, APIServer, ControllerManager, Scheduler, Kubelets} {
		p, err := process.Start(commands[name])
		if err != nil {
			return err
		}
		c.keep(p)
		if err := c.ready(ctx, name); err != nil {
			return err
		}
	}
	return c.poll(ctx, "the controllers' first work", func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// ready waits until others can begin to use the component. Those that only use the API server themselves are not waited for.
func (c *ControlPlane) ready(ctx context.Context, component string) error {
	switch component {
	case Etcd:
		return c.poll(ctx, "etcd to be healthy", func(ctx context.Context) error {
			return get(ctx, c.etcdPort.url("http")+"/health")
		})
	case APIServer:
		return c.poll(ctx, "the API server to be ready", func(ctx context.Context) error {
			return c.client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		})
	}
	return nil
}

// poll asks until there is no error any more, and gives up when a component has ended by itself.
func (c *ControlPlane) poll(ctx context.Context, what string, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startLimit, true, func(ctx context.Context) (bool, error) {
		if crashed := c.Crashed(); crashed != nil {
			return false, crashed
		}
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		last = check(attempt)
		return last == nil, nil
	})
	if wait.Interrupted(err) && last != nil {
		err = last
	}
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return nil
}

// Run starts any other program beside the control plane, the daemon for instance. It is ended with the control plane at the latest, and
// its log is kept with the others'. A second program of one name takes the place of the first, which must have ended.
func (c *ControlPlane) Run(name, path string, args ...string) (*process.Process, error) {
	if earlier := c.Component(name); earlier != nil && earlier.Running() {
		return nil, fmt.Errorf("a program called %s is running already", name)
	}
	p, err := process.Start(process.Command{
		Name: name, Path: path, Args: args, Env: c.environment(), Log: filepath.Join(c.LogFolder(), name+".log"),
	})
	if err != nil {
		return nil, err
	}
	c.keep(p)
	return p, nil
}

// environment is what programs see: nothing of the person's own set-up may leak in, neither a kubectl configuration nor a proxy.
func (c *ControlPlane) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "TMPDIR=" + c.dir}
}

func (c *ControlPlane) keep(p *process.Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = slices.DeleteFunc(c.processes, func(earlier *process.Process) bool { return earlier.Name == p.Name })
	c.processes = append(c.processes, p)
}

// Component is the process of that name, one of the control plane's or one started by [ControlPlane.Run]; nil when there is none.
func (c *ControlPlane) Component(name string) *process.Process {
	for _, p := range c.all() {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (c *ControlPlane) all() []*process.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.processes)
}

// Restart starts a component again that was ended, for an outage that is over, and waits until it is ready. Its address stays the same.
func (c *ControlPlane) Restart(ctx context.Context, name string) error {
	earlier := c.Component(name)
	if earlier == nil {
		return fmt.Errorf("there is no component called %s", name)
	}
	p, err := earlier.Again()
	if err != nil {
		return err
	}
	c.keep(p)
	return c.ready(ctx, name)
}

// Crashed returns an error for each component that has ended without having been told to.
func (c *ControlPlane) Crashed() error {
	var crashed []error
	for _, p := range c.all() {
		crashed = append(crashed, p.Crashed())
	}
	return errors.Join(crashed...)
}

// Stop ends all processes and removes all files. It can be called twice.
func (c *ControlPlane) Stop() {
	processes := c.all()
	slices.Reverse(processes)
	for _, p := range processes {
		p.Kill() // nothing of theirs is needed any more
	}
	for _, p := range []*port{&c.etcdPort, &c.peerPort, &c.apiPort} {
		p.release()
	}
	_ = os.RemoveAll(c.dir)
}
