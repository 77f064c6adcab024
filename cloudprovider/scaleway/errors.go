package scaleway

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// explain types an error, and says in it what was being done. What is not known to have failed (a time-out, a connection that broke, an answer that
// can't be read) is transient: it may have worked.
func explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	if typed, ok := errors.AsType[*cloudprovider.Error](err); ok {
		explained := *typed
		if explained.Doing == "" {
			explained.Doing = doing
		}
		return &explained
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return &cloudprovider.Error{Class: f.class(), Doing: doing, Code: f.code(), RetryAfter: f.retryAfter, Err: f}
	}
	if errors.Is(err, context.Canceled) {
		return &cloudprovider.Error{Class: cloudprovider.ClassOther, Doing: doing, Err: err}
	}
	return &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: doing, Err: err}
}

func (f *failure) code() string {
	if f.kind != "" {
		return f.kind
	}
	return "HTTP " + strconv.Itoa(f.status)
}

// class sorts a refusal: by the API's own word where there is one, else by the status.
func (f *failure) class() cloudprovider.Class {
	switch f.kind {
	case "not_found":
		return cloudprovider.ClassNotFound
	case "transient_state":
		return cloudprovider.ClassTransient
	case "out_of_stock":
		return cloudprovider.ClassOutOfResources
	case "quotas_exceeded":
		return cloudprovider.ClassQuota
	case "permissions_denied", "denied_authentication":
		return cloudprovider.ClassUnauthorized
	case "invalid_arguments":
		if f.argument == "size" {
			return cloudprovider.ClassLimit // the service's own min and max, which bind while its autoscaler is on
		}
		return cloudprovider.ClassInvalid
	case "locked", "precondition_failed", "resource_expired":
		return cloudprovider.ClassInvalid // a person has to do something first
	}
	switch {
	case f.status == http.StatusUnauthorized, f.status == http.StatusForbidden:
		return cloudprovider.ClassUnauthorized
	case f.status == http.StatusTooManyRequests, f.status == http.StatusConflict, f.status == http.StatusRequestTimeout, f.status >= 500:
		return cloudprovider.ClassTransient
	case f.status/100 == 2:
		return cloudprovider.ClassTransient // not the API's answer: whatever stands in between
	case f.status == http.StatusBadRequest, f.status == http.StatusUnprocessableEntity:
		return cloudprovider.ClassInvalid
	}
	return cloudprovider.ClassOther // a 404 of a gateway says nothing about a node
}

// absent tells whether the API itself said that the resource does not exist.
func absent(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.kind == "not_found"
}

// leaving tells whether the API refused because the resource is being deleted already.
func leaving(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.kind == "transient_state" && (f.state == "deleting" || f.state == "deleted")
}
