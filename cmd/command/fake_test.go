package command

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

var update = flag.Bool("update", false, "write the golden files anew")

// now is the time of every test.
var now = time.Date(2026, time.January, 5, 8, 0, 30, 0, time.UTC)

// fake is an API server as far as the commands need one: services with a proxy to replicas, ConfigMaps, nodes, reviews.
type fake struct {
	t  *testing.T
	mu sync.Mutex
	// services are those with the labels, by namespace/name.
	services []string
	// replicas are the pages of each replica, by services/namespace/name or pods/namespace/name.
	replicas map[string]map[string]reply
	requests map[string]string
	nodes    map[string]*corev1.Node
	// forbidden are the beginnings of "VERB path" that are refused; conflicts is how many updates of the ConfigMap fail first.
	forbidden []string
	conflicts int
	version   int
	// encrypted has the Services served with TLS, and seen sees every request.
	encrypted bool
	seen      func(*http.Request)
}

// reply is one answer of a replica.
type reply struct {
	code int
	body any
}

func newFake(t *testing.T, pages map[string]reply) *fake {
	return &fake{
		t: t, services: []string{"ops/keeper"}, replicas: map[string]map[string]reply{"services/ops/keeper": pages},
		nodes: map[string]*corev1.Node{"web-1": {ObjectMeta: metav1.ObjectMeta{Name: "web-1", UID: "1"}}},
	}
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := r.Method + " " + r.URL.Path
	if f.seen != nil {
		f.seen(r)
	}
	for _, no := range f.forbidden {
		if strings.HasPrefix(call, no) {
			refuse(w, apierrors.NewForbidden(corev1.Resource("things"), r.URL.Path, fmt.Errorf("user ann may not")))
			return
		}
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		write(w, http.StatusCreated, authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: "ann"}}})
	case len(parts) > 6 && parts[6] == "proxy":
		f.proxy(w, r, parts)
	case strings.HasSuffix(r.URL.Path, "/services"):
		f.list(w, parts)
	case strings.Contains(r.URL.Path, "/configmaps"):
		f.configMap(w, r)
	case len(parts) == 4 && parts[2] == "nodes":
		f.node(w, parts[3])
	default:
		f.t.Errorf("nobody should ask for %s", call)
		http.NotFound(w, r)
	}
}

func (f *fake) proxy(w http.ResponseWriter, r *http.Request, parts []string) {
	called, encrypted := strings.CutPrefix(parts[5], "https:")
	if encrypted != f.encrypted {
		f.t.Errorf("%s is asked with TLS %v", called, encrypted)
	}
	name, port, _ := strings.Cut(called, ":")
	pages, there := f.replicas[parts[4]+"/"+parts[3]+"/"+name]
	if !there {
		refuse(w, apierrors.NewNotFound(corev1.Resource(parts[4]), name))
		return
	}
	if port != "8085" {
		f.t.Errorf("%s is asked at port %s", name, port)
	}
	page := "/" + strings.Join(parts[7:], "/")
	if r.URL.RawQuery != "" {
		page += "?" + r.URL.RawQuery
	}
	answer, known := pages[page]
	if !known {
		answer, known = pages["/"+strings.Join(parts[7:], "/")]
	}
	if !known {
		http.NotFound(w, r)
		return
	}
	if text, is := answer.body.(string); is {
		w.WriteHeader(answer.code)
		_, _ = w.Write([]byte(text))
		return
	}
	write(w, answer.code, answer.body)
}

func (f *fake) list(w http.ResponseWriter, parts []string) {
	list := corev1.ServiceList{TypeMeta: metav1.TypeMeta{Kind: "ServiceList", APIVersion: "v1"}}
	for _, s := range f.services {
		namespace, name, _ := strings.Cut(s, "/")
		if parts[2] == "namespaces" && parts[3] != namespace {
			continue
		}
		served := "http"
		if f.encrypted {
			served = "https"
		}
		list.Items = append(list.Items, corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "grpc", Port: 9}, {Name: served, Port: 8085}}},
		})
	}
	write(w, http.StatusOK, list)
}

func (f *fake) configMap(w http.ResponseWriter, r *http.Request) {
	var cm corev1.ConfigMap
	switch r.Method {
	case http.MethodGet:
		if f.requests == nil {
			refuse(w, apierrors.NewNotFound(corev1.Resource("configmaps"), cluster.RequestsName))
			return
		}
	default:
		if err := json.NewDecoder(r.Body).Decode(&cm); err != nil {
			f.t.Error(err)
		}
		if f.conflicts > 0 || r.Method == http.MethodPut && cm.ResourceVersion != fmt.Sprint(f.version) {
			f.conflicts--
			refuse(w, apierrors.NewConflict(corev1.Resource("configmaps"), cm.Name, nil))
			return
		}
		f.version++
		f.requests = cm.Data
		if f.requests == nil {
			f.requests = map[string]string{}
		}
	}
	cm = corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: f.requests,
		ObjectMeta: metav1.ObjectMeta{Namespace: "ops", Name: cluster.RequestsName, ResourceVersion: fmt.Sprint(f.version)},
	}
	write(w, http.StatusOK, cm)
}

func (f *fake) node(w http.ResponseWriter, name string) {
	node, there := f.nodes[name]
	if !there {
		refuse(w, apierrors.NewNotFound(corev1.Resource("nodes"), name))
		return
	}
	write(w, http.StatusOK, node)
}

func refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	err.ErrStatus.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	write(w, int(err.ErrStatus.Code), err.ErrStatus)
}

func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// run runs a command line against the API server, and gives all that a person sees.
func run(t *testing.T, f *fake, line string, change ...func(*Options)) (code int, out, errs string) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	content := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"" + server.URL + "\"}}]\n" +
		"contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\ncurrent-context: c\n"
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	var o, e bytes.Buffer
	options := Options{Name: "kubectl poolkeeper", Version: "v1", Out: &o, Err: &e, Now: func() time.Time { return now }}
	for _, c := range change {
		c(&options)
	}
	code = Execute(t.Context(), Root(options), words(line))
	return code, o.String(), strings.ReplaceAll(e.String(), server.URL, "https://cluster")
}

// words are those of a command line; quotes hold some together.
func words(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// golden compares with the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it by: go test ./cmd/command -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (- wanted, + got):\n%s", path, diff)
	}
}
