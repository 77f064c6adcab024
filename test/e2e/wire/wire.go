// Package wire lies between a program under test and a server, and can be cut.
package wire

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Wire is the way to a server for some clients, which can be cut.
type Wire struct {
	listener   net.Listener
	scheme, to string

	mutex sync.Mutex
	down  bool
	open  map[net.Conn]bool
}

// New lays a wire to the server of that URL, which goes with the test.
func New(t testing.TB, server string) *Wire {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{listener: listener, scheme: target.Scheme, to: target.Host, open: map[net.Conn]bool{}}
	go w.serve()
	t.Cleanup(func() {
		_ = listener.Close()
		w.Cut()
	})
	return w
}

// URL is the server's by way of the wire.
func (w *Wire) URL() string { return w.scheme + "://" + w.listener.Addr().String() }

func (w *Wire) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.carry(from)
	}
}

func (w *Wire) carry(from net.Conn) {
	to, err := net.Dial("tcp", w.to)
	if err != nil || !w.take(from, to) {
		_ = from.Close()
		return
	}
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // it ends with the connection
			_ = pair[0].Close()
		})
	}
	both.Wait()
}

// take notes the connections, unless the wire is cut.
func (w *Wire) take(some ...net.Conn) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, c := range some {
		if w.down {
			_ = c.Close()
			continue
		}
		w.open[c] = true
	}
	return !w.down
}

// Cut ends all connections, and those that are tried from now on.
func (w *Wire) Cut() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.down = true
	for c := range w.open {
		_ = c.Close()
		delete(w.open, c)
	}
}

// Mend lets connections through again.
func (w *Wire) Mend() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.down = false
}
