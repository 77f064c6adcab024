package autoscaler

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// comparison is what a pool's template was found to say otherwise than a live node; empty if nothing.
type comparison struct {
	template *cloudprovider.Template
	node     *corev1.Node
	said     string
}

// wellCompared is how many differences are named before they are only counted.
const wellCompared = 5

// compare tells where a provider's template and the newest live node of its pool differ: pods that the template is wrong about get no node, or one that they can't have. Each
// pair is compared once.
func (p *pass) compare() {
	for name, facts := range p.pools {
		template := facts.pool.Template
		if template == nil || template.Node == nil || facts.model == nil || facts.pool.Problem != "" {
			delete(p.a.comparisons, name)
			continue
		}
		known, compared := p.a.comparisons[name]
		if !compared || known.template != template || known.node != facts.model {
			known = comparison{template: template, node: facts.model, said: p.differs(facts)}
			p.a.comparisons[name] = known
		}
		if known.said != "" {
			p.say(plan.Setting, name, reason.TemplateDiffers, known.said)
		}
	}
	for name := range p.a.comparisons {
		if p.pools[name] == nil {
			delete(p.a.comparisons, name)
		}
	}
}

// differs is what is said of a pool whose template and newest node differ.
func (p *pass) differs(facts *poolFacts) string {
	all := scheduling.Differences(facts.pool.Template.Node, facts.model, p.opts.passes)
	if len(all) == 0 {
		return ""
	}
	if more := len(all) - wellCompared; more > 0 {
		all = append(all[:wellCompared], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("node %s is not what the provider's template of pool %s says: %s", facts.model.Name, facts.pool.Name, strings.Join(all, "; "))
}
