package cluster

import (
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Holds tells whether the provider asks to leave a job alone on the pool, and why. A switch of ours that is off has nothing to do with it.
// Who asks to leave autoscale alone asks it of scale-down as well.
func (p *Pool) Holds(job cloudprovider.Job) (why reason.Reason, message string, held bool) {
	for _, h := range p.Held {
		if h.Job == job || job == cloudprovider.ScaleDown && h.Job == cloudprovider.Autoscale {
			return reasonOf(h.Cause), h.Message, true
		}
	}
	return "", "", false
}

// reasonOf fails closed: a cause that is not known here holds as well.
func reasonOf(cause cloudprovider.HoldCause) reason.Reason {
	switch cause {
	case cloudprovider.CloudSwitchOn:
		return reason.CloudSwitchOn
	case cloudprovider.ExternalMachines:
		return reason.ExternalMachines
	}
	return reason.CloudAtWork
}
