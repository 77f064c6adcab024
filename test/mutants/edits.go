package main

import (
	"fmt"
	"strings"
)

// edit is a place in a file at which a safeguard is taken away: what stands there once, and what is to stand there instead. IF in it is the
// condition that holds when the mutant is the chosen one.
type edit struct{ name, file, old, fresh string }

// before puts a statement at the beginning of a function.
func before(name, file, function, statement string) edit {
	return edit{name, file, function + "\n", function + "\n\t" + statement + "\n"}
}

// later makes a kind of entry wait for the next write of its shard, as timers do: it is not in the ledger before the effect.
func later(kind string) edit {
	return before("ledger: "+strings.ToLower(kind)+"s are not saved before the effect", "ledger/store/store.go", "func (s *Store) urgent(c ledger.Change) bool {",
		"if c.Entry != nil && c.Entry."+kind+" != nil && IF { return false }")
}

// edits are the safeguards beside the gates.
var edits = []edit{
	later("Claim"), later("Operation"), later("Incident"), later("Rollout"), later("Breaker"), later("Backoff"),
	{"loop: the steps begin before the ledger is saved, and also when it can't be", "app/daemon.go", "	if !d.save(ctx, now, changes) {", `	if IF {
		for _, step := range p.Steps {
			d.act(now, step, p.WritesPerMinute)
		}
	}
	if !d.save(ctx, now, changes) {`},
	{"loop: a ledger that could not be saved is not read again", "app/daemon.go", "	d.loaded = false\n	doing :=", "	d.loaded = IF\n	doing :="},
	{"loop: a step that runs is begun again", "app/daemon.go", "if d.running[step.ID] ||", "if d.running[step.ID] && !IF ||"},
	before("arbiter: a claim under way goes on while a breaker is open", "arbiter/breaker.go", "func (p *pass) holdsBack(c ledger.Claim) *verdict {", "if IF { return nil }"),
	before("actuator: the size is not read again", "actuator/size.go", ") (there bool, err error) {", "if IF { return false, nil }"),
	{"actuator: an increase has no token", "actuator/size.go", "if ok && step.Operation != \"\" {", "if ok && step.Operation != \"\" && !IF {"},
	before("actuator: a pod is not looked at again before its eviction", "actuator/evict.go",
		"func (a *Actuator) leaves(ctx context.Context, ref plan.PodRef, node string) (bool, error) {", "if IF { return false, nil }"),
	{"actuator: an eviction names no UID", "actuator/evict.go", "	doing := \"evict pod \" + ref.String()\n	leaves, err := a.leaves(ctx, ref, node)", "	doing := \"evict pod \" + ref.String()\n	leaves, err := a.leaves(ctx, ref, node)\n	if IF { ref.UID = \"\" }"},
	before("actuator: pods are not looked for before an instance is deleted", "actuator/delete.go",
		"func (a *Actuator) empty(ctx context.Context, step plan.Step, doing string) error {", "if IF { return nil }"),
	{"actuator: an instance is deleted whose node lost our mark", "actuator/delete.go", "	case !cluster.Marked(node) ||", "	case IF:\n	case !cluster.Marked(node) ||"},
	{"actuator: a dead node that is ready again counts as dead", "actuator/delete.go", "		if !cluster.IsReady(node) {\n			return node, nil", "		if !cluster.IsReady(node) || IF {\n			return node, nil"},
	{"actuator: a Node is deleted though its instance exists", "actuator/delete.go", "	case exists:\n", "	case exists && !IF:\n"},
	{"actuator: a Node is deleted by its name alone", "actuator/delete.go", "	err = a.effect(ctx, func(ctx context.Context) error { return a.api.DeleteNode(", "	if IF { node.UID = \"\" }\n	err = a.effect(ctx, func(ctx context.Context) error { return a.api.DeleteNode("},
	{"actuator: a node is written without its resourceVersion", "actuator/mark.go", "		change(changed)\n", "		change(changed)\n		if IF { changed.ResourceVersion = \"\" }\n"},
	before("actuator: another node of the same name is taken for the one that is meant", "actuator/mark.go",
		"func isNode(node *corev1.Node, ref ledger.NodeRef) bool {", "if IF { return true }"),
	{"actuator: the cordon of a person is taken off", "actuator/mark.go", "if cluster.Marked(node) && !before {", "if cluster.Marked(node) && (!before || IF) {"},
	{"actuator: a cordon that came a moment ago is hidden by ours", "actuator/mark.go", "if unknown = step.Claim != \"\" && !step.Cordoned && cordonedByOthers(node); unknown {", "if unknown = step.Claim != \"\" && !step.Cordoned && cordonedByOthers(node) && !IF; unknown {"},
	{"arbiter: a cordon that came after the claim is not written down", "arbiter/leave.go", "if !c.Cordoned && node.Spec.Unschedulable && !cluster.Marked(node) {", "if !c.Cordoned && node.Spec.Unschedulable && !cluster.Marked(node) && !IF {"},
	{"actuator: a write is begun without the lease", "actuator/actuator.go", "func (a *Actuator) effect(ctx context.Context, write func(context.Context) error) error {\n	if !a.options.MayAct() {", "func (a *Actuator) effect(ctx context.Context, write func(context.Context) error) error {\n	if !a.options.MayAct() && !IF {"},
	{"actuator: the cloud is asked without the lease", "actuator/actuator.go", "func (a *Actuator) order(ctx context.Context, write func(context.Context) error) error {\n	if !a.options.MayAct() {", "func (a *Actuator) order(ctx context.Context, write func(context.Context) error) error {\n	if !a.options.MayAct() && !IF {"},
}

// apply makes the edit. It fails when the place is not there, or not once: the sources have changed then, and the mutant has to follow.
func (e edit) apply(source string) (string, error) {
	if n := strings.Count(source, e.old); n != 1 {
		return "", fmt.Errorf("%s: mutant %q looks for a place that is there %d times, want once; change it in test/mutants/edits.go:\n%s", e.file, e.name, n, e.old)
	}
	return strings.Replace(source, e.old, strings.ReplaceAll(e.fresh, "IF", fmt.Sprintf("chosen.Is(%q)", e.name)), 1), nil
}
