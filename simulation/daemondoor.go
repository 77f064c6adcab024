package simulation

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// door is the API as the daemon uses it: it meets outages, is lost in a crash, and everything that is done through it is logged and checked.
type door struct{ p *Process }

var _ api.Interface = (*door)(nil)

// look does a read.
func look[T any](d *door, call string, do func() (T, error)) (T, error) {
	var none T
	if err := d.p.read(); err != nil {
		return none, err
	}
	if err := d.away(call); err != nil {
		return none, err
	}
	return do()
}

// do does a write.
func do[T any](d *door, call string, write func() (T, error)) (v T, err error) {
	err = d.p.write(call, func() error {
		if err := d.away(call); err != nil {
			return err
		}
		v, err = write()
		return err
	})
	return v, err
}

// away is why a call doesn't reach the API server; nil if it does.
func (d *door) away(call string) error {
	if err := d.p.w.outage.err(d.p.w.elapsed); err != nil {
		return err
	}
	return d.p.w.apiTrouble(call)
}

func (d *door) store() *Store { return d.p.w.Store }

func (d *door) log(level Level, format string, args ...any) {
	d.p.w.Log.add(level, "  daemon: "+format, args...)
}

// GetNode implements api.Nodes.
func (d *door) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	return look(d, "GetNode", func() (*corev1.Node, error) { return d.store().GetNode(ctx, name) })
}

// ListNodes implements api.Nodes.
func (d *door) ListNodes(ctx context.Context, selector string) ([]*corev1.Node, error) {
	return look(d, "ListNodes", func() ([]*corev1.Node, error) { return d.store().ListNodes(ctx, selector) })
}

// CreateNode implements api.Nodes.
func (d *door) CreateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return do(d, "CreateNode", func() (*corev1.Node, error) { return d.store().CreateNode(ctx, node) })
}

// UpdateNode implements api.Nodes.
func (d *door) UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	return do(d, "UpdateNode", func() (*corev1.Node, error) {
		old, _ := find[*corev1.Node](d.store(), "", node.Name)
		fresh, err := d.store().UpdateNode(ctx, node)
		switch {
		case err != nil:
			d.log(Normal, "update of node %s: %v", node.Name, err)
		case old.ResourceVersion != fresh.ResourceVersion:
			d.log(Brief, "node %s: %s", node.Name, strings.Join(difference(old, fresh), ", "))
			d.p.w.checker.nodeWritten(old, fresh)
		}
		return fresh, err
	})
}

// difference says what an update changed of a node's marks.
func difference(old, fresh *corev1.Node) []string {
	var said []string
	if old.Spec.Unschedulable != fresh.Spec.Unschedulable {
		said = append(said, map[bool]string{true: "cordoned", false: "uncordoned"}[fresh.Spec.Unschedulable])
	}
	had := map[string]bool{}
	for _, t := range old.Spec.Taints {
		had[t.ToString()] = true
	}
	for _, t := range fresh.Spec.Taints {
		if !had[t.ToString()] {
			said = append(said, "+taint "+t.ToString())
		}
		delete(had, t.ToString())
	}
	for _, t := range sortedKeys(had) {
		said = append(said, "-taint "+t)
	}
	for _, m := range []struct {
		what     string
		old, now map[string]string
	}{{"annotation", old.Annotations, fresh.Annotations}, {"label", old.Labels, fresh.Labels}} {
		for _, key := range sortedKeys(m.now) {
			if value, had := m.old[key]; !had || value != m.now[key] {
				said = append(said, "+"+m.what+" "+key)
			}
		}
		for _, key := range sortedKeys(m.old) {
			if _, has := m.now[key]; !has {
				said = append(said, "-"+m.what+" "+key)
			}
		}
	}
	return said
}

// DeleteNode implements api.Nodes.
func (d *door) DeleteNode(ctx context.Context, name string, uid types.UID) error {
	_, err := do(d, "DeleteNode", func() (struct{}, error) {
		err := d.store().DeleteNode(ctx, name, uid)
		d.log(Brief, "deletes node object %s%s", name, failure(err))
		return struct{}{}, err
	})
	return err
}

