package scheduling

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1alpha2 "k8s.io/api/scheduling/v1alpha2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/structured"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// Dynamic resources are left to the kube-scheduler's own plugin, which allocates devices for a pod's claims on one node after the other. What it wants to know
// it asks the manager below, which shows the snapshot's claims, slices and classes with what the trial has changed: the claims of pods that were put
// somewhere are allocated, those of pods that were taken are free again, and new nodes bring devices like those of the live node that they are modelled
// on. All of it is taken back with the trial.
//
// A pod whose claim has not been made yet fits nowhere, as for the kube-scheduler, and neither do pods that a controller is about to make. Of a pool that has no
// node nobody knows which devices a new one would bring.

// extended are the extended resources that device classes stand for, made when they are first asked for.
type extended struct {
	byResource map[corev1.ResourceName]*resourcev1.DeviceClass
	read       bool
}

// deviceManager implements the scheduler's SharedDRAManager on the open trial.
type deviceManager struct{ view *view }

// ResourceClaims implements the scheduler's SharedDRAManager.
func (m deviceManager) ResourceClaims() fwk.ResourceClaimTracker { return claimTracker(m) }

// ResourceSlices implements the scheduler's SharedDRAManager.
func (m deviceManager) ResourceSlices() fwk.ResourceSliceLister { return sliceLister(m) }

// DeviceClasses implements the scheduler's SharedDRAManager.
func (m deviceManager) DeviceClasses() fwk.DeviceClassLister { return classLister(m) }

// DeviceClassResolver implements the scheduler's SharedDRAManager.
func (m deviceManager) DeviceClassResolver() fwk.DeviceClassResolver { return m }

// PodGroups implements the scheduler's SharedDRAManager.
func (m deviceManager) PodGroups() fwk.PodGroupLister { return podGroups{} }

// GetDeviceClass implements the scheduler's DeviceClassResolver: the class that stands for the resource; nil if there is none.
func (m deviceManager) GetDeviceClass(name corev1.ResourceName) *resourcev1.DeviceClass {
	return m.view.deviceClass(name)
}

func (v *view) deviceClass(name corev1.ResourceName) *resourcev1.DeviceClass {
	if class, ok := strings.CutPrefix(string(name), resourcev1.ResourceDeviceClassPrefix); ok {
		found, _ := v.trial.snapshot.DeviceClasses.Get(class)
		return found
	}
	if !v.extended.read {
		v.extended = extended{byResource: map[corev1.ResourceName]*resourcev1.DeviceClass{}, read: true}
		for class := range v.trial.snapshot.DeviceClasses.Values() {
			if resource := class.Spec.ExtendedResourceName; resource != nil {
				v.extended.byResource[corev1.ResourceName(*resource)] = class
			}
		}
	}
	return v.extended.byResource[name]
}

// podGroups are none: they are behind a feature gate that is off by default.
type podGroups struct{}

// Get implements the scheduler's PodGroupLister.
func (podGroups) Get(namespace, name string) (*schedulingv1alpha2.PodGroup, error) {
	return nil, fmt.Errorf("pod group %s/%s: groups of pods are not simulated yet", namespace, name)
}

// classLister implements the scheduler's DeviceClassLister.
type classLister struct{ view *view }

// List implements the scheduler's DeviceClassLister.
func (l classLister) List() ([]*resourcev1.DeviceClass, error) {
	return slices.Collect(l.view.trial.snapshot.DeviceClasses.Values()), nil
}

// Get implements the scheduler's DeviceClassLister.
func (l classLister) Get(name string) (*resourcev1.DeviceClass, error) {
	if class, ok := l.view.trial.snapshot.DeviceClasses.Get(name); ok {
		return class, nil
	}
	return nil, apierrors.NewNotFound(resourcev1.Resource("deviceclasses"), name)
}

// sliceLister implements the scheduler's ResourceSliceLister. Rules that taint devices are behind a feature gate that is off by default.
type sliceLister struct{ view *view }

// ListWithDeviceTaintRules implements the scheduler's ResourceSliceLister.
func (l sliceLister) ListWithDeviceTaintRules() ([]*resourcev1.ResourceSlice, error) {
	t := l.view.trial
	all := slices.Collect(t.snapshot.ResourceSlices.Values())
	for i := range t.board.names {
		if slot := int32(i); len(t.slices) > 0 && t.board.alive.has(slot) { //nolint:gosec // As many as nodes.
			all = append(all, t.slices[t.board.names[slot]]...)
		}
	}
	return all, nil
}

// claimTracker implements the scheduler's ResourceClaimTracker.
type claimTracker struct{ view *view }

// List implements the scheduler's ResourceClaimTracker.
func (c claimTracker) List() ([]*resourcev1.ResourceClaim, error) {
	return c.view.trial.allClaims(), nil
}

