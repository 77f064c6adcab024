package config

import (
	"time"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/healer"
	"github.com/poolkeeper/poolkeeper/upgrader"
)

// flags are all flags of the daemon, and what they say before it is checked and put together.
type flags struct {
	config *Config
	drain  drain.Options

	mode                        string
	dryRun                      bool
	unreadyPercentage           float64
	maxDisruptionsPerPool       string
	maxRepairsPerPool           string
	startupTaints, ignoreTaints []string
	coresTotal, memoryTotal     string
	gpuTotals, headroomPods     []string
	foresee                     bool
	allowed, bypassed           []string
	drainPriorities             string
	evictionTime                time.Duration
	gracefulSeconds             int

	sections []section
	all      *pflag.FlagSet
	foreign  []*foreign
}

// section is a part of the flags, as the usage and docs/reference/flags.md show them.
type section struct {
	title string
	*pflag.FlagSet
}

func newFlags() *flags {
	f := &flags{all: newSet(), drain: drain.Defaults(), config: &Config{
		Autoscaler: autoscaler.Defaults(), Healer: healer.Defaults(), Upgrader: upgrader.Defaults(), Arbiter: arbiter.Defaults(),
		logs: logsapi.NewLoggingConfiguration(),
	}}
	f.section("The daemon", f.addDaemon)
	f.section("The cloud", f.addCloud)
	f.section("Pools", f.addPools)
	f.section("Autoscaler", f.addAutoscaler)
	f.section("Healer", f.addHealer)
	f.section("Upgrader", f.addUpgrader)
	f.section("Disruptions", f.addDisruptions)
	f.section("Breakers", f.addBreakers)
	f.section("Leader election", f.addElection)
	f.section("Audit log and notifications", f.addTelling)
	f.section("Logs", f.addLogs)
	f.addForeign(f.all)
	return f
}

func newSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("poolkeeper", pflag.ContinueOnError)
	fs.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	fs.SortFlags = false
	return fs
}

func (f *flags) section(title string, add func(*pflag.FlagSet)) {
	fs := newSet()
	add(fs)
	f.sections = append(f.sections, section{title, fs})
	f.all.AddFlagSet(fs)
}

func (f *flags) addDaemon(fs *pflag.FlagSet) {
	c := f.config
	fs.StringVar(&f.mode, "mode", string(arbiter.Act),
		"how much may be done: observe decides everything and does nothing, protect adds capacity and repairs, act does everything")
	fs.BoolVar(&f.dryRun, "dry-run", false, "the same as --mode=observe")
	fs.StringVar(&c.path, "config", "", "the `file` with the settings of single pools")
	fs.StringVar(&c.Kubeconfig, "kubeconfig", "", "the kubeconfig `file`; without one the daemon takes the cluster that it runs in")
	fs.Float64Var(&c.KubeClientQPS, "kube-client-qps", 50, "requests a second to the API server")
	fs.IntVar(&c.KubeClientBurst, "kube-client-burst", 100, "requests to the API server that may come at once")
	fs.StringVar(&c.KubeAPIContentType, "kube-api-content-type", "application/vnd.kubernetes.protobuf", "how objects are encoded on the way to the API server")
	fs.StringVar(&c.UserAgent, "user-agent", "poolkeeper", "how the daemon introduces itself to the API server and to clouds")
	fs.StringVar(&c.Namespace, "namespace", "kube-system", "the daemon's own namespace, with its ledger and its status")
	fs.StringVar(&c.Address, "address", ":8085", "where metrics, plan, status and probes are served")
	fs.StringVar(&c.TLSCertFile, "tls-cert-file", "", "serve there with TLS: the `file` with the certificate and its chain (PEM); it is read again when it changes")
	fs.StringVar(&c.TLSPrivateKeyFile, "tls-private-key-file", "", "the `file` with that certificate's private key (PEM)")
	fs.BoolVar(&c.RequireAuthorization, "require-authorization", false,
		"answer only who sends a token whose owner may get the path as a non-resource URL, by TokenReview and SubjectAccessReview; /livez and /readyz stay open to all")
	fs.BoolVar(&c.Dashboard, "dashboard", false, "serve the web page at the address too; it only reads")
	fs.DurationVar(&c.ScanInterval, "scan-interval", 10*time.Second, "the longest time between two passes; what happens in the cluster starts one at once")
	fs.BoolVar(&c.Version, "version", false, "print the version and end")
}

