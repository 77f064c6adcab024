package scaleway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scaleway/scaleway-sdk-go/scw"
	"github.com/scaleway/scaleway-sdk-go/validation"
	"go.yaml.in/yaml/v3"
)

// Config is what the provider is told. Where each part comes from: the file of --cloud-config, else the environment, else the SDK's own file.
type Config struct {
	Region scw.Region
	// Cluster is the cluster's ID or name.
	Cluster string
	// APIURL is where the API is; empty for Scaleway's own.
	APIURL string
	// Pools are limits of pools by their names; they win over tags.
	Pools map[string]Limits
	// Upgrade is set on a pool before its own upgrade begins; nil leaves the pool's as it is.
	Upgrade *UpgradePolicy

	credentials credentials
}

// Limits are a pool's min and max. A nil one has no value.
type Limits struct{ Min, Max *int }

// UpgradePolicy is how the service replaces a pool's nodes in its own upgrades.
type UpgradePolicy struct {
	MaxSurge, MaxUnavailable uint32
	// Grace is how long the service waits for a drain before it forces it; an hour at most.
	Grace time.Duration
}

// entry is a value of the file with its line.
type entry struct {
	text string
	line int
}

// UnmarshalYAML takes in a single value, whatever YAML would make of it.
func (e *entry) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: has to be a single value", node.Line)
	}
	e.text, e.line = node.Value, node.Line
	return nil
}

// file is the file of --cloud-config.
type file struct {
	Region  entry               `yaml:"region"`
	Cluster entry               `yaml:"cluster"`
	APIURL  entry               `yaml:"apiURL"`
	Profile entry               `yaml:"profile"`
	Access  entry               `yaml:"accessKey"`
	Secret  entry               `yaml:"secretKey"`
	Keyfile entry               `yaml:"secretKeyFile"`
	Pools   map[string]poolFile `yaml:"pools"`
	Upgrade *upgradeFile        `yaml:"upgrade"`
}

type poolFile struct {
	Min entry `yaml:"min"`
	Max entry `yaml:"max"`
}

type upgradeFile struct {
	MaxSurge       entry `yaml:"maxSurge"`
	MaxUnavailable entry `yaml:"maxUnavailable"`
	Grace          entry `yaml:"maxTerminationGracePeriod"`
}

// The fields that the file and its parts know, for errors.
const (
	fields        = "accessKey, apiURL, cluster, pools, profile, region, secretKey, secretKeyFile, upgrade"
	poolFields    = "max, min"
	upgradeFields = "maxSurge, maxTerminationGracePeriod, maxUnavailable"
)

// read reads the configuration; name is the file's path, empty if there is none.
func read(name string) (Config, error) {
	var content []byte
	if name != "" {
		var err error
		if content, err = os.ReadFile(name); err != nil {
			return Config{}, fmt.Errorf("the file of --cloud-config can't be read: %w", err)
		}
	}
	return parse(name, content)
}

// parse makes the configuration of a file's content and the environment. Its error lists all that is wrong.
func parse(name string, content []byte) (Config, error) {
	var f file
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, errors.Join(fileErrors(name, err)...)
	}
	r := &reading{name: name}
	c := Config{Cluster: strings.TrimSpace(f.Cluster.text), APIURL: f.APIURL.text, Pools: map[string]Limits{}}
	profile := r.profile(f)
	if c.Cluster == "" {
		c.Cluster = os.Getenv(ClusterEnv)
	}
	if c.Cluster == "" {
		r.add(f.Cluster, "cluster", "is missing; give the cluster's ID or name, there or in %s", ClusterEnv)
	}
	region := f.Region.text
	if region == "" && profile.DefaultRegion != nil {
		region = *profile.DefaultRegion
	}
	c.Region = scw.Region(region)
	if !validation.IsRegion(region) {
		r.add(f.Region, "region", "%q is not a region; use one such as fr-par, there, in %s or in the SDK's configuration", region, scw.ScwDefaultRegionEnv)
	}
	if c.APIURL == "" && profile.APIURL != nil {
		c.APIURL = *profile.APIURL
	}
	c.APIURL = strings.TrimSuffix(c.APIURL, "/")
	if at, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http") {
		r.add(f.APIURL, "apiURL", "is not a URL; write it like https://api.scaleway.com, or leave it out")
	}
	c.credentials = r.credentials(f, profile).hidden()
	for _, pool := range slices.Sorted(maps.Keys(f.Pools)) {
		c.Pools[pool] = r.limits("pools."+pool, f.Pools[pool])
	}
	c.Upgrade = r.upgrade(f.Upgrade)
	return c, errors.Join(r.problems...)
}

