package example

import (
	"context"
	"errors"
	"time"
)

// Cloud is the vendor's API, as far as a provider needs it. Yours is a client of the vendor's SDK; here it is an interface, so that the tests can put one in
// memory in its place.
type Cloud interface {
	// List gives all fleets with all their machines: one bulk read, whatever their number.
	List(ctx context.Context) ([]Fleet, error)
	// Resize changes the wanted size of a fleet, if it still is from. It starts machines and stops none.
	Resize(ctx context.Context, fleet string, from, to int) error
	// Delete stops a machine for good and lowers the wanted size by one, both or neither.
	Delete(ctx context.Context, fleet string, number int) error
	// Has tells whether the machine exists.
	Has(ctx context.Context, fleet string, number int) (bool, error)
}

// Fleet is a set of like machines.
type Fleet struct {
	Name             string
	Min, Max, Wanted int
	// CPU and Memory are what one of its machines has, as Kubernetes writes them.
	CPU, Memory string
	// Last is the number of the last machine that was ever made. Numbers are not used again.
	Last     int
	Machines []Machine
}

// Machine is one machine of a fleet.
type Machine struct {
	Number  int
	Made    time.Time
	Running bool
	// Broken is why it could not be started: "stock" or "quota"; empty while all is well.
	Broken string
}

// What the API answers.
var (
	ErrChanged = errors.New("somebody else has changed it")
	ErrGone    = errors.New("there is no such thing")
	ErrStock   = errors.New("out of stock")
	ErrQuota   = errors.New("quota exceeded")
	ErrBusy    = errors.New("machines would have to be stopped")
)