func (f *flags) addCloud(fs *pflag.FlagSet) {
	c := f.config
	fs.StringVar(&c.CloudProvider, "cloud-provider", "", "the cloud provider, or several, separated by commas")
	fs.StringVar(&c.CloudConfig, "cloud-config", "", "the provider's own configuration `file`; with several providers a list of name=path")
	fs.DurationVar(&c.CloudScanInterval, "cloud-scan-interval", 10*time.Second, "the time between two reads of the cloud; a write of our own starts one at once")
	fs.DurationVar(&c.CloudTimeout, "cloud-timeout", 30*time.Second, "how long a read of one provider may take")
	fs.DurationVar(&c.Arbiter.ViewMaxAge, "cloud-view-max-age", c.Arbiter.ViewMaxAge,
		"how old the provider's last good answer about a pool may be for anything that destroys a machine of it")
}

func (f *flags) addPools(fs *pflag.FlagSet) {
	fs.Bool("autoscale", true, "resize pools within their min and max")
	fs.Bool("autoheal", true, "repair broken nodes")
	fs.Bool("auto-upgrade", true, "roll pools to their target version inside their window")
	fs.Duration("max-node-provision-time", 15*time.Minute, "how long a requested machine may take to become a ready node")
	fs.Duration("max-node-startup-time", 15*time.Minute, "how long a registered node may take to become ready")
}