// reading collects what is wrong.
type reading struct {
	name     string
	problems []error
}

// add notes a problem of a field: with its line if it is in the file.
func (r *reading) add(at entry, field, format string, args ...any) {
	where := field
	switch {
	case r.name != "" && at.line > 0:
		where = fmt.Sprintf("%s:%d: %s", r.name, at.line, field)
	case r.name != "":
		where = r.name + ": " + field
	}
	r.problems = append(r.problems, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

func (r *reading) limits(path string, f poolFile) Limits {
	l := Limits{Min: r.count(path+".min", f.Min), Max: r.count(path+".max", f.Max)}
	if l.Min != nil && l.Max != nil && *l.Min > *l.Max {
		r.add(f.Max, path+".max", "%d is below the min of %d; raise the max or lower the min", *l.Max, *l.Min)
	}
	return l
}

func (r *reading) count(path string, e entry) *int {
	if e.text == "" {
		return nil
	}
	n, err := strconv.Atoi(e.text)
	if err != nil || n < 0 || n > mostNodes {
		r.add(e, path, "%q is not a number of nodes; use 0 to %d", e.text, mostNodes)
		return nil
	}
	return &n
}

// mostNodes is more than the largest control plane of the service takes (500).
const mostNodes = 10_000

func (r *reading) upgrade(f *upgradeFile) *UpgradePolicy {
	if f == nil {
		return nil
	}
	policy := &UpgradePolicy{MaxSurge: 1, Grace: time.Hour}
	if n := r.count("upgrade.maxSurge", f.MaxSurge); n != nil {
		policy.MaxSurge = uint32(*n)
	}
	if n := r.count("upgrade.maxUnavailable", f.MaxUnavailable); n != nil {
		policy.MaxUnavailable = uint32(*n)
	}
	if policy.MaxSurge == 0 && policy.MaxUnavailable == 0 {
		r.add(f.MaxSurge, "upgrade.maxSurge", "is 0, as is maxUnavailable, so that no node could be replaced; raise one of them")
	}
	if f.Grace.text != "" {
		d, err := time.ParseDuration(f.Grace.text)
		if err != nil || d <= 0 || d > time.Hour {
			r.add(f.Grace, "upgrade.maxTerminationGracePeriod", "%q is not a time that the service takes; write it like 30m, an hour at most", f.Grace.text)
		}
		policy.Grace = d
	}
	return policy
}

var unknownField = regexp.MustCompile(`line (\d+): field (\S+) not found in type \S*\.(\w+)`)

// fileErrors are what the YAML library found, each with the file's name, the line and the remedy.
func fileErrors(name string, err error) []error {
	var lines []string
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines = typed.Errors
	} else {
		lines = []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	all := make([]error, len(lines))
	for i, text := range lines {
		if found := unknownField.FindStringSubmatch(text); found != nil {
			known := map[string]string{"poolFile": poolFields, "upgradeFile": upgradeFields}[found[3]]
			if known == "" {
				known = fields
			}
			all[i] = fmt.Errorf("%s:%s: %s: unknown field; the known ones are %s", name, found[1], hideValues(found[2]), known)
			continue
		}
		if rest, ok := strings.CutPrefix(text, "line "); ok {
			line, what, _ := strings.Cut(rest, ":")
			all[i] = fmt.Errorf("%s:%s:%s; check the YAML there", name, line, hideValues(what))
			continue
		}
		all[i] = fmt.Errorf("%s: %s; check the YAML there", name, hideValues(text))
	}
	return all
}

// value is what may be a key: anything that the YAML library quotes, and anything written as a secret key is, wherever it stands.
var value = regexp.MustCompile("`[^`]*`|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

// hideValues takes the values out of an error of the YAML library.
func hideValues(text string) string { return value.ReplaceAllString(text, "a value") }
