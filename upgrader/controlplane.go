package upgrader

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Where a provider can upgrade the control plane, that goes first, one minor version at a time, when a pool of the provider asks for a version that is newer
// than the API server's. It is in the ledger before the provider is asked, as a rollout of its own, and done when the API server answers with
// the version; until then no further node is taken.
//
//	a pool asks for more ──► asked, in the ledger before the call ──► the API server has it: done
//	                                        └── not within NativePatience ──► Halted, until the next window

// leadControlPlane decides about the control plane behind the pool's provider, when the pool asks for more than it has.
func (p *pass) leadControlPlane(wish *version.Version) {
	server, err := parse(p.s.ServerVersion)
	if err != nil || !p.leads() || !p.asked() || !server.LessThan(wish) || p.led[p.pool.Provider] {
		return
	}
	step, h := p.stepFrom(server, wish)
	if h == nil {
		h = p.mayLead(step)
	}
	if h != nil {
		p.verdict(plan.Pool, ledger.ControlPlane+p.pool.Provider, *h)
		return
	}
	p.led[p.pool.Provider] = true // one of its pools is enough
	p.proposeLead(step)
}

func (p *pass) proposeLead(step string) {
	p.Proposals = append(p.Proposals, plan.Proposal{
		Owner: ledger.Upgrader, Action: plan.UpgradeControlPlane, Pool: p.pool.Name, Version: step, Reason: reason.VersionWanted,
		Message: fmt.Sprintf("the API server has %s, and pool %s asks for %s", p.s.ServerVersion, p.pool.Name, p.wished),
	})
}

// stepFrom is the next version of the control plane on the way to the wish: no minor version is left out.
func (p *pass) stepFrom(server, wish *version.Version) (string, *hold) {
	if !next(server).LessThan(minor(wish)) {
		return p.wished, nil
	}
	if step := p.newestUpTo(next(server), next(server)); step != "" {
		return step, nil
	}
	return "", &hold{why: reason.NoTargetVersion, message: fmt.Sprintf("%s is more than one minor version ahead of the API server's %s, and the provider offers none between", p.wished, p.s.ServerVersion)}
}

// mayLead is what stands against the upgrade of the control plane.
func (p *pass) mayLead(step string) *hold {
	after, err := parse(step)
	if err != nil {
		return &hold{why: reason.InvalidVersion, message: "control plane's version " + err.Error()}
	}
	for _, row := range p.s.Rows {
		kubelet, err := p.parse(row.Node.Status.NodeInfo.KubeletVersion)
		if err == nil && behind(kubelet, after) {
			return &hold{why: reason.SkewViolation, message: fmt.Sprintf("the kubelet of %s has %s, which is too old for an API server with %s", row.Node.Name, row.Node.Status.NodeInfo.KubeletVersion, step)}
		}
	}
	for _, c := range p.s.Ledger.Claims() {
		if c.Owner == ledger.Upgrader {
			return &hold{why: reason.AlreadyClaimed, message: fmt.Sprintf("%s is being upgraded, and ends first", c.Node)}
		}
	}
	rollout := ledger.Rollout{}
	defer func(was bool) { p.minor = was }(p.minor) // the freezes are asked about the control plane's step, not about the pool's
	p.minor = minor(mustParse(p.s.ServerVersion)).LessThan(minor(after))
	for _, rule := range []func(ledger.Rollout) *hold{p.notPaused, p.inWindow, p.calmAlerts} {
		if h := rule(rollout); h != nil {
			return h
		}
	}
	return p.fits("the control plane", p.opts.ControlPlaneEstimate)
}

// mustParse reads a version that has been read before.
func mustParse(text string) *version.Version {
	v, err := parse(text)
	if err != nil {
		return version.MajorMinor(0, 0)
	}
	return v
}

// followControlPlanes follows the upgrades of control planes that are under way to their ends.
func (d *decision) followControlPlanes(s *cluster.Snapshot, opts Options, passes []*pass) {
	server, err := parse(s.ServerVersion)
	for _, r := range s.Ledger.Rollouts() {
		provider, is := providerOf(r)
		if !is {
			continue
		}
		target := mustParse(r.Target)
		if err == nil && !server.LessThan(target) {
			d.change(ledger.Drop(r)) // it really answers with it
			continue
		}
		d.led[provider] = true
		d.waits[provider] = hold{why: reason.WaitingForControlPlane, message: fmt.Sprintf("the control plane is being upgraded to %s, and the API server has %s", r.Target, s.ServerVersion)}
		for _, p := range passes {
			if p.pool.Provider == provider {
				p.followControlPlane(r, opts)
				break
			}
		}
	}
}

func providerOf(r ledger.Rollout) (provider string, is bool) {
	if len(r.Pool) <= len(ledger.ControlPlane) || r.Pool[:len(ledger.ControlPlane)] != ledger.ControlPlane {
		return "", false
	}
	return r.Pool[len(ledger.ControlPlane):], true
}

// followControlPlane asks on until the API server has the version, and gives up for this window when that takes too long.
func (p *pass) followControlPlane(r ledger.Rollout, opts Options) {
	patience := r.Native.Asked.Add(opts.NativePatience)
	switch {
	case r.State == ledger.Halted:
		p.retryControlPlane(r)
		return
	case !p.now.Before(patience):
		r.State, r.Reason = ledger.Halted, reason.RolloutHalted
		r.Message = fmt.Sprintf("the control plane was to have %s, and after %s the API server still has %s", r.Target, opts.NativePatience, p.s.ServerVersion)
		r.Native.Progress = p.now
		p.change(ledger.Put(r))
	default:
		p.wished = r.Target
		p.proposeLead(r.Target)
	}
	p.verdict(plan.Pool, r.Pool, hold{why: reason.WaitingForControlPlane, message: fmt.Sprintf("asked for %s at %s; the API server has %s", r.Target, r.Native.Asked.Format("15:04:05"), p.s.ServerVersion), due: patience})
}

// retryControlPlane forgets a halted upgrade when the next window is there, so that it is decided anew.
func (p *pass) retryControlPlane(r ledger.Rollout) {
	resumes := p.resumes(r.Native.Progress)
	if !resumes.IsZero() && !p.now.Before(resumes) {
		p.change(ledger.Drop(r))
		return
	}
	p.verdict(plan.Pool, r.Pool, hold{why: reason.RolloutHalted, message: r.Message, due: resumes})
}

// afterControlPlane holds while the control plane of the pool's provider is being upgraded.
func (p *pass) afterControlPlane(ledger.Rollout) *hold {
	if h, waits := p.waits[p.pool.Provider]; waits {
		return &h
	}
	return nil
}
