package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/explain"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/preflight"
	"github.com/poolkeeper/poolkeeper/report"
)

// planned is what the daemon does now, or would do; with --upgrade how each rollout would go.
func planned(o *Options) *cobra.Command {
	var output, pool string
	var upgrade bool
	c := &cobra.Command{
		Use: "plan", Short: "What it does now, or would do, and what it holds back", Args: noArgs,
		Long: "plan shows the last pass: the steps that are taken now, what is wanted and held back, and which pods wait.\n" +
			"With --upgrade it says how the upgrade of each pool would go: order, waves, time against the window, and what stands in the way. It changes nothing.",
	}
	r := addReach(o, c).addAddress(c)
	addOutput(c.Flags(), &output)
	c.Flags().BoolVar(&upgrade, "upgrade", false, "how the upgrade of each pool would go")
	c.Flags().StringVar(&pool, "pool", "", "this pool alone")
	completePools(r, c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkOutput(c, output); err != nil {
			return err
		}
		if err := r.known(c.Context(), pool, ""); err != nil {
			return err
		}
		var answer struct {
			plan.Plan
			Upgrade []preflight.Report `json:"upgrade,omitempty"`
		}
		if err := r.ask(c.Context(), "/plan", nil, &answer); err != nil {
			return err
		}
		of := func(name string) bool { return pool == "" || name == pool }
		if upgrade {
			answer.Upgrade = slices.DeleteFunc(answer.Upgrade, func(u preflight.Report) bool { return !of(u.Pool) })
			return o.print(output, answer.Upgrade, func(p *page) { showUpgrades(p, answer.Upgrade) })
		}
		if output != "table" {
			return o.print(output, answer, nil)
		}
		s, err := r.status(c)
		if err != nil {
			return err
		}
		steps := slices.DeleteFunc(answer.Steps, func(s plan.Step) bool { return !of(s.Pool) || s.Do == plan.Candidate })
		s.Held = slices.DeleteFunc(s.Held, func(h report.HeldStatus) bool { return !of(h.Pool) })
		return o.print(output, nil, func(p *page) { o.showPlan(p, answer.Plan, steps, s) })
	}
	return c
}

func showUpgrades(p *page, reports []preflight.Report) {
	if len(reports) == 0 {
		p.linef("Nothing is to be upgraded.")
	}
	for i := range reports {
		p.WriteString(reports[i].String())
	}
}

func (o *Options) showPlan(p *page, last plan.Plan, steps []plan.Step, s report.Status) {
	p.linef("The plan of %s (%s ago), in mode %s", last.Time.UTC().Format("2006-01-02 15:04:05 MST"), or(o.ago(last.Time), "0s"), last.Mode)
	if len(steps) == 0 {
		p.heading("Nothing is done now.")
	} else {
		p.heading("Done now")
		for _, step := range steps {
			p.linef("  %s %s (%s)", step.Owner, step, step.Reason)
		}
	}
	showHeld(p, s.Held)
	showWaiting(p, s.Pods)
	if !last.Due.IsZero() {
		p.heading("It looks again at %s at the latest.", last.Due.UTC().Format("15:04:05 MST"))
	}
}

// explained answers "why".
func explained(o *Options) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "explain pod|node|pool NAME", Short: "Why a pod is pending, why a node stays or goes, why a pool has its size",
		Example: fmt.Sprintf("  %[1]s explain pod default/web-5d4f7\n  %[1]s explain node web-3\n  %[1]s explain pool web", o.Name),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && strings.Contains(args[0], "/") {
				return usagef("explain: %q: say of what kind it is: %s", args[0], c.UseLine())
			}
			if len(args) != 2 || !slices.Contains(kinds, strings.ToLower(args[0])) {
				return usagef("explain: give a kind (pod, node or pool) and a name: %s", c.UseLine())
			}
			return nil
		},
	}
	r := addReach(o, c).addAddress(c)
	addOutput(c.Flags(), &output)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return kinds, cobra.ShellCompDirectiveNoFileComp
		case len(args) == 1:
			return r.names(c, args[0]), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(c, output); err != nil {
			return err
		}
		a, err := r.explain(c.Context(), strings.ToLower(args[0]), args[1])
		if err != nil {
			return err
		}
		return o.print(output, a, func(p *page) { _ = a.Text(p) }) // into memory
	}
	return c
}

