package config

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/upgrader"
)

// problems is what is wrong, in the order in which it was found.
type problems []error

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

func (p *problems) addf(format string, args ...any) { p.add(fmt.Errorf(format, args...)) }

// settle checks the flags, and puts the options together that take more than one of them.
func (f *flags) settle(p *problems) {
	c := f.config
	f.settleMode(p)
	f.checkDaemon(p)
	f.checkNumbers(p)
	f.checkDurations(p)
	f.settleTotals(p)
	f.settleHeadroom(p)
	f.checkTelling(p)
	p.add(c.Autoscaler.Validate())
	if slices.Contains(strings.Split(c.Autoscaler.Expander, ","), autoscaler.GRPC) && c.ExpanderURL == "" {
		p.addf("--expander=%s: the expander grpc asks a program outside the daemon: give its host:port by --grpc-expander-url", c.Autoscaler.Expander)
	}
	c.Autoscaler.Startup.Taints = slices.Concat(f.startupTaints, f.ignoreTaints)
	c.Arbiter.Startup, c.Autoscaler.BackoffReset = c.Autoscaler.Startup, c.Arbiter.BackoffReset
	c.Healer.Startup, c.Arbiter.QuarantineAfter = c.Autoscaler.Startup, c.Healer.QuarantineAfter
	c.Scheduling.Schedulers = slices.Concat(f.allowed, f.bypassed)
	turns, err := parseTurns(f.drainPriorities)
	if err != nil {
		p.addf("--drain-priority-config: %w", err)
	}
	f.drain.Turns = turns
	c.Autoscaler.Drain, c.Upgrader.Drain, c.Arbiter.Drain = f.drain, f.drain, f.drain
	c.Arbiter.MaxNodesTotal = c.Autoscaler.MaxNodesTotal
	c.Upgrader.Alerts = c.AlertsURL != ""
	c.Arbiter.UnreadyPercentage = int(f.unreadyPercentage)
	c.Healer.ViewMaxAge = c.Arbiter.ViewMaxAge
	if c.Arbiter.MaxDisruptionsPerPool, err = parseShare(f.maxDisruptionsPerPool); err != nil {
		p.addf("--max-disruptions-per-pool: %w", err)
	}
	if c.Arbiter.Repairs.PerPool, err = parseShare(f.maxRepairsPerPool); err != nil {
		p.addf("--max-repairs-per-pool: %w", err)
	}
	c.flags = layerOf(f.all, p)
	if !f.all.Changed("drain-timeout") { // and if it is, the other two have nothing to say
		c.flags.drainTimeout.is = time.Duration(f.gracefulSeconds)*time.Second + f.evictionTime
	}
}

// What the notified are told of (--notify-about).
const (
	NotifyWarnings  = "warnings"
	NotifyDecisions = "decisions"
)

// checkTelling checks the audit log and the notifications. That the files can be used is found when they are opened.
func (f *flags) checkTelling(p *problems) {
	c := f.config
	if c.AuditLogMaxSize < 1 {
		p.addf("--audit-log-max-size=%d: want a number of MiB from 1", c.AuditLogMaxSize)
	}
	if c.AuditLogMaxBackups < 0 {
		p.addf("--audit-log-max-backups=%d: want a number of files from 0", c.AuditLogMaxBackups)
	}
	if c.NotifyAbout != NotifyWarnings && c.NotifyAbout != NotifyDecisions {
		p.addf("--notify-about=%q: want %s or %s", c.NotifyAbout, NotifyWarnings, NotifyDecisions)
	}
}

// settleTotals reads the bounds on what all nodes have together.
func (f *flags) settleTotals(p *problems) {
	a := &f.config.Autoscaler
	for _, t := range []struct {
		flag, text string
		to         *autoscaler.Total
	}{{"cores-total", f.coresTotal, &a.CoresTotal}, {"memory-total", f.memoryTotal, &a.MemoryTotal}} {
		total, err := parseTotal(t.text)
		if err != nil {
			p.addf("--%s: %w", t.flag, err)
		}
		*t.to = total
	}
	for _, text := range f.gpuTotals {
		total, err := parseGPUTotal(text)
		if err != nil {
			p.addf("--gpu-total: %w", err)
			continue
		}
		a.GPUTotals = append(a.GPUTotals, total)
	}
}

// settleHeadroom reads the room that is to be kept free, and whether pods are foreseen.
func (f *flags) settleHeadroom(p *problems) {
	a := &f.config.Autoscaler
	if a.ForeseeLimit < 0 {
		p.addf("--pod-injection-limit is %d: give 0 or a positive number", a.ForeseeLimit)
	}
	if !f.foresee {
		a.ForeseeLimit = 0
	}
	for i, text := range f.headroomPods {
		room, err := parseRoom(text)
		if err != nil {
			p.addf("--headroom-pods: %w", err)
			continue
		}
		a.Headroom = append(a.Headroom, autoscaler.HeadroomOf(fmt.Sprintf("flag-%d", i+1), room))
	}
}

