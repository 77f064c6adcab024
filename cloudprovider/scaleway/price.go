package scaleway

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// NodePrice implements [cloudprovider.Pricer], in euro. It is an error for a pool whose price is not known.
func (p *Provider) NodePrice(_ context.Context, node *corev1.Node, start, end time.Time) (float64, error) {
	doing, v := "price of node "+node.Name, p.now()
	known := v.poolOf(node.Spec.ProviderID)
	for _, other := range v.pools {
		if known == nil && node.Spec.ProviderID == "" && other.pool.ID == node.Labels[poolLabel] { // a template has no provider ID
			known = other
		}
	}
	if known == nil {
		return 0, cloudprovider.Errorf(cloudprovider.ClassNotFound, doing, "it is not of a pool of this cluster")
	}
	price := known.price(v.facts)
	if price <= 0 {
		return 0, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, doing, "the price of type %s is not known", known.pool.NodeType)
	}
	return price * end.Sub(start).Hours(), nil
}

// PodPrice implements [cloudprovider.Pricer]: the share of the pod's requests, of CPU or memory, whichever is bigger, in the cheapest node for it.
func (p *Provider) PodPrice(_ context.Context, pod *corev1.Pod, start, end time.Time) (float64, error) {
	var cpu, memory float64
	for i := range pod.Spec.Containers {
		requests := pod.Spec.Containers[i].Resources.Requests
		cpu += requests.Cpu().AsApproximateFloat64()
		memory += requests.Memory().AsApproximateFloat64()
	}
	v, best, priced := p.now(), 0.0, false
	for _, known := range v.pools {
		template, err := known.template(v.facts)
		if err != nil || template.Price <= 0 {
			continue
		}
		room := template.Node.Status.Allocatable
		share := max(cpu/room.Cpu().AsApproximateFloat64(), memory/room.Memory().AsApproximateFloat64())
		if !priced || share*template.Price < best {
			best, priced = share*template.Price, true
		}
	}
	if !priced {
		return 0, cloudprovider.Errorf(cloudprovider.ClassNotImplemented, "price of pod "+pod.Namespace+"/"+pod.Name, "no pool has a price")
	}
	return best * end.Sub(start).Hours(), nil
}

var (
	_ cloudprovider.Pricer         = (*Provider)(nil)
	_ cloudprovider.VersionLister  = (*Provider)(nil)
	_ cloudprovider.JobHolder      = (*group)(nil)
	_ cloudprovider.Rebooter       = (*ownGroup)(nil)
	_ cloudprovider.Replacer       = (*ownGroup)(nil)
	_ cloudprovider.ForceDeleter   = (*ownGroup)(nil)
	_ cloudprovider.VersionTeller  = (*ownGroup)(nil)
	_ cloudprovider.NativeUpgrader = (*ownGroup)(nil)
	_ cloudprovider.CapacityTyper  = (*ownGroup)(nil)
)
