package cluster

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// ScopeOf is where a pool's new machines are and of which type they are, by the provider's template.
func (p *Pool) ScopeOf() cloudprovider.Scope {
	if p.Template == nil || p.Template.Node == nil {
		return cloudprovider.Scope{}
	}
	labels := p.Template.Node.Labels
	return cloudprovider.Scope{Zone: labels[corev1.LabelTopologyZone], InstanceType: labels[corev1.LabelInstanceTypeStable]}
}

// Backoff is the back-off that a ledger has for a pool, its own or one of its machines' type and zone: the one that lasts longest.
func (p *Pool) Backoff(l ledger.Ledger) (longest ledger.Backoff, found bool) {
	scope := p.ScopeOf()
	for _, b := range l.Backoffs() {
		about := b.Pool == p.Name
		if b.Pool == "" {
			about = (b.Zone == "" || b.Zone == scope.Zone) && (b.InstanceType == "" || b.InstanceType == scope.InstanceType)
		}
		if about && (!found || b.Until.After(longest.Until)) {
			longest, found = b, true
		}
	}
	return longest, found
}

// Definite tells whether an error of this class says for sure that nothing was changed.
func Definite(class cloudprovider.Class) bool {
	switch class {
	case cloudprovider.ClassOutOfResources, cloudprovider.ClassQuota, cloudprovider.ClassLimit, cloudprovider.ClassInvalid,
		cloudprovider.ClassUnauthorized, cloudprovider.ClassNotFound, cloudprovider.ClassNotImplemented:
		return true
	}
	return false
}

// Reason is the result's error in the words of the closed list.
func (r Result) Reason() reason.Reason {
	switch r.Class {
	case cloudprovider.ClassOutOfResources:
		return reason.OutOfResources
	case cloudprovider.ClassQuota:
		return reason.QuotaExceeded
	case ClassAPI, ClassConflict, ClassBudget, ClassPodsLeft:
		return reason.APIError
	case ClassSeveralBudgets:
		return reason.SeveralBudgets
	}
	return reason.ProviderError
}

// Until is the moment up to which the pool of a refused operation counts as unable to grow, for who decides before the refusal is in the ledger.
func (r Result) Until() time.Time { return r.At.Add(time.Minute) }
