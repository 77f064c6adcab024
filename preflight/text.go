package preflight

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// String is the report for a person who has little time: first whether it will work, then what stands in the way, then the order.
func (r Report) String() string {
	var b strings.Builder
	blocked, slow := r.Count(Blocked), r.Count(Slow)
	fmt.Fprintf(&b, "Pool %s to %s: %s, %d at a time; %d clear, %d slow, %d blocked.\n", r.Pool, r.Target, counted(len(r.Nodes), "old node"), max(r.AtOnce, 1),
		len(r.Nodes)-blocked-slow, slow, blocked)
	fmt.Fprintf(&b, "%s\n", r.when())
	if blocked > 0 {
		b.WriteString("\nBLOCKED: these nodes will not be drained until somebody does something about it:\n")
		r.held(&b, Blocked)
	}
	if slow > 0 {
		b.WriteString("\nSlow: these take longer than their pods' grace periods:\n")
		r.held(&b, Slow)
	}
	r.room(&b)
	r.wrong(&b, "pod of old nodes")
	r.lonely(&b)
	b.WriteString("\nOrder:\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  WAVE\tTAKES\tNODES")
	for i, wave := range r.Waves {
		fmt.Fprintf(t, "  %d\t%s\t%s\n", i+1, plan.Length(wave.Takes), strings.Join(wave.Nodes, " "))
	}
	_ = t.Flush() // into memory
	b.WriteString("\n")
	return b.String()
}

// OfDrain is the report about nodes that a person means to drain: what each would meet.
func (r Report) OfDrain() string {
	var b strings.Builder
	for _, node := range r.Nodes {
		verdict := map[Rating]string{
			Clear: "its pods can all go at once", Slow: "its pods can go, but not all at once or not by our hand", Blocked: "it can't be drained as things are",
		}[node.Rating]
		fmt.Fprintf(&b, "Node %s of pool %s: %s, %s. %s to evict, %d to wait for, %d that stay; about %s.\n", node.Name, r.Pool,
			strings.ToLower(string(node.Rating)), verdict, counted(node.Evict, "pod"), node.Wait, node.Skip, plan.Length(node.Takes))
		for _, pod := range node.Held {
			fmt.Fprintf(&b, "  pod %s: %s (%s)\n", pod.Pod, pod.Message, pod.Reason)
		}
	}
	r.wrong(&b, "pod")
	r.lonely(&b)
	return b.String()
}

// when says when it begins, and whether it fits.
func (r Report) when() string {
	takes := plan.Length(r.Takes)
	if n := r.Count(Blocked); n > 0 {
		takes += fmt.Sprintf(", without the %s", counted(n, "blocked node"))
	}
	var when string
	switch {
	case r.Held == "":
		when = fmt.Sprintf("It may begin now, and takes about %s.", takes)
	case r.Opens.IsZero():
		when = fmt.Sprintf("It is held: %s (%s). It takes about %s.", r.Message, r.Held, takes)
	default:
		when = fmt.Sprintf("The window opens at %s. It takes about %s.", r.Opens.UTC().Format("Mon 2 Jan 15:04 MST"), takes)
	}
	switch {
	case r.WindowLength == 0:
	case r.Windows <= 1:
		when += fmt.Sprintf(" That fits into the window of %s.", plan.Length(r.WindowLength))
	default:
		when += fmt.Sprintf(" That is more than the window of %s: it goes on in the next, for %d windows in all.", plan.Length(r.WindowLength), r.Windows)
	}
	return when
}

// Count is how many nodes have that rating.
func (r Report) Count(rating Rating) int {
	n := 0
	for _, node := range r.Nodes {
		if node.Rating == rating {
			n++
		}
	}
	return n
}

