package command

import (
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/report"
)

// incidents shows which nodes are ill and were ill; of one node all that was seen and done.
func incidents(o *Options) *cobra.Command {
	var output, pool string
	c := &cobra.Command{
		Use: "incidents [NODE]", Short: "Which nodes are or were ill, since when, and what is done about it",
		Long: "incidents shows the illnesses of nodes: those that are open, and those that are over, as long as their records are kept (--heal-records of the daemon).\n" +
			"With the name of a node, of one that is gone too, it shows all that was seen and done.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("incidents: name one node at most: %s", c.UseLine())
			}
			return nil
		},
	}
	r := addReach(o, c).addAddress(c)
	addOutput(c.Flags(), &output)
	c.Flags().StringVar(&pool, "pool", "", "this pool alone")
	completePools(r, c)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return r.names(c, "node"), cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(c, output); err != nil {
			return err
		}
		query := url.Values{}
		if pool != "" {
			query.Set("pool", pool)
		}
		if len(args) == 1 {
			query.Set("node", args[0])
		}
		var all []report.Incident
		if err := r.ask(c.Context(), "/incidents", query, &all); err != nil {
			return err
		}
		return o.print(output, all, func(p *page) {
			switch {
			case len(args) == 0:
				o.showIncidents(p, all)
			case len(all) == 0:
				p.linef("%s is not ill, and no record says that it was.", args[0])
			default:
				o.showRecords(p, all)
			}
		})
	}
	return c
}

func (o *Options) showIncidents(p *page, all []report.Incident) {
	over := len(all)
	if i := slices.IndexFunc(all, func(i report.Incident) bool { return i.State == ledger.Closed }); i >= 0 {
		over = i
	}
	if over == 0 {
		p.linef("No node is ill.")
	} else {
		var rows [][]cell
		for _, i := range all[:over] {
			rows = append(rows, []cell{
				{i.Node, strong}, text(i.Pool), text(string(i.State)), sign(i.State, i.Sign), text(o.ago(i.Began) + " ago"), text(string(i.Step)), {i.Waits, yellow},
			})
		}
		p.table([]string{"NODE", "POOL", "STATE", "SIGN", "SINCE", "STEP", "WAITS"}, rows)
	}
	if over < len(all) {
		p.heading("Over")
		var rows [][]cell
		for _, i := range all[over:] {
			rows = append(rows, []cell{
				{i.Node, strong}, text(i.Pool), text(string(i.Sign)), text(string(i.Outcome)), text(i.Ended.Sub(i.Began).String()), text(o.ago(i.Ended) + " ago"), text(i.Replacement),
			})
		}
		p.table([]string{"NODE", "POOL", "SIGN", "OUTCOME", "TOOK", "ENDED", "REPLACEMENT"}, rows)
	}
}

// showRecords shows all that was seen and done in incidents.
func (o *Options) showRecords(p *page, all []report.Incident) {
	for _, i := range all {
		if i.State == ledger.Closed {
			p.heading("%s", i.Story)
		} else {
			p.heading("%s of pool %s is %s since %s: %s (%s)", i.Node, i.Pool, i.State, i.Began.Format("2006-01-02 15:04:05 MST"), i.Sign, i.Evidence)
		}
		for _, step := range i.Record {
			p.linef("  %s  %s", p.paint(faint, step.At.Format("2006-01-02 15:04:05")), because(string(step.Reason), step.Message))
		}
		if i.Waits != "" {
			p.linef("  waits: %s", p.paint(yellow, i.Waits))
		}
	}
}

var incidentHeads = []string{"NODE", "POOL", "STATE", "SIGN", "SINCE"}

// sign shows what ails a node. A sign that has not lasted for long enough, or is gone again, is no alarm.
func sign(state ledger.IncidentState, seen reason.Reason) cell {
	if state == ledger.Sick {
		return cell{string(seen), red}
	}
	return cell{string(seen), yellow}
}

func (o *Options) incidentRows(all []report.IncidentStatus) [][]cell {
	var rows [][]cell
	for _, i := range all {
		rows = append(rows, []cell{{i.Node, strong}, text(i.Pool), text(string(i.State)), sign(i.State, i.Sign), text(o.ago(i.Since) + " ago")})
	}
	return rows
}
