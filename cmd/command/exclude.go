package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// exclude keeps jobs from a node or a pool.
func exclude(o *Options) *cobra.Command {
	var pool, why, until string
	var from []string
	var undo bool
	c := &cobra.Command{
		Use: "exclude NODE | --pool POOL", Short: "Keep a node or a pool out of repairs, upgrades and scale-down",
		Long: "exclude writes a request into the ConfigMap poolkeeper-requests with your own rights. Nothing is begun where it holds, what is under way is undone where it can be,\n" +
			"and that holds for machines that the cloud takes anyway, too. A pause, on the other hand, leaves what is under way where it is.",
		Example: fmt.Sprintf("  %[1]s exclude web-3 --until 8h --reason 'I am debugging on it'\n  %[1]s exclude --pool web --from heal,upgrade\n  %[1]s exclude web-3 --undo", o.Name),
	}
	r := addReach(o, c)
	fs := c.Flags()
	fs.StringVar(&pool, "pool", "", "a pool instead of a node")
	fs.StringSliceVar(&from, "from", []string{"autoscale", "heal", "upgrade"}, "from which jobs")
	fs.StringVar(&why, "reason", "", "why, for people: it shows wherever something is held by it")
	fs.StringVar(&until, "until", "", "when it ends by itself: a moment as 2026-11-22T06:00:00Z, or a duration from now as 2h30m; without it, it ends when you undo it")
	fs.BoolVar(&undo, "undo", false, "take back what excludes the node or pool")
	completePools(r, c)
	c.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.names(c, "node"), cobra.ShellCompDirectiveNoFileComp
	}
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 || (len(args) == 1) == (pool != "") {
			return usagef("exclude: give one node, or --pool")
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		node := strings.Join(args, "")
		if undo {
			return r.include(c, pool, node)
		}
		a := asked{Request: string(cluster.ExcludeRequest), Pool: pool, Node: node, Reason: why, By: r.who(c.Context()), Asked: o.Now().UTC().Format(time.RFC3339)}
		for _, word := range from {
			job := jobs[strings.ToLower(word)]
			if job == "" {
				return usagef("exclude: --from: %q is none of the jobs: write autoscale, heal or upgrade", word)
			}
			if !slices.Contains(a.Jobs, job) {
				a.Jobs = append(a.Jobs, job)
			}
		}
		ends, err := o.moment(until)
		if err != nil {
			return err
		}
		if !ends.IsZero() {
			a.Until = ends.Format(time.RFC3339)
		}
		if err := r.known(c.Context(), pool, node); err != nil {
			return err
		}
		key, namespace, err := r.write(c.Context(), "exclude-"+or(pool, node), a)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.Out, "Kept out of %s: %s (request %s in %s/%s), %s. The daemon reads it within ten seconds.\n", strings.Join(a.Jobs, ", "),
			strings.TrimPrefix(scope(pool, node), "on "), key, namespace, cluster.RequestsName, or(untilText(ends), "until: "+o.Name+" resume "+key))
		return nil
	}
	return c
}

// include takes back what excludes a node or a pool.
func (r *reach) include(c *cobra.Command, pool, node string) error {
	var gone []string
	namespace, err := r.edit(c.Context(), func(data map[string]string) error {
		gone = nil
		for _, q := range cluster.ReadRequests(data) {
			if q.Kind == cluster.ExcludeRequest && q.Pool == pool && q.Node == node {
				gone = append(gone, q.Key)
				delete(data, q.Key)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(gone) == 0:
		fmt.Fprintf(r.o.Out, "Nothing excludes %s in %s/%s. Marks on a node count, too: kubectl describe node.\n", strings.TrimPrefix(scope(pool, node), "on "), namespace, cluster.RequestsName)
		return nil
	}
	fmt.Fprintf(r.o.Out, "Taken back: %s. The daemon reads it within ten seconds.\n", strings.Join(gone, ", "))
	return nil
}
