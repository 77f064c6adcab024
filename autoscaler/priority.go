package autoscaler

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// prioritiesKey is the key of the ConfigMap under which the list stands.
const prioritiesKey = "priorities"

// priorities are what the ConfigMap of the priority expander says: for each number the expressions of the pools that have it. The format is the
// cluster-autoscaler's. The highest number is the best.
type priorities struct {
	of    *corev1.ConfigMap
	tiers []priorityTier
	// problem is why it can't be used; empty if it can.
	problem string
}

type priorityTier struct {
	value    int
	patterns []*regexp.Regexp
}

// prioritiesOf is what the snapshot's ConfigMap says. It is read again when it has changed.
func (a *Autoscaler) prioritiesOf(s *cluster.Snapshot) *priorities {
	found := s.ConfigMap(cluster.PriorityExpander)
	if a.priorities == nil || a.priorities.of != found {
		a.priorities = readPriorities(found)
	}
	return a.priorities
}

// readPriorities reads a ConfigMap, of which there may be none.
func readPriorities(from *corev1.ConfigMap) *priorities {
	p := &priorities{of: from}
	if from == nil {
		p.problem = fmt.Sprintf("there is no ConfigMap %s in the daemon's namespace", cluster.PriorityExpander)
		return p
	}
	where := fmt.Sprintf("ConfigMap %s, key %s", cluster.Key(from), prioritiesKey)
	text, there := from.Data[prioritiesKey]
	if !there {
		p.problem = where + ": the key is missing"
		return p
	}
	var lists map[int][]string
	decoder := yaml.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&lists); err != nil && !errors.Is(err, io.EOF) {
		p.problem = fmt.Sprintf("%s: %s", where, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " "))
		return p
	}
	if len(lists) == 0 {
		p.problem = where + ": it is empty"
		return p
	}
	for value, list := range lists {
		tier := priorityTier{value: value}
		for _, expression := range list {
			pattern, err := regexp.Compile(expression)
			if err != nil {
				p.problem = fmt.Sprintf("%s: priority %d: %q is no regular expression: %v", where, value, expression, err)
				return p
			}
			tier.patterns = append(tier.patterns, pattern)
		}
		p.tiers = append(p.tiers, tier)
	}
	slices.SortFunc(p.tiers, func(a, b priorityTier) int { return cmp.Compare(b.value, a.value) })
	return p
}

// priority is the highest number of the pool; ok is false if no expression matches it.
func (p *priorities) priority(pool string) (value int, ok bool) {
	for _, tier := range p.tiers {
		if slices.ContainsFunc(tier.patterns, func(r *regexp.Regexp) bool { return r.MatchString(pool) }) {
			return tier.value, true
		}
	}
	return 0, false
}

// byPriority prefers the pools with the highest number in the ConfigMap; pools that nothing there matches come last. If it can't be used, or
// matches none of the pools, it decides nothing, so that a slip of the pen stops no pod from getting a node.
func byPriority(p *pass, options []option) judge {
	list := p.a.prioritiesOf(p.s)
	if list.problem != "" {
		p.sayOnce(reason.PriorityInvalid, cluster.PriorityExpander, list.problem)
		return func(option) float64 { return 0 }
	}
	matched := false
	for i := range options {
		_, ok := list.priority(options[i].pools[0].Name)
		matched = matched || ok
	}
	if !matched {
		p.sayOnce(reason.PriorityNoPool, cluster.PriorityExpander, "none of the pools that could grow matches any of its expressions")
		return func(option) float64 { return 0 }
	}
	for i := range options {
		for _, pool := range options[i].pools {
			if _, ok := list.priority(pool.Name); !ok {
				p.sayOnce(reason.PriorityUnmatched, pool.Name, fmt.Sprintf("pool %s matches no expression of ConfigMap %s", pool.Name, cluster.PriorityExpander))
			}
		}
	}
	return func(o option) float64 {
		value, ok := list.priority(o.pools[0].Name)
		if !ok {
			return math.Inf(1)
		}
		return -float64(value)
	}
}

// sayOnce says something about a setting, once in a decision.
func (p *pass) sayOnce(why reason.Reason, name, message string) {
	if slices.ContainsFunc(p.verdicts, func(v plan.Verdict) bool { return v.Kind == plan.Setting && v.Reason == why && v.Name == name }) {
		return
	}
	p.say(plan.Setting, name, why, message)
}