func (f *flags) addAutoscaler(fs *pflag.FlagSet) {
	a, b := &f.config.Autoscaler, &f.config.Arbiter
	fs.StringVar(&a.Expander, "expander", a.Expander,
		"what chooses among pools that could all grow: one name, or several separated by commas, each breaking the ties of the one before")
	fs.StringVar(&f.config.ExpanderURL, "grpc-expander-url", "", "host:port of the program that the expander grpc asks")
	fs.StringVar(&f.config.ExpanderCert, "grpc-expander-cert", "",
		"a file with the CA certificates (PEM) by which that program is trusted; without it the connection is not encrypted")
	fs.DurationVar(&a.NewPodScaleUpDelay, "new-pod-scale-up-delay", a.NewPodScaleUpDelay, "how old a pod has to be before nodes are added for it")
	fs.IntVar(&a.MaxNodesTotal, "max-nodes-total", a.MaxNodesTotal, "the most nodes that the cluster may have, those outside all pools among them; 0 means no limit")
	fs.IntVar(&a.MaxNodesPerScaleUp, "max-nodes-per-scaleup", a.MaxNodesPerScaleUp, "the most nodes that one decision adds to a pool")
	fs.DurationVar(&a.PassBudget, "pass-budget", a.PassBudget,
		"how long one decision about sizes may take; past it what was found until then goes out, and the rest follows in the next pass; 0 means no limit")
	fs.DurationVar(&a.BurstLimit, "burst-limit", a.BurstLimit,
		"how long, after a pool has grown, pods that keep coming in large numbers are gathered before pools grow again; 0 gathers none")
	fs.BoolVar(&f.foresee, "enable-proactive-scaleup", true, "count pods that a ReplicaSet, StatefulSet or Job is about to make as if they were there")
	fs.IntVar(&a.ForeseeLimit, "pod-injection-limit", a.ForeseeLimit, "how many such pods count in one decision")
	fs.String("headroom", "0", "how much room each pool keeps free for pods to come: so many nodes' worth, or a percentage of the pool")
	fs.StringArrayVar(&f.headroomPods, "headroom-pods", nil,
		"room that the cluster always keeps free for pods of a shape, as COUNTxCPU/MEMORY, such as 10x500m/1Gi; can be given several times")
	fs.BoolVar(&a.EnforceMinSize, "enforce-node-group-min-size", a.EnforceMinSize, "bring pools that are below their min up to it")
	fs.StringVar(&f.coresTotal, "cores-total", "0:320000", "the fewest and the most CPUs of all nodes together, as min:max")
	fs.StringVar(&f.memoryTotal, "memory-total", "0:6400000", "the least and the most memory of all nodes together in GiB, as min:max")
	fs.StringArrayVar(&f.gpuTotals, "gpu-total", nil,
		"the fewest and the most GPUs of a kind, as kind:min:max; the kind is the value of the node label that names it, or the name of a resource such as nvidia.com/gpu; can be given several times")
	fs.BoolVar(&a.BalanceSimilar, "balance-similar-node-groups", a.BalanceSimilar,
		"let the labels and the size of their nodes say which pools are kept in balance; without it they are those whose nodes hold the same and have the same taints")
	fs.StringArrayVar(&a.BalancingIgnoreLabels, "balancing-ignore-label", nil, "a label in which such pools may differ, beside those of zones and hosts; can be given several times")
	fs.StringArrayVar(&a.BalancingLabels, "balancing-label", nil, "a label that alone, with others that are named so, decides which pools are kept in balance; can be given several times")
	fs.Float64Var(&a.MemoryDifferenceRatio, "memory-difference-ratio", a.MemoryDifferenceRatio, "the share by which such pools' nodes may differ in memory")
	fs.Float64Var(&a.MaxAllocatableDifferenceRatio, "max-allocatable-difference-ratio", a.MaxAllocatableDifferenceRatio, "the share by which they may differ in what pods can have")
	fs.Float64Var(&a.MaxFreeDifferenceRatio, "max-free-difference-ratio", a.MaxFreeDifferenceRatio, "the share by which they may differ in what is left of that beside the pods that come with a node")
	fs.StringArrayVar(&f.startupTaints, "startup-taint", nil, "the key of a taint that a node carries until it is ready for pods; can be given several times")
	fs.StringArrayVar(&f.ignoreTaints, "ignore-taint", nil, "the same as --startup-taint")
	fs.StringArrayVar(&a.Startup.Prefixes, "startup-taint-prefix", nil, "the beginning of the keys of such taints; can be given several times")
	fs.StringArrayVar(&a.StatusTaints, "status-taint", nil, "the key of a taint that tells of a node's state, and that a new node doesn't have; can be given several times")
	fs.StringSliceVar(&f.allowed, "allowed-scheduler-names", nil, "schedulers besides the default one whose pods count; they have to go by the default profile's rules")
	fs.StringSliceVar(&f.bypassed, "bypassed-scheduler-names", nil, "the same as --allowed-scheduler-names")
	fs.Int32Var(&f.drain.ExpendablePodsPriorityCutoff, "expendable-pods-priority-cutoff", f.drain.ExpendablePodsPriorityCutoff,
		"the priority below which a pod neither brings nor keeps a node")
	fs.DurationVar(&b.BackoffInitial, "initial-node-group-backoff-duration", b.BackoffInitial, "how long a pool that failed to grow is left alone, and then twice as long each time")
	fs.DurationVar(&b.BackoffMax, "max-node-group-backoff-duration", b.BackoffMax, "how long such a pool is left alone at most")
	fs.DurationVar(&b.BackoffReset, "node-group-backoff-reset-timeout", b.BackoffReset, "after how long without failure the first such time holds again")

	fs.BoolVar(&a.ScaleDownEnabled, "scale-down-enabled", a.ScaleDownEnabled, "remove nodes that are not needed")
	fs.BoolVar(&a.ScaleDownUnreadyEnabled, "scale-down-unready-enabled", a.ScaleDownUnreadyEnabled, "remove nodes that are not needed also when they are not ready")
	fs.Duration("scale-down-unneeded-time", 10*time.Minute, "how long a node is not needed before it is removed")
	fs.Duration("scale-down-unready-time", 20*time.Minute, "the same for a node that is not ready")
	fs.Float64("scale-down-utilization-threshold", 0.5, "the share of a node's allocatable below which it counts as underutilized, from 0 to 1")
	fs.Float64("scale-down-gpu-utilization-threshold", 0.5, "the same share for the GPUs of a node that has some; there nothing else counts")
	fs.Bool("consolidate", false, "also replace nodes that are used by fewer or cheaper ones, and remove them without regard to the thresholds where their pods fit elsewhere")
	fs.Float64Var(&a.ConsolidateMinSaving, "consolidate-min-saving", a.ConsolidateMinSaving, "the share of what the nodes cost that a consolidation has to save at least")
	fs.DurationVar(&a.ConsolidateMinNodeAge, "consolidate-min-node-age", a.ConsolidateMinNodeAge, "how old a node has to be to be consolidated")
	fs.IntVar(&a.ConsolidateMaxMoves, "consolidate-max-moves", a.ConsolidateMaxMoves, "how many nodes are consolidated in an hour at most")
	fs.Bool("ignore-daemonsets-utilization", false, "leave DaemonSet pods out of a node's utilization")
	fs.BoolVar(&a.IgnoreMirrorPodsUtilization, "ignore-mirror-pods-utilization", false, "leave mirror pods out of a node's utilization")
	fs.DurationVar(&a.ScaleDownDelayAfterAdd, "scale-down-delay-after-add", a.ScaleDownDelayAfterAdd, "how long after a pool grew none of its nodes is removed")
	fs.DurationVar(&a.ScaleDownDelayAfterDelete, "scale-down-delay-after-delete", a.ScaleDownDelayAfterDelete, "the same after a pool shrank")
	fs.DurationVar(&a.ScaleDownDelayAfterFailure, "scale-down-delay-after-failure", a.ScaleDownDelayAfterFailure, "the same after a removal failed")
	fs.BoolVar(&a.ScaleDownDelayTypeLocal, "scale-down-delay-type-local", a.ScaleDownDelayTypeLocal, "count these delays for each pool on its own")
}

