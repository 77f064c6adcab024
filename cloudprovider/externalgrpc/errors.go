package externalgrpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// ErrUnknownOutcome is among the causes of an error of a write to which no answer came: the deadline passed, or the connection broke. The server may have done
// it, may be doing it, or may never have heard of it. Nothing is sent again; what came of it shows when the group is read again.
var ErrUnknownOutcome = errors.New("whether it was done is not known; reading again will tell")

// domain is that of the google.rpc.ErrorInfo that says an error's class.
const domain = "poolkeeper.io"

// classes are those that go over the wire by name, with the status codes of a server that tells no class.
var classes = map[cloudprovider.Class]codes.Code{
	cloudprovider.ClassOutOfResources: codes.ResourceExhausted,
	cloudprovider.ClassQuota:          codes.ResourceExhausted,
	cloudprovider.ClassTransient:      codes.Unavailable,
	cloudprovider.ClassNotFound:       codes.NotFound,
	cloudprovider.ClassUnauthorized:   codes.PermissionDenied,
	cloudprovider.ClassInvalid:        codes.InvalidArgument,
	cloudprovider.ClassLimit:          codes.OutOfRange,
	cloudprovider.ClassNotImplemented: codes.Unimplemented,
	cloudprovider.ClassOther:          codes.Unknown,
}

// Status is a provider's error as it goes over the wire.
func Status(err error) error {
	switch {
	case err == nil:
		return nil
	case cloudprovider.ClassOf(err) != cloudprovider.ClassOther: // the class says more than the cause
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	}
	class := cloudprovider.ClassOf(err)
	code, known := classes[class]
	if !known {
		class, code = cloudprovider.ClassOther, codes.Unknown
	}
	info := &errdetails.ErrorInfo{Domain: domain, Reason: string(class)}
	details := []protoadapt.MessageV1{info}
	if typed, ok := errors.AsType[*cloudprovider.Error](err); ok {
		if typed.Code != "" {
			info.Metadata = map[string]string{"code": typed.Code}
		}
		if typed.RetryAfter > 0 {
			details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(typed.RetryAfter)})
		}
	}
	plain := status.New(code, strings.ToValidUTF8(err.Error(), "?"))
	full, withErr := plain.WithDetails(details...)
	if withErr != nil {
		full = plain
	}
	return full.Err()
}

// longestRetry bounds what a server may ask for.
const longestRetry = time.Hour

// readError types what a call that reads gave; nil stays nil.
func readError(doing string, err error) error {
	if err == nil {
		return nil
	}
	return typedError(doing, err)
}

// writeError types what a call that writes gave; nil stays nil. Without an answer of the server the outcome is unknown, and is left alone for the time of settle.
func writeError(doing string, err error, settle time.Duration) error {
	if err == nil {
		return nil
	}
	typed := typedError(doing, err)
	s := status.Convert(err)
	if said(s) {
		return typed
	}
	switch s.Code() {
	case codes.DeadlineExceeded, codes.Canceled, codes.Unavailable:
		typed.Class, typed.RetryAfter = cloudprovider.ClassTransient, settle
		typed.Err = fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return typed
}

// said tells whether the server itself said the error's class.
func said(s *status.Status) bool {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return true
		}
	}
	return false
}

func typedError(doing string, err error) *cloudprovider.Error {
	s := status.Convert(err)
	typed := &cloudprovider.Error{Class: classOfStatus(s), Doing: doing, Err: describe(s)}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if class := cloudprovider.Class(d.GetReason()); d.GetDomain() == domain && hasClass(class) {
				typed.Class, typed.Code = class, clip(d.GetMetadata()["code"])
			}
		case *errdetails.RetryInfo:
			if delay := d.GetRetryDelay(); delay.IsValid() {
				typed.RetryAfter = min(max(delay.AsDuration(), 0), longestRetry)
			}
		}
	}
	return typed
}

func hasClass(class cloudprovider.Class) bool {
	_, ok := classes[class]
	return ok
}

// describe is the status for people, and an error of the context where that is what it was.
func describe(s *status.Status) error {
	text := clip(s.Message())
	switch s.Code() {
	case codes.DeadlineExceeded:
		return fmt.Errorf("%w: %s", context.DeadlineExceeded, text)
	case codes.Canceled:
		return fmt.Errorf("%w: %s", context.Canceled, text)
	}
	if strings.Contains(text, handshakeFailed) {
		text += "; look at cert, key and cacert on both sides, and at the host name in address"
	}
	return fmt.Errorf("%s: %s", s.Code(), text)
}

// handshakeFailed is in the text of the errors of a connection that TLS refused. gRPC has no code for it.
const handshakeFailed = "authentication handshake failed"

// classOfStatus is the class of a status that says none itself.
func classOfStatus(s *status.Status) cloudprovider.Class {
	switch s.Code() {
	case codes.Unavailable:
		if strings.Contains(s.Message(), handshakeFailed) {
			return cloudprovider.ClassUnauthorized
		}
		return cloudprovider.ClassTransient
	case codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return cloudprovider.ClassTransient
	case codes.NotFound:
		return cloudprovider.ClassNotFound
	case codes.Unauthenticated, codes.PermissionDenied:
		return cloudprovider.ClassUnauthorized
	case codes.InvalidArgument:
		return cloudprovider.ClassInvalid
	case codes.OutOfRange:
		return cloudprovider.ClassLimit
	case codes.Unimplemented:
		return cloudprovider.ClassNotImplemented
	case codes.ResourceExhausted:
		return exhausted(strings.ToLower(s.Message()))
	}
	return cloudprovider.ClassOther
}

// exhausted tells apart what that code is used for, gRPC's own refusal of messages that are too large among it.
func exhausted(text string) cloudprovider.Class {
	switch {
	case strings.Contains(text, "larger than max"):
		return cloudprovider.ClassOther
	case strings.Contains(text, "quota"):
		return cloudprovider.ClassQuota
	}
	return cloudprovider.ClassOutOfResources
}

// longestText bounds what a server says to people, in bytes.
const longestText = 1000

// clip makes one line of bounded length of a text.
func clip(text string) string {
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
