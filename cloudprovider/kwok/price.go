package kwok

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// AvailableVersions implements [cloudprovider.VersionLister]: the versions that have been released by now.
func (p *Provider) AvailableVersions(context.Context) ([]cloudprovider.Version, error) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	now := p.clock.Now()
	var list []cloudprovider.Version
	for _, one := range p.cloud.versions {
		if !one.Released.After(now) {
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b cloudprovider.Version) int {
		order, _ := version.MustParseSemantic(a.Name).Compare(b.Name)
		return order
	})
	return list, nil
}

// offers is an error if pools can't be set to the version.
func (p *Provider) offers(name string) error {
	if err := checkVersion(name); err != nil {
		return &cloudprovider.Error{Class: cloudprovider.ClassInvalid, Err: err}
	}
	list, err := p.AvailableVersions(context.Background())
	if err != nil || len(list) == 0 || slices.ContainsFunc(list, func(v cloudprovider.Version) bool { return v.Name == name }) {
		return err
	}
	offered := make([]string, len(list))
	for i, v := range list {
		offered[i] = v.Name
	}
	return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the version is not offered; those that are: %s", strings.Join(offered, ", "))
}

// checkVersion is an error if the text isn't the version of a kubelet.
func checkVersion(text string) error {
	_, err := version.ParseSemantic(text)
	if text == "" {
		return fmt.Errorf("is missing; name a Kubernetes version, such as v1.36.3")
	}
	if err != nil || !strings.HasPrefix(text, "v") {
		return fmt.Errorf("%q is not a version; write it like v1.36.3", text)
	}
	return nil
}

// NodePrice implements [cloudprovider.Pricer]: the price of the node's pool, by the hour. It is an error for a pool without a price.
func (p *Provider) NodePrice(_ context.Context, node *corev1.Node, start, end time.Time) (float64, error) {
	name, _, _ := parseProviderID(node.Spec.ProviderID)
	if name == "" {
		name = node.Labels[PoolLabel] // a template has no provider ID
	}
	pool, known := p.pool(name)
	if !known {
		return 0, cloudprovider.Errorf(cloudprovider.ClassNotFound, "price of node "+node.Name, "it is not of a pool of this provider")
	}
	if pool.Template.Price == 0 {
		return 0, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "price of node "+node.Name, "pool %s has no price", name)
	}
	return pool.Template.Price * end.Sub(start).Hours(), nil
}

// PodPrice implements [cloudprovider.Pricer]: the share of the pod's requests, of CPU or memory, whichever is bigger, in the cheapest node for it.
func (p *Provider) PodPrice(_ context.Context, pod *corev1.Pod, start, end time.Time) (float64, error) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	var cpu, memory float64
	for i := range pod.Spec.Containers {
		requests := pod.Spec.Containers[i].Resources.Requests
		cpu += requests.Cpu().AsApproximateFloat64()
		memory += requests.Memory().AsApproximateFloat64()
	}
	best, priced := 0.0, false
	for i := range p.cloud.pools {
		t := &p.cloud.pools[i].Template
		_, room := t.resources()
		share := max(cpu/room.Cpu().AsApproximateFloat64(), memory/room.Memory().AsApproximateFloat64())
		if t.Price > 0 && (!priced || share*t.Price < best) {
			best, priced = share*t.Price, true
		}
	}
	if !priced {
		return 0, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "price of pod "+pod.Namespace+"/"+pod.Name, "no pool has a price")
	}
	return best * end.Sub(start).Hours(), nil
}
