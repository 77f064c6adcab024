package kwok

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// cloudConfigMap is the ConfigMap with what is known of the cloud as a whole.
const cloudConfigMap = "poolkeeper-kwok"

// ConfigMapName is the name of the ConfigMap in which the fake cloud keeps what it knows of the pool; of the cloud as a whole if the pool is empty.
func ConfigMapName(pool string) string {
	if pool == "" {
		return cloudConfigMap
	}
	return cloudConfigMap + "-" + pool
}

// tries is how often a compare-and-swap is tried again after a conflict.
const tries = 20

// store keeps the fake cloud's ConfigMaps.
type store struct {
	api       api.Interface
	namespace string
}

// read gives the ConfigMap; nil if there is none.
func (s store) read(ctx context.Context, pool string) (*corev1.ConfigMap, error) {
	cm, err := s.api.GetConfigMap(ctx, s.namespace, ConfigMapName(pool))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.failed("read", pool, err)
	}
	return cm, nil
}

// update is a compare-and-swap: change gets a copy of the ConfigMap and changes it, and it is written if it is another one then. After a conflict it all
// happens anew. A ConfigMap that doesn't exist is empty, and is made even if change leaves it so.
func (s store) update(ctx context.Context, pool string, change func(*corev1.ConfigMap) error) error {
	for range tries {
		if err := ctx.Err(); err != nil {
			return err
		}
		old, err := s.read(ctx, pool)
		if err != nil {
			return err
		}
		fresh := s.empty(pool)
		if old != nil {
			fresh = old.DeepCopy()
		}
		if err := change(fresh); err != nil {
			return err
		}
		switch {
		case old == nil:
			_, err = s.api.CreateConfigMap(ctx, fresh)
		case maps.Equal(old.Data, fresh.Data) && maps.Equal(old.Annotations, fresh.Annotations):
			return nil
		default:
			_, err = s.api.UpdateConfigMap(ctx, fresh)
		}
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			return s.failed("write", pool, err)
		}
	}
	return s.failed("write", pool, fmt.Errorf("another writer was faster %d times in a row", tries))
}

func (s store) empty(pool string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: ConfigMapName(pool),
			Labels: map[string]string{"app.kubernetes.io/managed-by": "poolkeeper", "app.kubernetes.io/component": "kwok-cloud"},
		},
		Data: map[string]string{},
	}
}

// failed types an error of the API server.
func (s store) failed(doing, pool string, err error) error {
	return ofAPI(err, fmt.Sprintf("%s ConfigMap %s/%s", doing, s.namespace, ConfigMapName(pool)))
}

// ofAPI is an error of the API server in the contract's words.
func ofAPI(err error, doing string) error {
	e := &cloudprovider.Error{Class: classOfAPI(err), Doing: doing, Err: err}
	if seconds, says := apierrors.SuggestsClientDelay(err); says {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// classOfAPI sorts the API server's errors. What is not a plain refusal may pass.
func classOfAPI(err error) cloudprovider.Class {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return cloudprovider.ClassUnauthorized
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return cloudprovider.ClassInvalid
	}
	return cloudprovider.ClassTransient
}

// SetFaults puts faults onto a pool, or onto the cloud as a whole if the pool is empty, in place of those that were set before; none takes them off. It does
// what a person does with kubectl annotate.
func SetFaults(ctx context.Context, door api.Interface, namespace, pool string, list ...Fault) error {
	if _, err := parseFaults(list); err != nil {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, "set faults of pool "+pool, "%w", err)
	}
	s := store{door, namespace}
	return s.update(ctx, pool, func(cm *corev1.ConfigMap) error {
		delete(cm.Annotations, FaultAnnotation)
		for _, fault := range list {
			if cm.Annotations == nil {
				cm.Annotations = map[string]string{}
			}
			if text := cm.Annotations[FaultAnnotation]; text != "" {
				fault = Fault(text) + "," + fault
			}
			cm.Annotations[FaultAnnotation] = string(fault)
		}
		return nil
	})
}
