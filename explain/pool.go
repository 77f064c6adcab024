package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// pool says how large, healthy and current a pool is, what happens in it, and why its nodes stay.
func (b book) pool(name string) (Answer, error) {
	pool, ok := b.snapshot.Pools.Get(name)
	if !ok {
		return Answer{}, b.noPool(name)
	}
	a := b.answer(plan.Pool, name)
	a.Facts = append(a.Facts, b.size(pool)...)
	a.Facts = append(a.Facts, switches(pool))
	if pool.Problem != "" {
		a.Facts = append(a.Facts, "The provider "+pool.Provider+" can't be asked about it: "+pool.Problem+".")
	}
	traits := b.traits(pool)
	a.NewNodes = traits
	a.Facts = append(a.Facts, newNodes(pool.Name, traits)...)
	a.Facts = append(a.Facts, b.underWay(pool)...)
	a.Facts = append(a.Facts, b.steps(func(step plan.Step) bool { return step.Pool == name && step.Node == (ledger.NodeRef{}) })...)
	a.Words = append(append(b.words(plan.Pool, name), b.words(plan.Setting, name)...), b.held(func(p plan.Proposal) bool { return p.Pool == name && p.Node == (ledger.NodeRef{}) })...)
	a.Words = append(a.Words, b.nodesOf(pool)...)
	a.Words = append(a.Words, b.heldOf(pool)...)
	return a, nil
}

// noPool names the pools that may have been meant, else those that there are: they are few.
func (b book) noPool(name string) error {
	var all []string
	for key := range b.snapshot.Pools.All() {
		all = append(all, key)
	}
	slices.Sort(all)
	missing := &NotFoundError{Kind: plan.Pool, Name: name, Alike: alike(name, slices.Values(all))}
	if len(missing.Alike) == 0 {
		missing.Known = all
	}
	return missing
}

func (b book) size(pool *cluster.Pool) []string {
	i := slices.IndexFunc(b.plan.Pools, func(l plan.PoolLine) bool { return l.Name == pool.Name })
	if i < 0 {
		return []string{fmt.Sprintf("The pool has a target of %d nodes.", pool.Target)}
	}
	l := b.plan.Pools[i]
	facts := []string{fmt.Sprintf("The pool has a target of %d (min %d, max %d): %d ready, %d starting, %d sick, %d leaving.",
		l.Target, l.Min, l.Max, l.Ready, l.Starting, l.Sick, l.Leaving)}
	if l.Desired != l.Target {
		facts = append(facts, fmt.Sprintf("Once all that is under way is done it will have %d.", l.Desired))
	}
	if l.Version != "" {
		text := "Its nodes are to have version " + l.Version
		if l.Behind > 0 {
			text += fmt.Sprintf("; %s older", count(l.Behind, "node is", "nodes are"))
		}
		facts = append(facts, text+".")
	}
	return facts
}

func switches(pool *cluster.Pool) string {
	on := func(name string, is bool) string {
		if is {
			return name + " on"
		}
		return name + " off"
	}
	return "Its switches: " + strings.Join([]string{
		on("autoscale", pool.Settings.Autoscale), on("autoheal", pool.Settings.Autoheal), on("autoUpgrade", pool.Settings.AutoUpgrade),
	}, ", ") + "."
}

func (b book) underWay(pool *cluster.Pool) []string {
	var facts []string
	if backoff, ok := b.snapshot.Ledger.Backoff(pool.Name); ok && b.plan.Time.Before(backoff.Until) {
		facts = append(facts, fmt.Sprintf("It failed to grow %s ago (%s), and is not asked again for %s.",
			b.ago(backoff.Failed), because(backoff.Reason, backoff.Message), b.in(backoff.Until)))
	}
	for _, op := range b.plan.Operations {
		if op.Pool == pool.Name {
			facts = append(facts, fmt.Sprintf("Its size goes from %d to %d: asked for by the %s %s ago, %s (%s).",
				op.From, op.To, op.Owner, b.ago(op.Requested), strings.ToLower(string(op.State)), because(op.Reason, op.Message)))
		}
	}
	for _, r := range b.snapshot.Ledger.Rollouts() {
		if r.Pool == pool.Name {
			facts = append(facts, b.rollout(r))
		}
	}
	for _, c := range b.plan.Claims {
		if c.Pool == pool.Name {
			facts = append(facts, "Node "+c.Node.String()+": "+lower(b.claim(c)))
		}
	}
	facts = append(facts, b.ill(pool)...)
	scopes := b.scopes(pool)
	for _, br := range b.plan.Breakers {
		if slices.Contains(scopes, br.Scope) {
			facts = append(facts, fmt.Sprintf("The breaker of %s is open for %s: %s.", br.Scope, b.ago(br.Opened), strings.TrimSuffix(br.Message, ".")))
		}
	}
	return facts
}