func (f *flags) settleMode(p *problems) {
	mode := arbiter.Mode(f.mode)
	if !slices.Contains([]arbiter.Mode{arbiter.Observe, arbiter.Protect, arbiter.Act}, mode) {
		p.addf("--mode: there is no mode %q; choose observe, protect or act", f.mode)
		return
	}
	if known := []upgrader.Preflight{upgrader.PreflightOff, upgrader.PreflightTell, upgrader.PreflightBlock}; !slices.Contains(known, f.config.Upgrader.Preflight) {
		p.addf("--upgrade-preflight: there is no %q; choose off, tell or block", f.config.Upgrader.Preflight)
	}
	if f.dryRun && f.all.Changed("mode") && mode != arbiter.Observe {
		p.addf("--dry-run and --mode=%s contradict each other: a dry run is --mode=observe; leave one of them out", mode)
	}
	if f.dryRun {
		mode = arbiter.Observe
	}
	f.config.Arbiter.Mode = mode
}

// knowSelf tells those who disrupt nodes which pod and node are the daemon's own, so that they come last.
func (f *flags) knowSelf(getenv func(string) string) {
	c := f.config
	if pod := getenv("POD_NAME"); pod != "" {
		namespace := getenv("POD_NAMESPACE")
		if namespace == "" {
			namespace = c.Namespace
		}
		own := namespace + "/" + pod
		c.Autoscaler.Drain.Own, c.Upgrader.Drain.Own, c.Arbiter.Drain.Own = own, own, own
	}
	c.Upgrader.SelfNode = getenv("NODE_NAME")
}

// checkDaemon checks what is about the process.
func (f *flags) checkDaemon(p *problems) {
	c := f.config
	if strings.TrimSpace(c.CloudProvider) == "" {
		p.addf("--cloud-provider is missing: name the provider whose pools are to be kept, such as --cloud-provider=kwok")
	}
	if wrong := validation.IsDNS1123Label(c.Namespace); len(wrong) > 0 {
		p.addf("--namespace: %q can't be a namespace: %s", c.Namespace, strings.Join(wrong, "; "))
	}
	f.checkServing(p)
	f.capVerbosity()
	for _, wrong := range logsapi.Validate(c.logs, nil, nil) {
		switch wrong.Field {
		case "format":
			p.addf("--logging-format: there is no format %q; choose text or json", c.logs.Format)
		case "flushFrequency": // told below, as of all durations
		default:
			p.addf("--vmodule and its like: %s: %s", wrong.Field, wrong.Detail)
		}
	}
}

// checkServing checks how is served at the address. That the certificate can be used is found when it is read.
func (f *flags) checkServing(p *problems) {
	c := f.config
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		p.addf("--address: %q is not an address: write host:port or :port, such as :8085", c.Address)
		return
	}
	switch encrypted := c.TLSCertFile != ""; {
	case encrypted && c.TLSPrivateKeyFile == "":
		p.addf("--tls-private-key-file is missing: --tls-cert-file=%s needs the certificate's private key", c.TLSCertFile)
	case !encrypted && c.TLSPrivateKeyFile != "":
		p.addf("--tls-cert-file is missing: --tls-private-key-file=%s needs its certificate", c.TLSPrivateKeyFile)
	case c.RequireAuthorization && !encrypted && !loopback(host):
		p.addf("--require-authorization: tokens would come unencrypted: give --tls-cert-file and --tls-private-key-file, or serve this host alone, as in --address=127.0.0.1:8085")
	}
}

// mostVerbose is the highest verbosity of the log. From 8 on client-go writes the bodies of requests and answers down: the tokens of those who ask, and all that stands in pods.
const mostVerbose = 7

// capVerbosity keeps secrets out of the log: what goes beyond the most is brought down to it, with a warning.
func (f *flags) capVerbosity() {
	logs, capped := f.config.logs, false
	for i := range logs.VModule {
		if v := &logs.VModule[i]; v.Verbosity > mostVerbose {
			v.Verbosity, capped = mostVerbose, true
		}
	}
	if logs.Verbosity > mostVerbose {
		logs.Verbosity, capped = mostVerbose, true
	}
	if capped {
		f.config.Warnings = append(f.config.Warnings, fmt.Sprintf(
			"--v and --vmodule: %d is the most, and is what holds: beyond it the bodies of requests would be logged, with the secrets in them", mostVerbose))
	}
}

