// Package dump makes of a snapshot what a simulation needs of a cluster: its pools, and its workloads as pods would be made anew. It holds no secret, since a
// snapshot holds none: names, sizes, requests and the rules of scheduling are all that is in it, and names can be hashed.
package dump

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/resource"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// The first two fields of every dump.
const (
	APIVersion = "poolkeeper.io/v1alpha1"
	Kind       = "Dump"
)

// Dump is a cluster for a simulation.
type Dump struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Version is the API server's.
	Version   string     `json:"version,omitempty"`
	Pools     []Pool     `json:"pools"`
	Workloads []Workload `json:"workloads"`
	// LeftOut says what of the cluster is not in the dump, and why.
	LeftOut []string `json:"leftOut,omitempty"`
}

// Pool is a pool, and what its nodes are like.
type Pool struct {
	Name        string              `json:"name"`
	Min         int                 `json:"min"`
	Max         int                 `json:"max"`
	Target      int                 `json:"target"`
	Version     string              `json:"version,omitempty"`
	Price       float64             `json:"price,omitempty"`
	Labels      map[string]string   `json:"labels,omitempty"`
	Taints      []corev1.Taint      `json:"taints,omitempty"`
	Capacity    corev1.ResourceList `json:"capacity"`
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`
}

// Workload is the pods of one controller, or one bare pod.
type Workload struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Owner is the kind of the controller; empty for a bare pod.
	Owner    string `json:"owner,omitempty"`
	Replicas int    `json:"replicas"`
	// Requests are those of a whole pod.
	Requests    corev1.ResourceList `json:"requests,omitempty"`
	Labels      map[string]string   `json:"labels,omitempty"`
	Annotations map[string]string   `json:"annotations,omitempty"`
	// Rules are what says where its pods may run; only these fields of a spec are filled.
	Rules Rules `json:"rules,omitzero"`
	// MinAvailable and MaxUnavailable are those of its budget.
	MinAvailable   string `json:"minAvailable,omitempty"`
	MaxUnavailable string `json:"maxUnavailable,omitempty"`
}

// Rules say where pods may run.
type Rules struct {
	NodeSelector              map[string]string                 `json:"nodeSelector,omitempty"`
	Affinity                  *corev1.Affinity                  `json:"affinity,omitempty"`
	Tolerations               []corev1.Toleration               `json:"tolerations,omitempty"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	TerminationGraceSeconds   *int64                            `json:"terminationGracePeriodSeconds,omitempty"`
}

// Of is the dump of a snapshot.
func Of(s *cluster.Snapshot) Dump {
	d := Dump{APIVersion: APIVersion, Kind: Kind, Version: s.ServerVersion}
	for pool := range s.Pools.Values() {
		if p, ok := poolOf(s, pool); ok {
			d.Pools = append(d.Pools, p)
		} else {
			d.LeftOut = append(d.LeftOut, "pool "+pool.Name+": it has no node, and its provider doesn't say what one is like")
		}
	}
	type key struct{ namespace, owner, uid string }
	at := map[key]int{}
	for pod := range s.Pods.Values() {
		k := key{namespace: pod.Namespace, uid: string(pod.UID)}
		if pod.Controller != nil {
			k.owner, k.uid = pod.Controller.Kind, string(pod.Controller.UID)
		}
		if k.owner == "Node" || pod.DeletionTimestamp != nil {
			continue // a static pod comes with its node
		}
		if i, known := at[k]; known {
			d.Workloads[i].Replicas++
			continue
		}
		at[k] = len(d.Workloads)
		d.Workloads = append(d.Workloads, workloadOf(s, pod))
	}
	return d
}

// poolOf is what new nodes are like by the provider's word, else by a node that is there.
func poolOf(s *cluster.Snapshot, pool *cluster.Pool) (Pool, bool) {
	p := Pool{Name: pool.Name, Min: pool.Settings.Min, Max: pool.Settings.Max, Target: pool.Target, Version: pool.Version}
	var node *corev1.Node
	if pool.Template != nil {
		node, p.Price = pool.Template.Node, pool.Template.Price
	}
	for _, row := range s.Rows {
		if node == nil && s.PoolNameOf(row.Node.Name) == pool.Name {
			node = row.Node
		}
	}
	if node == nil {
		return p, false
	}
	p.Capacity, p.Allocatable = node.Status.Capacity, node.Status.Allocatable
	p.Version = cmp.Or(p.Version, node.Status.NodeInfo.KubeletVersion)
	p.Labels = maps.Clone(node.Labels)
	delete(p.Labels, corev1.LabelHostname)
	for _, taint := range node.Spec.Taints {
		if taint.Key != cluster.TaintDisruption && taint.Key != cluster.TaintCandidate && !strings.HasPrefix(taint.Key, "node.kubernetes.io/") {
			p.Taints = append(p.Taints, taint)
		}
	}
	return p, true
}

func workloadOf(s *cluster.Snapshot, pod *cluster.Pod) Workload {
	w := Workload{
		Namespace: pod.Namespace, Name: pod.Name, Replicas: 1, Labels: pod.Labels, Annotations: pod.Annotations,
		Requests: resource.PodRequests(pod.Object(), resource.PodResourcesOptions{}),
		Rules: Rules{
			NodeSelector: pod.Spec.NodeSelector, Affinity: pod.Spec.Affinity, Tolerations: pod.Spec.Tolerations,
			TopologySpreadConstraints: pod.Spec.TopologySpreadConstraints, TerminationGraceSeconds: pod.Spec.TerminationGracePeriodSeconds,
		},
	}
	if pod.Controller != nil {
		w.Name, w.Owner = pod.Controller.Name, pod.Controller.Kind
	}
	for budget := range s.Budgets.Values() {
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil || budget.Namespace != pod.Namespace || !selector.Matches(labelsOf(pod.Labels)) {
			continue
		}
		if budget.Spec.MinAvailable != nil {
			w.MinAvailable = budget.Spec.MinAvailable.String()
		}
		if budget.Spec.MaxUnavailable != nil {
			w.MaxUnavailable = budget.Spec.MaxUnavailable.String()
		}
		break
	}
	return w
}

