package watch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// server is a fake clientset that serves every kind but those that are left out.
func server(without string, objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	lists := map[string]*metav1.APIResourceList{}
	for _, k := range kinds(client) {
		groupVersion := k.resource.GroupVersion().String()
		if without != "" && strings.HasPrefix(groupVersion, without) {
			continue
		}
		if lists[groupVersion] == nil {
			lists[groupVersion] = &metav1.APIResourceList{GroupVersion: groupVersion}
			client.Resources = append(client.Resources, lists[groupVersion])
		}
		lists[groupVersion].APIResources = append(lists[groupVersion].APIResources, metav1.APIResource{Name: k.resource.Resource})
	}
	client.Discovery().(*fakediscovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.36.3"}
	return client
}

// picture is a sink that applies what it is given, as the daemon does.
type picture struct {
	t       *testing.T
	inside  atomic.Bool
	mutex   sync.Mutex
	cluster *cluster.Cluster
}

func (p *picture) sink(e cluster.Event) {
	if !p.inside.CompareAndSwap(false, true) {
		p.t.Error("the sink was called by two goroutines at the same time")
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.cluster.Apply(time.Unix(1000, 0), e)
	p.inside.Store(false)
}

func (p *picture) now() *cluster.Snapshot {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.cluster.Snapshot()
}

// until waits for something that has to come about by itself.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// watching starts a watcher that is stopped, and waited for, at the end of the test.
func watching(t *testing.T, client *fake.Clientset) (*Watcher, *picture) {
	t.Helper()
	p := &picture{t: t, cluster: cluster.New()}
	ctx, cancel := context.WithCancel(context.Background())
	w, err := Start(ctx, client, p.sink)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		w.Wait()
	})
	return w, p
}

func synced(t *testing.T, w *Watcher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := w.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
}

func node(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status:     corev1.NodeStatus{Images: []corev1.ContainerImage{{Names: []string{"image"}}}},
	}
}

func TestWhatIsThereAtStartIsInTheFirstPicture(t *testing.T) {
	w, p := watching(t, server("",
		node("n"),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}, Spec: corev1.PodSpec{NodeName: "n"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "r", UID: "u"}},
	))
	synced(t, w)
	s := p.now()
	if s.Nodes.Len() != 1 || len(s.PodsOn("n")) != 1 || s.Namespaces.Len() != 1 || s.Workloads.Len() != 1 {
		t.Errorf("%d nodes, %d pods, %d namespaces, %d workloads; want one of each",
			s.Nodes.Len(), len(s.PodsOn("n")), s.Namespaces.Len(), s.Workloads.Len())
	}
	if s.ServerVersion != "v1.36.3" {
		t.Errorf("the server's version is %q", s.ServerVersion)
	}
	if len(w.Problems()) != 0 {
		t.Errorf("problems: %v", w.Problems())
	}
}

func TestTheInformersThemselvesHoldTrimmedObjects(t *testing.T) {
	w, p := watching(t, server("", node("n")))
	synced(t, w)
	stored := w.sources[0].informer.GetStore().List()[0].(*corev1.Node)
	if len(stored.Status.Images) != 0 {
		t.Error("the informer keeps the node's images")
	}
	if shown, _ := p.now().Nodes.Get("n"); shown != stored {
		t.Error("the informer and the snapshot hold a copy each")
	}
}

func TestChangesAndDeletionsArrive(t *testing.T) {
	client := server("", node("n"))
	w, p := watching(t, client)
	synced(t, w)
	cordoned := node("n")
	cordoned.Spec.Unschedulable = true
	if _, err := client.CoreV1().Nodes().Update(t.Context(), cordoned, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the node is cordoned", func() bool {
		n, _ := p.now().Nodes.Get("n")
		return n.Spec.Unschedulable
	})
	if err := client.CoreV1().Nodes().Delete(t.Context(), "n", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the node is gone", func() bool { return p.now().Nodes.Len() == 0 })
}

