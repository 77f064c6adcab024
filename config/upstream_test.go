package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestEveryFlagOfTheClusterAutoscalerHasOneAnswer(t *testing.T) {
	f := newFlags()
	own := map[string]bool{}
	for _, s := range f.sections {
		s.VisitAll(func(flag *pflag.Flag) { own[flag.Name] = true })
	}
	seen := map[string]bool{}
	for _, u := range upstreamFlags() {
		if seen[u.name] {
			t.Errorf("--%s is in the table twice", u.name)
		}
		seen[u.name] = true
		switch {
		case u.answer != honoured && u.answer != ignored && u.answer != refused:
			t.Errorf("--%s has no answer", u.name)
		case u.answer == honoured && !own[u.name]:
			t.Errorf("--%s counts as honoured, and there is no such flag", u.name)
		case u.answer != honoured && own[u.name]:
			t.Errorf("--%s counts as %s, and there is such a flag", u.name, u.answer)
		case u.answer != honoured && u.note == "":
			t.Errorf("--%s is %s without a word why", u.name, u.answer)
		case f.differs(u) && u.note == "":
			t.Errorf("--%s has the default %q, and not %q as upstream, without a word why", u.name, f.all.Lookup(u.name).DefValue, u.def)
		}
	}
	if n := len(coreFlags()); n != 137 {
		t.Errorf("the table has %d flags of the core, and there are 137", n)
	}
	for _, name := range []string{"", "-lease-duration", "-renew-deadline", "-retry-period", "-resource-lock", "-resource-name", "-resource-namespace"} {
		if !seen["leader-elect"+name] {
			t.Errorf("--leader-elect%s is not known", name)
		}
	}
}

// Honoured flags are those that have a place in the options: a flag of ours that upstream has, too, is in the table.
func TestAFlagWithAnUpstreamNameIsInTheTable(t *testing.T) {
	known := map[string]bool{}
	for _, u := range upstreamFlags() {
		known[u.name] = true
	}
	ours := map[string]bool{
		"mode": true, "dry-run": true, "config": true, "version": true, "autoscale": true, "autoheal": true, "auto-upgrade": true,
		"drain-timeout": true, "drain-retry-after": true, "drain-load-balancer-delay": true, "drain-completion-timeout": true, "drain-volume-timeout": true, "drain-wait-for-jobs": true,
		"max-disruptions": true, "max-disruptions-per-pool": true, "pass-budget": true, "burst-limit": true, "consolidate": true,
		"headroom": true, "headroom-pods": true, "dashboard": true, "audit-log": true, "audit-log-max-size": true, "audit-log-max-backups": true,
		"tls-cert-file": true, "tls-private-key-file": true, "require-authorization": true, "notify-url-file": true, "notify-about": true,
		"max-repairs": true, "max-repairs-per-pool": true, "max-repairs-per-hour": true, "repair-cool-down": true,
		"consolidate-min-saving": true, "consolidate-min-node-age": true, "consolidate-max-moves": true,
	}
	for _, s := range newFlags().sections {
		s.VisitAll(func(flag *pflag.Flag) {
			prefixed := strings.HasPrefix(flag.Name, "heal-") || strings.HasPrefix(flag.Name, "upgrade-") || strings.HasPrefix(flag.Name, "cloud-") ||
				strings.HasPrefix(flag.Name, "breaker-")
			if !known[flag.Name] && !ours[flag.Name] && !prefixed {
				t.Errorf("--%s is neither in the table nor one of ours by its name", flag.Name)
			}
		})
	}
}

