// Package secrets plants recognisable secrets wherever one can come in, has the daemon do all that it does, and looks for them in all that comes out.
package secrets

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

var (
	plane  *controlplane.ControlPlane
	daemon string
)

func TestMain(m *testing.M) {
	os.Exit(installation.Main(m, controlplane.Options{Timers: controlplane.ShortTimers()}, func(c *controlplane.ControlPlane, path string) {
		plane, daemon = c, path
	}))
}

// What is planted, beside the keys and tokens that are made in the run.
const (
	cloudKey     = "5ec2e7aa-0bad-4bad-8bad-c0ffee5ec2e7"
	webhookPath  = "SECRETWEBHOOK4711"
	alertsWord   = "SECRETALERTS4711"
	podVariable  = "SECRETENV4711"
	podArgument  = "SECRETARG4711"
	podNote      = "SECRETPODNOTE4711"
	nodeNote     = "SECRETNODENOTE4711"
	secretObject = "SECRETOBJECT4711"
	foreignMap   = "SECRETCONFIGMAP4711"
	forgedToken  = "SECRETFORGED4711"
)

// outside is what the daemon talks to beside cluster and cloud, and refuses to serve it.
type outside struct {
	mu   sync.Mutex
	seen map[string]int
	told bytes.Buffer
}