func TestPodsThatHaveEndedStayAtTheServer(t *testing.T) {
	client := server("")
	w, _ := watching(t, client)
	synced(t, w)
	seen := 0
	for _, action := range client.Actions() {
		if list, ok := action.(clienttesting.ListAction); ok && action.GetResource().Resource == "pods" {
			seen++
			if got, want := list.GetListRestrictions().Fields.String(), "status.phase!=Failed,status.phase!=Succeeded"; got != want {
				t.Errorf("pods are listed where %q, want %q", got, want)
			}
		}
	}
	if seen == 0 {
		t.Error("pods were not listed")
	}
}

func TestOnlyTheLeasesOfNodesAreRead(t *testing.T) {
	renewed := metav1.NewMicroTime(time.Unix(900, 0))
	lease := func(namespace string) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: namespace}, Spec: coordinationv1.LeaseSpec{RenewTime: &renewed},
		}
	}
	client := server("", lease(nodeLeases), lease("kube-system"))
	w, p := watching(t, client)
	synced(t, w)
	if n := p.now().Heartbeats.Len(); n != 1 {
		t.Errorf("there are %d heartbeats, want 1", n)
	}
	for _, action := range client.Actions() {
		if action.GetResource().Resource == "leases" && action.GetNamespace() != nodeLeases {
			t.Errorf("leases were read in namespace %q", action.GetNamespace())
		}
	}
}

func TestAKindThatTheServerDoesNotServeIsLeftOut(t *testing.T) {
	client := server("resource.k8s.io")
	w, _ := watching(t, client)
	synced(t, w)
	if got, want := len(w.sources), len(kinds(client))-3; got != want {
		t.Errorf("%d kinds are watched, want %d", got, want)
	}
	for _, action := range client.Actions() {
		if action.GetResource().Group == "resource.k8s.io" {
			t.Errorf("%s %s was asked for", action.GetVerb(), action.GetResource())
		}
	}
}

func TestAServerThatIsAwayAtStartIsAnError(t *testing.T) {
	client := server("")
	client.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, fmt.Errorf("connection refused")
	})
	_, err := Start(t.Context(), client, func(cluster.Event) { t.Error("an event came") })
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the error is %v", err)
	}
}

// forbid makes a resource forbidden until the returned function is called.
func forbid(client *fake.Clientset, resource string) (allow func()) {
	var allowed atomic.Bool
	client.PrependReactor("list", resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		if allowed.Load() {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", fmt.Errorf("no rule"))
	})
	return func() { allowed.Store(true) }
}