func (f *flags) addHealer(fs *pflag.FlagSet) {
	h, d := &f.config.Healer, &f.config.Arbiter.Fencing
	fs.DurationVar(&d.DrainTimeout, "heal-drain-timeout", d.DrainTimeout, "how long evictions are tried on a node whose kubelet is dead, before its machine is stopped")
	fs.DurationVar(&d.StopTimeout, "heal-stop-timeout", d.StopTimeout,
		"how long such a machine may take until the cloud confirms that it is off, before it is deleted instead")
	fs.DurationVar(&d.ReleaseTimeout, "heal-release-timeout", d.ReleaseTimeout,
		"how long Kubernetes may take until the pods of a machine that is off are gone, before they are no longer waited for")
	fs.DurationVar(&d.DetachTimeout, "heal-detach-timeout", d.DetachTimeout,
		"how long the volumes of a machine that is off may take to be detached once its pods are gone, before their VolumeAttachments are deleted")
	fs.Duration("heal-unhealthy-after", 5*time.Minute, "how long a node may be seen to be not ready before it is repaired")
	fs.Duration("heal-unregistered-after", 0,
		"how long a running machine may take to register a node before it is replaced; 0 means the pool's time of --max-node-provision-time")
	fs.String("heal-conditions", "",
		`further node conditions of which a node is repaired, such as "KernelDeadlock=True(DockerHung) 10m reboot, DiskPressure=True 1h"; the reasons may be left out, and after the time may stand look, reboot or replace`)
	fs.DurationVar(&h.ConditionMaxAge, "heal-condition-max-age", h.ConditionMaxAge,
		"how long ago a condition that is not the kubelet's may have been written last for anything to be done about it")
	fs.Bool("heal-reboot-first", false, "reboot a machine once, where its provider can, before it is replaced")
	fs.DurationVar(&f.config.Arbiter.RebootTimeout, "heal-reboot-timeout", f.config.Arbiter.RebootTimeout, "how long a rebooted machine may take until its node is well")
	fs.Float64Var(&h.FlapShare, "heal-flap-share", h.FlapShare,
		"the share of the time, from 0 to 1, in which a node that is sick again and again has to be sick to be repaired: with 0.8 it is if it is for 4 of every 5 minutes; with 1 every healthy moment starts the time anew")
	fs.DurationVar(&h.NoticeLead, "heal-notice-lead", h.NoticeLead,
		"how long before the cloud takes a machine by itself its repair waits for no breaker, limit or pause any more")
	fs.IntVar(&h.QuarantineAfter, "heal-quarantine-after", h.QuarantineAfter,
		"how many replacements in a row fail before nothing more is repaired in the pool for a while; 0 means never")
	fs.DurationVar(&h.Quarantine, "heal-quarantine", h.Quarantine, "how long that is")
	fs.DurationVar(&h.RecordsFor, "heal-records", h.RecordsFor, "how long the records of incidents are kept that are over")
	fs.DurationVar(&h.GoneAfter, "heal-gone-after", h.GoneAfter, "how long a node whose machine is gone for sure is seen to be not ready before it is cleaned up")
	fs.DurationVar(&h.FailedAfter, "heal-failed-after", h.FailedAfter, "how long a node whose machine failed, by the cloud's word, is seen to be not ready before it is repaired")
	fs.DurationVar(&h.RecoveredAfter, "heal-recovered-after", h.RecoveredAfter, "how long a node has to be seen healthy before its incident is closed")
	fs.DurationVar(&h.BlindAfter, "heal-blind-after", h.BlindAfter, "how long no node at all may renew its lease before nothing is concluded from that")
	fs.DurationVar(&h.FailureBackoff, "heal-backoff", h.FailureBackoff,
		"how long a repair waits when the last one in the pool brought a machine that didn't come up either, and then twice as long each time")
	fs.DurationVar(&h.FailureBackoffMax, "heal-backoff-max", h.FailureBackoffMax, "how long such a repair waits at most")
}

