package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// request is what reached the server.
type request struct {
	Line string
	Body any
}

// server answers every request in one way, and remembers them.
type server struct {
	status     int
	retryAfter string
	answer     any
	// stall, if there is one, holds every answer until it is closed; arrived then tells of each request.
	stall, arrived chan struct{}

	mutex    sync.Mutex
	requests []request
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var decoded any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &decoded); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	s.mutex.Lock()
	s.requests = append(s.requests, request{r.Method + " " + r.URL.RequestURI(), decoded})
	s.mutex.Unlock()
	if s.stall != nil {
		s.arrived <- struct{}{}
		<-s.stall
	}
	w.Header().Set("Content-Type", "application/json")
	if s.retryAfter != "" {
		w.Header().Set("Retry-After", s.retryAfter)
	}
	w.WriteHeader(s.status)
	_ = json.NewEncoder(w).Encode(s.answer)
}

func (s *server) seen() []request {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.requests
}

func clientOf(t *testing.T, s *server) *api.Client {
	t.Helper()
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	clientset, err := kubernetes.NewForConfig(&rest.Config{
		Host: listening.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return api.NewClient(clientset)
}

type object = map[string]any

func TestEachCallIsExactlyThisRequest(t *testing.T) {
	grace := int64(0)
	tests := map[string]struct {
		call   func(context.Context, *api.Client) error
		answer any
		line   string
		body   any
	}{
		"get a node, live": {
			func(ctx context.Context, c *api.Client) error { _, err := c.GetNode(ctx, "n"); return err },
			&corev1.Node{}, "GET /api/v1/nodes/n", nil,
		},
		"list nodes by label, live": {
			func(ctx context.Context, c *api.Client) error { _, err := c.ListNodes(ctx, "pool=front"); return err },
			&corev1.NodeList{}, "GET /api/v1/nodes?labelSelector=pool%3Dfront", nil,
		},
		"create a node": {
			func(ctx context.Context, c *api.Client) error {
				_, err := c.CreateNode(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
				return err
			},
			&corev1.Node{}, "POST /api/v1/nodes",
			object{"kind": "Node", "apiVersion": "v1", "metadata": object{"name": "n"}, "spec": object{}, "status": emptyNodeStatus()},
		},
		"update a node, if it is as it was read": {
			func(ctx context.Context, c *api.Client) error {
				_, err := c.UpdateNode(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "7"}})
				return err
			},
			&corev1.Node{}, "PUT /api/v1/nodes/n",
			object{
				"kind": "Node", "apiVersion": "v1", "metadata": object{"name": "n", "resourceVersion": "7"}, "spec": object{},
				"status": emptyNodeStatus(),
			},
		},
		"delete a node, and no other of its name": {
			func(ctx context.Context, c *api.Client) error { return c.DeleteNode(ctx, "n", "u") },
			&metav1.Status{Status: metav1.StatusSuccess}, "DELETE /api/v1/nodes/n",
			object{"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": object{"uid": "u"}},
		},
		"get a pod, live": {
			func(ctx context.Context, c *api.Client) error { _, err := c.GetPod(ctx, "default", "p"); return err },
			&corev1.Pod{}, "GET /api/v1/namespaces/default/pods/p", nil,
		},
		"list the pods on a node, live and in all namespaces": {
			func(ctx context.Context, c *api.Client) error { _, err := c.PodsOnNode(ctx, "n"); return err },
			&corev1.PodList{}, "GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn", nil,
		},
		"evict a pod, and no other of its name": {
			func(ctx context.Context, c *api.Client) error { return c.EvictPod(ctx, "default", "p", "u", false) },
			&metav1.Status{Status: metav1.StatusSuccess}, "POST /api/v1/namespaces/default/pods/p/eviction",
			object{
				"kind": "Eviction", "apiVersion": "policy/v1", "metadata": object{"name": "p", "namespace": "default"},
				"deleteOptions": object{"preconditions": object{"uid": "u"}},
			},
		},
		"ask whether a pod could be evicted": {
			func(ctx context.Context, c *api.Client) error { return c.EvictPod(ctx, "default", "p", "u", true) },
			&metav1.Status{Status: metav1.StatusSuccess}, "POST /api/v1/namespaces/default/pods/p/eviction",
			object{
				"kind": "Eviction", "apiVersion": "policy/v1", "metadata": object{"name": "p", "namespace": "default"},
				"deleteOptions": object{"preconditions": object{"uid": "u"}, "dryRun": []any{"All"}},
			},
		},
		"delete a pod with its own grace period": {
			func(ctx context.Context, c *api.Client) error { return c.DeletePod(ctx, "default", "p", "u", nil) },
			&metav1.Status{Status: metav1.StatusSuccess}, "DELETE /api/v1/namespaces/default/pods/p",
			object{"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": object{"uid": "u"}},
		},
		"delete a pod at once": {
			func(ctx context.Context, c *api.Client) error { return c.DeletePod(ctx, "default", "p", "u", &grace) },
			&metav1.Status{Status: metav1.StatusSuccess}, "DELETE /api/v1/namespaces/default/pods/p",
			object{"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": object{"uid": "u"}, "gracePeriodSeconds": 0.0},
		},
		"get a ConfigMap": {
			func(ctx context.Context, c *api.Client) error {
				_, err := c.GetConfigMap(ctx, "poolkeeper", "ledger-0")
				return err
			},
			&corev1.ConfigMap{}, "GET /api/v1/namespaces/poolkeeper/configmaps/ledger-0", nil,
		},
		"create a ConfigMap": {
			func(ctx context.Context, c *api.Client) error {
				_, err := c.CreateConfigMap(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "poolkeeper", Name: "ledger-0"}})
				return err
			},
			&corev1.ConfigMap{}, "POST /api/v1/namespaces/poolkeeper/configmaps",
			object{"kind": "ConfigMap", "apiVersion": "v1", "metadata": object{"name": "ledger-0", "namespace": "poolkeeper"}},
		},
		"update a ConfigMap, if it is as it was read": {
			func(ctx context.Context, c *api.Client) error {
				_, err := c.UpdateConfigMap(ctx, &corev1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Namespace: "poolkeeper", Name: "ledger-0", ResourceVersion: "7"}, Data: map[string]string{"a": "b"},
				})
				return err
			},
			&corev1.ConfigMap{}, "PUT /api/v1/namespaces/poolkeeper/configmaps/ledger-0",
			object{
				"kind": "ConfigMap", "apiVersion": "v1", "metadata": object{"name": "ledger-0", "namespace": "poolkeeper", "resourceVersion": "7"},
				"data": object{"a": "b"},
			},
		},
		"delete a ConfigMap": {
			func(ctx context.Context, c *api.Client) error {
				return c.DeleteConfigMap(ctx, "poolkeeper", "ledger-0")
			},
			&metav1.Status{Status: metav1.StatusSuccess}, "DELETE /api/v1/namespaces/poolkeeper/configmaps/ledger-0",
			object{"kind": "DeleteOptions", "apiVersion": "v1"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &server{status: http.StatusOK, answer: test.answer}
			if err := test.call(t.Context(), clientOf(t, s)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]request{{test.line, test.body}}, s.seen()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func emptyNodeStatus() object {
	return object{
		"daemonEndpoints": object{"kubeletEndpoint": object{"Port": 0.0}},
		"nodeInfo": object{
			"architecture": "", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "",
			"machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": "",
		},
	}
}

func TestARefusedEvictionComesBackAtOnceAndIsTriedOnce(t *testing.T) {
	refusal := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 30)
	refusal.ErrStatus.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	refusal.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: "DisruptionBudget", Message: "The disruption budget web needs 3 healthy pods"}}
	s := &server{status: http.StatusTooManyRequests, retryAfter: "30", answer: refusal.ErrStatus}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := clientOf(t, s).EvictPod(ctx, "default", "p", "u", false)
	if !apierrors.IsTooManyRequests(err) || !apierrors.HasStatusCause(err, "DisruptionBudget") {
		t.Errorf("the error is %v, want the budget's refusal", err)
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); !ok || seconds != 30 {
		t.Errorf("the delay asked for is %d seconds (%v), want 30", seconds, ok)
	}
	if n := len(s.seen()); n != 1 {
		t.Errorf("%d requests were made, want 1", n)
	}
}

