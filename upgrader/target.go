package upgrader

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// findTarget finds the version that the pool's nodes should have: its setting, else that of the provider's template. It refuses one that
// is newer than the API server's, by minor version: the version skew policy forbids it, while a newer patch is allowed.
func (p *pass) findTarget() *hold {
	p.text = p.pool.Settings.Version
	if p.text == "" {
		p.text = p.pool.Version
	}
	if p.text == "" {
		return &hold{why: reason.NoTargetVersion, message: "the pool has no version in the configuration, and the provider doesn't tell that of its template"}
	}
	var err error
	if p.target, err = parse(p.text); err != nil {
		return &hold{why: reason.InvalidVersion, message: "target version " + err.Error()}
	}
	server, err := parse(p.s.ServerVersion)
	if err == nil && minor(server).LessThan(minor(p.target)) {
		return &hold{why: reason.NewerThanAPIServer, message: fmt.Sprintf("the target is %s, and the API server has %s", p.text, p.s.ServerVersion)}
	}
	return nil
}

// serverIs holds while the API server's version is not known. That withdraws nothing: it is so for a moment after each start.
func (p *pass) serverIs(ledger.Rollout) *hold {
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

// oldNodes are the nodes whose kubelet is older than the target. A version that can't be read, and one that is newer, is answered: nodes are
// never taken back.
func (p *pass) oldNodes() []*corev1.Node {
	var old []*corev1.Node
	for _, node := range p.nodes {
		kubelet, err := p.parse(node.Status.NodeInfo.KubeletVersion)
		switch {
		case err != nil:
			p.verdict(plan.Node, node.Name, hold{why: reason.InvalidVersion, message: "kubelet version " + err.Error()})
		case p.target.LessThan(kubelet):
			p.verdict(plan.Node, node.Name, hold{
				why:     reason.Downgrade,
				message: fmt.Sprintf("kubelet %s is newer than the target %s", node.Status.NodeInfo.KubeletVersion, p.text),
			})
		case kubelet.LessThan(p.target):
			old = append(old, node)
		}
	}
	return old
}

// templateIsRight tells whether new nodes come with the target version.
func (p *pass) templateIsRight() bool {
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
	case !p.pool.Can.SetVersion && p.pool.Can.NativeUpgrade:
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