func (f *flags) addUpgrader(fs *pflag.FlagSet) {
	u := &f.config.Upgrader
	fs.String("upgrade-window", "", `when pools may be rolled, such as "any 02:00", "mon-fri 22:00 4h Europe/Paris" or "always"; without one they never are`)
	fs.String("upgrade-version", "", "the Kubernetes version that nodes are to have, such as v1.36.3; without one it is that of the provider's template")
	fs.String("upgrade-max-surge", "1", "how many new nodes may be there on top while a pool is rolled, as a number or a percentage")
	fs.String("upgrade-max-unavailable", "0", "how many nodes may be missing while a pool is rolled, as a number or a percentage")
	fs.DurationVar(&u.NodeEstimate, "upgrade-node-estimate", u.NodeEstimate, "how long a node takes without its pods: none is begun that would not be done before the window closes")
	fs.String("upgrade-freeze", "", `days in which the window doesn't count, such as "12-18/01-03 Europe/Paris" or "2026-11-20/2026-11-30 no-minor"; several with | between them`)
	fs.String("upgrade-channel", "", "what chooses the version where none is given: none, patch or minor, among those that the provider offers; pinned takes the given one and no other; without one it is that of the provider's template")
	fs.Duration("upgrade-release-soak", 0, "how long ago a version has to have been released before a channel chooses it")
	fs.Duration("upgrade-max-node-age", 0, "the age at which a node is replaced whatever its version; 0 means never")
	fs.Bool("upgrade-native", false, "leave upgrades to the provider's own means where it has any")
	fs.Bool("upgrade-paused", false, "begin nothing, and leave what is under way where it is")
	fs.Int("upgrade-canary-nodes", 0, "how many nodes of a pool are replaced first; the others follow when those have been well for the time of --upgrade-canary-soak")
	fs.Duration("upgrade-canary-soak", 0, "how long the first nodes, and the pools that are canaries, have to be well before the others follow")
	fs.String("upgrade-max-unhealthy", "20%", "how many nodes of a pool may be not ready before no further one is taken that is well, as a number or a percentage; one always may be")
	fs.String("upgrade-max-blocked", "10%", "how many nodes of a pool may be set aside because they can't be drained before the rollout stops, as a number or a percentage; one always may be")
	fs.Bool("upgrade-cordon-blocked", false, "leave a node cordoned that could not be drained and was set aside")
	fs.DurationVar(&u.Overrun, "upgrade-overrun", u.Overrun, "how long after the window has closed the drain of the last node may go on before it is undone")
	fs.StringVar((*string)(&u.Preflight), "upgrade-preflight", string(u.Preflight), "look ahead how a rollout would go, days before its window and before its first node: off, tell (and begin), or block (begin nothing while every node is blocked or pods would find no room)")
	fs.DurationVar(&u.PreflightAhead, "upgrade-preflight-ahead", u.PreflightAhead, "how long before its window opens it is looked ahead for the first time how a rollout would go")
	fs.BoolVar(&u.ControlPlane, "upgrade-control-plane", u.ControlPlane, "upgrade the control plane first, where the provider can and a version or channel that was set asks for it")
	fs.DurationVar(&u.ControlPlaneEstimate, "upgrade-control-plane-estimate", u.ControlPlaneEstimate, "how long that takes: it is not begun unless it would be done before the window closes")
	fs.StringVar(&f.config.AlertsURL, "upgrade-alerts-url", "", "the address of a Prometheus server, such as http://prometheus.monitoring:9090: nothing is begun while alerts fire, or while it gives no answer")
	fs.StringVar(&f.config.AlertsMatcher, "upgrade-alerts-matcher", "", `which alerts count, such as severity="critical"`)
	fs.StringSliceVar(&f.config.AlertsIgnored, "upgrade-alerts-ignored", []string{"Watchdog", "InfoInhibitor"}, "the names of alerts that don't count")
	fs.DurationVar(&u.RetryAfter, "upgrade-retry-after", u.RetryAfter, "how long a halted rollout waits in a window that never closes; otherwise it waits for the next one")
}

