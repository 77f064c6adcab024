package command

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/cluster/dump"
)

// snapshot writes what a simulation needs of the cluster.
func snapshot(o *Options) *cobra.Command {
	var output string
	var hash bool
	c := &cobra.Command{
		Use: "snapshot", Short: "Write the cluster down, for poolkeeper simulate --dump", Args: noArgs,
		Long: "snapshot writes the pools and workloads of the cluster as Poolkeeper sees them: sizes, requests and the rules of scheduling. No secret, environment or\n" +
			"image is in it, since Poolkeeper keeps none. With --hash-names what people have named is hashed, so that the file can be shown to others.",
		Example: "  " + o.Name + " snapshot > cluster.yaml\n  poolkeeper simulate --dump cluster.yaml --picture day.svg",
	}
	r := addReach(o, c).addAddress(c)
	c.Flags().StringVarP(&output, "output", "o", "yaml", "yaml or json")
	c.Flags().BoolVar(&hash, "hash-names", false, "put hashes in place of namespaces, names of workloads, and values of labels that are no words of Kubernetes")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if output != "yaml" && output != "json" {
			return usagef("snapshot: --output is %q: give yaml or json", output)
		}
		var d dump.Dump
		err := r.ask(c.Context(), "/dump", nil, &d)
		if no := new(refusal); errors.As(err, &no) && no.code == http.StatusNotFound {
			return fmt.Errorf("the daemon has no dump: it is of an older version than this program; upgrade it: %w", err)
		}
		if err != nil {
			return err
		}
		if hash {
			d.Hash()
		}
		return o.print(output, d, nil)
	}
	return c
}