// Wrong is what stands in the way, for one line: the blocked nodes with what blocks each, and the budgets that can never be met. It stays the same while a
// rollout goes on and nothing else has changed, so that nobody is told again.
func (r Report) Wrong() []string {
	var wrong []string
	if n := r.Count(Blocked); n > 0 {
		wrong = append(wrong, counted(n, "node")+" can't be drained as things are")
	}
	const most = 5
	for _, node := range r.Nodes {
		if node.Rating == Blocked && len(wrong) <= most && len(node.Held) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %s", node.Name, node.Held[0].Message))
		}
	}
	for _, b := range r.Budgets {
		if (b.Never || b.Refused) && len(wrong) <= 2*most {
			wrong = append(wrong, fmt.Sprintf("budget %s: %s", b.Name, b.Message))
		}
	}
	return wrong
}

// RoomWrong is what is wrong with the room for the pods.
func RoomWrong(room ledger.Room) []string {
	var wrong []string
	if room.Raised > 0 {
		wrong = append(wrong, fmt.Sprintf("the pods of the first %s need %s: %d more come first than maxSurge says, and are kept in reserve",
			first(room.First), counted(room.Needs, "new node"), room.Raised))
	}
	if len(room.Homeless) > 0 {
		wrong = append(wrong, "these pods would find no room: "+strings.Join(room.Homeless, ", "))
	}
	return wrong
}

// room says whether the pods find room, and which budgets were proved.
func (r Report) room(b *strings.Builder) {
	proved := 0
	for _, budget := range r.Budgets {
		if !budget.Proved.IsZero() {
			proved++
		}
	}
	if proved > 0 {
		fmt.Fprintf(b, "\nA dry run of an eviction was let through by %d of %s.\n", proved, counted(len(r.Budgets), "budget"))
	}
	switch room := r.Room; {
	case room == nil:
	case len(RoomWrong(*room)) > 0:
		fmt.Fprintf(b, "\nRoom: %s.\n", strings.Join(RoomWrong(*room), "; "))
	case room.Needs == 0:
		fmt.Fprintf(b, "\nRoom: the pods of the first %s fit on nodes that stay.\n", first(room.First))
	default:
		fmt.Fprintf(b, "\nRoom: the pods of the first %s fit on %s, and %d come first.\n", first(room.First), counted(room.Needs, "new node"), room.Comes)
	}
}

// first is what follows "the first": "node", "3 nodes".
func first(n int) string {
	if n == 1 {
		return "node"
	}
	return counted(n, "node")
}

// held lists the pods that hold nodes of that rating.
func (r Report) held(b *strings.Builder, rating Rating) {
	for _, node := range r.Nodes {
		if node.Rating != rating {
			continue
		}
		fmt.Fprintf(b, "  %s, about %s\n", node.Name, plan.Length(node.Takes))
		for _, pod := range node.Held {
			fmt.Fprintf(b, "    %s (%s)\n", pod.Message, pod.Reason)
		}
		for _, round := range node.Rounds {
			fmt.Fprintf(b, "    %s\n", round)
		}
	}
}

// wrong lists the budgets about which there is something to say. What they are over is called so.
func (r Report) wrong(b *strings.Builder, over string) {
	said := false
	for _, budget := range r.Budgets {
		if budget.Message == "" {
			continue
		}
		if !said {
			b.WriteString("\nBudgets:\n")
			said = true
		}
		fmt.Fprintf(b, "  %s, over %s: %s\n", budget.Name, counted(budget.Pods, over), budget.Message)
	}
}

func (r Report) lonely(b *strings.Builder) {
	for _, list := range []struct {
		what string
		pods []string
	}{
		{"Pods without a controller, which nobody makes anew", r.Bare},
		{"DaemonSet pods whose DaemonSet is gone, which end with their node", r.Orphans},
	} {
		if len(list.pods) > 0 {
			fmt.Fprintf(b, "\n%s:\n  %s\n", list.what, strings.Join(list.pods, "\n  "))
		}
	}
}

// counted is "1 old node", "2 old nodes"; of several words the first noun is the one that is counted.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	noun, rest, more := strings.Cut(one, " of ")
	if more {
		return fmt.Sprintf("%d %ss of %s", n, noun, rest)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
