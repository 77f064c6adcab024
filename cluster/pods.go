package cluster

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func (c *Cluster) setPod(now time.Time, key string, pod *Pod) {
	if pod.Phase == corev1.PodSucceeded || pod.Phase == corev1.PodFailed {
		c.unsetPod(key)
		return
	}
	old, had := c.pods.Get(key)
	if had && old.Equal(pod) {
		return
	}
	if pod.DeletionTimestamp != nil {
		one := *pod
		one.EndsBy = endsBy(now, old, pod)
		pod = &one
	}
	if had && old.NodeName != pod.NodeName {
		c.unsetPod(key)
	}
	if had && old.UID == pod.UID {
		// The tables hold on to the text of the key that they were first given; a second copy of it is not needed.
		one := *pod
		one.Name, one.UID, one.key = old.Name, old.UID, old.key
		pod, key = &one, old.Key()
	}
	c.pods.Set(key, pod)
	c.changed()
	if pod.NodeName == "" {
		c.pending.Set(key, pod)
		return
	}
	c.stale[pod.NodeName] = true
	on, _ := c.podsOn.Get(pod.NodeName)
	i, found := slices.BinarySearchFunc(on, key, comparePodToKey)
	fresh := make([]*Pod, 0, len(on)+1)
	fresh = append(fresh, on[:i]...)
	fresh = append(fresh, pod)
	if found {
		i++
	}
	c.podsOn.Set(pod.NodeName, append(fresh, on[i:]...))
}

// endsBy is when the grace of a pod that is being deleted is over. A second deletion can only make it shorter.
func endsBy(now time.Time, old, pod *Pod) time.Time {
	at := now.Add(pod.grace)
	if old != nil && old.UID == pod.UID && old.DeletionTimestamp != nil && old.EndsBy.Before(at) {
		return old.EndsBy
	}
	return at
}

func (c *Cluster) unsetPod(key string) {
	pod, had := c.pods.Delete(key)
	if !had {
		return
	}
	c.changed()
	if pod.NodeName == "" {
		c.pending.Delete(key)
		return
	}
	c.stale[pod.NodeName] = true
	on, _ := c.podsOn.Get(pod.NodeName)
	i, found := slices.BinarySearchFunc(on, key, comparePodToKey)
	switch {
	case !found:
	case len(on) == 1:
		c.podsOn.Delete(pod.NodeName)
	default:
		c.podsOn.Set(pod.NodeName, append(slices.Clone(on[:i]), on[i+1:]...))
	}
}

func comparePodToKey(pod *Pod, key string) int { return strings.Compare(pod.Key(), key) }
