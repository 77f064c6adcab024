package report

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
)

// StatusName is the ConfigMap that holds the status, under the key "status". It also stands for the pools in Events. It is not deleted when the
// daemon stops: what it says is true as of its time.
const StatusName = "poolkeeper-status"

const (
	statusKey = "status"
	// refreshAfter is when a status that did not change is written again, so that its time shows that the daemon lives.
	refreshAfter  = 5 * time.Minute
	statusTimeout = 10 * time.Second
)

// statusWriter writes the status beside the loop: when it changed, and not more often than the interval.
type statusWriter struct {
	options Options
	mu      sync.Mutex
	busy    bool
	looked  time.Time // when it was last looked whether the status changed
	written time.Time // when it was last written; zero after a write that failed
	status  Status    // what was written then
}

// pass writes the status of a plan if it is time for it.
func (w *statusWriter) pass(now time.Time, leader string, p *plan.Plan, s *cluster.Snapshot) {
	if w.options.ConfigMaps == nil || !w.begin(now) {
		return
	}
	w.options.Spawn(func(ctx context.Context) {
		status, at := StatusOf(leader, w.options.Version, p, s), now
		age := now.Sub(w.written)
		switch {
		case age >= 0 && age < refreshAfter && sameStatus(status, w.status):
			at = w.written
		default:
			if err := w.write(ctx, status); err != nil {
				w.options.Log.Info("Could not write the status", "configMap", w.options.Namespace+"/"+StatusName, "err", err.Error())
				at = time.Time{}
			}
		}
		w.end(at, status)
	})
}

// begin tells whether it is time to look; then nobody else does until end.
func (w *statusWriter) begin(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	age := now.Sub(w.looked)
	if w.busy || age >= 0 && age < w.options.StatusInterval {
		return false
	}
	w.busy, w.looked = true, now
	return true
}

func (w *statusWriter) end(written time.Time, status Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy, w.written, w.status = false, written, status
}

func (w *statusWriter) write(ctx context.Context, status Status) error {
	text, err := encodeStatus(status)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	cm, err := w.options.ConfigMaps.GetConfigMap(ctx, w.options.Namespace, StatusName)
	missing := apierrors.IsNotFound(err)
	switch {
	case missing:
		cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.options.Namespace, Name: StatusName}}
	case err != nil:
		return err
	}
	metav1.SetMetaDataLabel(&cm.ObjectMeta, "app.kubernetes.io/managed-by", "poolkeeper")
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Data[statusKey] = string(text)
	if missing {
		_, err = w.options.ConfigMaps.CreateConfigMap(ctx, cm)
	} else {
		_, err = w.options.ConfigMaps.UpdateConfigMap(ctx, cm)
	}
	if err != nil {
		return fmt.Errorf("write it: %w", err)
	}
	return nil
}