// loopback says whether only this host itself can reach the host of an address.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (f *flags) checkNumbers(p *problems) {
	c := f.config
	for _, n := range []struct {
		flag     string
		is, from int
	}{
		{"kube-client-burst", c.KubeClientBurst, 1},
		{"max-disruptions", c.Arbiter.MaxDisruptions, 1},
		{"max-scale-down-parallelism", c.Arbiter.MaxScaleDown, 1},
		{"max-drain-parallelism", c.Arbiter.MaxDrain, 1},
		{"ok-total-unready-count", c.Arbiter.UnreadyCount, 0},
		{"max-graceful-termination-sec", f.gracefulSeconds, 1},
		{"max-bulk-soft-taint-count", c.Arbiter.SoftMarks, 0},
		{"min-replica-count", int(f.drain.MinReplicaCount), 0},
		{"heal-quarantine-after", c.Healer.QuarantineAfter, 0},
	} {
		if n.is < n.from {
			p.addf("--%s is %d: give at least %d", n.flag, n.is, n.from)
		}
	}
	if most := 7 * 24 * 60 * 60; f.gracefulSeconds > most {
		p.addf("--max-graceful-termination-sec is %d: give at most %d, which is a week", f.gracefulSeconds, most)
	}
	if qps := c.KubeClientQPS; !(qps > 0 && qps < 1e6) {
		p.addf("--kube-client-qps is %v: give a number above 0", qps)
	}
	if share := c.Healer.FlapShare; !(share > 0 && share <= 1) {
		p.addf("--heal-flap-share is %v: give a number above 0, up to 1", share)
	}
	b := c.Arbiter.Breakers
	for _, n := range []struct {
		flag string
		is   int
	}{
		{"breaker-cluster-percentage", b.ClusterPercentage},
		{"breaker-pool-percentage", b.PoolPercentage},
		{"breaker-zone-percentage", b.ZonePercentage},
		{"breaker-lease-percentage", b.LeasePercentage},
	} {
		if n.is < 1 || n.is > 100 {
			p.addf("--%s is %d: give a percentage from 1 to 100", n.flag, n.is)
		}
	}
	if u := f.unreadyPercentage; !(u >= 0 && u <= 100) {
		p.addf("--max-total-unready-percentage is %v: give a number from 0 to 100", u)
	}
}

// mayBeZero are the durations that may be 0.
var mayBeZero = []string{
	"heal-gone-after", "heal-failed-after", "heal-recovered-after", "max-pod-eviction-time", "drain-retry-after", "node-delete-delay-after-taint",
	"blocking-system-pod-distruption-timeout", "node-deletion-delay-timeout", "drain-load-balancer-delay", "upgrade-overrun",
}

// checkedElsewhere are the durations that the autoscaler checks, beside those of pools, which are checked where they are read.
var checkedElsewhere = []string{
	"new-pod-scale-up-delay", "scale-down-delay-after-add", "scale-down-delay-after-delete", "scale-down-delay-after-failure", "consolidate-min-node-age",
}

// checkDurations checks that each is long enough, and not longer than one that it has to fit into.
func (f *flags) checkDurations(p *problems) {
	times := map[string]time.Duration{}
	checked := slices.Clone(checkedElsewhere)
	for _, s := range settings() {
		checked = append(checked, s.flag)
	}
	f.all.VisitAll(func(flag *pflag.Flag) {
		d, err := f.all.GetDuration(flag.Name)
		if err != nil || slices.Contains(checked, flag.Name) {
			return
		}
		times[flag.Name] = d
		switch {
		case d < 0:
			p.addf("--%s is %s: give a duration that is not negative", flag.Name, d)
		case d == 0 && !slices.Contains(mayBeZero, flag.Name):
			p.addf("--%s is 0s: give a duration above 0", flag.Name)
		}
	})
	for _, pair := range [][2]string{
		{"initial-node-group-backoff-duration", "max-node-group-backoff-duration"},
		{"heal-backoff", "heal-backoff-max"},
		{"cloud-scan-interval", "cloud-view-max-age"},
	} {
		if times[pair[0]] > times[pair[1]] {
			p.addf("--%s (%s) is longer than --%s (%s): lower the first or raise the second", pair[0], times[pair[0]], pair[1], times[pair[1]])
		}
	}
	f.checkElection(p)
}

// jitter is how much longer than --leader-elect-retry-period client-go may wait between two tries.
const jitter = 1.2

// checkElection checks what client-go refuses.
func (f *flags) checkElection(p *problems) {
	e := f.config.Election
	if e.LeaseDuration <= e.RenewDeadline {
		p.addf("--leader-elect-lease-duration (%s) is not longer than --leader-elect-renew-deadline (%s): others would take over while the leader still acts; make it longer",
			e.LeaseDuration, e.RenewDeadline)
	}
	if least := time.Duration(jitter * float64(e.RetryPeriod)); e.RenewDeadline <= least {
		p.addf("--leader-elect-renew-deadline (%s) leaves no time for a second try after --leader-elect-retry-period (%s): make it longer than %s",
			e.RenewDeadline, e.RetryPeriod, least)
	}
}