func (f *flags) addDisruptions(fs *pflag.FlagSet) {
	a, d := &f.config.Arbiter, &f.drain
	f.unreadyPercentage = float64(a.UnreadyPercentage)
	fs.IntVar(&a.MaxDisruptions, "max-disruptions", a.MaxDisruptions, "the most nodes of the cluster that are disrupted at a time, by all three jobs together")
	fs.StringVar(&f.maxDisruptionsPerPool, "max-disruptions-per-pool", a.MaxDisruptionsPerPool.String(),
		"the most nodes of a pool that are disrupted at a time, as a number or a percentage; one always may be")
	fs.IntVar(&a.MaxScaleDown, "max-scale-down-parallelism", a.MaxScaleDown, "the most nodes that the autoscaler removes at a time")
	fs.IntVar(&a.MaxScaleDown, "max-empty-bulk-delete", a.MaxScaleDown, "the former name of --max-scale-down-parallelism")
	fs.IntVar(&a.MaxDrain, "max-drain-parallelism", a.MaxDrain, "how many of them may still have pods to move")
	fs.Float64Var(&f.unreadyPercentage, "max-total-unready-percentage", f.unreadyPercentage, "what percentage of the nodes may be unready before no node is disrupted any more")
	fs.IntVar(&a.UnreadyCount, "ok-total-unready-count", a.UnreadyCount, "how many nodes may be unready in any case")
	fs.Duration("drain-timeout", 12*time.Minute,
		"how long one node's drain may take before it is undone; where it isn't given, it is the sum of --max-graceful-termination-sec and --max-pod-eviction-time")
	fs.IntVar(&f.gracefulSeconds, "max-graceful-termination-sec", 600, "the part of a drain that is for pods to end; none is cut short by it")
	fs.DurationVar(&f.evictionTime, "max-pod-eviction-time", 2*time.Minute, "the part of a drain that is for budgets to allow its evictions")
	fs.DurationVar(&d.CompletionTimeout, "drain-completion-timeout", d.CompletionTimeout,
		"how long an upgrade's drain waits for pods that have to end by themselves, where that is longer than its own time")
	fs.DurationVar(&a.VolumeTimeout, "drain-volume-timeout", a.VolumeTimeout, "how long a drained node waits for the volumes of its former pods to be detached")
	fs.BoolVar(&d.WaitForJobs, "drain-wait-for-jobs", false, "wait for the pods of Jobs to end by themselves, as if they were annotated safe-to-evict: on-completion")
	fs.BoolVar(&a.ForceDrain, "upgrade-force-drain", false, "delete the pods that are left when the time of an upgrade's drain is over, past their budgets and annotations")
	fs.DurationVar(&a.DrainRetryAfter, "drain-retry-after", a.DrainRetryAfter, "how long a node whose drain was given up is left alone")
	fs.DurationVar(&a.DeleteDelay, "node-delete-delay-after-taint", a.DeleteDelay, "how long a drained node is left alone before the last look and the deletion")
	fs.DurationVar(&a.DeletionDelayTimeout, "node-deletion-delay-timeout", a.DeletionDelayTimeout,
		"how long a drained node is kept at most while an annotation delay-deletion.cluster-autoscaler.kubernetes.io/… asks for it")
	fs.DurationVar(&a.LoadBalancerDelay, "drain-load-balancer-delay", 10*time.Second, "how long a node that was taken out of the load balancers waits before its first pod is evicted")
	fs.IntVar(&a.SoftMarks, "max-bulk-soft-taint-count", a.SoftMarks, "how many nodes get or lose the soft taint of a candidate in one pass; with 0 none has it")
	fs.StringVar(&f.drainPriorities, "drain-priority-config", "",
		"the turns in which pods leave a node, as priority:seconds, separated by commas: those of the lowest priority first, and the next once they are gone or have been ending for so long")
	fs.BoolVar(&d.DaemonSetsOfOccupied, "daemonset-eviction-for-occupied-nodes", d.DaemonSetsOfOccupied,
		"evict the DaemonSet pods of a node that is removed once its other pods are gone, so that they end in peace")
	fs.BoolVar(&d.DaemonSetsOfEmpty, "daemonset-eviction-for-empty-nodes", d.DaemonSetsOfEmpty, "the same for nodes that had no other pods")
	fs.Int32Var(&d.MinReplicaCount, "min-replica-count", d.MinReplicaCount, "let a pod keep its node whose controller wants fewer pods than this")
	fs.BoolVar(&d.SkipNodesWithSystemPods, "skip-nodes-with-system-pods", d.SkipNodesWithSystemPods, "let a kube-system pod without a budget keep its node")
	fs.DurationVar(&d.BlockingSystemPodTimeout, "blocking-system-pod-distruption-timeout", d.BlockingSystemPodTimeout, "the age at which such a pod no longer keeps its node; 0 means never")
	fs.BoolVar(&d.SkipNodesWithLocalStorage, "skip-nodes-with-local-storage", d.SkipNodesWithLocalStorage, "let a pod with local data keep its node")
	fs.BoolVar(&d.SkipNodesWithCustomControllerPods, "skip-nodes-with-custom-controller-pods", d.SkipNodesWithCustomControllerPods, "let a pod of an unknown kind of controller keep its node")
}

