package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

// outage is the time in which the API server is away.
type outage struct{ begins, ends time.Duration }

func (o outage) now(at time.Duration) bool { return at < o.ends && at >= o.begins }

// err is what a caller gets during an outage, from a connection that nobody answers.
func (o outage) err(at time.Duration) error {
	if o.now(at) {
		return fmt.Errorf("dial tcp 192.0.2.1:6443: %w", syscall.ECONNREFUSED)
	}
	return nil
}

// Outage takes the API server away from now on for so long: for the daemon, the controllers and the kubelets alike. Machines run on, and the
// cloud too. When it is back, the kubelets renew their leases one after the other, and the node lifecycle controller has seen none meanwhile.
func (w *World) Outage(d time.Duration) {
	w.Log.add(Brief, "the API server is away for %v", d)
	w.outage = outage{begins: w.elapsed, ends: w.elapsed + d}
	for _, k := range w.kubelets.all() {
		k.cut = w.outage.ends + w.between(Range{time.Millisecond, leaseRetry}, "retry/"+k.node)
		k.check()
		w.act(k.cut-w.elapsed, "kubelet/"+k.node, k.check)
	}
	w.queue.add(w.outage.ends, "outage", false, func() {
		w.Log.add(Brief, "the API server is back")
		w.lifecycle.tick.by(w.elapsed + w.between(Range{0, monitorPeriod}, "lifecycle"))
	})
}

// CutOff keeps a node's kubelet from reaching the API server from now on for so long, as an overloaded one does that refuses it. The machine runs on,
// and so do its pods.
func (w *World) CutOff(node string, d time.Duration) {
	k := w.kubelet(node)
	k.cut = max(k.cut, w.elapsed+d)
	k.check()
	w.act(d, "kubelet/"+node, k.check)
}

// Away tells whether the API server is away now.
func (w *World) Away() bool { return w.outage.now(w.elapsed) }

// cloudDoor is the API as the fake cloud uses it. Its ConfigMaps are the cloud itself and are always there; Nodes are written by the machines,
// which meet the outage.
type cloudDoor struct {
	*Store
	w *World
}

// CreateNode implements api.Nodes.
func (d cloudDoor) CreateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	if err := d.w.outage.err(d.w.elapsed); err != nil {
		return nil, err
	}
	return d.Store.CreateNode(ctx, node)
}

// UpdateNode implements api.Nodes.
func (d cloudDoor) UpdateNode(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	if err := d.w.outage.err(d.w.elapsed); err != nil {
		return nil, err
	}
	return d.Store.UpdateNode(ctx, node)
}

// DeleteNode implements api.Nodes.
func (d cloudDoor) DeleteNode(ctx context.Context, name string, uid types.UID) error {
	if err := d.w.outage.err(d.w.elapsed); err != nil {
		return err
	}
	return d.Store.DeleteNode(ctx, name, uid)
}

// truthDoor is the API as the checks look through it to the cloud: what it has, whatever error it is told to answer with.
type truthDoor struct{ cloudDoor }

// GetConfigMap implements api.ConfigMaps.
func (d truthDoor) GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	cm, err := d.cloudDoor.GetConfigMap(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	faults := slices.DeleteFunc(strings.Split(cm.Annotations[kwok.FaultAnnotation], ","), func(fault string) bool { return strings.HasPrefix(strings.TrimSpace(fault), "error") })
	metav1.SetMetaDataAnnotation(&cm.ObjectMeta, kwok.FaultAnnotation, strings.Join(faults, ","))
	return cm, nil
}
