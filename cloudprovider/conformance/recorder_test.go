package conformance

import (
	"context"
	"fmt"
	"runtime"
)

// recorder is a TB that writes down how a check went.
type recorder struct {
	name     string
	ctx      context.Context
	cleanups []func()
	failures []string
	skipped  string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Name() string             { return r.name }
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(string, ...any)      {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// record runs the check and gives how it went.
func record(ctx context.Context, c check, h Harness) *recorder {
	r := &recorder{name: c.name, ctx: ctx}
	done := make(chan struct{})
	go func() { // of its own, so that Fatalf can end it
		defer close(done)
		c.run(r, h)
	}()
	<-done
	for _, f := range r.cleanups {
		f()
	}
	return r
}
