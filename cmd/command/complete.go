package command

import (
	"context"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/report"
)

// completing bounds what a shell waits for when a person presses Tab.
const completing = 3 * time.Second

// names are the subjects of a kind that a shell can offer. Who may not list them, or is offline, is offered none.
func (r *reach) names(c *cobra.Command, kind string) []string {
	ctx, cancel := context.WithTimeout(c.Context(), completing)
	defer cancel()
	var names []string
	if kind == "pool" {
		var s report.Status
		if err := r.ask(ctx, "/status", url.Values{"format": {"json"}}, &s); err != nil {
			return nil
		}
		for _, p := range s.Pools {
			names = append(names, p.Name)
		}
		return names
	}
	client, err := r.client()
	if err != nil {
		return nil
	}
	switch kind {
	case "node":
		list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil
		}
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
	case "pod":
		list, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 500})
		if err != nil {
			return nil
		}
		for i := range list.Items {
			names = append(names, list.Items[i].Namespace+"/"+list.Items[i].Name)
		}
	}
	return names
}

func completePools(r *reach, c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("pool", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.names(c, "pool"), cobra.ShellCompDirectiveNoFileComp
	}) // the flag is there
}
