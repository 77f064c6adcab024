package store

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	firstWait = 100 * time.Millisecond
	lastWait  = 2 * time.Second
)

// try calls until it works, fails for good, or the context ends. The error is then that of the last call.
func (s *Store) try(ctx context.Context, call func(context.Context) error) error {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		bounded, cancel := context.WithTimeout(ctx, s.options.CallTimeout)
		err := call(bounded)
		cancel()
		if err == nil || final(err) || ctx.Err() != nil {
			return err
		}
		if s.options.Wait(ctx, wait) != nil {
			return err
		}
	}
}

// final tells whether the same call would fail again: the API server understood it and refused.
func final(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false // the network, or the deadline of the one call
	}
	switch {
	case apierrors.IsTooManyRequests(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsInternalError(err),
		apierrors.IsServiceUnavailable(err):
		return false
	}
	return status.Status().Code < 500
}

func sleep(ctx context.Context, d time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-waiting.Done()
	return ctx.Err()
}
