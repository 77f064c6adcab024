// Package scenario lives through what a file describes, in a simulated cluster, with the daemon as its flags make it: the same deciders, arbiter, ledger
// and actuator as in a real one, on a virtual clock. It measures what that cost, how long pods waited, and who was disrupted by whom.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/version"
)

// The first two fields of every file.
const (
	apiVersion = "poolkeeper.io/v1alpha1"
	kind       = "Scenario"
)

// Scenario is what happens in a cluster.
type Scenario struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	// Length is how long it is measured; the day before has half an hour in which the first nodes come.
	Length Duration `yaml:"length"`
	// Start is the clock at the beginning, for maintenance windows; Monday, 5 January 2026, 00:00 UTC if it is left out.
	Start time.Time `yaml:"start"`
	// Seed decides what is left open: delays, and which machines fail.
	Seed uint64 `yaml:"seed"`
	// Load is what percentage of their replicas the workloads have, as points with straight lines between them.
	Load      []Point    `yaml:"load"`
	Workloads []Workload `yaml:"workloads"`
	Events    []Event    `yaml:"events"`
}

// Point is a percentage at a time since the beginning.
type Point struct {
	At      Duration `yaml:"at"`
	Percent float64  `yaml:"percent"`
}

// Workload is a set of equal pods.
type Workload struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
	// Replicas is how many pods are 100 percent. A Daemon has one on each node instead.
	Replicas int  `yaml:"replicas"`
	Daemon   bool `yaml:"daemon"`
	// CPU and Memory are what each asks for.
	CPU            string            `yaml:"cpu"`
	Memory         string            `yaml:"memory"`
	NodeSelector   map[string]string `yaml:"nodeSelector"`
	MaxUnavailable string            `yaml:"maxUnavailable"`
	MinAvailable   string            `yaml:"minAvailable"`
	// Load is its own; without one it is that of the scenario.
	Load []Point `yaml:"load"`

	// shape and budget are those of a dumped workload.
	shape  func(*corev1.PodTemplateSpec)
	budget *policyv1.PodDisruptionBudget
}

// Event is what happens at one moment: exactly one of its fields besides At is given.
type Event struct {
	At         Duration  `yaml:"at"`
	Fail       *Fail     `yaml:"fail"`
	OutOfStock *Stock    `yaml:"outOfStock"`
	Upgrade    *Upgrade  `yaml:"upgrade"`
	Burst      *Burst    `yaml:"burst"`
	Outage     *Duration `yaml:"outage"`
}

// Fail switches machines off: for good, or for a while.
type Fail struct {
	Pool  string   `yaml:"pool"`
	Nodes int      `yaml:"nodes"`
	For   Duration `yaml:"for"`
}

// Stock leaves a pool without machines for a while.
type Stock struct {
	Pool string   `yaml:"pool"`
	For  Duration `yaml:"for"`
}

// Upgrade gives a pool, or all of them, another version. When nodes follow is the maintenance window's to say.
type Upgrade struct {
	Pool    string `yaml:"pool"`
	Version string `yaml:"version"`
}

// Burst is a workload that comes all at once and goes again.
type Burst struct {
	Replicas int      `yaml:"replicas"`
	CPU      string   `yaml:"cpu"`
	Memory   string   `yaml:"memory"`
	For      Duration `yaml:"for"`
}

// Duration is a time as in 90s, 10m or 1h30m.
type Duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := time.ParseDuration(node.Value)
	if err != nil || parsed < 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not a duration: write it as in 90s, 10m or 1h30m", node.Line, node.Value)}}
	}
	*d = Duration(parsed)
	return nil
}

// MaxLength bounds how long a scenario may be.
const MaxLength = 14 * 24 * time.Hour

var (
	unknownField = regexp.MustCompile(`^line (\d+): field (\S+) not found in type .*$`)
	ofLine       = regexp.MustCompile(`^line (\d+): (.*)$`)
)

// Parse reads a scenario, strictly. The error lists everything that is wrong with it, each with the file's name, the line, the field and the remedy.
func Parse(name string, content []byte) (*Scenario, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	var s Scenario
	err := decoder.Decode(&s)
	var wrong *yaml.TypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: the file is empty: begin it with \"apiVersion: %s\" and \"kind: %s\"", name, apiVersion, kind)
	case errors.As(err, &wrong):
		var all []error
		for _, text := range wrong.Errors {
			switch {
			case unknownField.MatchString(text):
				all = append(all, errors.New(unknownField.ReplaceAllString(text, name+":$1: $2: there is no such field here; see docs/simulating.md for those that there are")))
			default:
				all = append(all, errors.New(ofLine.ReplaceAllString(text, name+":$1: $2")))
			}
		}
		return nil, errors.Join(all...)
	case err != nil:
		return nil, fmt.Errorf("%s: this is not YAML: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c := &check{name: name, root: document.Content[0]}
	c.scenario(&s)
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	return &s, nil
}

// check finds what is wrong with a scenario that can be read.
type check struct {
	name     string
	root     *yaml.Node
	problems []error
}

// say notes a problem of the field at a path of keys and indexes.
func (c *check) say(path []any, format string, args ...any) {
	node, words := c.root, []string{}
	for _, step := range path {
		words = append(words, fmt.Sprint(step))
		node = child(node, step)
	}
	c.problems = append(c.problems, fmt.Errorf("%s:%d: %s: %s", c.name, node.Line, strings.Join(words, "."), fmt.Sprintf(format, args...)))
}