// addBreakers has what stops disruptions when too much is wrong at once, and what bounds repairs below that.
func (f *flags) addBreakers(fs *pflag.FlagSet) {
	b, r := &f.config.Arbiter.Breakers, &f.config.Arbiter.Repairs
	fs.IntVar(&b.ClusterCount, "breaker-cluster-count", b.ClusterCount, "the cluster's breaker opens when more nodes than this, and more than --breaker-cluster-percentage, are sick")
	fs.IntVar(&b.ClusterPercentage, "breaker-cluster-percentage", b.ClusterPercentage, "see --breaker-cluster-count; it opens by --ok-total-unready-count and --max-total-unready-percentage as well")
	fs.IntVar(&b.PoolCount, "breaker-pool-count", b.PoolCount, "a pool's breaker opens when more of its nodes than this, and more than --breaker-pool-percentage, are sick")
	fs.IntVar(&b.PoolPercentage, "breaker-pool-percentage", b.PoolPercentage, "see --breaker-pool-count")
	fs.IntVar(&b.ZonePercentage, "breaker-zone-percentage", b.ZonePercentage, "a zone's breaker opens when this percentage of its nodes, and more than two, are sick")
	fs.IntVar(&b.LeasePercentage, "breaker-lease-percentage", b.LeasePercentage, "everything stops when this percentage of the node leases, and more than two, have expired")
	fs.DurationVar(&b.SlowAnswer, "breaker-api-latency", b.SlowAnswer, "how long a small read of the API server may take; everything stops when it takes longer, or fails, more than once in a minute")
	fs.DurationVar(&b.Calm, "breaker-calm", b.Calm, "how long things have to be better before an open breaker thaws")
	fs.DurationVar(&b.Stage, "breaker-stage", b.Stage, "how long each stage of the thaw lasts at least; the stages let through 1, 2, 4 and 8 disruptions")
	fs.IntVar(&b.Writes, "breaker-writes-per-minute", b.Writes, "how many steps may be begun in a minute while a breaker is open or thaws")
	fs.IntVar(&r.AtOnce, "max-repairs", r.AtOnce, "the most nodes of the cluster that are repaired at a time")
	fs.StringVar(&f.maxRepairsPerPool, "max-repairs-per-pool", r.PerPool.String(), "the most nodes of a pool that are repaired at a time, as a number or a percentage; one always may be")
	fs.IntVar(&r.PerHour, "max-repairs-per-hour", r.PerHour, "the most repairs that are begun within an hour; 0 means no limit")
	fs.DurationVar(&r.CoolDown, "repair-cool-down", r.CoolDown, "the least time between the beginnings of two repairs in a pool")
}

