package upgrader

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// wish is the version that the pool is to have by its settings: its own, else the one that its channel chooses, else that of the provider's
// template. Whether it can be had now is for findTarget to say.
func (p *pass) wish() (string, *hold) {
	s := p.pool.Settings
	switch {
	case s.Channel == cluster.ChannelNone:
		return "", &hold{why: reason.NoChannel, message: "the pool's channel is none"}
	case s.Version != "":
		return s.Version, nil
	case s.Channel == cluster.ChannelPinned:
		return "", &hold{why: reason.NoTargetVersion, message: "the pool's channel is pinned, and no version is set for it"}
	case s.Channel == cluster.ChannelPatch, s.Channel == cluster.ChannelMinor:
		if text := p.newest(); text != "" {
			return text, nil
		}
	}
	if p.pool.Version == "" {
		return "", &hold{why: reason.NoTargetVersion, message: "the pool has no version in the configuration, and the provider doesn't tell that of its template"}
	}
	return p.pool.Version, nil
}

// asked tells whether the wish is a person's own, by version or channel, and not only what the provider has.
func (p *pass) asked() bool {
	return p.pool.Settings.Version != "" || p.pool.Settings.Channel != ""
}

// newest is the newest version of the channel that was released long enough ago; empty where there is nothing to choose from. The channel patch keeps to
// the minor version that new nodes come with; minor goes up to that of the API server, or one further where the control plane can follow.
func (p *pass) newest() string {
	base, err := parse(p.pool.Version)
	if err != nil {
		base = p.oldest()
	}
	if base == nil || p.offer() == nil || len(p.offer().Versions) == 0 {
		return ""
	}
	most := minor(base)
	if server, err := parse(p.s.ServerVersion); err == nil && p.pool.Settings.Channel == cluster.ChannelMinor {
		most = minor(server)
		if p.leads() {
			most = next(server)
		}
	}
	best := "v" + base.String()
	if p.pool.Version != "" {
		best = p.pool.Version
	}
	if found := p.newestUpTo(most, base); found != "" {
		best = found
	}
	return best
}

// newestUpTo is the newest version on offer of at most that minor, if it is newer than another one and has soaked.
func (p *pass) newestUpTo(most, than *version.Version) string {
	best, name := than, ""
	for _, v := range p.offer().Versions {
		is, err := p.parse(v.Name)
		if err != nil || most.LessThan(minor(is)) || !best.LessThan(is) {
			continue
		}
		if ripe := v.Released.Add(p.pool.Settings.ReleaseSoak); p.pool.Settings.ReleaseSoak > 0 && (v.Released.IsZero() || p.now.Before(ripe)) {
			if !v.Released.IsZero() {
				p.lookAt(ripe)
			}
			continue // whose release is not known has not soaked
		}
		best, name = is, v.Name
	}
	return name
}

// offer is what the pool's provider offers; nil if it never said.
func (p *pass) offer() *cluster.Offer {
	offer, _ := p.s.Offers.Get(p.pool.Provider)
	return offer
}

// leads tells whether the control plane can be upgraded before the pool.
func (p *pass) leads() bool {
	offer := p.offer()
	return p.opts.ControlPlane && offer != nil && offer.ControlPlane
}

// oldest is the oldest kubelet of the pool; nil if none can be read.
func (p *pass) oldest() *version.Version {
	var oldest *version.Version
	for _, node := range p.nodes {
		if kubelet, err := p.parse(node.Status.NodeInfo.KubeletVersion); err == nil && (oldest == nil || kubelet.LessThan(oldest)) {
			oldest = kubelet
		}
	}
	return oldest
}

// maxSkew is how many minor versions a kubelet may be older than the API server, by the version skew policy; kubelets before 1.25 may be two.
const maxSkew = 3

// behind tells whether a kubelet would be too old for an API server of that minor version.
func behind(kubelet, server *version.Version) bool {
	most := uint(maxSkew)
	if kubelet.LessThan(version.MajorMinor(1, 25)) {
		most = 2
	}
	return kubelet.Major() < server.Major() || kubelet.Minor()+most < server.Minor()
}

// next is the minor version after that one.
func next(v *version.Version) *version.Version { return version.MajorMinor(v.Major(), v.Minor()+1) }

// aim sets the target to the wish, or, where the wish is newer than the API server, says what has to come first: the control plane, or, where the pool's
// kubelets would fall too far behind it, the nodes, up to what the API server has.
func (p *pass) aim(text string, wish *version.Version) *hold {
	p.text, p.target = text, wish
	server, err := parse(p.s.ServerVersion)
	switch {
	case err != nil:
		return nil // see serverIs
	case minor(server).LessThan(minor(wish)):
	case p.leads() && p.asked() && minor(wish).EqualTo(minor(server)) && server.LessThan(wish):
		p.target = nil
		return &hold{why: reason.WaitingForControlPlane, message: fmt.Sprintf("the target is %s, and the API server still has %s", text, p.s.ServerVersion)}
	default:
		return nil
	}
	oldest := p.oldest()
	if oldest != nil && behind(oldest, next(server)) {
		p.text = p.forServer(server)
		p.target, _ = p.parse(p.text)
		return nil
	}
	p.target = nil
	if p.leads() {
		return &hold{why: reason.WaitingForControlPlane, message: fmt.Sprintf("the target is %s, and the API server still has %s", text, p.s.ServerVersion)}
	}
	return &hold{why: reason.NewerThanAPIServer, message: fmt.Sprintf("the target is %s, and the API server has %s", text, p.s.ServerVersion)}
}

// forServer is the newest version that goes with the API server: one on offer, else its own.
func (p *pass) forServer(server *version.Version) string {
	own := fmt.Sprintf("v%d.%d.%d", server.Major(), server.Minor(), server.Patch())
	if p.offer() == nil {
		return own
	}
	if found := p.newestUpTo(minor(server), minor(server)); found != "" {
		return found
	}
	return own
}

// lookAt asks for another look at that moment.
func (d *decision) lookAt(at time.Time) {
	if d.Due.IsZero() || at.Before(d.Due) {
		d.Due = at
	}
}
