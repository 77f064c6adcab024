package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/app"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/dashboard"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

// stage serves the page of a simulated daemon, and has the cluster's time pass so fast that a person can follow.
type stage struct {
	// speed is how many seconds of the cluster pass in one of the machine's.
	speed float64
	clock clock.Clock
	begun time.Time
	page  atomic.Pointer[http.Handler]
}

// raise serves at the address, until the function that it gives is called.
func (s *stage) raise(address string, out io.Writer) (end func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, usagef("simulate: --dashboard=%s: %w", address, err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if page := s.page.Load(); page != nil {
			(*page).ServeHTTP(w, req)
			return
		}
		http.Error(w, "the simulation has not begun yet", http.StatusServiceUnavailable)
	})}
	go func() { _ = server.Serve(listener) }()
	fmt.Fprintf(out, "The page: http://%s/\n", listener.Addr())
	return func() { _ = server.Close() }, nil
}

// show is the Page of a scenario's setup.
func (s *stage) show(reporter *report.Reporter) func(time.Time, *plan.Plan, *cluster.Snapshot) {
	board := dashboard.New(reporter, version, clock.RealClock{})
	page := app.WithDashboard(reporter, board)
	s.page.Store(&page)
	return board.Pass
}

// keepPace is the Pace of a scenario's setup: it waits until the machine's time has come as far as the cluster's.
func (s *stage) keepPace(ctx context.Context, lived time.Duration) error {
	if s.begun.IsZero() {
		s.begun = s.clock.Now()
	}
	wait := time.Duration(float64(lived)/s.speed) - s.clock.Since(s.begun)
	if wait <= 0 {
		return context.Cause(ctx)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.clock.After(wait):
		return nil
	}
}