func (f *flags) addElection(fs *pflag.FlagSet) {
	e := &f.config.Election
	fs.BoolVar(&e.Enabled, "leader-elect", true, "act only while holding the Lease kube-system/poolkeeper")
	fs.DurationVar(&e.LeaseDuration, "leader-elect-lease-duration", 15*time.Second, "how long others wait after a renewal before they take over")
	fs.DurationVar(&e.RenewDeadline, "leader-elect-renew-deadline", 10*time.Second, "how long the leader acts without a renewal")
	fs.DurationVar(&e.RetryPeriod, "leader-elect-retry-period", 2*time.Second, "the time between two tries to get or renew the Lease")
}

func (f *flags) addTelling(fs *pflag.FlagSet) {
	c := f.config
	fs.StringVar(&c.AuditLog, "audit-log", "", "the `file` that every plan which decides something, and every step's end, is written to as a line of JSON; - is standard output")
	fs.IntVar(&c.AuditLogMaxSize, "audit-log-max-size", 100, "the size in MiB at which the file is kept as an older one, and a new one begun")
	fs.IntVar(&c.AuditLogMaxBackups, "audit-log-max-backups", 5, "how many older files are kept")
	fs.StringVar(&c.NotifyURLFile, "notify-url-file", "", "the `file` with the address of a webhook, Slack's or one like it, that is told of decisions; it is read anew for every message")
	fs.StringVar(&c.NotifyAbout, "notify-about", NotifyWarnings, "what it is told of: warnings, which a person should look at, or all decisions")
}

// addLogs takes over those flags of Kubernetes components that need no feature gate.
func (f *flags) addLogs(fs *pflag.FlagSet) {
	all := newSet()
	logsapi.AddFlags(f.config.logs, all)
	for _, flag := range []struct{ name, usage string }{
		{"v", "how much is logged, up to 7: the higher the number, the more"},
		{"vmodule", "the same for single source files, as a list of pattern=number; for the format text only"},
		{"logging-format", "text or json"},
		{logsapi.LogFlushFreqFlagName, "how long a log line may be kept back"},
	} {
		own := all.Lookup(flag.name)
		own.Usage = flag.usage
		fs.AddFlag(own)
	}
}
