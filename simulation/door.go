package simulation

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster/api"
)

var _ api.Interface = (*Store)(nil)

// enter begins a call of the API: it takes the lock, unless the caller's context has ended. The result ends the call.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

// read answers a GET.
func read[T Object](ctx context.Context, s *Store, namespace, name string) (T, error) {
	var none T
	leave, err := s.enter(ctx)
	if err != nil {
		return none, err
	}
	defer leave()
	o, err := find[T](s, namespace, name)
	if err != nil {
		return none, err
	}
	return copyOf(o), nil
}

// post answers a POST.
func post[T Object](ctx context.Context, s *Store, o T) (T, error) {
	var none T
	leave, err := s.enter(ctx)
	if err != nil {
		return none, err
	}
	defer leave()
	made, err := create(s, o)
	if err != nil {
		return none, err
	}
	return copyOf(made), nil
}

// write answers a PUT of o, which keep makes equal to the stored object in what this verb does not write. A write that changes nothing makes
// no new version, as on the real server; one without a version is refused, as by the daemon's client.
func write[T Object](ctx context.Context, s *Store, o T, keep func(stored, sent T)) (T, error) {
	var none T
	leave, err := s.enter(ctx)
	if err != nil {
		return none, err
	}
	defer leave()
	if o.GetResourceVersion() == "" {
		return none, apierrors.NewBadRequest("there is no resourceVersion to compare: read the object first, and change what was read")
	}
	old, err := find[T](s, o.GetNamespace(), o.GetName())
	if err != nil {
		return none, err
	}
	if err := precondition(old, o.GetUID(), o.GetResourceVersion()); err != nil {
		return none, err
	}
	sent := copyOf(o)
	keep(old, sent)
	fresh := copyOf(old)
	overwrite(fresh, sent)
	fresh.SetResourceVersion(old.GetResourceVersion())
	if err := validate(fresh); err != nil {
		return none, err
	}
	if apiequality.Semantic.DeepEqual(old, fresh) {
		return fresh, nil
	}
	return copyOf(change(s, old, func(c T) { overwrite(c, fresh) })), nil
}

// GetNode implements [api.Nodes].
func (s *Store) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	return read[*corev1.Node](ctx, s, "", name)
}

// ListNodes implements [api.Nodes].
func (s *Store) ListNodes(ctx context.Context, selector string) ([]*corev1.Node, error) {
	matches, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var nodes []*corev1.Node
	for node := range each[*corev1.Node](s) {
		if matches.Matches(labels.Set(node.Labels)) {
			nodes = append(nodes, node.DeepCopy())
		}
	}
	return nodes, nil
}

// CreateNode implements [api.Nodes].
func (s *Store) CreateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return post(ctx, s, node)
}

// UpdateNode implements [api.Nodes].
func (s *Store) UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return write(ctx, s, node, func(stored, sent *corev1.Node) { sent.Status = *stored.Status.DeepCopy() })
}

// DeleteNode implements [api.Nodes].
func (s *Store) DeleteNode(ctx context.Context, name string, uid types.UID) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	node, err := find[*corev1.Node](s, "", name)
	if err != nil {
		return err
	}
	if err := precondition(node, uid, ""); err != nil {
		return err
	}
	remove(s, node)
	return nil
}

// GetVolumeAttachment implements [api.VolumeAttachments].
func (s *Store) GetVolumeAttachment(ctx context.Context, name string) (*storagev1.VolumeAttachment, error) {
	return read[*storagev1.VolumeAttachment](ctx, s, "", name)
}

// DeleteVolumeAttachment implements [api.VolumeAttachments].
func (s *Store) DeleteVolumeAttachment(ctx context.Context, name string, uid types.UID) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	attachment, err := find[*storagev1.VolumeAttachment](s, "", name)
	if err != nil {
		return err
	}
	if err := precondition(attachment, uid, ""); err != nil {
		return err
	}
	remove(s, attachment)
	return nil
}

// GetPod implements [api.Pods].
func (s *Store) GetPod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return read[*corev1.Pod](ctx, s, namespace, name)
}

// PodsOnNode implements [api.Pods].
func (s *Store) PodsOnNode(ctx context.Context, node string) ([]*corev1.Pod, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if node == "" {
		return nil, nil
	}
	var pods []*corev1.Pod
	for _, pod := range s.podsOnNode(node) {
		pods = append(pods, pod.DeepCopy())
	}
	return pods, nil
}

// EvictPod implements [api.Pods].
func (s *Store) EvictPod(ctx context.Context, namespace, name string, uid types.UID, dryRun bool) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.evict(namespace, name, uid, dryRun)
}

// DeletePod implements [api.Pods].
func (s *Store) DeletePod(ctx context.Context, namespace, name string, uid types.UID, graceSeconds *int64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	pod, err := find[*corev1.Pod](s, namespace, name)
	if err != nil {
		return err
	}
	if err := precondition(pod, uid, ""); err != nil {
		return err
	}
	s.deletePod(pod, graceSeconds)
	return nil
}

// deletePod begins the deletion of a pod, as DELETE does: the pod is marked, and waits for its kubelet, or goes at once if it has no node or has ended.
// A pod that is being deleted can only be given less time.
func (s *Store) deletePod(pod *corev1.Pod, graceSeconds *int64) {
	grace := ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, defaultGraceSeconds)
	if graceSeconds != nil {
		grace = *graceSeconds
	}
	if grace < 0 {
		grace = 1
	}
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if pod.Spec.NodeName == "" || ended {
		grace = 0
	}
	if pod.DeletionTimestamp != nil && grace >= ptr.Deref(pod.DeletionGracePeriodSeconds, 0) {
		return
	}
	change(s, pod, func(c *corev1.Pod) {
		began := s.now()
		if pod.DeletionTimestamp != nil {
			began.Time = pod.DeletionTimestamp.Add(-seconds(ptr.Deref(pod.DeletionGracePeriodSeconds, 0)))
		}
		ends := began.Add(seconds(grace))
		if now := s.now(); ends.Before(now.Time) {
			ends = now.Time
		}
		c.DeletionTimestamp = &began
		c.DeletionTimestamp.Time = ends
		c.DeletionGracePeriodSeconds = &grace
		c.Generation++
	})
}

// GetConfigMap implements [api.ConfigMaps].
func (s *Store) GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return read[*corev1.ConfigMap](ctx, s, namespace, name)
}

// CreateConfigMap implements [api.ConfigMaps].
func (s *Store) CreateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return post(ctx, s, cm)
}

// UpdateConfigMap implements [api.ConfigMaps].
func (s *Store) UpdateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return write(ctx, s, cm, func(_, _ *corev1.ConfigMap) {})
}

// DeleteConfigMap implements [api.ConfigMaps].
func (s *Store) DeleteConfigMap(ctx context.Context, namespace, name string) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	cm, err := find[*corev1.ConfigMap](s, namespace, name)
	if err != nil {
		return err
	}
	remove(s, cm)
	return nil
}
