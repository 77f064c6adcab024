package cloudprovider

import (
	"errors"
	"fmt"
	"time"
)

// Class sorts a provider's errors by what the core does about them.
type Class string

// The classes of errors.
const (
	// ClassOutOfResources: the cloud has no such machine right now; another pool is tried, this one backs off.
	ClassOutOfResources Class = "OutOfResources"
	// ClassQuota: the account's quota is used up.
	ClassQuota Class = "Quota"
	// ClassTransient: try again, not before RetryAfter.
	ClassTransient Class = "Transient"
	// ClassNotFound: the group or instance is not there.
	ClassNotFound Class = "NotFound"
	// ClassUnauthorized: the credentials are missing, wrong, or may not do that.
	ClassUnauthorized Class = "Unauthorized"
	// ClassInvalid: the request can never work as it is.
	ClassInvalid Class = "Invalid"
	// ClassLimit: the group's min or max forbids it.
	ClassLimit Class = "Limit"
	// ClassNotImplemented: this provider can't do that.
	ClassNotImplemented Class = "NotImplemented"
	// ClassOther: anything else.
	ClassOther Class = "Other"
)

// The classes as errors, for errors.Is.
var (
	ErrOutOfResources = &Error{Class: ClassOutOfResources}
	ErrQuota          = &Error{Class: ClassQuota}
	ErrTransient      = &Error{Class: ClassTransient}
	ErrNotFound       = &Error{Class: ClassNotFound}
	ErrUnauthorized   = &Error{Class: ClassUnauthorized}
	ErrInvalid        = &Error{Class: ClassInvalid}
	ErrLimit          = &Error{Class: ClassLimit}
	ErrNotImplemented = &Error{Class: ClassNotImplemented}
)

// Error is a provider's typed error.
type Error struct {
	Class Class
	// Doing says what was being done to what: "increase pool front by 2".
	Doing string
	// Code is the cloud's own code, if it has one.
	Code string
	// RetryAfter is how long the cloud wants to be left alone; zero if it doesn't say.
	RetryAfter time.Duration
	// Scope says what the error is about besides the group, where the cloud says so: a machine that is out of stock in one zone is so for every group
	// that would have it there. The zero value is about the group alone.
	Scope Scope
	// Err is the cause.
	Err error
}

// Scope is a zone, an instance type, or one in the other; a field that is empty is not said.
type Scope struct {
	Zone         string `json:"zone,omitempty"`
	InstanceType string `json:"instanceType,omitempty"`
}

// Errorf makes a typed error; doing and the rest are as in [Error].
func Errorf(class Class, doing, format string, args ...any) *Error {
	return &Error{Class: class, Doing: doing, Err: fmt.Errorf(format, args...)}
}

// Error implements error.
func (e *Error) Error() string {
	text := string(e.Class)
	if e.Doing != "" {
		text = e.Doing + ": " + text
	}
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrQuota) and its like compare classes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Err == nil && t.Doing == "" && t.Class == e.Class
}

// ScopeOf is what an error is about besides the group; the zero value where it doesn't say.
func ScopeOf(err error) Scope {
	if typed, ok := errors.AsType[*Error](err); ok {
		return typed.Scope
	}
	return Scope{}
}

// ClassOf is the class of an error; [ClassOther] for one that is not typed, and empty for nil.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	if typed, ok := errors.AsType[*Error](err); ok {
		return typed.Class
	}
	return ClassOther
}