func (o *outside) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body) // what could not be read is not there
	o.mu.Lock()
	defer o.mu.Unlock()
	_, word, _ := req.BasicAuth()
	switch {
	case strings.Contains(req.URL.Path, webhookPath):
		o.seen["webhook"]++
		o.told.Write(body)
	case word == alertsWord:
		o.seen["alerts"]++
	}
	if o.seen["webhook"]%2 == 0 { // sometimes it works
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (o *outside) times(what string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen[what]
}

func TestNoSecretIsInAnythingThatComesOut(t *testing.T) {
	s := stage.New(t, plane)
	i := installation.New(t, plane, daemon, "keeper-secrets")
	others := &outside{seen: map[string]int{}}
	far := httptest.NewServer(others)
	t.Cleanup(far.Close)
	cloud := fake.New(fake.Options{Cluster: "e2e", Version: "1.36.3", SecretKey: cloudKey})
	cloud.AddPool(fake.PoolSpec{Name: "rented", Version: "1.36.3", Size: 0, Tags: []string{"poolkeeper-min=0", "poolkeeper-max=2"}})
	rented := httptest.NewServer(cloud.Handler())
	t.Cleanup(rented.Close)
	certFile, keyFile := certificate(t)
	key := lines(t, keyFile)[1]
	auditLog := filepath.Join(i.Folder(), "audit.log")

	i.Apply(&installation.Chart{
		Mode: "act", Provider: "kwok,scaleway",
		CloudConfigs: map[string]string{
			"kwok":     stage.KwokFile([]string{"v1.35.4", "v1.36.3"}, stage.KwokPool{Name: "owned", Min: 1, Max: 5, Size: 3, Version: "v1.35.4"}),
			"scaleway": fmt.Sprintf("region: fr-par\ncluster: e2e\napiURL: %s\n", rented.URL),
		},
		Values: []string{"--set", "tls.secret=certificate", "--set", "requireAuthorization=true"},
		Env:    []string{"SCW_SECRET_KEY=" + cloudKey, "SCW_CONFIG_PATH=" + i.Folder() + "/none.yaml"},
		Flags: append(installation.QuickTimers(),
			"--upgrade-window=always", "--upgrade-version=v1.36.3", "--upgrade-alerts-url="+strings.Replace(far.URL, "http://", "http://prometheus:"+alertsWord+"@", 1),
			"--audit-log="+auditLog, "--notify-about=decisions", "--notify-url-file="+i.File("webhook", far.URL+"/services/"+webhookPath), "--dashboard", "--v=10", "--vmodule=request=10,round_trippers=10"),
	})
	own := token(t, strings.TrimPrefix(i.Args[slices.IndexFunc(i.Args, func(arg string) bool { return strings.HasPrefix(arg, "--kubeconfig=") })], "--kubeconfig="))
	asker := account(t, i.Namespace)
	plant(t, i.Namespace)
	address := freeAddress(t)
	args := []string{"--address=" + address, "--tls-cert-file=" + certFile, "--tls-private-key-file=" + keyFile}
	running := i.Start(args...)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the test's own daemon

	owned := s.KwokPool("owned")
	nodes := owned.Sized(3, 2*time.Minute)
	_, err := plane.Client().CoreV1().Nodes().Patch(t.Context(), nodes[0].Name, "application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"example.com/note":"`+nodeNote+`"}}}`), metav1.PatchOptions{})
	must(t, err)
	s.Deploy("front", 3, "3500m", func(spec *corev1.PodSpec) {
		spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", Value: podVariable}}
		spec.Containers[0].Args = []string{"--password=" + podArgument}
	})
	s.Running("front", 3, 2*time.Minute)
	must(t, plane.SickenNode(t.Context(), nodes[0].Name, "container runtime is down"))
	s.Eventually(2*time.Minute, func(context.Context) error {
		if others.times("alerts") == 0 || others.times("webhook") == 0 {
			return errors.New("the alert source and the webhook were not both asked yet")
		}
		return nil
	})
	// The illness is written down: names of nodes are in all outputs then.
	s.Eventually(time.Minute, func(ctx context.Context) error {
		if answer := ask(t, client, "https://"+address+"/incidents", asker); !strings.Contains(answer, nodes[0].Name) {
			return fmt.Errorf("there is no incident of %s yet: %s", nodes[0].Name, answer)
		}
		return nil
	})

	out := map[string]string{}
	for _, path := range []string{
		"/plan", "/status", "/status?format=json", "/history", "/incidents", "/explain?kind=pool&name=owned", "/explain?kind=pool&name=rented",
		"/explain?kind=node&name=" + nodes[1].Name, "/explain?kind=pod&name=default/planted", "/explain?kind=pod&name=default/planted&format=text", "/dump",
		"/preflight?node=" + nodes[1].Name, "/metrics", "/", "/dashboard/course", "/dashboard/stream", "/livez", "/readyz", "/nowhere",
	} {
		out["GET "+path] = ask(t, client, "https://"+address+path, asker)
		out["GET "+path+" with a forged token"] = ask(t, client, "https://"+address+path, forgedToken)
	}
	out["kubectl poolkeeper snapshot"] = run(t, "go", "run", "./cmd/kubectl-poolkeeper", "snapshot", "--address=https://"+address, "--daemon-ca-file="+certFile,
		"--daemon-token-file="+i.File("token", asker))
	env := slices.Concat(i.Env, []string{daemon, "validate"})
	out["poolkeeper validate"] = run(t, "env", slices.Concat(env, i.Args, args)...)
	i.Stop(running)
	out["the log"] = running.Tail(1 << 30)
	content, err := os.ReadFile(auditLog)
	must(t, err)
	out["the audit log"] = string(content)
	others.mu.Lock()
	out["messages to the webhook"] = others.told.String()
	others.mu.Unlock()
	maps.Copy(out, written(t, i.Namespace))

	planted := map[string]string{
		"the cloud's key": cloudKey, "the webhook's address": webhookPath, "the word for the alerts": alertsWord, "a pod's variable": podVariable, "a pod's argument": podArgument,
		"a pod's annotation": podNote, "a node's annotation": nodeNote, "a Secret": secretObject, "another's ConfigMap": foreignMap, "a forged token": forgedToken,
		"the token of who asks": asker, "the daemon's own token": own, "the certificate's key": key,
	}
	for _, where := range slices.Sorted(maps.Keys(out)) {
		for what, secret := range planted {
			if form := found(out[where], secret); form != "" {
				t.Errorf("%s has %s, %s", where, what, form)
			}
		}
	}
	lookedAt(t, out, cloud)
}

// lookedAt makes sure that what was searched is what it is called, and that what was planted was used.
func lookedAt(t *testing.T, out map[string]string, cloud *fake.Cloud) {
	t.Helper()
	for where, has := range map[string]string{
		"the log": "GET", "the audit log": `"kind":"Keyframe"`, "messages to the webhook": "owned", "GET /plan": `"pool": "owned"`, "GET /status": "owned", "GET /dump": "planted",
		"GET /metrics": "poolkeeper_", "GET /explain?kind=pod&name=default/planted": "planted", "GET /incidents": "node", "GET /dashboard/stream": "owned",
		"GET /plan with a forged token": "a token is wanted", "kubectl poolkeeper snapshot": "owned", "poolkeeper validate": "rights", "ConfigMaps": `"name":"poolkeeper-ledger-`, "Events": "owned",
	} {
		if !strings.Contains(out[where], has) {
			t.Errorf("%s does not have %q: %.2000s", where, has, out[where])
		}
	}
	if n := slices.IndexFunc(cloud.Requests(), func(r fake.Request) bool { return r.Status == http.StatusOK && r.Path != "/metadata" }); n < 0 {
		t.Error("the cloud was never asked with its key")
	}
}

// found says in which form a text has a secret; empty if it hasn't.
func found(text, secret string) string {
	dumped := hex.Dump([]byte(secret))
	for form, is := range map[string]string{
		"as it is": secret, "in base64": base64.StdEncoding.EncodeToString([]byte(secret)), "as hexadecimals": hex.EncodeToString([]byte(secret)), "escaped": url.QueryEscape(secret),
		"dumped": dumped[10:40],
	} {
		if strings.Contains(text, is) {
			return form
		}
	}
	return ""
}

func TestASecretIsFoundInAnyForm(t *testing.T) {
	const secret = "SECRET/4711 and more of it"
	for _, text := range []string{
		"x" + secret + "y", base64.StdEncoding.EncodeToString([]byte(secret)), "0x" + hex.EncodeToString([]byte(secret)), hex.Dump([]byte(secret)), "?q=" + url.QueryEscape(secret),
	} {
		if found(text, secret) == "" {
			t.Errorf("it is not found in %s", text)
		}
	}
	if found("SECRET/4712", secret) != "" {
		t.Error("it is found where it isn't")
	}
}

// plant puts secrets into the cluster, as people do.
func plant(t *testing.T, namespace string) {
	t.Helper()
	core, ctx := plane.Client().CoreV1(), t.Context()
	for _, place := range []string{namespace, "default"} {
		_, err := core.Secrets(place).Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "planted"}, StringData: map[string]string{"password": secretObject},
		}, metav1.CreateOptions{})
		must(t, err)
		_, err = core.ConfigMaps(place).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "planted"}, Data: map[string]string{"password": foreignMap},
		}, metav1.CreateOptions{})
		must(t, err)
	}
	_, err := core.Pods("default").Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "planted", Annotations: map[string]string{
			"example.com/note": podNote, corev1.LastAppliedConfigAnnotation: `{"env":"` + podVariable + `"}`,
		}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"example.com/no": "such"},
			Containers: []corev1.Container{{
				Name: "app", Image: "app", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: podVariable}}, Args: []string{podArgument},
			}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = core.Pods("default").Delete(ctx, "planted", metav1.DeleteOptions{})
		_ = core.Secrets("default").Delete(ctx, "planted", metav1.DeleteOptions{})
		_ = core.ConfigMaps("default").Delete(ctx, "planted", metav1.DeleteOptions{})
	})
}

