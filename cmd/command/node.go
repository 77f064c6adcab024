package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// marksOf are the annotations by which a node is kept from a job; docs/marks.md has them.
var marksOf = map[string][2]string{
	"heal":      {"poolkeeper.io/heal", "off"},
	"upgrade":   {cluster.AnnotationUpgrade, "off"},
	"autoscale": {"cluster-autoscaler.kubernetes.io/scale-down-disabled", "true"},
}

// exclude keeps jobs from one node by marks on it.
func exclude(o *Options) *cobra.Command {
	var from []string
	var undo bool
	c := &cobra.Command{
		Use: "exclude NODE", Short: "Keep a node out of repairs, upgrades and scale-down by marks on the node", Args: oneArg("node"),
		Long: "exclude annotates the node with your own rights. The marks go with the node, and a pause of the node (pause --node) ends by itself.\n" +
			"No mark keeps a machine that the cloud takes, or what is left of one that is gone.",
		Example: fmt.Sprintf("  %[1]s exclude web-3\n  %[1]s exclude web-3 --from heal,upgrade\n  %[1]s exclude web-3 --undo", o.Name),
	}
	r := addReach(o, c)
	c.Flags().StringSliceVar(&from, "from", []string{"autoscale", "heal", "upgrade"}, "from which jobs")
	c.Flags().BoolVar(&undo, "undo", false, "take the marks away")
	c.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.names(c, "node"), cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		annotations := map[string]any{}
		for _, job := range from {
			mark, known := marksOf[job]
			if !known {
				return usagef("exclude: --from: %q is none of the jobs: write autoscale, heal or upgrade", job)
			}
			annotations[mark[0]] = mark[1]
			if undo {
				annotations[mark[0]] = nil // a merge patch takes it away
			}
		}
		if _, err := r.node(c.Context(), args[0]); err != nil {
			return err
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
		if err != nil {
			return err
		}
		client, err := r.client()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), r.timeout)
		defer cancel()
		_, err = client.CoreV1().Nodes().Patch(ctx, args[0], types.MergePatchType, patch, metav1.PatchOptions{})
		switch {
		case apierrors.IsForbidden(err):
			return fmt.Errorf("you may not annotate nodes: the right is patch on nodes: %w", err)
		case err != nil:
			return fmt.Errorf("annotate node %s: %w", args[0], err)
		}
		slices.Sort(from)
		if undo {
			fmt.Fprintf(o.Out, "Node %s is no longer kept out of: %s.\n", args[0], strings.Join(from, ", "))
			return nil
		}
		fmt.Fprintf(o.Out, "Node %s is kept out of: %s. Take it back: %s exclude %s --undo\n", args[0], strings.Join(from, ", "), o.Name, args[0])
		return nil
	}
	return c
}