// Get implements the scheduler's ResourceClaimTracker.
func (c claimTracker) Get(namespace, name string) (*resourcev1.ResourceClaim, error) {
	if claim := c.view.trial.claim(namespace + "/" + name); claim != nil {
		return claim, nil
	}
	return nil, apierrors.NewNotFound(resourcev1.Resource("resourceclaims"), name)
}

// ListAllAllocatedDevices implements the scheduler's ResourceClaimTracker.
func (c claimTracker) ListAllAllocatedDevices() (sets.Set[structured.DeviceID], error) {
	state, err := c.GatherAllocatedState()
	return state.AllocatedDevices, err
}

// GatherAllocatedState gives the devices that claims have. Those that are had for administration are free for all.
func (c claimTracker) GatherAllocatedState() (*structured.AllocatedState, error) {
	state := &structured.AllocatedState{
		AllocatedDevices: sets.New[structured.DeviceID](), AllocatedSharedDeviceIDs: sets.New[structured.SharedDeviceID](),
		AggregatedCapacity: structured.NewConsumedCapacityCollection(),
	}
	for _, claim := range c.view.trial.allClaims() {
		if claim.Status.Allocation == nil {
			continue
		}
		for _, result := range claim.Status.Allocation.Devices.Results {
			id := structured.MakeDeviceID(result.Driver, result.Pool, result.Device)
			switch {
			case result.AdminAccess != nil && *result.AdminAccess:
			case result.ShareID == nil:
				state.AllocatedDevices.Insert(id)
			default:
				state.AllocatedSharedDeviceIDs.Insert(structured.MakeSharedDeviceID(id, result.ShareID))
				if result.ConsumedCapacity != nil {
					state.AggregatedCapacity.Insert(structured.NewDeviceConsumedCapacity(id, result.ConsumedCapacity))
				}
			}
		}
	}
	return state, nil
}

// SignalClaimPendingAllocation notes what the plugin has allocated: the claim is the pod's from now on, since in a trial nothing has to be written first. A claim
// for extended resources has no object yet, and no name of its own.
func (c claimTracker) SignalClaimPendingAllocation(_ types.UID, allocated *resourcev1.ResourceClaim) error {
	claim := *allocated
	if owner := metav1.GetControllerOf(&claim); owner != nil && claim.Annotations[resourcev1.ExtendedResourceClaimAnnotation] == "true" {
		claim.Name = forExtended + owner.Name
	}
	c.view.trial.setClaim(&claim)
	return nil
}

// forExtended begins the names of claims that stand for a pod's extended resources; no object can have such a name.
const forExtended = "<extended-resources>/"

// GetPendingAllocation implements the scheduler's ResourceClaimTracker: nothing is ever pending in a trial.
func (claimTracker) GetPendingAllocation(types.UID) *resourcev1.AllocationResult { return nil }

// MaybeRemoveClaimPendingAllocation implements the scheduler's ResourceClaimTracker.
func (claimTracker) MaybeRemoveClaimPendingAllocation(types.UID, bool) (deleted bool) { return false }

// AssumeClaimAfterAPICall implements the scheduler's ResourceClaimTracker.
func (claimTracker) AssumeClaimAfterAPICall(*resourcev1.ResourceClaim) error { return nil }

// AssumedClaimRestore implements the scheduler's ResourceClaimTracker.
func (claimTracker) AssumedClaimRestore(string, string) {}

// claim is a claim as it is in the trial; nil if there is none.
func (t *trial) claim(key string) *resourcev1.ResourceClaim {
	if claim, changed := t.claims[key]; changed {
		return claim
	}
	claim, _ := t.snapshot.ResourceClaims.Get(key)
	return claim
}

// allClaims are all claims as they are in the trial, in the order of their keys: the same picture gives the same devices.
func (t *trial) allClaims() []*resourcev1.ResourceClaim {
	all := make([]*resourcev1.ResourceClaim, 0, t.snapshot.ResourceClaims.Len()+len(t.claims))
	for key, claim := range t.snapshot.ResourceClaims.All() {
		if _, changed := t.claims[key]; !changed {
			all = append(all, claim)
		}
	}
	for _, claim := range t.claims {
		if claim != nil {
			all = append(all, claim)
		}
	}
	if len(t.claims) > 0 {
		slices.SortFunc(all, func(a, b *resourcev1.ResourceClaim) int { return strings.Compare(cluster.Key(a), cluster.Key(b)) })
	}
	return all
}

// setClaim changes a claim until it is undone.
func (t *trial) setClaim(claim *resourcev1.ResourceClaim) { t.changeClaim(cluster.Key(claim), claim) }

func (t *trial) changeClaim(key string, claim *resourcev1.ResourceClaim) {
	before, changed := t.claims[key]
	t.claims[key], t.last = claim, nil
	t.board.call(func() {
		t.last = nil
		if t.claims[key] = before; !changed {
			delete(t.claims, key)
		}
	})
}

// wantsDevices tells whether the pod has claims, or resources that may be had as devices.
func (t *trial) wantsDevices(pod *cluster.Pod) bool {
	return len(pod.Spec.ResourceClaims) > 0 || t.snapshot.DeviceClasses.Len() > 0 && t.board.mapped(t.board.formOf(pod))
}