func TestAFlagWithoutEffectWarnsAndOneThatIsRefusedStops(t *testing.T) {
	for _, u := range upstreamFlags() {
		if u.answer == honoured {
			continue
		}
		value := "surprise"
		switch u.fits {
		case "true":
			value = "false"
		case "false":
			value = "true"
		}
		c, err := parsed(need, "--"+u.name+"="+value)
		if u.answer == refused {
			want := "--" + u.name + " is not supported: " + u.note
			if err == nil || err.Error() != want {
				t.Errorf("--%s: got %v, want %s", u.name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("--%s: got %v", u.name, err)
			continue
		}
		if diff := cmp.Diff([]string{"--" + u.name + " has no effect: " + u.note}, c.Warnings); diff != "" {
			t.Errorf("--%s (- want, + got):\n%s", u.name, diff)
		}
	}
}

func TestAValueThatAsksForNothingElseIsTakenWithoutAWord(t *testing.T) {
	for _, u := range upstreamFlags() {
		if u.answer == honoured || u.fits == "" {
			continue
		}
		value := strings.Trim(u.fits, `"`)
		c, err := parsed(need, "--"+u.name+"=surprise", "--"+u.name+"="+value) // the last value holds
		if err != nil || len(c.Warnings) > 0 {
			t.Errorf("--%s=%s: got %+v and %v, want neither warning nor error", u.name, value, c, err)
		}
	}
	for _, args := range [][]string{{"--scale-up-from-zero"}, {"--estimator", "binpacking"}, {"--node-deletion-batcher-interval=0"}, {"--cordon-node-before-terminating=True"}} {
		c, err := parsed(append(args, need)...)
		if err != nil || len(c.Warnings) > 0 {
			t.Errorf("%q: got %+v and %v, want neither warning nor error", args, c, err)
		}
	}
}

// The command lines that charts and guides give people, with another provider.
func TestTypicalCommandLinesOfTheClusterAutoscalerAreTaken(t *testing.T) {
	for _, c := range []struct {
		name, args string
		want       []string
	}{
		{
			"a hand-written Deployment",
			`--v=4 --stderrthreshold=info --logtostderr=true --cloud-provider=kwok --skip-nodes-with-local-storage=false --expander=least-waste
			 --balance-similar-node-groups --skip-nodes-with-system-pods=false --scale-down-unneeded-time=5m --scale-down-delay-after-add=5m`,
			[]string{
				"--stderrthreshold has no effect: Logs go to standard error, and are shaped by --logging-format.",
			},
		},
		{
			"the chart's",
			`--cloud-provider=kwok --namespace=kube-system --cloud-config=/config/cloud-config --logtostderr=true --stderrthreshold=info --v=4
			 --leader-elect-resource-name=cluster-autoscaler --write-status-configmap=true --cluster-name=prod`,
			[]string{
				"--cluster-name has no effect: The provider's own configuration says which cluster it serves.",
				"--leader-elect-resource-name has no effect: The Lease is kube-system/poolkeeper, wherever the daemon is installed, so that only one of two installations acts.",
				"--stderrthreshold has no effect: Logs go to standard error, and are shaped by --logging-format.",
			},
		},
		{
			"a managed service's",
			`--cloud-provider=kwok --max-node-provision-time 15m --scan-interval 10s --scale-down-utilization-threshold 0.5 --max-nodes-total 100
			 --max-total-unready-percentage 45 --ok-total-unready-count 3 --max-graceful-termination-sec 600 --max-empty-bulk-delete 10
			 --new-pod-scale-up-delay 0s --scale-down-unready-time 20m --ignore-daemonsets-utilization=true --cordon-node-before-terminating=true
			 --emit-per-nodegroup-metrics=true --startup-taint node.cilium.io/agent-not-ready --leader-elect=true --kubeconfig=/etc/kubeconfig`,
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parsed(strings.Fields(c.args)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Warnings); diff != "" {
				t.Errorf("warnings (- want, + got):\n%s", diff)
			}
		})
	}
}

func TestTheReferencePageIsWhatTheCodeMakesOfIt(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "reference", "flags.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ReferencePage(), string(page)); diff != "" {
		t.Errorf("docs/reference/flags.md is not current; run make generate (- code, + page):\n%s", diff)
	}
}
