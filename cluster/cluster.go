package cluster

import (
	"slices"
	"time"

	"github.com/tidwall/btree"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// Cluster takes events and gives snapshots. It is not safe for concurrent use: one goroutine applies, and any number may read the
// snapshots.
type Cluster struct {
	nodes       btree.Map[string, *corev1.Node]
	pods        btree.Map[string, *Pod]
	pending     btree.Map[string, *Pod]
	podsOn      btree.Map[string, []*Pod]
	budgets     btree.Map[string, *policyv1.PodDisruptionBudget]
	daemonSets  btree.Map[string, *appsv1.DaemonSet]
	workloads   btree.Map[string, *Workload]
	namespaces  btree.Map[string, *corev1.Namespace]
	volumes     btree.Map[string, *corev1.PersistentVolume]
	volClaims   btree.Map[string, *corev1.PersistentVolumeClaim]
	classes     btree.Map[string, *storagev1.StorageClass]
	csiNodes    btree.Map[string, *storagev1.CSINode]
	csiDrivers  btree.Map[string, *storagev1.CSIDriver]
	csiCaps     btree.Map[string, *storagev1.CSIStorageCapacity]
	attachments btree.Map[string, *storagev1.VolumeAttachment]
	devClasses  btree.Map[string, *resourcev1.DeviceClass]
	slices      btree.Map[string, *resourcev1.ResourceSlice]
	claims      btree.Map[string, *resourcev1.ResourceClaim]
	heartbeats  btree.Map[string, Heartbeat]
	rivals      btree.Map[string, Rival]
	configMaps  btree.Map[string, *corev1.ConfigMap]
	heard       btree.Map[string, bool]
	pools       btree.Map[string, *Pool]
	instances   btree.Map[string, *Instance]
	members     btree.Map[string, string]
	offers      btree.Map[string, *Offer]
	alerts      *Alerts
	tries       btree.Map[string, Try]
	choices     btree.Map[string, Choice]

	// nodesBy are the names of the nodes with a provider ID, in their order, and strays the instances without a node.
	nodesBy btree.Map[string, []string]
	strays  btree.Map[string, *Instance]
	// rows are those of the last snapshot, and stale the nodes whose rows have to be made anew.
	rows    []*Row
	stale   map[string]bool
	trimmer *Trimmer

	ledger        ledger.Ledger
	results       []Result
	answers       []Answer
	requests      []Request
	serverVersion string

	// budgetChanges and workloadChanges count the changes of these tables.
	budgetChanges, workloadChanges uint64

	generation uint64
	last       *Snapshot
	beats      bool
}

// New is an empty picture.
func New() *Cluster { return &Cluster{stale: map[string]bool{}, trimmer: NewTrimmer()} }

// Apply changes the picture by one event that was seen at now.
func (c *Cluster) Apply(now time.Time, e Event) {
	switch e := e.(type) {
	case Set:
		if object, ok := c.trimmed(e); ok {
			c.set(now, object)
		}
	case Unset:
		c.unset(e.Object)
	case ProviderObserved:
		c.observe(now, e)
	case PoolProblem:
		if pool, known := c.pools.Get(e.Pool); known {
			c.setProblem(pool, e.Problem)
			c.changed()
		}
	case LedgerSaved:
		c.ledger = e.Ledger
		c.changed()
	case StepEnded:
		c.results = append(slices.Clip(c.results), e.Result)
		c.changed()
	case ResultsSettled:
		if n := min(e.N, len(c.results)); n > 0 {
			c.results = slices.Clone(c.results[n:])
			c.changed()
		}
	case AlertsObserved:
		c.alerts = &e.Alerts
		c.changed()
	case EvictionsTried:
		c.tried(now, e.Tries)
	case ExpanderAnswered:
		c.chosen(now, e.Choice)
	case APIAnswered:
		c.answered(e.Answer)
	case RequestsSeen:
		if !slices.EqualFunc(c.requests, e.Requests, Request.equal) {
			c.requests = e.Requests
			c.changed()
		}
	case ServerVersionSeen:
		if c.serverVersion != e.Version {
			c.serverVersion = e.Version
			c.changed()
		}
	}
}

// choicesKept is how long the answer of an expander outside the daemon is kept.
const choicesKept = time.Minute

// chosen keeps an answer, and forgets those that are old.
func (c *Cluster) chosen(now time.Time, choice Choice) {
	var old []string
	c.choices.Scan(func(question string, known Choice) bool {
		if now.Sub(known.At).Abs() > choicesKept {
			old = append(old, question)
		}
		return true
	})
	for _, question := range old {
		c.choices.Delete(question)
	}
	c.choices.Set(choice.Question, choice)
	c.changed()
}

// triesKept is how long the answer to an eviction that was tried is kept.
const triesKept = 2 * time.Hour

// tried keeps the answers, and forgets those that are old.
func (c *Cluster) tried(now time.Time, tries map[string]Try) {
	for budget, try := range tries {
		c.tries.Set(budget, try)
	}
	var old []string
	c.tries.Scan(func(budget string, try Try) bool {
		if now.Sub(try.At) > triesKept {
			old = append(old, budget)
		}
		return true
	})
	for _, budget := range old {
		c.tries.Delete(budget)
	}
	c.changed()
}

// mostAnswers is how many answers of the API server are kept.
const mostAnswers = 32

// answered keeps an answer. Good news waits for the next pass, as heartbeats do.
func (c *Cluster) answered(a Answer) {
	kept := c.answers[max(0, len(c.answers)+1-mostAnswers):]
	c.answers = append(slices.Clone(kept), a)
	if c.beats = true; a.Err != "" {
		c.changed()
	}
}

func (c *Cluster) trimmed(e Set) (Object, bool) {
	if e.Trimmed {
		return e.Object, true
	}
	return c.trimmer.Trim(e.Object)
}

// Generation is that of the next snapshot.
func (c *Cluster) Generation() uint64 { return c.generation }

func (c *Cluster) changed() { c.generation++ }

// Snapshot is the picture as it is now. It shares all that did not change with the one before.
func (c *Cluster) Snapshot() *Snapshot {
	if c.last != nil && c.last.Generation == c.generation && !c.beats {
		return c.last
	}
	c.beats = false
	c.renewRows()
	c.last = &Snapshot{
		Generation: c.generation,
		Nodes:      freeze(&c.nodes), Pods: freeze(&c.pods), Pending: freeze(&c.pending), podsOn: freeze(&c.podsOn),
		Budgets: freeze(&c.budgets), DaemonSets: freeze(&c.daemonSets), Workloads: freeze(&c.workloads),
		Namespaces: freeze(&c.namespaces), PersistentVolumes: freeze(&c.volumes),
		PersistentVolumeClaims: freeze(&c.volClaims), StorageClasses: freeze(&c.classes), CSINodes: freeze(&c.csiNodes),
		CSIDrivers: freeze(&c.csiDrivers), CSIStorageCapacities: freeze(&c.csiCaps),
		VolumeAttachments: freeze(&c.attachments), DeviceClasses: freeze(&c.devClasses),
		ResourceSlices: freeze(&c.slices), ResourceClaims: freeze(&c.claims), Heartbeats: freeze(&c.heartbeats),
		Rivals: freeze(&c.rivals), ConfigMaps: freeze(&c.configMaps),
		heard: freeze(&c.heard), Pools: freeze(&c.pools), Instances: freeze(&c.instances), Members: freeze(&c.members),
		Rows: c.rows, Strays: freeze(&c.strays), nodesBy: freeze(&c.nodesBy),
		BudgetsVersion: c.budgetChanges, WorkloadsVersion: c.workloadChanges,
		Offers: freeze(&c.offers), Alerts: c.alerts, Tries: freeze(&c.tries), Choices: freeze(&c.choices),
		Ledger: c.ledger, Results: c.results, Answers: c.answers, Requests: c.requests, ServerVersion: c.serverVersion,
	}
	return c.last
}

// freeze shares the map with the snapshot; the next change copies only the path to it.
func freeze[V any](m *btree.Map[string, V]) Table[V] { return Table[V]{m: m.Copy()} }
