package kwok

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// The fields of the file.

type readers = map[string]func(*yaml.Node, string)

func keys(known readers) iter.Seq[string] { return maps.Keys(known) }

func (r *reader) config(node *yaml.Node) Config {
	var c Config
	r.fields(node, "", readers{
		"versions": func(node *yaml.Node, path string) {
			r.items(node, path, func(item *yaml.Node, at string) { c.Versions = append(c.Versions, r.version(item, at)) })
		},
		"pools": func(node *yaml.Node, path string) {
			r.items(node, path, func(item *yaml.Node, at string) { c.Pools = append(c.Pools, r.pool(item, at)) })
		},
		"faults": r.faults(&c.Faults),
	})
	return c
}

// version reads a version: its name alone, or a mapping.
func (r *reader) version(node *yaml.Node, path string) cloudprovider.Version {
	var v cloudprovider.Version
	if node.Kind == yaml.ScalarNode {
		text(r, &v.Name)(node, path)
		return v
	}
	r.fields(node, path, readers{
		"name":      text(r, &v.Name),
		"released":  scalar(r, &v.Released, parseTime),
		"endOfLife": scalar(r, &v.EndOfLife, parseTime),
	})
	return v
}

func (r *reader) pool(node *yaml.Node, path string) Pool {
	var p Pool
	r.fields(node, path, readers{
		"name":         text(r, &p.Name),
		"min":          scalar(r, &p.Min, parseInt),
		"max":          scalar(r, &p.Max, parseInt),
		"initialSize":  scalar(r, &p.InitialSize, parseInt),
		"startupDelay": scalar(r, &p.StartupDelay, parseDuration),
		"deleteDelay":  scalar(r, &p.DeleteDelay, parseDuration),
		"rebootDelay":  scalar(r, &p.RebootDelay, parseDuration),
		"stopDelay":    scalar(r, &p.StopDelay, parseDuration),
		"faults":       r.faults(&p.Faults),
		"template":     func(node *yaml.Node, path string) { p.Template = r.template(node, path) },
	})
	return p
}

func (r *reader) template(node *yaml.Node, path string) Template {
	var t Template
	r.fields(node, path, readers{
		"labels": func(node *yaml.Node, path string) {
			t.Labels = map[string]string{}
			r.each(node, path, func(key string, value *yaml.Node, at string) {
				var label string
				text(r, &label)(value, at)
				t.Labels[key] = label
			})
		},
		"taints": func(node *yaml.Node, path string) {
			r.items(node, path, func(item *yaml.Node, at string) { t.Taints = append(t.Taints, r.taint(item, at)) })
		},
		"capacity":        r.resources(&t.Capacity),
		"allocatable":     r.resources(&t.Allocatable),
		"zone":            text(r, &t.Zone),
		"region":          text(r, &t.Region),
		"instanceType":    text(r, &t.InstanceType),
		"architecture":    text(r, &t.Architecture),
		"operatingSystem": text(r, &t.OperatingSystem),
		"version":         scalar(r, &t.Version, parseText),
		"price":           scalar(r, &t.Price, parsePrice),
		"capacityType":    text(r, &t.CapacityType),
	})
	return t
}

func (r *reader) taint(node *yaml.Node, path string) corev1.Taint {
	var t corev1.Taint
	r.fields(node, path, readers{"key": text(r, &t.Key), "value": text(r, &t.Value), "effect": text(r, &t.Effect)})
	return t
}

func (r *reader) resources(to *corev1.ResourceList) func(*yaml.Node, string) {
	return func(node *yaml.Node, path string) {
		*to = corev1.ResourceList{}
		r.each(node, path, func(key string, value *yaml.Node, at string) {
			var amount resource.Quantity
			scalar(r, &amount, parseQuantity)(value, at)
			(*to)[corev1.ResourceName(key)] = amount
		})
	}
}

func (r *reader) faults(to *[]Fault) func(*yaml.Node, string) {
	return func(node *yaml.Node, path string) {
		r.items(node, path, func(item *yaml.Node, at string) {
			var fault Fault
			text(r, &fault)(item, at)
			*to = append(*to, fault)
		})
	}
}

func parseText(value string) (string, error) { return value, nil }

func parseInt(value string) (int, error) {
	number, err := strconv.Atoi(value)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", value)
	}
	return number, nil
}

func parseDuration(value string) (time.Duration, error) {
	duration, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; write it like 30s or 2m", value)
	}
	return duration, nil
}

func parseTime(value string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if moment, err := time.Parse(layout, value); err == nil {
			return moment, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a moment; write it like 2026-08-01 or 2026-08-01T10:00:00Z", value)
}

// longestQuantity and biggestExponent bound what is worth parsing: the library computes for minutes over a quantity such as 1e-999999999.
const (
	longestQuantity = 32
	biggestExponent = 99
)

func parseQuantity(value string) (resource.Quantity, error) {
	_, exponent, _ := strings.Cut(strings.ToLower(value), "e")
	power, _ := strconv.Atoi(exponent) // of 4Ei it is none
	if len(value) > longestQuantity || power < -biggestExponent || power > biggestExponent {
		return resource.Quantity{}, fmt.Errorf("%.40q is no quantity that a node can have; write it like 500m, 4 or 16Gi", value)
	}
	quantity, err := resource.ParseQuantity(value)
	if err != nil {
		return resource.Quantity{}, fmt.Errorf("%q is not a quantity; write it like 500m, 4 or 16Gi", value)
	}
	return quantity, nil
}

func parsePrice(value string) (float64, error) {
	price, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(price) || math.IsInf(price, 0) {
		return 0, fmt.Errorf("%q is not a price; write it like 0.12", value)
	}
	return price, nil
}
