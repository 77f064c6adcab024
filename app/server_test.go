package app

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/access"
	"github.com/poolkeeper/poolkeeper/report"
)

// served is a reporter's answers behind the server of the daemon.
func served(t *testing.T, adjust ...func(*http.Server)) *httptest.Server {
	metrics := prometheus.NewRegistry()
	r, err := report.New(report.Options{Now: time.Now, Registry: metrics, Gatherer: metrics})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = newServer(r.Handler())
	for _, a := range adjust {
		a(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// Whoever may reach the address may look, and change nothing.
func TestNothingCanBeChangedThroughTheAddress(t *testing.T) {
	s := served(t)
	for _, path := range []string{"/plan", "/status", "/history", "/explain", "/metrics", "/livez", "/readyz"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s answers %s, want 405", method, path, answer.Status)
			}
		}
	}
}

// The profiles of a process hold what is in its memory, credentials among it.
func TestThereAreNoProfiles(t *testing.T) {
	s := served(t)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/vars"} {
		answer, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers %s, want 404", path, answer.Status)
		}
	}
}

func TestRequestsThatAreTooBigAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"a query of 5,000 bytes", "GET /explain?kind=pod&name=" + strings.Repeat("x", 5000) + " HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusRequestURITooLong},
		{"headers of 64 KiB", "GET /status HTTP/1.1\r\nHost: x\r\nX-Much: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge},
		{"a body", "GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", http.StatusRequestEntityTooLarge},
		{"a body in chunks", "GET /status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", http.StatusRequestEntityTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, err := ask(t, served(t), c.request) //nolint:bodyclose // ask has closed it
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != c.want {
				t.Errorf("the answer is %s, want %d", answer.Status, c.want)
			}
		})
	}
}

// Nobody holds a connection by being slow: neither with the head of a request nor between two.
func TestEverySlowPartOfARequestHasATimeOut(t *testing.T) {
	s := newServer(http.NotFoundHandler())
	for name, limit := range map[string]time.Duration{
		"the head": s.ReadHeaderTimeout, "the request": s.ReadTimeout, "the answer": s.WriteTimeout, "the time between two requests": s.IdleTimeout,
	} {
		if limit <= 0 || limit > 5*time.Minute {
			t.Errorf("%s may take %v, want a limit", name, limit)
		}
	}
	slow := served(t, func(s *http.Server) { s.ReadHeaderTimeout = 50 * time.Millisecond })
	connection, err := net.Dial("tcp", slow.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	_, _ = fmt.Fprint(connection, "GET /status HTTP/1.1\r\n")
	_ = connection.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadAll(connection); err != nil {
		t.Errorf("the server kept a connection whose request never came: %v", err)
	}
}

// ask sends a request as it stands.
func ask(t *testing.T, s *httptest.Server, request string) (*http.Response, error) {
	connection, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprint(connection, request); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err == nil {
		_ = answer.Body.Close()
	}
	return answer, err
}

// With a certificate the same bounds hold, by the one version of HTTP that they were made for.
func TestTheAddressCanBeServedWithTLS(t *testing.T) {
	template := httptest.NewTLSServer(nil) // for its certificate
	defer template.Close()
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	key, err := x509.MarshalPKCS8PrivateKey(template.TLS.Certificates[0].PrivateKey)
	must(t, err)
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: template.Certificate().Raw}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	certificate, err := access.Load(certFile, keyFile, clock.RealClock{})
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _, _ = fmt.Fprint(w, req.Proto, " ", req.TLS != nil) }))
	go func() { _ = serve(server, listener, certificate) }()
	defer func() { _ = server.Close() }()
	answer, err := template.Client().Get("https://" + listener.Addr().String() + "/status")
	must(t, err)
	said, err := io.ReadAll(answer.Body)
	must(t, err)
	_ = answer.Body.Close()
	if string(said) != "HTTP/1.1 true" {
		t.Errorf("it is answered %s", said)
	}
	plain, err := http.Get("http://" + listener.Addr().String() + "/status")
	must(t, err)
	_ = plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS the answer is %s, want 400", plain.Status)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
