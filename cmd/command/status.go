package command

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

func status(o *Options) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "status", Short: "All pools at a glance, what happens to them now, and what is held back", Args: noArgs,
		Example: "  " + o.Name + " status\n  " + o.Name + " status -o json",
	}
	r := addReach(o, c).addAddress(c)
	addOutput(c.Flags(), &output)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkOutput(c, output); err != nil {
			return err
		}
		s, err := r.status(c)
		if err != nil {
			return err
		}
		return o.print(output, s, func(p *page) { o.showStatus(p, s) })
	}
	return c
}

func (r *reach) status(c *cobra.Command) (report.Status, error) {
	var s report.Status
	err := r.ask(c.Context(), "/status", url.Values{"format": {"json"}}, &s)
	return s, err
}

func (o *Options) showStatus(p *page, s report.Status) {
	p.linef("Poolkeeper %s in mode %s, as of %s ago; %s", s.Version, p.paint(strong, s.Mode), or(o.ago(s.Time), "0s"), or(leads(s.Leader), "nobody else takes part"))
	if s.Mode == "observe" {
		p.linef("It observes: everything below is what it would do, and nothing is done.")
	}
	p.heading("Pools")
	o.showPools(p, s.Pools)
	o.showTrouble(p, s)
	o.showWork(p, s)
	showHeld(p, s.Held)
	showWaiting(p, s.Pods)
	if len(s.LeftOut) > 0 {
		p.heading("Left out because there is too much: %s", strings.Join(s.LeftOut, ", "))
	}
}

func leads(leader string) string {
	if leader == "" {
		return ""
	}
	return leader + " leads"
}

func (o *Options) showPools(p *page, pools []report.PoolStatus) {
	if len(pools) == 0 {
		p.linef("There are none: the provider has named no pool yet, or none at all.")
		return
	}
	var rows [][]cell
	for _, pool := range pools {
		rows = append(rows, []cell{
			{pool.Name, strong},
			number(pool.Min), number(pool.Max), sized(pool.PoolLine), tinted(fmt.Sprint(pool.Ready), pool.Ready > 0, green), alarm(pool.Starting, yellow),
			alarm(pool.Sick, red), alarm(pool.Leaving, yellow), text(pool.Version), alarm(pool.Behind, yellow), text(o.window(pool.Window)),
			{trouble(pool), red},
		})
	}
	p.table([]string{"POOL", "MIN", "MAX", "TARGET", "READY", "STARTING", "SICK", "LEAVING", "VERSION", "BEHIND", "WINDOW", "TROUBLE"}, rows)
}

// sized is the pool's target, and the size that it will have once all is done that is under way.
func sized(l plan.PoolLine) cell {
	if l.Desired != l.Target {
		return cell{fmt.Sprintf("%d→%d", l.Target, l.Desired), yellow}
	}
	return number(l.Target)
}

// window is when the pool may be rolled, from now.
func (o *Options) window(w plan.WindowLine) string {
	in := func(t time.Time) string { return o.ago(o.Now().Add(-t.Sub(o.Now()))) }
	switch {
	case w.Is == "":
		return "none"
	case w.Open && w.Closes.IsZero():
		return "open"
	case w.Open:
		return "closes in " + in(w.Closes)
	case w.Opens.IsZero():
		return "never opens"
	}
	return "opens in " + in(w.Opens)
}

func trouble(pool report.PoolStatus) string {
	var all []string
	if pool.Problem != "" {
		all = append(all, pool.Problem)
	}
	if pool.Backoff != "" {
		all = append(all, "not asked to grow "+pool.Backoff)
	}
	return strings.Join(all, "; ")
}

// showTrouble is what a person should look at first.
func (o *Options) showTrouble(p *page, s report.Status) {
	if len(s.Breakers) > 0 {
		p.heading("Breakers: too much is wrong at once, and disruptions are held")
		for _, b := range s.Breakers {
			p.linef("  %s, open for %s: %s", p.paint(red, b.Scope), o.ago(b.Since), b.Message)
		}
	}
	if len(s.Requests) > 0 {
		p.heading("Asked for by people")
		for _, r := range s.Requests {
			is := yellow
			if r.Problem != "" {
				is = red
			}
			p.linef("  %s", p.paint(is, r.Says))
		}
	}
	if len(s.Incidents) > 0 {
		p.heading("Incidents")
		p.table(incidentHeads, o.incidentRows(s.Incidents))
	}
}

// showWork is what is under way.
func (o *Options) showWork(p *page, s report.Status) {
	if len(s.Operations)+len(s.Claims)+len(s.Rollouts) == 0 {
		p.heading("Nothing is under way.")
		return
	}
	p.heading("Under way")
	for _, op := range s.Operations {
		p.linef("  pool %s %d→%d for %s, %s: %s", p.paint(strong, op.Pool), op.From, op.To, o.ago(op.Since), strings.ToLower(string(op.State)), because(string(op.Reason), op.Message))
	}
	for _, c := range s.Claims {
		more := ""
		if c.Trouble != "" {
			more = p.paint(red, " trouble: "+string(c.Trouble))
		}
		p.linef("  node %s of pool %s: %s by the %s for %s: %s%s", p.paint(strong, c.Node), c.Pool, phase(string(c.Phase)), c.Owner, o.ago(c.Since),
			because(string(c.Reason), c.Message), more)
	}
	for _, r := range s.Rollouts {
		p.linef("  rollout of pool %s to %s, %s since %s ago%s", p.paint(strong, r.Pool), r.Target, strings.ToLower(string(r.State)), o.ago(r.Since), colon(string(r.Reason), r.Message))
	}
}

// phase is a claim's phase as people say it.
func phase(phase string) string {
	words := map[string]string{
		"Surging": "its replacement is awaited", "Draining": "drained", "Deleting": "deleted", "Refilling": "replaced", "Aborting": "given back",
	}
	return or(words[phase], strings.ToLower(phase))
}

func showHeld(p *page, held []report.HeldStatus) {
	if len(held) == 0 {
		return
	}
	p.heading("Held back")
	for _, h := range held {
		what := strings.ToLower(string(h.Action)) + " in pool " + h.Pool
		if len(h.Nodes) > 0 {
			what = strings.ToLower(string(h.Action)) + " " + plan.SomeOf(h.Nodes, 3) + " of pool " + h.Pool
		}
		p.linef("  %s: %s: %s", h.Owner, what, because(string(h.Reason), h.Message))
		if !h.Until.IsZero() {
			p.linef("      until %s", h.Until.UTC().Format("2006-01-02 15:04 MST"))
		}
		if h.Remedy != "" {
			p.linef("      what you can do: %s", h.Remedy)
		}
	}
}

func showWaiting(p *page, pods []report.PodsStatus) {
	if len(pods) == 0 {
		return
	}
	p.heading("Pods without a node")
	for _, g := range pods {
		p.linef("  %s: %s: %s", p.paint(yellow, count(g.Count, "pod", "pods")), plan.SomeOf(g.Pods, 3), because(string(g.Reason), g.Message))
		for _, pool := range g.Pools {
			p.linef("      pool %s", pool)
		}
	}
}

func because(reason, message string) string {
	if message == "" {
		return reason
	}
	return message + " (" + reason + ")"
}

func colon(reason, message string) string {
	if reason == "" && message == "" {
		return ""
	}
	return ": " + because(reason, message)
}
