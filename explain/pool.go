package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// pool says how large, healthy and current a pool is, what happens in it, and why its nodes stay.
func (b book) pool(name string) (Answer, error) {
	pool, ok := b.snapshot.Pools.Get(name)
	if !ok {
		return Answer{}, &NotFoundError{plan.Pool, name, alike(name, func(yield func(string) bool) {
			for key := range b.snapshot.Pools.All() {
				if !yield(key) {
					return
				}
			}
		})}
	}
	a := b.answer(plan.Pool, name)
	a.Facts = append(a.Facts, b.size(pool)...)
	a.Facts = append(a.Facts, switches(pool))
	if pool.Problem != "" {
		a.Facts = append(a.Facts, "The provider "+pool.Provider+" can't be asked about it: "+pool.Problem+".")
	}
	a.Facts = append(a.Facts, b.newNodes(pool)...)
	a.Facts = append(a.Facts, b.underWay(pool)...)
	a.Facts = append(a.Facts, b.steps(func(step plan.Step) bool { return step.Pool == name && step.Node == (ledger.NodeRef{}) })...)
	a.Words = append(append(b.words(plan.Pool, name), b.words(plan.Setting, name)...), b.held(func(p plan.Proposal) bool { return p.Pool == name && p.Node == (ledger.NodeRef{}) })...)
	a.Words = append(a.Words, b.nodesOf(pool)...)
	return a, nil
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

// newNodes says what is known of the pool's new nodes, by where it comes from.
func (b book) newNodes(pool *cluster.Pool) []string {
	var sources []string
	known := map[string][]string{}
	for _, field := range scheduling.Fields(b.snapshot, pool) {
		source := fmt.Sprintf("by the provider, as read %s ago", b.ago(field.At))
		if field.Node != "" {
			source = fmt.Sprintf("as on node %s, made %s ago", field.Node, b.ago(field.At))
		}
		if known[source] == nil {
			sources = append(sources, source)
		}
		text := field.Name
		if field.Value != "" {
			text += " " + field.Value
		}
		known[source] = append(known[source], text)
	}
	var facts []string
	for _, source := range sources {
		facts = append(facts, fmt.Sprintf("A new node has, %s: %s.", source, strings.Join(known[source], ", ")))
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
			facts = append(facts, fmt.Sprintf("A rollout to %s is %s since %s (%s ago)%s.", r.Target, strings.ToLower(string(r.State)),
				r.Began.UTC().Format("2006-01-02 15:04 MST"), b.ago(r.Began), colon(r)))
		}
	}
	for _, c := range b.plan.Claims {
		if c.Pool == pool.Name {
			facts = append(facts, "Node "+c.Node.String()+": "+lower(b.claim(c)))
		}
	}
	for _, br := range b.plan.Breakers {
		if br.Scope == "cluster" || br.Scope == "pool/"+pool.Name {
			facts = append(facts, fmt.Sprintf("The breaker of %s is open for %s: %s.", br.Scope, b.ago(br.Opened), strings.TrimSuffix(br.Message, ".")))
		}
	}
	return facts
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
	for _, v := range b.plan.Verdicts {
		if v.Kind != plan.Node || b.snapshot.PoolNameOf(v.Name) != pool.Name {
			continue
		}
		k := key{v.Owner, v.Reason}
		if nodes[k] == nil {
			first[k] = v
		}
		nodes[k] = append(nodes[k], v.Name)
	}
	var all []Word
	for k, names := range nodes {
		word := b.word(k.owner, k.why, first[k].Message, first[k].Due)
		if len(names) > 1 {
			entry, _ := reason.Lookup(k.why)
			word.Text = fmt.Sprintf("%s: %s", count(len(names), "node", "nodes"), entry.Meaning)
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