// labelsOf is a set of labels as selectors look at it.
type labelsOf map[string]string

// Has implements labels.Labels.
func (l labelsOf) Has(key string) bool { _, has := l[key]; return has }

// Get implements labels.Labels.
func (l labelsOf) Get(key string) string { return l[key] }

// Lookup implements labels.Labels.
func (l labelsOf) Lookup(key string) (string, bool) { v, has := l[key]; return v, has }

// Hash puts a hash in place of every name that people chose: of namespaces, workloads, labels' values and annotations' values. The same name has the same hash,
// so that selectors select what they did. Pools, zones, instance types and all that Kubernetes itself names stay.
func (d *Dump) Hash() {
	for i := range d.Workloads {
		w := &d.Workloads[i]
		w.Namespace, w.Name = hashed(w.Namespace), hashed(w.Name)
		w.Labels = hashedValues(w.Labels)
		w.Annotations = keptAnnotations(w.Annotations)
		w.Rules.hash()
	}
	for i := range d.Pools {
		d.Pools[i].Labels = hashedValues(d.Pools[i].Labels)
		d.Pools[i].Taints = slices.Clone(d.Pools[i].Taints)
		for j := range d.Pools[i].Taints {
			if taint := &d.Pools[i].Taints[j]; !wellKnown(taint.Key) {
				taint.Value = hashed(taint.Value)
			}
		}
	}
}

func (r *Rules) hash() {
	r.NodeSelector = hashedValues(r.NodeSelector)
	r.Tolerations = slices.Clone(r.Tolerations)
	for i := range r.Tolerations {
		if t := &r.Tolerations[i]; !wellKnown(t.Key) {
			t.Value = hashed(t.Value)
		}
	}
	r.Affinity = r.Affinity.DeepCopy()
	if a := r.Affinity; a != nil {
		hashAffinity(a)
	}
	spread := make([]corev1.TopologySpreadConstraint, 0, len(r.TopologySpreadConstraints))
	for i := range r.TopologySpreadConstraints {
		c := r.TopologySpreadConstraints[i].DeepCopy()
		hashSelector(c.LabelSelector)
		spread = append(spread, *c)
	}
	r.TopologySpreadConstraints = spread
}

func hashAffinity(a *corev1.Affinity) {
	if n := a.NodeAffinity; n != nil {
		if n.RequiredDuringSchedulingIgnoredDuringExecution != nil {
			for i := range n.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
				hashTerm(&n.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[i])
			}
		}
		for i := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			hashTerm(&n.PreferredDuringSchedulingIgnoredDuringExecution[i].Preference)
		}
	}
	var terms []*corev1.PodAffinityTerm
	if p := a.PodAffinity; p != nil {
		terms = append(terms, termsOf(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	if p := a.PodAntiAffinity; p != nil {
		terms = append(terms, termsOf(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	for _, term := range terms {
		hashSelector(term.LabelSelector)
		hashSelector(term.NamespaceSelector)
		for i := range term.Namespaces {
			term.Namespaces[i] = hashed(term.Namespaces[i])
		}
	}
}

func termsOf(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) []*corev1.PodAffinityTerm {
	var all []*corev1.PodAffinityTerm
	for i := range required {
		all = append(all, &required[i])
	}
	for i := range preferred {
		all = append(all, &preferred[i].PodAffinityTerm)
	}
	return all
}

func hashTerm(term *corev1.NodeSelectorTerm) {
	for i := range term.MatchExpressions {
		if e := &term.MatchExpressions[i]; !wellKnown(e.Key) && e.Operator != corev1.NodeSelectorOpGt && e.Operator != corev1.NodeSelectorOpLt {
			for j := range e.Values {
				e.Values[j] = hashed(e.Values[j])
			}
		}
	}
}

func hashSelector(s *metav1.LabelSelector) {
	if s == nil {
		return
	}
	s.MatchLabels = hashedValues(s.MatchLabels)
	for i := range s.MatchExpressions {
		for j := range s.MatchExpressions[i].Values {
			s.MatchExpressions[i].Values[j] = hashed(s.MatchExpressions[i].Values[j])
		}
	}
}

func hashedValues(m map[string]string) map[string]string {
	out := maps.Clone(m)
	for key, value := range out {
		if !wellKnown(key) {
			out[key] = hashed(value)
		}
	}
	return out
}

// keptAnnotations are those whose values are words of a rule.
func keptAnnotations(m map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range m {
		if strings.HasPrefix(key, "cluster-autoscaler.kubernetes.io/") || strings.HasPrefix(key, "karpenter.sh/") || strings.HasPrefix(key, "poolkeeper.io/") {
			out[key] = value
		}
	}
	return out
}

// wellKnown tells whether Kubernetes itself, and no person, gives the values of a label.
func wellKnown(key string) bool {
	for _, domain := range []string{"kubernetes.io/arch", "kubernetes.io/os", "node.kubernetes.io/", "topology.kubernetes.io/", "karpenter.sh/", "node-role.kubernetes.io/"} {
		if strings.HasPrefix(key, domain) {
			return true
		}
	}
	return key == ""
}

// hashed is a name that says nothing, and may stand wherever names may.
func hashed(name string) string {
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(name))
	return "h" + hex.EncodeToString(sum[:6])
}
