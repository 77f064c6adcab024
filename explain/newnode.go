package explain

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Trait is one thing that is known of the new nodes of a pool: an amount, a label or a taint.
type Trait struct {
	// Name is that of a resource, "label KEY" or "taint KEY:EFFECT".
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	// Source says who tells: the provider, or which live node.
	Source string `json:"source"`
}

// traits are all that is known of the pool's new nodes.
func (b book) traits(pool *cluster.Pool) []Trait {
	var all []Trait
	for _, field := range scheduling.Fields(b.snapshot, pool) {
		source := fmt.Sprintf("by the provider, as read %s ago", b.ago(field.At))
		if field.Node != "" {
			source = fmt.Sprintf("as on node %s, made %s ago", field.Node, b.ago(field.At))
		}
		all = append(all, Trait{field.Name, field.Value, source})
	}
	return all
}

// newNodes says what is known of a pool's new nodes, by where it comes from. What all nodes have is said in a word, or not at all: the data has everything.
func newNodes(pool string, traits []Trait) []string {
	var sources []string
	known := map[string][]string{}
	for _, trait := range traits {
		text := short(pool, trait)
		if text == "" {
			continue
		}
		if known[trait.Source] == nil {
			sources = append(sources, trait.Source)
		}
		known[trait.Source] = append(known[trait.Source], text)
	}
	var facts []string
	for _, source := range sources {
		facts = append(facts, fmt.Sprintf("A new node has, %s: %s.", source, strings.Join(known[source], ", ")))
	}
	return facts
}

// short is a trait as people say it; empty for one that says nothing new.
func short(pool string, trait Trait) string {
	key, isLabel := strings.CutPrefix(trait.Name, "label ")
	switch {
	case isLabel && (strings.HasPrefix(key, "beta.kubernetes.io/") || strings.HasPrefix(key, "failure-domain.beta.kubernetes.io/")):
		return "" // the same is said by the label's later name
	case isLabel && trait.Value == pool && (strings.HasSuffix(key, "/pool") || strings.HasSuffix(key, "/pool-name")):
		return ""
	case isLabel && (key == corev1.LabelArchStable || key == corev1.LabelOSStable):
		return trait.Value
	case isLabel && key == corev1.LabelInstanceTypeStable:
		return "type " + trait.Value
	case isLabel && key == corev1.LabelTopologyZone:
		return "zone " + trait.Value
	case isLabel && key == corev1.LabelTopologyRegion:
		return "region " + trait.Value
	case trait.Value == "":
		return trait.Name
	}
	return trait.Name + " " + trait.Value
}