// written is what the daemon has written into the cluster.
func written(t *testing.T, namespace string) map[string]string {
	t.Helper()
	c, ctx := plane.Client(), t.Context()
	maps, err := c.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
	must(t, err)
	maps.Items = slices.DeleteFunc(maps.Items, func(m corev1.ConfigMap) bool { return m.Name == "planted" })
	events, err := c.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	must(t, err)
	events.Items = slices.DeleteFunc(events.Items, func(e corev1.Event) bool { return e.Source.Component != "poolkeeper" })
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	must(t, err)
	var marks []any
	for _, node := range nodes.Items {
		delete(node.Annotations, "example.com/note")
		marks = append(marks, node.Annotations, node.Labels, node.Spec)
	}
	leases, err := c.CoordinationV1().Leases("kube-system").List(ctx, metav1.ListOptions{})
	must(t, err)
	all := map[string]string{}
	for name, objects := range map[string]any{"ConfigMaps": maps, "Events": events, "marks on nodes": marks, "Leases": leases} {
		text, err := json.Marshal(objects)
		must(t, err)
		all[name] = string(text)
	}
	return all
}

// account is the token of an account that may look at everything.
func account(t *testing.T, namespace string) string {
	t.Helper()
	c, ctx := plane.Client(), t.Context()
	_, err := c.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "looker"}}, metav1.CreateOptions{})
	must(t, err)
	name := metav1.ObjectMeta{Name: namespace + "-looker"}
	_, err = c.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "poolkeeper-" + namespace + "-reader"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "looker"}},
	}, metav1.CreateOptions{})
	must(t, err)
	path, err := plane.ServiceAccountKubeconfig(ctx, namespace, "looker")
	must(t, err)
	return token(t, path)
}

// ask is the whole answer to a question, headers and all; of a stream it is what comes at first.
func ask(t *testing.T, client *http.Client, address, token string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := client.Do(request)
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		first := make([]byte, 64<<10)
		n, err := io.ReadAtLeast(answer.Body, first, 200)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		return fmt.Sprint(answer.Header, string(first[:n]))
	}
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return fmt.Sprint(answer.Status, answer.Header, string(body))
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	tree, err := controlplane.Tree()
	must(t, err)
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = tree
	out, err := command.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=keeper",
		"-addext", "subjectAltName=IP:127.0.0.1", "-out", certFile, "-keyout", keyFile)
	return certFile, keyFile
}

func token(t *testing.T, kubeconfig string) string {
	t.Helper()
	content, err := os.ReadFile(kubeconfig)
	must(t, err)
	config, err := clientcmd.RESTConfigFromKubeConfig(content)
	must(t, err)
	return config.BearerToken
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return strings.Split(string(content), "\n")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
