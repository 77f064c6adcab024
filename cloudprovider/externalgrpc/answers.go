package externalgrpc

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// What a server answers is somebody else's word: it is checked and bounded before anything is concluded from it. What can't be right makes a problem of its group, and
// the other groups go on.

// The most that is believed of one server. Kubernetes is documented for 5,000 nodes.
const (
	mostGroups    = 10_000
	mostInstances = 100_000
	mostSize      = 1_000_000
	longestID     = 2_000
)

// limits are what NodeGroups says of a group.
type limits struct {
	id           string
	least, most  int
	debug        string
	incompatible error
}

// readLimits checks a list of groups. A group without a usable name makes the whole list unusable: nobody could say which one is missing.
func readLimits(list []*protos.NodeGroup) ([]limits, error) {
	if len(list) > mostGroups {
		return nil, fmt.Errorf("%d groups are listed; at most %d are believed", len(list), mostGroups)
	}
	groups := make([]limits, 0, len(list))
	seen := map[string]bool{}
	for _, one := range list {
		id := one.GetId()
		if err := checkID(id); err != nil {
			return nil, fmt.Errorf("group %q: %w", clip(id), err)
		}
		if seen[id] {
			return nil, fmt.Errorf("group %s is listed twice", id)
		}
		seen[id] = true
		groups = append(groups, checkLimits(limits{id: id, least: int(one.GetMinSize()), most: int(one.GetMaxSize()), debug: one.GetDebug()}))
	}
	return groups, nil
}

// checkLimits bounds what a group says of itself.
func checkLimits(l limits) limits {
	if l.least < 0 || l.least > l.most || l.most > mostSize {
		l.incompatible = fmt.Errorf("a min of %d and a max of %d make no sense; set them right at the provider", l.least, l.most)
	}
	l.debug = strings.TrimSpace(clip(l.debug))
	if l.debug == "" {
		l.debug = fmt.Sprintf("%s (%d to %d)", l.id, l.least, l.most)
	}
	return l
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the id is empty")
	case len(id) > longestID:
		return fmt.Errorf("the id has %d bytes; at most %d are believed", len(id), longestID)
	case strings.ContainsFunc(id, unicode.IsControl):
		return errors.New("the id has control characters")
	}
	return nil
}

// readTarget checks a target size.
func readTarget(size int32) (int, error) {
	if size < 0 || size > mostSize {
		return 0, fmt.Errorf("a target size of %d makes no sense", size)
	}
	return int(size), nil
}

// readInstances checks a list of instances of the usual protocol.
func readInstances(list []*protos.Instance) ([]cloudprovider.Instance, error) {
	instances := make([]cloudprovider.Instance, 0, min(len(list), mostInstances))
	for _, one := range list {
		instances = append(instances, cloudprovider.Instance{ID: one.GetId(), Status: readStatus(one.GetStatus())})
	}
	return instances, checkInstances(instances)
}

func checkInstances(list []cloudprovider.Instance) error {
	if len(list) > mostInstances {
		return fmt.Errorf("%d instances are listed; at most %d are believed", len(list), mostInstances)
	}
	seen := make(map[string]bool, len(list))
	for i := range list {
		id := list[i].ID
		if err := checkID(id); err != nil {
			return fmt.Errorf("instance %q: %w", clip(id), err)
		}
		if seen[id] {
			return fmt.Errorf("instance %s is listed twice", id)
		}
		seen[id] = true
	}
	return nil
}

// The numbers of the usual protocol's error classes.
const (
	wireOutOfResources = 1
	wireOther          = 99
)

// readStatus is a status in our words. An instance without a state is taken to run, as the cluster-autoscaler does. A code of an error counts in whatever state: but
// only an instance that is being made can have failed to be made.
func readStatus(s *protos.InstanceStatus) cloudprovider.InstanceStatus {
	status := cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}
	switch s.GetInstanceState() {
	case protos.InstanceStatus_instanceCreating:
		status.State = cloudprovider.InstanceCreating
	case protos.InstanceStatus_instanceDeleting:
		status.State = cloudprovider.InstanceDeleting
	}
	if info := s.GetErrorInfo(); info.GetErrorCode() != "" && status.State == cloudprovider.InstanceCreating {
		status.ErrorInfo = &cloudprovider.InstanceErrorInfo{
			ErrorClass: readErrorClass(info), ErrorCode: clip(info.GetErrorCode()), ErrorMessage: clip(info.GetErrorMessage()),
		}
	}
	return status
}

