package kwok

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// problem is something wrong in a configuration: which field, and what to do about it.
type problem struct {
	path string
	text string
}

// Validate checks the configuration. Its error lists everything that is wrong, each with its field and the remedy.
func (c Config) Validate() error {
	var all []error
	for _, found := range c.problems() {
		all = append(all, fmt.Errorf("%s: %s", found.path, found.text))
	}
	return errors.Join(all...)
}

func (c Config) problems() []problem {
	var found findings
	if len(c.Pools) == 0 {
		found.add("pools", "there are none; add at least one")
	}
	for i, version := range c.Versions {
		path := fmt.Sprintf("versions[%d]", i)
		if err := checkVersion(version.Name); err != nil {
			found.add(path+".name", "%v", err)
		}
		if slices.ContainsFunc(c.Versions[:i], func(other cloudprovider.Version) bool { return other.Name == version.Name }) {
			found.add(path+".name", "version %s is there twice; take one out", version.Name)
		}
	}
	found.faults("faults", c.Faults)
	for i, pool := range c.Pools {
		path := fmt.Sprintf("pools[%d]", i)
		found.pool(path, pool)
		if slices.ContainsFunc(c.Pools[:i], func(other Pool) bool { return other.Name == pool.Name }) {
			found.add(path+".name", "there is another pool %q above; give each a name of its own", pool.Name)
		}
	}
	return found
}

type findings []problem

func (f *findings) add(path, format string, args ...any) {
	*f = append(*f, problem{path, fmt.Sprintf(format, args...)})
}

func (f *findings) faults(path string, list []Fault) {
	for i, fault := range list {
		if _, err := parseFaults([]Fault{fault}); err != nil {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%v", err)
		}
	}
}

func (f *findings) pool(path string, pool Pool) {
	switch wrong := validation.IsDNS1123Label(pool.Name); {
	case pool.Name == "":
		f.add(path+".name", "is missing; give the pool a name")
	case len(pool.Name) > maxNameLength:
		f.add(path+".name", "%q has %d characters; use at most %d", pool.Name, len(pool.Name), maxNameLength)
	case len(wrong) > 0:
		f.add(path+".name", "%q is not a name: %s", pool.Name, strings.Join(wrong, ", "))
	}
	switch {
	case pool.Min < 0:
		f.add(path+".min", "%d is negative; use 0 or more", pool.Min)
	case pool.Max < pool.Min:
		f.add(path+".max", "%d is below the min of %d; raise the max or lower the min", pool.Max, pool.Min)
	case pool.Max > maxInstances:
		f.add(path+".max", "%d is more than the %d that a pool can have; use several pools", pool.Max, maxInstances)
	case pool.InitialSize != 0 && (pool.InitialSize < pool.Min || pool.InitialSize > pool.Max):
		f.add(path+".initialSize", "%d is not between the min of %d and the max of %d", pool.InitialSize, pool.Min, pool.Max)
	}
	if pool.StartupDelay < 0 {
		f.add(path+".startupDelay", "%v is negative", pool.StartupDelay)
	}
	if pool.DeleteDelay < 0 {
		f.add(path+".deleteDelay", "%v is negative", pool.DeleteDelay)
	}
	if pool.StopDelay < 0 {
		f.add(path+".stopDelay", "%v is negative", pool.StopDelay)
	}
	if pool.RebootDelay < 0 {
		f.add(path+".rebootDelay", "%v is negative", pool.RebootDelay)
	}
	f.faults(path+".faults", pool.Faults)
	f.template(path+".template", pool.Template)
}

func (f *findings) template(path string, t Template) {
	for _, key := range slices.Sorted(maps.Keys(t.Labels)) {
		f.label(path+".labels", key, t.Labels[key])
	}
	for i, taint := range t.Taints {
		at := fmt.Sprintf("%s.taints[%d]", path, i)
		f.label(at, taint.Key, taint.Value)
		if !slices.Contains([]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}, taint.Effect) {
			f.add(at+".effect", "%q is not an effect; use NoSchedule, PreferNoSchedule or NoExecute", taint.Effect)
		}
	}
	for _, key := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if _, given := t.Capacity[key]; !given {
			f.add(path+".capacity", "%s is missing; say how much a node has", key)
		}
	}
	f.resources(path+".capacity", t.Capacity, nil)
	f.resources(path+".allocatable", t.Allocatable, t.Capacity)
	for _, field := range []struct{ name, value string }{
		{"zone", t.Zone},
		{"region", t.Region},
		{"instanceType", t.InstanceType},
		{"architecture", t.Architecture},
		{"operatingSystem", t.OperatingSystem},
	} {
		if wrong := validation.IsValidLabelValue(field.value); len(wrong) > 0 {
			f.add(path+"."+field.name, "%q can't be a label's value: %s", field.value, strings.Join(wrong, ", "))
		}
	}
	if err := checkVersion(t.Version); err != nil {
		f.add(path+".version", "%v", err)
	}
	if t.Price < 0 {
		f.add(path+".price", "%v is negative; use 0 if it is unknown", t.Price)
	}
	if !slices.Contains([]cloudprovider.CapacityType{"", cloudprovider.OnDemand, cloudprovider.Spot}, t.CapacityType) {
		f.add(path+".capacityType", "%q is not known; use %s or %s", t.CapacityType, cloudprovider.OnDemand, cloudprovider.Spot)
	}
}

func (f *findings) label(path, key, value string) {
	if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
		f.add(path, "%q is not a key: %s", key, strings.Join(wrong, ", "))
	}
	if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
		f.add(path+"."+key, "%q is not a value: %s", value, strings.Join(wrong, ", "))
	}
}

// resources checks amounts, and that they are within a limit where one is given.
func (f *findings) resources(path string, list, limit corev1.ResourceList) {
	for _, key := range slices.Sorted(maps.Keys(list)) {
		amount := list[key]
		if amount.Sign() < 0 || amount.Sign() == 0 && (key == corev1.ResourceCPU || key == corev1.ResourceMemory) {
			f.add(path+"."+string(key), "%s is too little; a node needs some", amount.String())
		}
		most, limited := limit[key]
		if limit != nil && !limited && key == corev1.ResourcePods {
			most, limited = resource.MustParse(defaultPods), true
		}
		if limited && amount.Cmp(most) > 0 {
			f.add(path+"."+string(key), "%s is more than the capacity of %s; lower it or raise the capacity", amount.String(), most.String())
		}
	}
}
