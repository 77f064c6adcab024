package autoscaler

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// The expander grpc is a program outside the daemon. What it is to choose from goes out with the decision; its answer is part of a later snapshot, and what waits for it is
// decided then. An answer counts for a short time for the same pools and the same workloads: a burst, of which each pass sees more pods, is not to be asked about without end.

const (
	// choiceAge is for how long an answer counts.
	choiceAge = 10 * time.Second
	// mostAsked is how many pods an option names.
	mostAsked = 1000
)

// byGRPC prefers the options that the expander outside the daemon chose. If it gave no answer that can be used it decides nothing, so that its failure stops no pod from getting a node.
func byGRPC(p *pass, options []option) judge {
	indifferent := func(option) float64 { return 0 }
	if len(options) < 2 {
		return indifferent
	}
	id := p.questionOf(options)
	choice, answered := p.s.Choices.Get(id)
	switch {
	case !answered || p.now.Before(choice.At) || p.reached(choice.At.Add(choiceAge)):
		p.awaits = true
		p.questions = append(p.questions, plan.Question{ID: id, Options: p.toAsk(options)})
		return indifferent
	case choice.Err != "":
		p.sayOnce(reason.ExpanderFailed, GRPC, choice.Err)
		return indifferent
	}
	return func(o option) float64 {
		if slices.Contains(choice.Pools, o.pools[0].Name) {
			return 0
		}
		return 1
	}
}

// questionOf is the name of a question: the same for the same pools and the same workloads.
func (p *pass) questionOf(options []option) string {
	about := map[string]bool{}
	for i := range options {
		about["pool/"+options[i].pools[0].Name] = true
	}
	for _, class := range p.asks {
		for _, pod := range class.Pods {
			about["workload/"+p.workloadOf(pod)] = true
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(maps.Keys(about)), "\n")))
	return hex.EncodeToString(sum[:8])
}

// toAsk are the options as they go out: each with the pods that would fit its nodes, as many as it would run.
func (p *pass) toAsk(options []option) []plan.Option {
	first := make([]*cluster.Pod, len(p.asks))
	for i, class := range p.asks {
		first[i] = class.Pods[0]
	}
	all := make([]plan.Option, len(options))
	for i := range options {
		o := &options[i]
		shape, _ := p.shape(o.pools[0].Name)
		all[i] = plan.Option{Pool: o.pools[0].Name, Nodes: o.Nodes, Node: shape.Node}
		for k, misfit := range p.trial.Refuses(first, shape) {
			if misfit != nil {
				continue
			}
			for _, pod := range p.asks[k].Pods {
				if len(all[i].Pods) < min(o.Pods, mostAsked) {
					all[i].Pods = append(all[i].Pods, pod.Object())
				}
			}
		}
	}
	return all
}

// await tells pods that they wait for the answer.
func (p *pass) await(classes []scheduling.Class) {
	for _, class := range classes {
		for _, pod := range class.Pods {
			p.say(plan.Pod, pod.Key(), reason.AwaitingExpander, "the gRPC expander is asked which pool should grow for it")
		}
	}
}