// allocate gives the pod, which is on no node, what it claims on the one in the slot; nothing if that has not got it.
func (t *trial) allocate(pod *cluster.Pod, f *form, slot int32) {
	q, devices := t.ask(pod, f), t.engine.rules.devices
	if q.refused != nil || !slices.ContainsFunc(q.filters, func(filter fwk.FilterPlugin) bool { return filter.Name() == devices.Name() }) {
		return
	}
	t.engine.rules.view.nodes.showsWhole = true
	if !devices.Filter(t.engine.rules.quiet, q.state, q.pod, t.engine.rules.view.nodes.at(slot)).IsSuccess() ||
		!devices.Reserve(t.engine.rules.quiet, q.state, q.pod, t.board.names[slot]).IsSuccess() {
		return
	}
	consumer := resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: pod.Name, UID: pod.UID}
	for _, claim := range t.claimsOf(pod) {
		if claim.Status.Allocation != nil && !slices.Contains(claim.Status.ReservedFor, consumer) {
			mine := claim.DeepCopy()
			mine.Status.ReservedFor = append(mine.Status.ReservedFor, consumer)
			t.setClaim(mine)
		}
	}
}

// deallocate takes from the pod what it claims, as happens when a pod ends: a claim that nobody else has is free, and one that was made for its extended
// resources is gone.
func (t *trial) deallocate(pod *cluster.Pod) {
	for _, claim := range t.claimsOf(pod) {
		if claim.Annotations[resourcev1.ExtendedResourceClaimAnnotation] == "true" {
			t.changeClaim(cluster.Key(claim), nil)
			continue
		}
		at := slices.IndexFunc(claim.Status.ReservedFor, func(r resourcev1.ResourceClaimConsumerReference) bool { return r.UID == pod.UID })
		if at < 0 {
			continue
		}
		free := claim.DeepCopy()
		free.Status.ReservedFor = slices.Delete(free.Status.ReservedFor, at, at+1)
		if len(free.Status.ReservedFor) == 0 {
			free.Status.Allocation = nil
		}
		t.setClaim(free)
	}
}

// claimsOf are the claims that the pod names, and the one for its extended resources.
func (t *trial) claimsOf(pod *cluster.Pod) []*resourcev1.ResourceClaim {
	var keys []string
	for i := range pod.Spec.ResourceClaims {
		if name := pod.Spec.ResourceClaims[i].ResourceClaimName; name != nil {
			keys = append(keys, pod.Namespace+"/"+*name)
		}
	}
	for _, made := range pod.Allotted.ResourceClaimStatuses {
		if made.ResourceClaimName != nil {
			keys = append(keys, pod.Namespace+"/"+*made.ResourceClaimName)
		}
	}
	if made := pod.Allotted.ExtendedResourceClaimStatus; made != nil {
		keys = append(keys, pod.Namespace+"/"+made.ResourceClaimName)
	}
	keys = append(keys, pod.Namespace+"/"+forExtended+pod.Name)
	var claims []*resourcev1.ResourceClaim
	for _, key := range keys {
		if claim := t.claim(key); claim != nil {
			claims = append(claims, claim)
		}
	}
	return claims
}

// slicesByNode are the slices of devices that belong to one node each.
func slicesByNode(s *cluster.Snapshot) map[string][]*resourcev1.ResourceSlice {
	out := map[string][]*resourcev1.ResourceSlice{}
	for slice := range s.ResourceSlices.Values() {
		if node := slice.Spec.NodeName; node != nil {
			out[*node] = append(out[*node], slice)
		}
	}
	return out
}

// bring gives a new node slices like those of another. The pools of devices get names that are nobody else's.
func (t *trial) bring(like []*resourcev1.ResourceSlice, node string) {
	if len(like) == 0 {
		return
	}
	in := map[resourcev1.ResourcePool]int64{}
	for _, slice := range like {
		in[poolOf(slice)]++
	}
	own := make([]*resourcev1.ResourceSlice, len(like))
	for i, slice := range like {
		one := *slice
		one.Name, one.UID = fmt.Sprintf("%s-%d", node, i), ""
		one.Spec.NodeName = &node
		one.Spec.Pool.Name = node + "/" + slice.Spec.Pool.Name
		one.Spec.Pool.ResourceSliceCount = in[poolOf(slice)]
		own[i] = &one
	}
	t.slices[node], t.last = own, nil
	t.board.call(func() {
		t.last = nil
		delete(t.slices, node)
	})
}

// poolOf names the generation of a pool of devices that the slice is part of.
func poolOf(slice *resourcev1.ResourceSlice) resourcev1.ResourcePool {
	return resourcev1.ResourcePool{Name: slice.Spec.Driver + "/" + slice.Spec.Pool.Name, Generation: slice.Spec.Pool.Generation}
}
