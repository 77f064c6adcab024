package controlplane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A port is a TCP port of 127.0.0.1 that stays reserved for a server of ours, also while the server is down.
//
// The reservation is a socket that is bound and doesn't listen: nobody gets the port by chance, while a server that binds with
// SO_REUSEPORT can (--permit-port-sharing, --socket-reuse-port). Connections to it are refused while no server listens.
type port struct {
	number int
	socket int
}

func reservePort() (port, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return port{}, fmt.Errorf("reserving a port: %w", err)
	}
	unix.CloseOnExec(socket)
	number, err := bindShared(socket)
	if err != nil {
		_ = unix.Close(socket)
		return port{}, fmt.Errorf("reserving a port: %w", err)
	}
	return port{number: number, socket: socket}, nil
}

func bindShared(socket int) (number int, err error) {
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	address, err := unix.Getsockname(socket)
	if err != nil {
		return 0, err
	}
	return address.(*unix.SockaddrInet4).Port, nil
}

func (p port) url(scheme string) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, p.number) }

// release gives the port back. It does nothing for a port that was never reserved or is released already.
func (p *port) release() {
	if p.number != 0 {
		_ = unix.Close(p.socket)
	}
	*p = port{}
}
