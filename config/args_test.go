package config

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/arbiter"
)

// parsed is what a command line comes to where the environment is empty.
func parsed(args ...string) (*Config, error) {
	return parse(args, func(string) string { return "" }, io.Discard)
}

// need is what every command line needs.
const need = "--cloud-provider=kwok"

func TestWhatIsWrongOnTheCommandLineIsToldWithItsRemedy(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"--scan-interval=10", []string{`--scan-interval: "10" is not a duration: write it as in "90s", "10m" or "1h30m"`}},
		{"--max-nodes-total=many", []string{`--max-nodes-total: "many" is not a whole number: write it as in "10"`}},
		{"--expendable-pods-priority-cutoff 3000000000", []string{`--expendable-pods-priority-cutoff: "3000000000" is not a whole number: write it as in "10"`}},
		{"--kube-client-qps=fast", []string{`--kube-client-qps: "fast" is not a number: write it as in "0.5"`}},
		{"--scale-down-enabled=maybe", []string{`--scale-down-enabled: "maybe" is neither true nor false`}},
		{"-v=high", []string{`--v: "high" is not a whole number: write it as in "10"`}},
		{"--scan-interval", []string{`--scan-interval: the value is missing; write --scan-interval=10m`}},
		{"--scann-interval=3s", []string{`--scann-interval: unknown flag; did you mean --scan-interval?`}},
		{"--max-surge 2", []string{`--max-surge: unknown flag; did you mean --upgrade-max-surge?`}},
		{"--scaledownenabled", []string{`--scaledownenabled: unknown flag; did you mean --scale-down-enabled?`}},
		{"--something-else-altogether", []string{`--something-else-altogether: unknown flag; see --help for all flags`}},
		{"-scan-interval=3s", []string{`-scan-interval: unknown flag; did you mean --scan-interval?`}},
		{"-x", []string{`-x: unknown flag; see --help for all flags`}},
		{"run", []string{`argument "run": the daemon takes only flags; write --name=value`}},
		{"--dry-run false", []string{`argument "false": the daemon takes only flags; write --name=value`}},
		{"-- --v=4", []string{`argument "--": the daemon takes only flags; write --name=value`}},

		{"--mode=watch", []string{`--mode: there is no mode "watch"; choose observe, protect or act`}},
		{"--dry-run --mode=act", []string{`--dry-run and --mode=act contradict each other: a dry run is --mode=observe; leave one of them out`}},
		{"--dry-run --mode=protect", []string{`--dry-run and --mode=protect contradict each other: a dry run is --mode=observe; leave one of them out`}},
		{"--namespace=Kube_System", []string{
			`--namespace: "Kube_System" can't be a namespace: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character ` +
				`(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
		}},
		{"--address=8085", []string{`--address: "8085" is not an address: write host:port or :port, such as :8085`}},
		{"--tls-cert-file=/tls.crt", []string{`--tls-private-key-file is missing: --tls-cert-file=/tls.crt needs the certificate's private key`}},
		{"--tls-private-key-file=/tls.key", []string{`--tls-cert-file is missing: --tls-private-key-file=/tls.key needs its certificate`}},
		{"--require-authorization", []string{
			`--require-authorization: tokens would come unencrypted: give --tls-cert-file and --tls-private-key-file, or serve this host alone, as in --address=127.0.0.1:8085`,
		}},
		{"--logging-format=xml", []string{`--logging-format: there is no format "xml"; choose text or json`}},
		{"--log-flush-frequency=0", []string{`--log-flush-frequency is 0s: give a duration above 0`}},
		{"--logging-format=json --vmodule=loop=4", []string{`--vmodule and its like: vmodule: Only supported for text log format`}},

		{"--kube-client-qps=0 --kube-client-burst=0", []string{`--kube-client-burst is 0: give at least 1`, `--kube-client-qps is 0: give a number above 0`}},
		{"--kube-client-qps=NaN", []string{`--kube-client-qps is NaN: give a number above 0`}},
		{"--max-total-unready-percentage=101", []string{`--max-total-unready-percentage is 101: give a number from 0 to 100`}},
		{"--ok-total-unready-count=-1", []string{`--ok-total-unready-count is -1: give at least 0`}},
		{"--max-disruptions=0", []string{`--max-disruptions is 0: give at least 1`}},
		{"--max-disruptions-per-pool=half", []string{`--max-disruptions-per-pool: "half" is neither a number nor a percentage: write it as in "1" or "25%"`}},
		{"--max-disruptions-per-pool=101%", []string{`--max-disruptions-per-pool: "101%" is neither a number nor a percentage: write it as in "1" or "25%"`}},
		{"--max-graceful-termination-sec=9000000000", []string{`--max-graceful-termination-sec is 9000000000: give at most 604800, which is a week`}},
		{"--expander=cheapest", []string{`--expander: there is no expander "cheapest"; choose one or more of grpc, least-nodes, least-waste, most-pods, price, priority, random, separated by commas`}},
		{"--expander=priority,grpc", []string{`--expander=priority,grpc: the expander grpc asks a program outside the daemon: give its host:port by --grpc-expander-url`}},
		{"--cores-total=many", []string{`--cores-total: "many" is not a least and a most: write it as in "0:1000"`}},
		{"--gpu-total=8", []string{`--gpu-total: "8" is not a kind with a least and a most: write it as in "nvidia-tesla-t4:0:8"`}},

		{"--scan-interval=0s", []string{`--scan-interval is 0s: give a duration above 0`}},
		{"--heal-gone-after=-1s", []string{`--heal-gone-after is -1s: give a duration that is not negative`}},
		{"--scale-down-delay-after-add=-1m", []string{`--scale-down-delay-after-add is -1m0s: give a duration that is not negative`}},
		{"--scale-down-unneeded-time=-1m", []string{`--scale-down-unneeded-time: "-1m0s" is negative: give a duration that is not`}},
		{"--heal-unhealthy-after=0", []string{`--heal-unhealthy-after: "0s" is no time at all: give a duration above 0`}},
		{"--scale-down-utilization-threshold=50", []string{`--scale-down-utilization-threshold: "50" is not a number from 0 to 1: write it as in 0.5`}},
		{"--upgrade-version=1.36", []string{`--upgrade-version: "1.36" lacks its patch version: write it as in "v1.36.3"`}},
		{"--upgrade-version=latest", []string{`--upgrade-version: "latest" is not a version: write it as in "v1.36.3"`}},
		{"--upgrade-max-surge=-1", []string{`--upgrade-max-surge: "-1" is neither a number nor a percentage: write it as in "1" or "25%"`}},
		{"--upgrade-window=sunday", []string{
			`--upgrade-window: window "sunday": want days, start, length and zone (the last two may be left out), or the word always: ` +
				`write it like "monday 22:00 4h Europe/Paris", "any 02:00" or "always"`,
		}},
		{"--upgrade-max-surge=0", []string{
			`maxSurge (--upgrade-max-surge) and maxUnavailable (--upgrade-max-unavailable) are both 0, so that no node could be replaced: raise one of them, or set autoUpgrade to false`,
		}},

		{"--max-node-group-backoff-duration=1m", []string{
			`--initial-node-group-backoff-duration (5m0s) is longer than --max-node-group-backoff-duration (1m0s): lower the first or raise the second`,
		}},
		{"--heal-backoff=3h", []string{`--heal-backoff (3h0m0s) is longer than --heal-backoff-max (2h0m0s): lower the first or raise the second`}},
		{"--cloud-scan-interval=5m", []string{`--cloud-scan-interval (5m0s) is longer than --cloud-view-max-age (2m0s): lower the first or raise the second`}},
		{"--leader-elect-renew-deadline=20s", []string{
			`--leader-elect-lease-duration (15s) is not longer than --leader-elect-renew-deadline (20s): others would take over while the leader still acts; make it longer`,
		}},
		{"--leader-elect-retry-period=9s", []string{
			`--leader-elect-renew-deadline (10s) leaves no time for a second try after --leader-elect-retry-period (9s): make it longer than 10.8s`,
		}},

		{"--nodes=1:10:web", []string{`--nodes is not supported: Write it into the file of --config, as in "pools: [{match: NAME, min: 1, max: 10}]".`}},
		{"--min-replica-count=-1 --max-bulk-soft-taint-count=-1", []string{`--max-bulk-soft-taint-count is -1: give at least 0`, `--min-replica-count is -1: give at least 0`}},
		{"--drain-priority-config=0:60,high:20", []string{`--drain-priority-config: "high:20" is not priority:seconds: write it as in 0:60`}},
		{"--drain-priority-config=0:60,0:20", []string{`--drain-priority-config: priority 0 is there twice: leave one of them out`}},

		{"--mode=watch --scan-interval=x --foo-bar --max-disruptions=0", []string{ // all at once
			`--scan-interval: "x" is not a duration: write it as in "90s", "10m" or "1h30m"`,
			`--foo-bar: unknown flag; see --help for all flags`,
			`--mode: there is no mode "watch"; choose observe, protect or act`,
			`--max-disruptions is 0: give at least 1`,
		}},
	} {
		t.Run(c.args, func(t *testing.T) {
			_, err := parsed(append([]string{need}, strings.Fields(c.args)...)...)
			if err == nil {
				t.Fatal("want an error, got none")
			}
			if diff := cmp.Diff(strings.Join(c.want, "\n"), err.Error()); diff != "" {
				t.Errorf("the message (- want, + got):\n%s", diff)
			}
		})
	}
}