// GetVolumeAttachment implements api.VolumeAttachments.
func (d *door) GetVolumeAttachment(ctx context.Context, name string) (*storagev1.VolumeAttachment, error) {
	return look(d, "GetVolumeAttachment", func() (*storagev1.VolumeAttachment, error) { return d.store().GetVolumeAttachment(ctx, name) })
}

// DeleteVolumeAttachment implements api.VolumeAttachments.
func (d *door) DeleteVolumeAttachment(ctx context.Context, name string, uid types.UID) error {
	_, err := do(d, "DeleteVolumeAttachment", func() (struct{}, error) {
		err := d.store().DeleteVolumeAttachment(ctx, name, uid)
		d.log(Brief, "deletes volumeattachment %s%s", name, failure(err))
		return struct{}{}, err
	})
	return err
}

// GetPod implements api.Pods.
func (d *door) GetPod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return look(d, "GetPod", func() (*corev1.Pod, error) { return d.store().GetPod(ctx, namespace, name) })
}

// PodsOnNode implements api.Pods.
func (d *door) PodsOnNode(ctx context.Context, node string) ([]*corev1.Pod, error) {
	return look(d, "PodsOnNode", func() ([]*corev1.Pod, error) { return d.store().PodsOnNode(ctx, node) })
}

// EvictPod implements api.Pods.
func (d *door) EvictPod(ctx context.Context, namespace, name string, uid types.UID, dryRun bool) error {
	if dryRun {
		_, err := look(d, "EvictPod", func() (struct{}, error) { return struct{}{}, d.store().EvictPod(ctx, namespace, name, uid, true) })
		return err
	}
	_, err := do(d, "EvictPod", func() (struct{}, error) {
		taken := d.p.w.checker.taking(namespace, name)
		err := d.store().EvictPod(ctx, namespace, name, uid, false)
		d.log(Brief, "evicts pod %s/%s%s%s", namespace, name, taken.from(), failure(err))
		taken.judge(err)
		return struct{}{}, err
	})
	return err
}

// DeletePod implements api.Pods.
func (d *door) DeletePod(ctx context.Context, namespace, name string, uid types.UID, graceSeconds *int64) error {
	_, err := do(d, "DeletePod", func() (struct{}, error) {
		if graceSeconds != nil && *graceSeconds == 0 {
			d.p.w.checker.violated("the daemon deletes pod %s/%s without its grace", namespace, name)
		}
		taken := d.p.w.checker.taking(namespace, name)
		err := d.store().DeletePod(ctx, namespace, name, uid, graceSeconds)
		d.log(Brief, "deletes pod %s/%s%s%s", namespace, name, taken.from(), failure(err))
		taken.judge(err)
		return struct{}{}, err
	})
	return err
}

// failure ends a line with the error, if there is one.
func failure(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// GetConfigMap implements api.ConfigMaps.
func (d *door) GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return look(d, "GetConfigMap", func() (*corev1.ConfigMap, error) { return d.store().GetConfigMap(ctx, namespace, name) })
}

// CreateConfigMap implements api.ConfigMaps.
func (d *door) CreateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return do(d, "CreateConfigMap", func() (*corev1.ConfigMap, error) {
		d.log(Full, "creates configmap %s/%s", cm.Namespace, cm.Name)
		return d.store().CreateConfigMap(ctx, cm)
	})
}

// UpdateConfigMap implements api.ConfigMaps.
func (d *door) UpdateConfigMap(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	return do(d, "UpdateConfigMap", func() (*corev1.ConfigMap, error) {
		d.log(Full, "updates configmap %s/%s", cm.Namespace, cm.Name)
		return d.store().UpdateConfigMap(ctx, cm)
	})
}

// DeleteConfigMap implements api.ConfigMaps.
func (d *door) DeleteConfigMap(ctx context.Context, namespace, name string) error {
	_, err := do(d, "DeleteConfigMap", func() (struct{}, error) {
		d.log(Full, "deletes configmap %s/%s", namespace, name)
		return struct{}{}, d.store().DeleteConfigMap(ctx, namespace, name)
	})
	return err
}