// child is the node of a key or an index; the parent where there is none.
func child(parent *yaml.Node, step any) *yaml.Node {
	switch s := step.(type) {
	case int:
		if s < len(parent.Content) {
			return parent.Content[s]
		}
	case string:
		for i := 0; i+1 < len(parent.Content); i += 2 {
			if parent.Content[i].Value == s {
				return parent.Content[i+1]
			}
		}
	}
	return parent
}

func (c *check) scenario(s *Scenario) {
	if s.APIVersion != apiVersion {
		c.say([]any{"apiVersion"}, "is %q: write %s", s.APIVersion, apiVersion)
	}
	if s.Kind != kind {
		c.say([]any{"kind"}, "is %q: write %s", s.Kind, kind)
	}
	if length := time.Duration(s.Length); length <= 0 || length > MaxLength {
		c.say([]any{"length"}, "is %s: give a time of at most %s, such as 24h", length, MaxLength)
	}
	c.load([]any{"load"}, s.Load)
	names := map[string]bool{}
	for i, w := range s.Workloads {
		at := []any{"workloads", i}
		if names[w.Namespace+"/"+w.Name] {
			c.say(append(at, "name"), "%q is there twice: give each workload a name of its own", w.Name)
		}
		names[w.Namespace+"/"+w.Name] = true
		c.workload(at, w)
	}
	for i, e := range s.Events {
		c.event([]any{"events", i}, e)
	}
}

func (c *check) load(at []any, points []Point) {
	for i, p := range points {
		switch {
		case p.Percent < 0 || p.Percent > 10000:
			c.say(append(at, i, "percent"), "is %v: give a percentage from 0 to 10000", p.Percent)
		case i > 0 && p.At <= points[i-1].At:
			c.say(append(at, i, "at"), "is not after the point before it: write the points in the order of their times")
		}
	}
}

func (c *check) workload(at []any, w Workload) {
	for _, problem := range validation.IsDNS1123Label(w.Name) {
		c.say(append(at, "name"), "%q: %s", w.Name, problem)
	}
	if w.Namespace != "" {
		for _, problem := range validation.IsDNS1123Label(w.Namespace) {
			c.say(append(at, "namespace"), "%q: %s", w.Namespace, problem)
		}
	}
	if w.Replicas < 0 || w.Replicas > 100_000 {
		c.say(append(at, "replicas"), "is %d: give a number from 0 to 100000", w.Replicas)
	}
	c.quantities(at, w.CPU, w.Memory)
	if w.MaxUnavailable != "" && w.MinAvailable != "" {
		c.say(append(at, "minAvailable"), "stands beside maxUnavailable: a budget has one of them")
	}
	c.load(append(at, "load"), w.Load)
}

func (c *check) quantities(at []any, cpu, memory string) {
	for field, text := range map[string]string{"cpu": cpu, "memory": memory} {
		if text == "" {
			continue
		}
		if q, err := resource.ParseQuantity(text); err != nil || q.Sign() < 0 {
			c.say(append(at, field), "%q is not a quantity: write it as in 500m or 2Gi", text)
		}
	}
}

func (c *check) event(at []any, e Event) {
	given := 0
	for _, is := range []bool{e.Fail != nil, e.OutOfStock != nil, e.Upgrade != nil, e.Burst != nil, e.Outage != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		c.say(at, "says %d things: write one of fail, outOfStock, upgrade, burst and outage beside at", given)
		return
	}
	switch {
	case e.Fail != nil && e.Fail.Nodes < 1:
		c.say(append(at, "fail", "nodes"), "is %d: say how many machines fail", e.Fail.Nodes)
	case e.OutOfStock != nil && e.OutOfStock.For == 0:
		c.say(append(at, "outOfStock", "for"), "is missing: say how long there are no machines")
	case e.OutOfStock != nil && e.OutOfStock.Pool == "":
		c.say(append(at, "outOfStock", "pool"), "is missing: name the pool")
	case e.Upgrade != nil:
		if _, err := version.ParseSemantic(e.Upgrade.Version); err != nil {
			c.say(append(at, "upgrade", "version"), "%q is no version: write it as v1.36.3", e.Upgrade.Version)
		}
	case e.Burst != nil:
		if e.Burst.Replicas < 1 || e.Burst.Replicas > 100_000 {
			c.say(append(at, "burst", "replicas"), "is %d: give a number from 1 to 100000", e.Burst.Replicas)
		}
		if e.Burst.For == 0 {
			c.say(append(at, "burst", "for"), "is missing: say how long it lasts")
		}
		c.quantities(append(at, "burst"), e.Burst.CPU, e.Burst.Memory)
	}
}

// pools checks that the pools which the events name are there.
func (s *Scenario) pools(known map[string]bool) error {
	var problems []error
	for i, e := range s.Events {
		var name string
		switch {
		case e.Fail != nil:
			name = e.Fail.Pool
		case e.OutOfStock != nil:
			name = e.OutOfStock.Pool
		case e.Upgrade != nil:
			name = e.Upgrade.Pool
		}
		if name != "" && !known[name] {
			problems = append(problems, fmt.Errorf("events.%d: there is no pool %q in this cluster: name one of %s", i, name, strings.Join(sortedKeys(known), ", ")))
		}
	}
	return errors.Join(problems...)
}

// percent is the load at a time.
func percent(points []Point, at time.Duration) float64 {
	if len(points) == 0 {
		return 100
	}
	for i, p := range points {
		if at >= time.Duration(p.At) {
			continue
		}
		if i == 0 {
			return p.Percent
		}
		before := points[i-1]
		share := float64(at-time.Duration(before.At)) / float64(p.At-before.At)
		return before.Percent + share*(p.Percent-before.Percent)
	}
	return points[len(points)-1].Percent
}