var kinds = []string{"pod", "node", "pool"}

func (r *reach) explain(ctx context.Context, kind, name string) (explain.Answer, error) {
	var a explain.Answer
	err := r.ask(ctx, "/explain", url.Values{"kind": {kind}, "name": {name}}, &a)
	if no := new(refusal); errors.As(err, &no) && no.code == http.StatusNotFound && !strings.Contains(no.text, "; ") { // it names none that was meant
		err = fmt.Errorf("%w (Poolkeeper knows pods that have not ended, all nodes, and the pools of its providers)", err)
	}
	return a, err
}

func history(o *Options) *cobra.Command {
	var output, pool, node string
	var last int
	var follow bool
	c := &cobra.Command{
		Use: "history", Short: "What was decided, oldest first: what was done, and what began to be held back", Args: noArgs,
		Long: "history shows the decisions of the daemon that leads now, as far as it remembers them; what is older is in its log.",
	}
	r := addReach(o, c).addAddress(c)
	addOutput(c.Flags(), &output)
	c.Flags().StringVar(&pool, "pool", "", "this pool alone")
	c.Flags().StringVar(&node, "node", "", "this node alone")
	c.Flags().IntVar(&last, "last", 50, "how many decisions; 0 means all")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is decided from now on, until interrupted")
	completePools(r, c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch err := checkOutput(c, output); {
		case err != nil:
			return err
		case follow && output != "table":
			return usagef("history: --follow goes with a table alone; leave --output out")
		case last < 0:
			return usagef("history: --last is %d: give 0 or a positive number", last)
		}
		var after uint64
		for {
			var all []report.Decision
			if err := r.ask(c.Context(), "/history", url.Values{"after": {fmt.Sprint(after)}}, &all); err != nil {
				return err
			}
			if len(all) > 0 {
				after = all[len(all)-1].Seq
			}
			all = slices.DeleteFunc(all, func(d report.Decision) bool { return pool != "" && d.Pool != pool || node != "" && d.Node != node })
			if last > 0 && len(all) > last {
				all = all[len(all)-last:]
			}
			if err := o.print(output, all, func(p *page) { showHistory(p, all, or(pool, node), follow) }); err != nil || !follow {
				return err
			}
			select {
			case <-c.Context().Done():
				return nil
			case <-time.After(2 * time.Second):
			}
			last = 0
		}
	}
	return c
}

func showHistory(p *page, all []report.Decision, about string, follow bool) {
	switch {
	case len(all) == 0 && !follow && about != "":
		p.linef("Nothing was decided about %s, as far as the daemon that leads now remembers.", about)
	case len(all) == 0 && !follow:
		p.linef("Nothing was decided yet, as far as the daemon that leads now remembers.")
	}
	for _, d := range all {
		is := plain
		if d.Warning {
			is = red
		}
		p.linef("%s  %-10s  %s (%s)", p.paint(faint, d.Time.UTC().Format("2006-01-02 15:04:05")), d.Owner, p.paint(is, d.Text), d.Reason)
	}
}

// drained says what the drain of nodes would meet.
func drained(o *Options) *cobra.Command {
	var output string
	var only bool
	c := &cobra.Command{
		Use: "drain --preflight NODE...", Short: "What the drain of a node would meet: pods, budgets and how long, before anything is drained",
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case !only:
				return usagef("drain: say --preflight: this looks at a drain and begins none. To have a node replaced, use %s heal NODE; to drain one by hand, kubectl drain", o.Name)
			case len(args) == 0:
				return usagef("drain: name at least one node: %s", c.UseLine())
			}
			return nil
		},
	}
	r := addReach(o, c).addAddress(c)
	addOutput(c.Flags(), &output)
	c.Flags().BoolVar(&only, "preflight", false, "look, and drain nothing; the only way there is")
	c.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.names(c, "node"), cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(c, output); err != nil {
			return err
		}
		var all []preflight.Report
		for _, node := range args {
			var one preflight.Report
			if err := r.ask(c.Context(), "/preflight", url.Values{"node": {node}}, &one); err != nil {
				return fmt.Errorf("node %s: %w", node, err)
			}
			all = append(all, one)
		}
		return o.print(output, all, func(p *page) {
			for i := range all {
				p.WriteString(all[i].OfDrain())
			}
		})
	}
	return c
}
