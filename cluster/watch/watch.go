// Package watch feeds the picture of package cluster from the informers of a real Kubernetes API. It is the only reader of the API besides the
// live looks of package cluster/api.
package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// versionInterval is the time between two looks at the API server's version: it is upgraded while we run.
const versionInterval = time.Minute

// syncPoll is the time between two looks whether all kinds are synced.
const syncPoll = 20 * time.Millisecond

// Watcher watches all kinds that a snapshot holds.
type Watcher struct {
	sources []*source
	running sync.WaitGroup

	// one lets one event at a time through to the sink.
	one  sync.Mutex
	sink func(cluster.Event)
}

// Problem is why a kind is not up to date.
type Problem struct {
	// Kind is the kind as kubectl takes it, such as poddisruptionbudgets.policy.
	Kind string
	// Optional says that Synced does not wait for the kind.
	Optional bool
	// Forbidden says that a permission is missing; Rule is then the rule that the role has to have.
	Forbidden bool
	Rule      string
	Err       error
}

// String says what is wrong and, where a permission is missing, what to do.
func (p Problem) String() string {
	if p.Forbidden {
		return fmt.Sprintf("%s may not be listed and watched: add the rule %s to the role of Poolkeeper (%v)", p.Kind, p.Rule, p.Err)
	}
	return fmt.Sprintf("%s can't be listed and watched: %v", p.Kind, p.Err)
}

// Start asks the API server what it serves, and starts to watch. The sink is called from several goroutines, but never by two at the same time; what it
// is given before [Watcher.Synced] is part of the first picture. The namespace is the daemon's own, in which it is told things by ConfigMaps. Kinds that the server doesn't serve are left out, with a line in the log. An
// error means that the server could not be asked, and that nothing was started. The watch ends with the context; [Watcher.Wait] then
// waits for the last call of the sink.
func Start(ctx context.Context, client kubernetes.Interface, namespace string, sink func(cluster.Event)) (*Watcher, error) {
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("read the API server's version: %w", err)
	}
	served, err := servedKinds(ctx, client, namespace)
	if err != nil {
		return nil, err
	}
	w := &Watcher{sink: sink}
	for _, k := range served {
		w.sources = append(w.sources, newSource(client, k, w.emit))
	}
	w.emit(cluster.ServerVersionSeen{Version: version.GitVersion})
	for _, s := range w.sources {
		w.running.Go(func() { s.run(ctx) })
	}
	w.running.Go(func() { w.followVersion(ctx, client) })
	return w, nil
}

// servedKinds leaves out what an older server doesn't have.
func servedKinds(ctx context.Context, client kubernetes.Interface, namespace string) ([]kind, error) {
	lists := map[string]*metav1.APIResourceList{}
	var served []kind
	for _, k := range kinds(client, namespace) {
		groupVersion := k.resource.GroupVersion().String()
		list, asked := lists[groupVersion]
		if !asked {
			var err error
			list, err = client.Discovery().ServerResourcesForGroupVersion(groupVersion)
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("ask the API server what it serves in %s: %w", groupVersion, err)
			}
			lists[groupVersion] = list
		}
		if !has(list, k.resource.Resource) {
			klog.FromContext(ctx).Info("The API server doesn't serve this kind, so decisions are made without it",
				"kind", k.String(), "version", groupVersion)
			continue
		}
		served = append(served, k)
	}
	return served, nil
}

func has(list *metav1.APIResourceList, resource string) bool {
	return list != nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource })
}

func (w *Watcher) emit(e cluster.Event) {
	w.one.Lock()
	defer w.one.Unlock()
	w.sink(e)
}

func (w *Watcher) followVersion(ctx context.Context, client kubernetes.Interface) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		version, err := client.Discovery().ServerVersion()
		if err != nil {
			klog.FromContext(ctx).V(2).Info("The API server's version could not be read; the last one holds", "err", err)
			return
		}
		w.emit(cluster.ServerVersionSeen{Version: version.GitVersion})
	}, versionInterval)
}

// Synced tells whether the sink has been given all that there was, and no kind that is needed is forbidden. It becomes false again when a
// permission is taken away, because the picture then grows old.
func (w *Watcher) Synced() bool {
	for _, s := range w.sources {
		if !s.synced() {
			return false
		}
	}
	return true
}

// Problems are the kinds that are not up to date, in the order in which they were started.
func (w *Watcher) Problems() []Problem {
	var out []Problem
	for _, s := range w.sources {
		if p := s.problem(); p != nil {
			out = append(out, *p)
		}
	}
	return out
}

// WaitForSync waits until Synced. When the context ends before, the error names the kinds that are missing, and why.
func (w *Watcher) WaitForSync(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, syncPoll, true, func(context.Context) (bool, error) { return w.Synced(), nil })
	if err == nil {
		return nil
	}
	var missing []string
	for _, s := range w.sources {
		if s.synced() {
			continue
		}
		if p := s.problem(); p != nil {
			missing = append(missing, p.String())
		} else {
			missing = append(missing, s.kind.String()+" have not been listed yet")
		}
	}
	return fmt.Errorf("the cluster's picture is not complete: %s: %w", strings.Join(missing, "; "), err)
}

// Wait waits until everything that Start started has ended, which it does after its context.
func (w *Watcher) Wait() { w.running.Wait() }
