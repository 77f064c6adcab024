package wire

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Trouble is what a proxy does to requests. Fail, Lose, Throttle and Late are chances from 0 to 1, each for every request.
type Trouble struct {
	// Fail ends the connection before the server hears of the request; Lose has the server do what a write asks for, and ends the connection before the answer.
	Fail, Lose float64
	// Throttle answers 429 with a Retry-After of a second, as a server does that has too much to do.
	Throttle float64
	// Late keeps the request, or the answer, for up to LateBy.
	Late   float64
	LateBy time.Duration
	// Cut ends all connections, with every watch, again and again: twice in this time, on average. Never if zero.
	Cut time.Duration
}

// Proxy lies between a client and an API server, speaks HTTP on both sides, and is a bad way to it once its trouble has begun.
type Proxy struct {
	server  *httptest.Server
	forward *httputil.ReverseProxy

	mutex   sync.Mutex
	dice    *rand.Rand
	trouble Trouble
	met     map[string]int
	ended   chan struct{}
}

// NewProxy begins a proxy to the server of that configuration, which goes with the test. The seed says who meets trouble, as far as the order of requests is the same.
func NewProxy(t testing.TB, config *rest.Config, seed uint64) *Proxy {
	t.Helper()
	to, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	config = rest.CopyConfig(config)
	config.BearerToken = "" // the client's own goes through
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		forward: &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
			Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		},
		dice: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // a test's trouble is no secret
		met:  map[string]int{}, ended: make(chan struct{}),
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	p.server.StartTLS()
	go p.cut()
	t.Cleanup(func() {
		close(p.ended)
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

// Kubeconfig is the kubeconfig that leads by way of the proxy where the one of that path leads straight.
func (p *Proxy) Kubeconfig(path string) ([]byte, error) {
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, err
	}
	for _, cluster := range config.Clusters {
		cluster.Server = p.server.URL
		cluster.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	}
	return clientcmd.Write(*config)
}

// Begin has the trouble begin, in place of what was before; the zero value ends it.
func (p *Proxy) Begin(trouble Trouble) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.trouble = trouble
}

// Met says what was done to how many requests.
func (p *Proxy) Met() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var words []string
	for _, what := range slices.Sorted(maps.Keys(p.met)) {
		words = append(words, fmt.Sprintf("%d %s", p.met[what], what))
	}
	return strings.Join(words, ", ")
}

// strikes tells whether a chance is met, and counts it.
func (p *Proxy) strikes(chance float64, what string) bool {
	if p.dice.Float64() >= chance {
		return false
	}
	p.met[what]++
	return true
}

// fate is what happens to a request.
type fate struct {
	fail, lose, throttle bool
	before, after        time.Duration
}

func (p *Proxy) fate(r *http.Request) (f fate) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.met["requests"]++
	t := p.trouble
	f.fail = p.strikes(t.Fail, "dropped")
	f.throttle = !f.fail && p.strikes(t.Throttle, "throttled")
	f.lose = !f.fail && !f.throttle && r.Method != http.MethodGet && p.strikes(t.Lose, "done without an answer")
	if p.strikes(t.Late, "late") {
		by := time.Duration(p.dice.Int64N(int64(t.LateBy) + 1))
		if p.dice.IntN(2) == 0 {
			f.before = by
		} else {
			f.after = by
		}
	}
	return f
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	f := p.fate(r)
	p.keep(r, f.before)
	switch {
	case f.fail:
		panic(http.ErrAbortHandler)
	case f.throttle:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
		return
	case f.lose, f.after > 0 && r.Method != http.MethodGet:
		answer := httptest.NewRecorder()
		p.forward.ServeHTTP(answer, r)
		p.keep(r, f.after)
		if f.lose {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // who asked may have gone
		return
	}
	p.forward.ServeHTTP(w, r)
}

// keep waits, but no longer than whoever asked.
func (p *Proxy) keep(r *http.Request, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-p.ended:
	}
}

// cut ends all connections from time to time.
func (p *Proxy) cut() {
	const look = 500 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
		}
		p.mutex.Lock()
		now := p.trouble.Cut > 0 && p.strikes(2*float64(look)/float64(p.trouble.Cut), "times all connections cut")
		p.mutex.Unlock()
		if now {
			p.server.CloseClientConnections()
		}
	}
}