// ill names the pool's nodes whose incidents are open. A sign is not an illness before its threshold has passed: every new machine is without a node at first.
func (b book) ill(pool *cluster.Pool) []string {
	var facts []string
	for _, state := range []struct {
		is        ledger.IncidentState
		one, more string
	}{
		{ledger.Sick, "node is ill", "nodes are ill"},
		{ledger.Suspected, "node is watched, and not judged ill yet", "nodes are watched, and not judged ill yet"},
		{ledger.Healthy, "node has recovered, and is watched", "nodes have recovered, and are watched"},
	} {
		var names []string
		for _, i := range b.snapshot.Ledger.Incidents() {
			if i.Pool == pool.Name && i.State == state.is {
				names = append(names, fmt.Sprintf("%s (%s for %s)", i.Node, i.Sign, b.ago(i.Began)))
			}
		}
		if len(names) > 0 {
			facts = append(facts, fmt.Sprintf("%s: %s.", count(len(names), state.one, state.more), plan.SomeOf(names, 5)))
		}
	}
	return facts
}

// scopes are the breakers that hold what is to be done to the pool's nodes.
func (b book) scopes(pool *cluster.Pool) []string {
	scopes := []string{ledger.ScopeCluster, ledger.ScopeLeases, ledger.ScopeAPI, "pool/" + pool.Name}
	for _, node := range b.snapshot.Nodes.All() {
		if zone := node.Labels[corev1.LabelTopologyZone]; zone != "" && b.snapshot.PoolNameOf(node.Name) == pool.Name {
			scopes = append(scopes, "zone/"+zone)
		}
	}
	return scopes
}

// rollout says how far a rollout is. That it is open does not mean that a node is in work: what it waits for is the upgrader's word about the pool.
func (b book) rollout(r ledger.Rollout) string {
	text := fmt.Sprintf("A rollout to %s is open since %s (%s ago)", r.Target, moment(r.Began), b.ago(r.Began))
	if r.State != ledger.Rolling {
		text = fmt.Sprintf("A rollout to %s, begun at %s (%s ago), is %s", r.Target, moment(r.Began), b.ago(r.Began), strings.ToLower(string(r.State)))
	}
	text += colon(r)
	for _, line := range b.plan.Pools {
		if line.Name == r.Pool && line.Behind > 0 {
			text += fmt.Sprintf("; %s still to be replaced", count(line.Behind, "node is", "nodes are"))
		}
	}
	inWork := 0
	for _, c := range b.plan.Claims {
		if c.Pool == r.Pool && c.Owner == ledger.Upgrader {
			inWork++
		}
	}
	if inWork == 0 {
		text += ", and none is in work"
	} else {
		text += fmt.Sprintf(", and %s in work", count(inWork, "is", "are"))
	}
	if len(r.Blocked) > 0 {
		text += fmt.Sprintf("; %s set aside, since their pods could not leave", count(len(r.Blocked), "was", "were"))
	}
	return text + "."
}

func colon(r ledger.Rollout) string {
	if r.Reason == "" {
		return ""
	}
	return ": " + because(r.Reason, r.Message)
}

func lower(sentence string) string { return strings.ToLower(sentence[:1]) + sentence[1:] }

// nodesOf says why the pool's nodes stay, those with one reason together.
func (b book) nodesOf(pool *cluster.Pool) []Word {
	type key struct {
		owner ledger.Owner
		why   reason.Reason
	}
	nodes := map[key][]string{}
	first := map[key]plan.Verdict{}
	same := map[key]bool{}
	for _, v := range b.plan.Verdicts {
		if v.Kind != plan.Node || b.snapshot.PoolNameOf(v.Name) != pool.Name {
			continue
		}
		k := key{v.Owner, v.Reason}
		if nodes[k] == nil {
			first[k], same[k] = v, true
		}
		same[k] = same[k] && v.Message == first[k].Message
		nodes[k] = append(nodes[k], v.Name)
	}
	var all []Word
	for k, names := range nodes {
		word := b.word(k.owner, k.why, first[k].Message, first[k].Due)
		if len(names) > 1 {
			entry, _ := reason.Lookup(k.why)
			text := lower(entry.Meaning)
			if same[k] && first[k].Message != "" {
				text = first[k].Message + "."
			}
			word.Text = fmt.Sprintf("%s: %s", count(len(names), "node", "nodes"), text)
			word.Due = first[k].Due
			word.Details = []string{plan.SomeOf(names, 10)}
		} else {
			word.Text = "node " + names[0] + ": " + word.Text
		}
		all = append(all, word)
	}
	slices.SortFunc(all, func(x, y Word) int {
		return cmp.Or(cmp.Compare(x.Owner, y.Owner), cmp.Compare(x.Reason, y.Reason))
	})
	return all
}

// heldOf says what is held back about the pool's nodes, what one gate holds for one reason together.
func (b book) heldOf(pool *cluster.Pool) []Word {
	type key struct {
		owner  ledger.Owner
		action plan.Action
		why    reason.Reason
	}
	index := map[key]int{}
	var all []Word
	for _, h := range b.plan.Held {
		if h.Proposal.Pool != pool.Name || h.Proposal.Node == (ledger.NodeRef{}) {
			continue
		}
		k := key{h.Proposal.Owner, h.Proposal.Action, h.Reason}
		i, known := index[k]
		if !known {
			index[k] = len(all)
			word := b.word(h.Proposal.Owner, h.Reason, h.Message, h.Due)
			word.Text = wish(h.Proposal) + " is held back: " + word.Text
			all = append(all, word)
			continue
		}
		all[i].Details = append(all[i].Details, "and so is "+wish(h.Proposal))
	}
	for i := range all {
		if n := len(all[i].Details); n > 5 {
			all[i].Details = append(all[i].Details[:5], fmt.Sprintf("and %d more", n-5))
		}
	}
	return all
}