func TestTokensMayComeEncryptedOrFromThisHostAlone(t *testing.T) {
	for _, line := range []string{
		"--require-authorization --tls-cert-file=/tls.crt --tls-private-key-file=/tls.key", "--require-authorization --address=127.0.0.1:8085",
		"--require-authorization --address=[::1]:8085", "--require-authorization --address=localhost:8085",
	} {
		if c, err := parsed(append([]string{need}, strings.Fields(line)...)...); err != nil || !c.RequireAuthorization {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAProviderHasToBeNamed(t *testing.T) {
	_, err := parsed()
	want := "--cloud-provider is missing: name the provider whose pools are to be kept, such as --cloud-provider=kwok"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestHelpShowsEveryFlagOfOurs(t *testing.T) {
	var out strings.Builder
	_, err := parse([]string{"--v=4", "--help", "--nonsense"}, func(string) string { return "" }, &out)
	if !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("got %v, want pflag.ErrHelp", err)
	}
	for _, s := range newFlags().sections {
		s.VisitAll(func(flag *pflag.Flag) {
			if !strings.Contains(out.String(), "--"+flag.Name+" ") && !strings.Contains(out.String(), "--"+flag.Name+"\n") {
				t.Errorf("--%s is not in the usage", flag.Name)
			}
		})
	}
	if strings.Contains(out.String(), "--estimator") {
		t.Error("the usage shows a flag that has no effect here")
	}
}

func TestVersionAsksForNothingElse(t *testing.T) {
	c, err := parsed("--version", "--mode=act", "--dry-run")
	if err != nil || !c.Version {
		t.Errorf("got %+v and %v, want the version to be asked for", c, err)
	}
}

func TestFlagsCanBeWrittenInSeveralWays(t *testing.T) {
	want := 42 * time.Second
	for _, args := range [][]string{
		{"--scan-interval=42s"},
		{"--scan-interval", "42s"},
		{"--scan_interval=42s"},
		{"--scan-interval=1s", "--scan-interval=42s"}, // the last one holds
	} {
		c, err := parsed(append(args, need)...)
		if err != nil || c.ScanInterval != want {
			t.Errorf("%q: got %+v and %v, want %s", args, c, err, want)
		}
	}
}

func TestABoolTakesNoNextArgument(t *testing.T) {
	c, err := parsed("--dry-run", need, "-v", "2")
	if err != nil || c.Arbiter.Mode != arbiter.Observe || c.logs.Verbosity != 2 {
		t.Errorf("got %+v and %v, want mode observe and verbosity 2", c, err)
	}
}

func TestDryRunObserves(t *testing.T) {
	for _, c := range []struct {
		args []string
		want arbiter.Mode
	}{
		{nil, arbiter.Act},
		{[]string{"--mode=protect"}, arbiter.Protect},
		{[]string{"--dry-run"}, arbiter.Observe},
		{[]string{"--dry-run", "--mode=observe"}, arbiter.Observe},
		{[]string{"--dry-run=false", "--mode=act"}, arbiter.Act},
	} {
		got, err := parsed(append(slices.Clone(c.args), need)...)
		if err != nil || got.Arbiter.Mode != c.want {
			t.Errorf("%q: got %+v and %v, want mode %s", c.args, got, err, c.want)
		}
	}
}

func TestTheDaemonKnowsItsOwnPodAndNode(t *testing.T) {
	for _, c := range []struct {
		pod, namespace, wantPod string
	}{
		{"poolkeeper-0", "ops", "ops/poolkeeper-0"},
		{"poolkeeper-0", "", "kube-system/poolkeeper-0"},
		{"", "ops", ""},
	} {
		environment := map[string]string{"POD_NAME": c.pod, "POD_NAMESPACE": c.namespace, "NODE_NAME": "n1"}
		got, err := parse([]string{need}, func(name string) string { return environment[name] }, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, own := range []string{got.Autoscaler.Drain.Own, got.Upgrader.Drain.Own, got.Arbiter.Drain.Own} {
			if own != c.wantPod {
				t.Errorf("own pod is %q, want %q", own, c.wantPod)
			}
		}
		if got.Upgrader.SelfNode != "n1" {
			t.Errorf("own node is %q, want n1", got.Upgrader.SelfNode)
		}
	}
}

func TestFlagsThatSeveralPartsNeedReachAllOfThem(t *testing.T) {
	c, err := parsed(need, "--max-nodes-total=50", "--skip-nodes-with-local-storage=false", "--expendable-pods-priority-cutoff=-5", "--cloud-view-max-age=1m",
		"--startup-taint=a", "--ignore-taint=b", "--startup-taint=c", "--allowed-scheduler-names=x,y", "--bypassed-scheduler-names=z",
		"--max-total-unready-percentage=45.9", "--max-empty-bulk-delete=3")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		what      string
		got, want any
	}{
		{"autoscaler's limit", c.Autoscaler.MaxNodesTotal, 50},
		{"arbiter's limit", c.Arbiter.MaxNodesTotal, 50},
		{"autoscaler's drain rules", c.Autoscaler.Drain, c.Arbiter.Drain},
		{"upgrader's drain rules", c.Upgrader.Drain, c.Arbiter.Drain},
		{"local storage", c.Arbiter.Drain.SkipNodesWithLocalStorage, false},
		{"cutoff", c.Arbiter.Drain.ExpendablePodsPriorityCutoff, int32(-5)},
		{"healer's view", c.Healer.ViewMaxAge, time.Minute},
		{"arbiter's view", c.Arbiter.ViewMaxAge, time.Minute},
		{"startup taints", c.Autoscaler.Startup.Taints, []string{"a", "c", "b"}},
		{"schedulers", c.Scheduling.Schedulers, []string{"x", "y", "z"}},
		{"unready percentage", c.Arbiter.UnreadyPercentage, 45},
		{"parallel removals", c.Arbiter.MaxScaleDown, 3},
	} {
		if diff := cmp.Diff(d.want, d.got); diff != "" {
			t.Errorf("%s (- want, + got):\n%s", d.what, diff)
		}
	}
}
