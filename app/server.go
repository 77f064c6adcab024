package app

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/poolkeeper/poolkeeper/access"
)

// The bounds of a request: what is asked here is short, and its answer is there at once. The page's stream lifts the two time-outs for itself, and
// bounds each of its writes.
const (
	headerWithin, requestWithin, answerWithin, idleFor = 10 * time.Second, 15 * time.Second, time.Minute, 2 * time.Minute

	mostHeader = 16 << 10
	// mostQuery is the longest query in bytes: a kind and a name, each with three bytes for one at most.
	mostQuery = 4 << 10
)

// newServer serves a handler within bounds: nobody may hold a connection, or fill the memory, by being slow or by sending much.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: bounded(handler), ReadHeaderTimeout: headerWithin, ReadTimeout: requestWithin, WriteTimeout: answerWithin, IdleTimeout: idleFor,
		MaxHeaderBytes: mostHeader,
	}
}

// serve answers at the listener until the server is closed, with the certificate if there is one. It speaks HTTP/1.1 alone: the bounds above are its.
func serve(server *http.Server, listener net.Listener, certificate *access.Certificate) error {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	if certificate == nil {
		return server.Serve(listener)
	}
	server.TLSConfig = certificate.Config()
	return server.ServeTLS(listener, "", "")
}

// bounded refuses what no question here has: a body, and a long query.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.ContentLength != 0:
			w.Header().Set("Connection", "close") // the body is not read
			http.Error(w, "nothing here takes a body: ask by GET, with a query", http.StatusRequestEntityTooLarge)
		case len(req.URL.RawQuery) > mostQuery:
			http.Error(w, fmt.Sprintf("the query has %d bytes, and %d are the most", len(req.URL.RawQuery), mostQuery), http.StatusRequestURITooLong)
		default:
			next.ServeHTTP(w, req)
		}
	})
}