func TestErrorsKeepTheirType(t *testing.T) {
	conflict := apierrors.NewConflict(corev1.Resource("nodes"), "n", errors.New("the UID in the precondition does not match"))
	conflict.ErrStatus.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	s := &server{status: http.StatusConflict, answer: conflict.ErrStatus}
	if err := clientOf(t, s).DeleteNode(t.Context(), "n", "u"); !apierrors.IsConflict(err) || err.Error() != conflict.Error() {
		t.Errorf("the error is %v, want a conflict", err)
	}
}

func TestAnUpdateWithoutAResourceVersionNeverLeaves(t *testing.T) {
	s := &server{status: http.StatusOK, answer: &corev1.Node{}}
	client := clientOf(t, s)
	_, err := client.UpdateNode(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
	if want := "update node n: it has no resourceVersion; read it first, and change what was read"; !apierrors.IsBadRequest(err) || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	_, err = client.UpdateConfigMap(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "poolkeeper", Name: "ledger-0"}})
	want := "update configmap poolkeeper/ledger-0: it has no resourceVersion; read it first, and change what was read"
	if !apierrors.IsBadRequest(err) || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if n := len(s.seen()); n != 0 {
		t.Errorf("%d requests were made, want none", n)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	s := &server{status: http.StatusOK, answer: &corev1.Node{}, stall: make(chan struct{}), arrived: make(chan struct{}, 1)}
	client := clientOf(t, s)
	t.Cleanup(func() { close(s.stall) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := client.GetNode(ctx, "n")
		done <- err
	}()
	<-s.arrived
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want that of the context", err)
	}
}

func TestAListBelongsToTheCaller(t *testing.T) {
	list := &corev1.PodList{Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}}
	pods, err := clientOf(t, &server{status: http.StatusOK, answer: list}).PodsOnNode(t.Context(), "n")
	if err != nil {
		t.Fatal(err)
	}
	if len(pods) != 2 || pods[0].Name != "a" || pods[1].Name != "b" {
		t.Errorf("the pods are %v", pods)
	}
}
