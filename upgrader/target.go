package upgrader

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// findTarget finds the version that the pool's nodes should have now: what its settings ask for, as far as the API server goes along. A kubelet that is newer
// than the API server, by minor version, is forbidden by the version skew policy; a newer patch is allowed.
func (p *pass) findTarget() *hold {
	text, h := p.wish()
	if h != nil {
		return h
	}
	p.wished = text
	wish, err := parse(text)
	if err != nil {
		return &hold{why: reason.InvalidVersion, message: "target version " + err.Error()}
	}
	p.leadControlPlane(wish)
	return p.aim(text, wish)
}

// notSkewed holds while a kubelet of the pool is newer than the API server: nobody can say what is right then.
func (p *pass) notSkewed(ledger.Rollout) *hold {
	server, err := parse(p.s.ServerVersion)
	if err != nil {
		return nil
	}
	for _, node := range p.nodes {
		kubelet, err := p.parse(node.Status.NodeInfo.KubeletVersion)
		if err == nil && minor(server).LessThan(minor(kubelet)) {
			return &hold{why: reason.SkewViolation, message: fmt.Sprintf("the kubelet of %s has %s, and the API server only %s", node.Name, node.Status.NodeInfo.KubeletVersion, p.s.ServerVersion)}
		}
	}
	return nil
}

// serverIs holds while the API server's version is not known. That withdraws nothing: it is so for a moment after each start.
func (p *pass) serverIs(ledger.Rollout) *hold {
	if p.target == nil {
		return nil
	}
	if _, err := parse(p.s.ServerVersion); err != nil {
		return &hold{why: reason.InvalidVersion, message: "API server's version " + err.Error()}
	}
	return nil
}

// parse reads a version with all three parts. What a vendor hangs on to it (v1.36.3-eks-0123, v1.36.3+k3s1) is not looked at: two builds of one
// version count as equal.
func parse(text string) (*version.Version, error) {
	v, err := version.ParseGeneric(text)
	if err != nil {
		return nil, fmt.Errorf("%q cannot be read: write it as v1.36.3", text)
	}
	if len(v.Components()) < 3 {
		return nil, fmt.Errorf("%q lacks its patch version: write it as v1.36.3", text)
	}
	return v, nil
}

func minor(v *version.Version) *version.Version { return version.MajorMinor(v.Major(), v.Minor()) }

// templateIsRight tells whether new nodes come with the target version.
func (p *pass) templateIsRight() bool {
	if p.target == nil {
		return true // what the provider makes is what is wanted
	}
	template, err := parse(p.pool.Version)
	return err == nil && template.EqualTo(p.target)
}

// versioned has the provider's template set to the target, before any node is replaced by one that is no newer.
func (p *pass) versioned(ledger.Rollout) *hold {
	if p.templateIsRight() {
		return nil
	}
	template, err := parse(p.pool.Version)
	switch {
	case err == nil && p.target.LessThan(template):
		return &hold{why: reason.Downgrade, message: fmt.Sprintf("new nodes come with %s, and the target %s is older", p.pool.Version, p.text)}
	case p.pool.Can.NativeUpgrade && (p.pool.Settings.Native || !p.pool.Can.SetVersion):
		return p.natively()
	case !p.pool.Can.SetVersion:
		return &hold{why: reason.CannotSetVersion, message: fmt.Sprintf("new nodes come with %s, not %s, and the provider can't change that", said(p.pool.Version), p.text)}
	}
	p.Proposals = append(p.Proposals, plan.Proposal{
		Owner: ledger.Upgrader, Action: plan.SetVersion, Pool: p.pool.Name, Version: p.text, Reason: reason.VersionWanted,
		Message: fmt.Sprintf("new nodes come with %s, and the target is %s", said(p.pool.Version), p.text),
	})
	return &hold{why: reason.WaitingForVersion, message: fmt.Sprintf("new nodes still come with %s, not %s", said(p.pool.Version), p.text)}
}

func said(version string) string {
	if version == "" {
		return "a version that the provider doesn't tell"
	}
	return version
}
