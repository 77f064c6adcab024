package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// The bridge, the pods' addresses and its own. The name is at most 15 letters long.
const (
	bridge  = "poolkeeper-e2e"
	subnet  = "10.213.77.0/24"
	gateway = "10.213.77.1"
)

// makeBridge makes the bridge with its own address and that of the API server's Service, which pods find there.
func makeBridge(ctx context.Context) error {
	for _, line := range []string{
		"link add name " + bridge + " type bridge", "address add " + gateway + "/24 dev " + bridge,
		"address add " + controlplane.ServiceAddress + "/32 dev " + bridge, "link set " + bridge + " up",
	} {
		if _, err := run(ctx, "ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// services stand in for kube-proxy: the API server's Service leads to the API server, which listens on loopback alone.
type services struct{ listener net.Listener }

func serve(plane *controlplane.ControlPlane) (*services, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(controlplane.ServiceAddress, "443"))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go forward(from, plane.Address())
		}
	}()
	return &services{listener: listener}, nil
}

func (s *services) close() { _ = s.listener.Close() }

// forward carries bytes both ways until one side ends, for pods alone: the API server's tokens are no secrets.
func forward(from net.Conn, address string) {
	defer func() { _ = from.Close() }()
	peer, err := netip.ParseAddrPort(from.RemoteAddr().String())
	if err != nil || !netip.MustParsePrefix(subnet).Contains(peer.Addr()) {
		return
	}
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	done := make(chan struct{}, 2)
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		done <- struct{}{}
	}
	go carry(to, from)
	go carry(from, to)
	<-done
}

// sweep takes away what is left of a machine that was stopped, or whose test was killed: shims with their containers, mounts, files, and the bridge.
func sweep() error {
	ours := filepath.Join(os.TempDir(), folderPrefix)
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range commands {
		line, _ := os.ReadFile(path)
		args := strings.Split(string(line), "\x00")
		if strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") && strings.Contains(string(line), "-address\x00"+ours) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	mounts, err := mountsBelow(ours)
	if err != nil {
		return err
	}
	var errs []error
	for _, mount := range mounts {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", mount, err))
		}
	}
	folders, err := filepath.Glob(ours + "*")
	for _, folder := range folders {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	errs = append(errs, err)
	cgroups, _ := filepath.Glob("/sys/fs/cgroup/*/k8s.io")
	for _, cgroup := range cgroups {
		_ = os.Remove(cgroup) // goes only where it is empty
	}
	if _, err := net.InterfaceByName(bridge); err == nil {
		_, err := run(context.Background(), "ip", "link", "delete", bridge)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// mountsBelow are the mounts whose paths begin so, the innermost first.
func mountsBelow(prefix string) ([]string, error) {
	file, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && strings.HasPrefix(fields[1], prefix) {
			found = append([]string{fields[1]}, found...)
		}
	}
	return found, lines.Err()
}