func TestAMissingPermissionIsNamedWithTheRuleThatIsMissing(t *testing.T) {
	client := server("")
	forbid(client, "nodes")
	w, _ := watching(t, client)
	until(t, "the problem is known", func() bool { return len(w.Problems()) == 1 })
	p := w.Problems()[0]
	if !p.Forbidden || p.Optional {
		t.Errorf("the problem is %+v", p)
	}
	want := `nodes may not be listed and watched: add the rule {apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"]} to the role of Poolkeeper`
	if !strings.HasPrefix(p.String(), want) {
		t.Errorf("it says %s", p)
	}
	if w.Synced() {
		t.Error("it is synced without the nodes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.WaitForSync(ctx); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("waiting ended with %v", err)
	}
}

func TestAPermissionThatIsGivenLaterEndsTheProblem(t *testing.T) {
	client := server("")
	allow := forbid(client, "nodes")
	w, _ := watching(t, client)
	until(t, "the problem is known", func() bool { return len(w.Problems()) == 1 })
	allow()
	until(t, "it is synced", w.Synced)
	if len(w.Problems()) != 0 {
		t.Errorf("problems are left: %v", w.Problems())
	}
}

func TestAMissingPermissionForAnOptionalKindHoldsNothingUp(t *testing.T) {
	client := server("")
	forbid(client, "resourceslices")
	w, _ := watching(t, client)
	synced(t, w)
	if problems := w.Problems(); len(problems) != 1 || !problems[0].Optional {
		t.Errorf("the problems are %v", problems)
	}
}

func TestAWatchThatIsForbiddenIsAProblemThoughTheListIsNot(t *testing.T) {
	client := server("")
	client.PrependWatchReactor("nodes", func(action clienttesting.Action) (bool, apiwatch.Interface, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", fmt.Errorf("no rule"))
	})
	w, _ := watching(t, client)
	until(t, "the problem is known", func() bool { return len(w.Problems()) == 1 })
	if p := w.Problems()[0]; !p.Forbidden || w.Synced() {
		t.Errorf("the problem is %v, and synced is %v", p, w.Synced())
	}
}

func TestAMissingPermissionIsReportedOnceForEachTimeItGoesMissing(t *testing.T) {
	client := server("")
	s, err := newSource(client, kinds(client)[0], func(cluster.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	denied := apierrors.NewForbidden(s.kind.resource.GroupResource(), "", nil)
	var told strings.Builder
	ctx := klog.NewContext(t.Context(), funcr.New(func(_, args string) { told.WriteString(args + "\n") }, funcr.Options{}))
	for _, outcome := range []error{denied, denied, nil, nil, denied} {
		s.heard(ctx, &s.listing, outcome)
	}
	if n := strings.Count(told.String(), "A permission is missing"); n != 2 {
		t.Errorf("it was told %d times, want 2:\n%s", n, &told)
	}
}

func TestOtherErrorsAreAProblemUntilTheCallGoesWell(t *testing.T) {
	client := server("")
	s, err := newSource(client, kinds(client)[0], func(cluster.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	s.heard(t.Context(), &s.watching, fmt.Errorf("connection refused"))
	s.heard(t.Context(), &s.watching, context.Canceled)
	s.heard(t.Context(), &s.watching, apierrors.NewResourceExpired("too old"))
	p := s.problem()
	if p == nil || p.Forbidden || p.String() != "nodes can't be listed and watched: connection refused" {
		t.Errorf("the problem is %v", p)
	}
	s.heard(t.Context(), &s.watching, nil)
	if p := s.problem(); p != nil {
		t.Errorf("the problem is still %v", p)
	}
}

func TestTheRuleForLeasesNamesTheirNamespace(t *testing.T) {
	for _, k := range kinds(server("")) {
		if k.resource.Resource != "leases" {
			continue
		}
		if want := `{apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["list", "watch"]} in the namespace kube-node-lease`; k.rule() != want {
			t.Errorf("the rule is %s", k.rule())
		}
	}
}

func TestWhatAnInformerSaysBecomesEvents(t *testing.T) {
	rs := func(uid types.UID) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "r", UID: uid}}
	}
	old, fresh := rs("old"), rs("new")
	tests := map[string]struct {
		call func(h cache.ResourceEventHandlerFuncs)
		want string
	}{
		"an object that is new":                       {func(h cache.ResourceEventHandlerFuncs) { h.OnAdd(old, true) }, "[set old]"},
		"an object that changes":                      {func(h cache.ResourceEventHandlerFuncs) { h.OnUpdate(old, old) }, "[set old]"},
		"an object that was made anew under its name": {func(h cache.ResourceEventHandlerFuncs) { h.OnUpdate(old, fresh) }, "[unset old set new]"},
		"an object that goes":                         {func(h cache.ResourceEventHandlerFuncs) { h.OnDelete(old) }, "[unset old]"},
		"an object whose going was missed": {
			func(h cache.ResourceEventHandlerFuncs) {
				h.OnDelete(cache.DeletedFinalStateUnknown{Key: "default/r", Obj: old})
			}, "[unset old]",
		},
		"something that is no object": {func(h cache.ResourceEventHandlerFuncs) { h.OnDelete("?") }, "[]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := []string{}
			test.call(handler(func(e cluster.Event) {
				switch e := e.(type) {
				case cluster.Set:
					got = append(got, "set "+string(e.Object.GetUID()))
				case cluster.Unset:
					got = append(got, "unset "+string(e.Object.GetUID()))
				}
			}))
			if fmt.Sprint(got) != test.want {
				t.Errorf("the events are %v, want %s", got, test.want)
			}
		})
	}
}
