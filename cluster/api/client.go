package api

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Client is [Interface] by client-go. It is safe for concurrent use.
type Client struct{ clientset kubernetes.Interface }

var _ Interface = (*Client)(nil)

// NewClient makes a client. Every call waits for the clientset's own rate limit first, within its context.
func NewClient(clientset kubernetes.Interface) *Client { return &Client{clientset: clientset} }

// GetNode implements [Nodes].
func (c *Client) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	return c.clientset.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
}

// ListNodes implements [Nodes].
func (c *Client) ListNodes(ctx context.Context, selector string) ([]*corev1.Node, error) {
	list, err := c.clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return pointers(list.Items), nil
}

// CreateNode implements [Nodes].
func (c *Client) CreateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return c.clientset.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
}

// UpdateNode implements [Nodes]. A node without a resourceVersion is refused, because the API server would write it over whatever is there.
func (c *Client) UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	if node.ResourceVersion == "" {
		return nil, noVersion("node", node.Name)
	}
	return c.clientset.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
}

// DeleteNode implements [Nodes].
func (c *Client) DeleteNode(ctx context.Context, name string, uid types.UID) error {
	return c.clientset.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{Preconditions: only(uid)})
}

// GetPod implements [Pods].
func (c *Client) GetPod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return c.clientset.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

// PodsOnNode implements [Pods].
func (c *Client) PodsOnNode(ctx context.Context, node string) ([]*corev1.Pod, error) {
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()}
	list, err := c.clientset.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
	if err != nil {
		return nil, err
	}
	return pointers(list.Items), nil
}

// EvictPod implements [Pods]. A refusal comes back at once: client-go's own method would sleep through the Retry-After of a budget that has
// nothing to spare, ten times over.
func (c *Client) EvictPod(ctx context.Context, namespace, name string, uid types.UID, dryRun bool) error {
	options := &metav1.DeleteOptions{Preconditions: only(uid)}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, DeleteOptions: options}
	return c.clientset.PolicyV1().RESTClient().Post().
		AbsPath("/api/v1").Namespace(namespace).Resource("pods").Name(name).SubResource("eviction").
		MaxRetries(0).Body(eviction).Do(ctx).Error()
}

// DeletePod implements [Pods].
func (c *Client) DeletePod(ctx context.Context, namespace, name string, uid types.UID, graceSeconds *int64) error {
	options := metav1.DeleteOptions{Preconditions: only(uid), GracePeriodSeconds: graceSeconds}
	return c.clientset.CoreV1().Pods(namespace).Delete(ctx, name, options)
}

// GetConfigMap implements [ConfigMaps].
func (c *Client) GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return c.clientset.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
}

// CreateConfigMap implements [ConfigMaps].
func (c *Client) CreateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return c.clientset.CoreV1().ConfigMaps(cm.Namespace).Create(ctx, cm, metav1.CreateOptions{})
}

// UpdateConfigMap implements [ConfigMaps]. A ConfigMap without a resourceVersion is refused: compare-and-swap needs something to compare.
func (c *Client) UpdateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	if cm.ResourceVersion == "" {
		return nil, noVersion("configmap", cm.Namespace+"/"+cm.Name)
	}
	return c.clientset.CoreV1().ConfigMaps(cm.Namespace).Update(ctx, cm, metav1.UpdateOptions{})
}

// DeleteConfigMap implements [ConfigMaps].
func (c *Client) DeleteConfigMap(ctx context.Context, namespace, name string) error {
	return c.clientset.CoreV1().ConfigMaps(namespace).Delete(ctx, name, metav1.DeleteOptions{})
}

// GetVolumeAttachment implements [VolumeAttachments].
func (c *Client) GetVolumeAttachment(ctx context.Context, name string) (*storagev1.VolumeAttachment, error) {
	return c.clientset.StorageV1().VolumeAttachments().Get(ctx, name, metav1.GetOptions{})
}

// DeleteVolumeAttachment implements [VolumeAttachments].
func (c *Client) DeleteVolumeAttachment(ctx context.Context, name string, uid types.UID) error {
	return c.clientset.StorageV1().VolumeAttachments().Delete(ctx, name, metav1.DeleteOptions{Preconditions: only(uid)})
}

// only makes the UID the precondition of a deletion.
func only(uid types.UID) *metav1.Preconditions { return &metav1.Preconditions{UID: &uid} }

func noVersion(kind, name string) error {
	return apierrors.NewBadRequest(fmt.Sprintf("update %s %s: it has no resourceVersion; read it first, and change what was read", kind, name))
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
