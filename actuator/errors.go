package actuator

import (
	"context"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

var errNotLeader = cloudprovider.Errorf(cluster.ClassNotLeader, "", "the leader's lease was not renewed in time, so this was not begun")

// mostError is how many bytes of an error are told: it is remembered in the ledger, and some clouds answer with a page of HTML.
const mostError = 2 << 10

// apiError types an error of the Kubernetes API; nil stays nil.
func apiError(doing string, err error) error {
	if err == nil || errors.Is(err, error(errNotLeader)) {
		return err
	}
	class := cluster.ClassAPI
	switch {
	case apierrors.IsConflict(err):
		class = cluster.ClassConflict
	case isBudget(err):
		class = cluster.ClassBudget
	case isSeveralBudgets(err):
		class = cluster.ClassSeveralBudgets
	}
	typed := &cloudprovider.Error{Class: class, Doing: doing, Err: err}
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		typed.RetryAfter = time.Duration(seconds) * time.Second
	}
	return typed
}

// isBudget: a PodDisruptionBudget has nothing to spare, or was not yet looked at by its controller. An API server that is too busy answers
// 429 as well, but without that cause.
func isBudget(err error) bool {
	return apierrors.IsTooManyRequests(err) && (apierrors.HasStatusCause(err, "DisruptionBudget") || strings.Contains(err.Error(), "disruption budget"))
}

// isSeveralBudgets: the Eviction API has no code of its own for this; it says 500 and these words.
func isSeveralBudgets(err error) bool {
	return strings.Contains(err.Error(), "more than one PodDisruptionBudget")
}

// providerError types an error of a provider; nil stays nil. Of a call that ran out of time nobody knows what became.
func providerError(doing string, err error) error {
	var typed *cloudprovider.Error
	switch {
	case err == nil, errors.As(err, &typed):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: doing, Err: err}
	}
	return &cloudprovider.Error{Class: cloudprovider.ClassOther, Doing: doing, Err: err}
}
