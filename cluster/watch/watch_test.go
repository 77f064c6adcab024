package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// own is the daemon's namespace.
const own = "poolkeeper"

// server is a fake clientset that serves every kind but those that are left out.
func server(without string, objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	lists := map[string]*metav1.APIResourceList{}
	for _, k := range kinds(client, own) {
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
	w, err := Start(ctx, client, own, p.sink)
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

func TestWhatArrivesIsTrimmed(t *testing.T) {
	w, p := watching(t, server("", node("n")))
	synced(t, w)
	if shown, _ := p.now().Nodes.Get("n"); len(shown.Status.Images) != 0 {
		t.Error("the picture has the node's images")
	}
}

func TestEqualPodsShareATemplate(t *testing.T) {
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}
	}
	client := server("", pod("a"), pod("b"))
	w, p := watching(t, client)
	synced(t, w)
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod("c"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the third pod is there", func() bool { return p.now().Pods.Len() == 3 })
	a, _ := p.now().Pods.Get("default/a")
	for key, other := range p.now().Pods.All() {
		if other.PodTemplate != a.PodTemplate {
			t.Errorf("%s has a template of its own", key)
		}
	}
}

func TestAListComesInPages(t *testing.T) {
	client := server("")
	var asked []metav1.ListOptions
	client.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		options := action.(clienttesting.ListActionImpl).ListOptions
		asked = append(asked, options)
		list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []corev1.Pod{
			{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p" + options.Continue}},
		}}
		if options.Continue == "" {
			list.Continue = "2"
		}
		return true, list, nil
	})
	w, p := watching(t, client)
	synced(t, w)
	if n := p.now().Pods.Len(); n != 2 {
		t.Errorf("%d pods of two pages of one", n)
	}
	if len(asked) < 2 || asked[0].Limit != pageSize || asked[0].ResourceVersion != "" || asked[1].Continue != "2" {
		t.Errorf("asked for %+v", asked)
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

func TestOnlyTheLeasesOfNodesAndOfOtherAutoscalersAreRead(t *testing.T) {
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
		list, ok := action.(clienttesting.ListAction)
		if !ok || action.GetResource().Resource != "leases" || action.GetNamespace() == nodeLeases {
			continue
		}
		if got := list.GetListRestrictions().Fields.String(); got != "metadata.name="+cluster.RivalLease {
			t.Errorf("leases were read in namespace %q where %q", action.GetNamespace(), got)
		}
	}
}

func TestHeartbeatsAreListedAgainAndAgain(t *testing.T) {
	lease := func(name string, second int64) *coordinationv1.Lease {
		renewed, lasts := metav1.NewMicroTime(time.Unix(second, 0)), int32(4)
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: nodeLeases, Name: name, UID: types.UID(name)},
			Spec:       coordinationv1.LeaseSpec{RenewTime: &renewed, LeaseDurationSeconds: &lasts},
		}
	}
	client := server("", lease("a", 900), lease("b", 900))
	w, p := watching(t, client)
	synced(t, w)
	if n := p.now().Heartbeats.Len(); n != 2 {
		t.Errorf("there are %d heartbeats, want 2", n)
	}
	leases := client.CoordinationV1().Leases(nodeLeases)
	if _, err := leases.Update(t.Context(), lease("a", 903), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := leases.Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "a has been renewed, and b is gone", func() bool {
		beats := p.now().Heartbeats
		a, _ := beats.Get("a")
		return a.Renewed.Equal(time.Unix(903, 0)) && beats.Len() == 1
	})
	for _, action := range client.Actions() {
		if action.GetVerb() == "watch" && action.GetNamespace() == nodeLeases {
			t.Error("heartbeats are watched, which costs an event for each renewal")
		}
	}
}

func TestThePaceOfHeartbeatsFollowsTheShortestLease(t *testing.T) {
	for _, test := range []struct {
		name    string
		n       int
		seconds int32
		want    time.Duration
	}{
		{"none is known", 0, 0, 10 * time.Second},
		{"as kubelets have them", 100, 40, 10 * time.Second},
		{"shorter", 100, 16, 4 * time.Second},
		{"very short", 100, 1, time.Second},
		{"very short, and many of them", 2000, 1, 4 * time.Second},
		{"more than a cluster should have", 50000, 40, 10 * time.Second},
		{"long", 100, 400, 10 * time.Second},
	} {
		var all []cluster.Object
		for range test.n {
			all = append(all, &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &test.seconds}})
		}
		if got := pace(all); got != test.want {
			t.Errorf("%s: leases are listed every %v, want %v", test.name, got, test.want)
		}
	}
}

