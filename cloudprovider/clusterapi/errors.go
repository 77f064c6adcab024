package clusterapi

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// typed makes a provider's error of one of the management cluster's API.
func typed(err error, doing string) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*cloudprovider.Error](err); ok {
		if own.Doing == "" {
			explained := *own
			explained.Doing = doing
			return &explained
		}
		return err
	}
	e := &cloudprovider.Error{Class: classOf(err), Doing: doing, Code: string(apierrors.ReasonForError(err)), Err: err}
	if seconds, says := apierrors.SuggestsClientDelay(err); says {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

func classOf(err error) cloudprovider.Class {
	switch {
	case meta.IsNoMatchError(err):
		return cloudprovider.ClassInvalid
	case apierrors.IsNotFound(err), apierrors.IsGone(err):
		return cloudprovider.ClassNotFound
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return cloudprovider.ClassUnauthorized
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err):
		return cloudprovider.ClassInvalid
	case errors.Is(err, context.Canceled):
		return cloudprovider.ClassOther
	}
	return cloudprovider.ClassTransient // conflicts, time-outs, an API server that is away: all of it passes
}

func notOurs(doing, id string) error {
	return cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "no Machine of this pool has the provider ID %q", id)
}

// isGone tells whether the API server says of this very object that it is not there. A 404 for a kind that is not served (any more) has the same reason,
// and says nothing about the object: a Cluster API that was upgraded must not look like machines that are gone.
func isGone(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
