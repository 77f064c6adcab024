// Package machine puts a real node beside a control plane of the end-to-end tests: a kubelet and containerd, with images that were packed here, so that a chart's
// pods really run. It has a bridge of its own for the pods' addresses, and changes neither the machine's routes nor its firewall.
//
// It needs root and Linux, and Debian's packages containerd, runc, containernetworking-plugins and iproute2; see [Missing].
package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

// networkPlugins is where Debian has the programs that give pods their addresses.
const networkPlugins = "/usr/lib/cni"

// folderPrefix begins the names of the temporary folders.
const folderPrefix = "poolkeeper-machine-"

// startLimit is how long the node may take until it is ready, and stopLimit how long its pods may take to end.
const startLimit, stopLimit = 2 * time.Minute, time.Minute

// Machine is the node [controlplane.Machine], whose kubelet and containers are real.
type Machine struct {
	plane               *controlplane.ControlPlane
	folder              string
	lock                *os.File
	services            *services
	containerd, kubelet *process.Process
}

// Missing says what a machine lacks for this, and is empty where nothing is missing.
func Missing() string {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		return "a real kubelet needs root on Linux"
	}
	for _, program := range []string{"containerd", "runc", "ctr", "ip", filepath.Join(networkPlugins, "bridge")} {
		if _, err := exec.LookPath(program); err != nil {
			return "a real kubelet needs Debian's packages containerd, runc, containernetworking-plugins and iproute2: " + err.Error()
		}
	}
	return ""
}

// Start starts the node with the images of these archives, and returns when it is ready. One machine can have one of them: others wait until it is stopped.
func Start(ctx context.Context, plane *controlplane.ControlPlane, archives ...string) (*Machine, error) {
	m := &Machine{plane: plane}
	if err := m.start(ctx, archives); err != nil {
		logs := plane.Tails(30)
		return nil, errors.Join(fmt.Errorf("starting a real node: %w\n%s", err, logs), m.Stop())
	}
	return m, nil
}

func (m *Machine) start(ctx context.Context, archives []string) error {
	if err := m.alone(); err != nil {
		return err
	}
	if err := sweep(); err != nil {
		return fmt.Errorf("what an earlier run left behind: %w", err)
	}
	folder, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return err
	}
	m.folder = folder
	if err := makeBridge(ctx); err != nil {
		return err
	}
	serving, err := serve(m.plane)
	if err != nil {
		return err
	}
	m.services = serving
	if err := m.writeFiles(); err != nil {
		return err
	}
	if m.containerd, err = m.plane.Run("containerd", "containerd", "--config", m.file("containerd.toml")); err != nil {
		return err
	}
	if err := m.until(ctx, "containerd", func(ctx context.Context) error { return m.ctr(ctx, "version") }); err != nil {
		return err
	}
	for _, archive := range archives {
		if err := m.ctr(ctx, "images", "import", archive); err != nil {
			return err
		}
	}
	if err := m.startKubelet(ctx); err != nil {
		return err
	}
	return m.until(ctx, "the node to be ready", func(ctx context.Context) error {
		node, err := m.plane.Client().CoreV1().Nodes().Get(ctx, controlplane.Machine, metav1.GetOptions{})
		if err == nil && !cluster.IsReady(node) {
			err = fmt.Errorf("node %s is not ready: %v", node.Name, node.Status.Conditions)
		}
		return err
	})
}

// alone takes the lock that one machine at a time may have.
func (m *Machine) alone() error {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "poolkeeper-one-machine.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	m.lock = lock
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
}

func (m *Machine) until(ctx context.Context, what string, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, startLimit, true, func(ctx context.Context) (bool, error) {
		if crashed := m.plane.Crashed(); crashed != nil {
			return false, crashed
		}
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, errors.Join(err, last))
	}
	return nil
}

func (m *Machine) file(name string) string { return filepath.Join(m.folder, name) }

// ctr asks containerd for something about Kubernetes' containers.
func (m *Machine) ctr(ctx context.Context, args ...string) error {
	_, err := m.ask(ctx, args...)
	return err
}

func (m *Machine) ask(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "ctr", append([]string{"--address", m.file("containerd.sock"), "--namespace", "k8s.io"}, args...)...)
}

// Kill ends a container by SIGKILL, as the kernel does when memory is short. The ID is that of the pod's status.
func (m *Machine) Kill(ctx context.Context, containerID string) error {
	return m.ctr(ctx, "tasks", "kill", "--signal", "SIGKILL", strings.TrimPrefix(containerID, "containerd://"))
}

// Stop ends the node's pods, the node and all that was made for it. It can be called after any failure.
func (m *Machine) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*stopLimit)
	defer cancel()
	var errs []error
	if m.kubelet != nil && m.kubelet.Running() {
		errs = append(errs, m.endPods(ctx), m.kubelet.Terminate(stopLimit))
	}
	if m.containerd != nil && m.containerd.Running() {
		m.endContainers(ctx)
		errs = append(errs, m.containerd.Terminate(stopLimit))
	}
	if m.services != nil {
		m.services.close()
	}
	if m.lock != nil {
		errs = append(errs, sweep())
		_ = m.lock.Close()
	}
	return errors.Join(errs...)
}

// endPods deletes the node's pods and waits until the kubelet has ended them.
func (m *Machine) endPods(ctx context.Context) error {
	c, here := m.plane.Client().CoreV1(), metav1.ListOptions{FieldSelector: "spec.nodeName=" + controlplane.Machine}
	return wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, stopLimit, true, func(ctx context.Context) (bool, error) {
		pods, err := c.Pods(metav1.NamespaceAll).List(ctx, here)
		if err != nil {
			return false, err
		}
		for _, pod := range pods.Items {
			_ = c.Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
		}
		return len(pods.Items) == 0, nil
	})
}

// endContainers ends what the kubelet has left: the sandboxes of pods that have just gone.
func (m *Machine) endContainers(ctx context.Context) {
	tasks, _ := m.ask(ctx, "tasks", "list", "--quiet")
	for id := range strings.FieldsSeq(tasks) {
		_ = m.ctr(ctx, "tasks", "delete", "--force", id)
	}
	containers, _ := m.ask(ctx, "containers", "list", "--quiet")
	for id := range strings.FieldsSeq(containers) {
		_ = m.ctr(ctx, "containers", "delete", id)
	}
}

// run runs a program to its end and gives what it says; on an error that has it.
func run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