func TestAKindThatTheServerDoesNotServeIsLeftOut(t *testing.T) {
	client := server("resource.k8s.io")
	w, _ := watching(t, client)
	synced(t, w)
	if got, want := len(w.sources), len(kinds(client, own))-3; got != want {
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
	_, err := Start(t.Context(), client, own, func(cluster.Event) { t.Error("an event came") })
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
	s := newSource(client, kinds(client, own)[0], func(cluster.Event) {})
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
	s := newSource(client, kinds(client, own)[0], func(cluster.Event) {})
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
	for _, k := range kinds(server(""), own) {
		if k.resource.Resource != "leases" {
			continue
		}
		want := `{apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["list"]} in the namespace kube-node-lease`
		if k.name != "" {
			want = `{apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: ["cluster-autoscaler"], verbs: ["list", "watch"]}`
		}
		if k.rule() != want {
			t.Errorf("the rule is %s", k.rule())
		}
	}
}

func TestWhatTheReflectorSaysBecomesEvents(t *testing.T) {
	rs := func(name string, uid types.UID) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: uid}}
	}
	tests := map[string]struct {
		call func(f *feed) error
		want string
	}{
		"an object that is new":                       {func(f *feed) error { return f.Add(rs("new", "1")) }, "[set new/1]"},
		"an object that changes":                      {func(f *feed) error { return f.Update(rs("a", "1")) }, "[set a/1]"},
		"an object that was made anew under its name": {func(f *feed) error { return f.Update(rs("a", "2")) }, "[unset a/1 set a/2]"},
		"an object that goes":                         {func(f *feed) error { return f.Delete(rs("a", "1")) }, "[unset a/1]"},
		"an object that goes and comes":               {func(f *feed) error { return errors.Join(f.Delete(rs("a", "1")), f.Add(rs("a", "2"))) }, "[unset a/1 set a/2]"},
		"a list that lacks one":                       {func(f *feed) error { return f.Replace([]any{rs("b", "1")}, "9") }, "[unset a/1 set b/1]"},
		"a list with one that was made anew": {
			func(f *feed) error { return f.Replace([]any{rs("a", "2"), rs("b", "1")}, "9") }, "[unset a/1 set a/2 set b/1]",
		},
		"a list with one that is new": {
			func(f *feed) error { return f.Replace([]any{rs("a", "1"), rs("b", "1"), rs("c", "1")}, "9") }, "[set a/1 set b/1 set c/1]",
		},
		"a list of nothing": {func(f *feed) error { return errors.Join(f.Replace(nil, "9"), f.Replace(nil, "10")) }, "[unset a/1 unset b/1]"},
		"something that is no object": {func(f *feed) error {
			if f.Add("?") == nil || f.Delete("?") == nil || f.Replace([]any{"?"}, "9") == nil {
				return errors.New("no error")
			}
			return nil
		}, "[]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := []string{}
			f := newFeed(&appsv1.ReplicaSet{}, func(e cluster.Event) {
				switch e := e.(type) {
				case cluster.Set:
					got = append(got, fmt.Sprintf("set %s/%s", e.Object.GetName(), e.Object.GetUID()))
				case cluster.Unset:
					got = append(got, fmt.Sprintf("unset %s/%s", e.Object.(*appsv1.ReplicaSet).Name, e.Object.GetUID()))
				}
			})
			if f.complete() {
				t.Error("it is complete before the first list")
			}
			if err := f.Replace([]any{rs("a", "1"), rs("b", "1")}, "5"); err != nil || !f.complete() {
				t.Fatalf("the first list: %v; it is complete: %v", err, f.complete())
			}
			got = []string{}
			if err := test.call(f); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(test.want, "[unset a/1 unset") {
				slices.Sort(got)
			}
			if fmt.Sprint(got) != test.want {
				t.Errorf("the events are %v, want %s", got, test.want)
			}
		})
	}
}

// What a feed makes of equal histories must be equal, whether a list came in one piece, in pages, or as a stream that the reflector gathered.
func TestAListIsTheSameHoweverItCame(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "u"}, Spec: corev1.PodSpec{NodeName: "n"}}
	shown := map[string]*cluster.Pod{}
	feedOf := func(how string) *feed {
		return newFeed(&corev1.Pod{}, func(e cluster.Event) { shown[how] = e.(cluster.Set).Object.(*cluster.Pod) })
	}
	whole, paged, streamed := feedOf("whole"), feedOf("paged"), feedOf("streamed")
	list, err := paged.trimmedList(&corev1.PodList{Items: []corev1.Pod{*pod}})
	if err != nil {
		t.Fatal(err)
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	gathered, err := streamed.Transformer()(pod)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(whole.Replace([]any{pod}, "1"), paged.Replace([]any{items[0]}, "1"), streamed.Replace([]any{gathered}, "1")); err != nil {
		t.Fatal(err)
	}
	for how, got := range shown {
		if diff := cmp.Diff(cluster.PodOf(pod), got); diff != "" {
			t.Errorf("%s:\n%s", how, diff)
		}
	}
	if len(shown) != 3 {
		t.Errorf("events came by %d ways", len(shown))
	}
}
