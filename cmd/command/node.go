package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// heal asks for a node's repair, sick or not.
func heal(o *Options) *cobra.Command {
	var why string
	var force, wait bool
	var limit time.Duration
	c := &cobra.Command{
		Use: "heal NODE", Short: "Have a node repaired now, sick or not", Args: oneArg("node"),
		Long: "heal writes a request into the ConfigMap poolkeeper-requests with your own rights. The repair takes the way of every repair: budgets, limits and drains hold.\n" +
			"With --force breakers don't hold it. It is about the node that is there now, and not about a later one of the same name.",
		Example: fmt.Sprintf("  %[1]s heal web-3 --reason 'its disk clicks'\n  %[1]s heal web-3 --wait", o.Name),
	}
	r := addReach(o, c)
	fs := c.Flags()
	fs.StringVar(&why, "reason", "", "why, for people")
	fs.BoolVar(&force, "force", false, "also while a breaker is open")
	fs.BoolVar(&wait, "wait", false, "stay until the node is gone, and tell how far its repair is")
	fs.DurationVar(&limit, "timeout", 30*time.Minute, "how long --wait stays at most")
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return r.names(c, "node"), cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, name := c.Context(), args[0]
		node, err := r.node(ctx, name)
		if err != nil {
			return err
		}
		key, namespace, err := r.write(ctx, "heal-"+name, asked{
			Request: string(cluster.HealNowRequest), Node: name, Reason: why, By: r.who(ctx), Asked: o.Now().UTC().Format(time.RFC3339), Force: force,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(o.Out, "Asked for the repair of node %s (request %s in %s/%s). The daemon reads it within ten seconds.\n", name, key, namespace, cluster.RequestsName)
		if !wait {
			fmt.Fprintf(o.Out, "See how it goes: %s explain node %s\n", o.Name, name)
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return r.await(ctx, name, node.UID)
	}
	return c
}

// await tells how far the repair of a node is, until that node is gone.
func (r *reach) await(ctx context.Context, name string, uid types.UID) error {
	show, begun, said := r.o.progress(), r.o.Now(), ""
	defer show.end()
	for {
		a, err := r.explain(ctx, "node", name)
		node, lookErr := r.node(ctx, name)
		switch no := new(refusal); {
		case lookErr == nil && node.UID != uid, errors.As(err, &no) && no.code == http.StatusNotFound && lookErr != nil:
			show.end()
			fmt.Fprintf(r.o.Out, "Node %s is replaced after %s.\n", name, r.o.Now().Sub(begun).Round(time.Second))
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("node %s is still there after %s, and its repair goes on without you: %s explain node %s says why", name, r.o.Now().Sub(begun).Round(time.Second), r.o.Name, name)
		case err == nil:
			now := strings.Join(a.Facts[min(2, len(a.Facts)):], " ")
			for _, w := range a.Words {
				now = or(now, w.Text)
			}
			if now != said && !show.on {
				fmt.Fprintln(r.o.Out, now)
			}
			said = now
			show.say("%s  %s", r.o.Now().Sub(begun).Round(time.Second), now)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}