// readErrorClass: the usual protocol knows a used-up quota only as a way of being out of resources, and has it in the code (such as QUOTA_EXCEEDED).
func readErrorClass(info *protos.InstanceErrorInfo) cloudprovider.Class {
	switch {
	case info.GetInstanceErrorClass() != wireOutOfResources:
		return cloudprovider.ClassOther
	case strings.Contains(strings.ToLower(info.GetErrorCode()), "quota"):
		return cloudprovider.ClassQuota
	}
	return cloudprovider.ClassOutOfResources
}

// defaultPods is how many pods a kubelet takes when nobody tells it.
const defaultPods = 110

// errNoTemplate says that the server can't tell what a new node looks like.
var errNoTemplate = &cloudprovider.Error{Class: cloudprovider.ClassNotImplemented, Err: errors.New("the provider has no template for this group")}

// readTemplate decodes a template and makes it nobody's. Servers built before 2025 sent the Node as a message and not as bytes: old is where those have it.
func readTemplate(encoded, old []byte, pods [][]byte) (*cloudprovider.Template, error) {
	if len(encoded) == 0 {
		encoded = old
	}
	if len(encoded) == 0 {
		return nil, errNoTemplate
	}
	node := &corev1.Node{}
	if err := node.Unmarshal(encoded); err != nil {
		return nil, fmt.Errorf("the template is no Kubernetes Node: %w", err)
	}
	node.Name, node.GenerateName, node.UID, node.ResourceVersion, node.Spec.ProviderID = "", "", "", "", ""
	node.ManagedFields, node.OwnerReferences, node.Finalizers, node.DeletionTimestamp = nil, nil, nil, nil
	node.Spec.Unschedulable = false
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return strings.HasPrefix(t.Key, ownPrefix) })
	if err := checkRoom(&node.Status); err != nil {
		return nil, err
	}
	template := &cloudprovider.Template{Node: node}
	for _, one := range pods {
		pod := &corev1.Pod{}
		if err := pod.Unmarshal(one); err != nil {
			return nil, fmt.Errorf("a pod of the template is no Kubernetes Pod: %w", err)
		}
		template.Pods = append(template.Pods, pod)
	}
	return template, nil
}

// ownPrefix begins the keys of our own marks.
const ownPrefix = "poolkeeper.io/"

// checkRoom makes capacity and allocatable whole: each stands for the other where only one is given, and pods are the kubelet's default.
func checkRoom(s *corev1.NodeStatus) error {
	if len(s.Capacity) == 0 {
		s.Capacity = s.Allocatable.DeepCopy()
	}
	if len(s.Capacity) == 0 {
		return errors.New("the template has neither capacity nor allocatable")
	}
	if _, given := s.Capacity[corev1.ResourcePods]; !given {
		s.Capacity[corev1.ResourcePods] = *resource.NewQuantity(defaultPods, resource.DecimalSI)
	}
	if s.Allocatable == nil {
		s.Allocatable = corev1.ResourceList{}
	}
	for name, capacity := range s.Capacity {
		allocatable, given := s.Allocatable[name]
		if !given {
			s.Allocatable[name] = capacity.DeepCopy()
			allocatable = capacity
		}
		if allocatable.Sign() < 0 || allocatable.Cmp(capacity) > 0 {
			return fmt.Errorf("the template has %s of %s allocatable and a capacity of %s", allocatable.String(), name, capacity.String())
		}
	}
	for name := range s.Allocatable {
		if _, given := s.Capacity[name]; !given {
			s.Capacity[name] = s.Allocatable[name].DeepCopy()
		}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if room := s.Allocatable[name]; room.Sign() <= 0 {
			return fmt.Errorf("the template has no allocatable %s", name)
		}
	}
	return nil
}

// readPrice makes sure that a price is one.
func readPrice(price float64) float64 {
	if math.IsNaN(price) || math.IsInf(price, 0) || price < 0 {
		return 0
	}
	return price
}

// longestOption bounds the durations that a group can set.
const longestOption = 10 * 365 * 24 * time.Hour

func readDuration(d time.Duration) *time.Duration {
	if d <= 0 || d > longestOption {
		return nil // zero is "not set" to most servers, and a node that is too late at once to the others
	}
	return &d
}

func readShare(share float64) *float64 {
	if math.IsNaN(share) || share < 0 || share > 1 {
		return nil
	}
	return &share
}
