// Package commands runs every command of the kubectl plugin on a real control plane: through the API server's service proxy to a real daemon, with the rights
// of an account that has no more than docs/commands.md says.
package commands

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
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

// person is somebody with a kubeconfig and the plugin.
type person struct {
	t                  *testing.T
	plugin, kubeconfig string
}

// says runs a command line that has to end well, and gives what it says.
func (p *person) says(line string, patterns ...string) string {
	p.t.Helper()
	out, err := p.run(line)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(out) {
			p.t.Errorf("%s: nothing matches %s in\n%s", line, pattern, out)
		}
	}
	p.t.Logf("$ kubectl poolkeeper %s\n%s", line, out)
	return out
}

func (p *person) run(line string) (string, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, p.plugin, strings.Fields(line)...)
	c.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig)
	out, err := c.CombinedOutput()
	return string(out), err
}

// says is a check that a command, sooner or later, says something.
func (p *person) saysSometime(line, pattern string) stage.Check {
	return func(context.Context) error {
		out, err := p.run(line)
		if err != nil || !regexp.MustCompile(pattern).MatchString(out) {
			return fmt.Errorf("%s: nothing matches %s (%w) in\n%s", line, pattern, err, out)
		}
		return nil
	}
}

func TestEveryCommandWorksThroughTheAPIServer(t *testing.T) {
	host := reachable(t)
	s := stage.New(t, plane)
	i := installation.New(t, plane, daemon, "keeper-commands")
	file := stage.KwokFile([]string{"v1.36.3"}, stage.KwokPool{Name: "front", Min: 2, Max: 6, Size: 2, Version: "v1.36.3"})
	i.Apply(&installation.Chart{Mode: "act", Provider: "kwok", CloudConfig: file, Flags: installation.QuickTimers()})
	listener, err := net.Listen("tcp", host+":0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	i.Start(fmt.Sprintf("--address=%s:%d", host, port))
	serve(t, i.Namespace, "http", host, port)
	ann := newPerson(t, i)

	front := s.KwokPool("front")
	nodes := front.Sized(2, time.Minute)
	s.Eventually(time.Minute, ann.saysSometime("status", `front +2 +6 +2 +2`))
	ann.says("status", `in mode .*act`, `Nothing is under way`)
	ann.says("status -o json", `"name": "front"`)
	ann.says("plan", `Nothing is done now`)
	ann.says("plan --upgrade", `Nothing is to be upgraded`)
	ann.says("explain pool front", `target of 2 \(min 2, max 6\)`)
	ann.says("explain node "+nodes[0].Name, `belongs to pool front`)
	ann.says("incidents", `No node is ill`)
	ann.says("drain --preflight "+nodes[0].Name, `clear, its pods can all go at once`)

	// A pause holds growth, and the pod says so; resumed, the pool grows.
	ann.says("pause autoscale --pool front --until 1h", `Paused autoscale on pool front`)
	ann.says("requests", `pause-front +pause +autoscale +pool front`)
	s.Eventually(time.Minute, ann.saysSometime("status", `pause of the autoscaler on pool front`))
	s.Deploy("web", 12, "1500m")
	s.Eventually(time.Minute, ann.saysSometime("plan", `(?s)Held back.*Paused`))
	pods, err := plane.Client().CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{FieldSelector: "spec.nodeName="})
	must(t, err)
	if len(pods.Items) == 0 {
		t.Fatal("no pod waits")
	}
	s.Eventually(time.Minute, ann.saysSometime("explain pod default/"+pods.Items[0].Name, `(?s)pending for.*Paused`)) // the last plan may be older than the pod
	ann.says("resume --pool front", `Taken back: pause-front`)
	s.Running("web", 12, 2*time.Minute)
	ann.says("history", `autoscaler +pool front 2→6`)

	// A repair that somebody asks for is done, and waited for.
	ann.says("exclude "+nodes[1].Name+" --from autoscale", `Kept out of autoscale: node `)
	ann.says("exclude "+nodes[1].Name+" --undo", `Taken back: exclude-`)
	ann.says("heal "+nodes[0].Name, `Asked for the repair of node `+nodes[0].Name)
	cm, err := plane.Client().CoreV1().ConfigMaps(i.Namespace).Get(t.Context(), cluster.RequestsName, metav1.GetOptions{})
	must(t, err)
	for _, q := range cluster.ReadRequests(cm.Data) {
		if q.Problem != "" || q.Kind != cluster.HealNowRequest || q.Node != nodes[0].Name {
			t.Errorf("the request is %+v", q)
		}
	}
	ann.says("resume heal-"+nodes[0].Name, `Taken back`)

	// What goes wrong is told with the remedy.
	for line, want := range map[string]string{"explain pool frnt": `there is no pool "frnt"`, "explain pod web": "there is no pod"} {
		if out, err := ann.run(line); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v, and %q is not in\n%s", line, err, want, out)
		}
	}
	stranger := *ann
	stranger.kubeconfig = account(t, i.Namespace, "stranger", nil)
	if out, err := stranger.run("status -n " + i.Namespace + " --service keeper:" + fmt.Sprint(port)); err == nil || !strings.Contains(out, "you may not ask service") {
		t.Errorf("somebody without rights: %v\n%s", err, out)
	}
	for _, q := range controlplane.Refused(i.RequestsOf("ann", func(controlplane.Request) bool { return true })) {
		t.Errorf("docs/commands.md gives too few rights: %s", q)
	}
}

// reachable is an address of this machine that an API server may ask: loopback is none.
func reachable(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addresses {
		if ip, is := a.(*net.IPNet); is && ip.IP.To4() != nil && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast() {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback, and an API server asks no service there")
	return ""
}

// serve makes the Service of the daemon, which runs beside the cluster.
func serve(t *testing.T, namespace, scheme, host string, port int) {
	t.Helper()
	core := plane.Client().CoreV1()
	_, err := core.Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "keeper", Labels: map[string]string{"app.kubernetes.io/name": "poolkeeper"}},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: scheme, Port: int32(port)}}}, //nolint:gosec // a port
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { // the namespace goes later, and people are to find one Poolkeeper
		_ = core.Services(namespace).Delete(context.Background(), "keeper", metav1.DeleteOptions{})
		_ = core.Pods(namespace).Delete(context.Background(), "keeper", metav1.DeleteOptions{})
	})
	// The API server asks only where a pod of that address stands behind it. Nobody schedules this one.
	pod, err := core.Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "keeper"},
		Spec:       corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "poolkeeper", Image: "poolkeeper"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, host, []corev1.PodIP{{IP: host}}
	_, err = core.Pods(namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	must(t, err)
	//nolint:staticcheck // the API server's proxy looks at Endpoints
	_, err = core.Endpoints(namespace).Create(t.Context(), &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Name: "keeper"},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: host, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: "keeper"}}},
			Ports:     []corev1.EndpointPort{{Name: scheme, Port: int32(port)}}, //nolint:gosec // a port
		}},
	}, metav1.CreateOptions{})
	must(t, err)
}

// newPerson is somebody with the rights that docs/commands.md names, and with the plugin as it is in the tree.
func newPerson(t *testing.T, i *installation.Installation) *person {
	t.Helper()
	plugin := filepath.Join(t.TempDir(), "kubectl-poolkeeper")
	tree, err := controlplane.Tree()
	must(t, err)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", plugin, "./cmd/kubectl-poolkeeper")
	build.Dir = tree
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the plugin: %v\n%s", err, out)
	}
	return &person{t, plugin, account(t, i.Namespace, "ann", []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"services/proxy", "pods/proxy"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "update"}},
		{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get"}},
	})}
}

// account makes a ServiceAccount with these rights everywhere, and gives its kubeconfig.
func account(t *testing.T, namespace, name string, rules []rbacv1.PolicyRule) string {
	t.Helper()
	c, ctx := plane.Client(), t.Context()
	_, err := c.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	if len(rules) > 0 {
		role := metav1.ObjectMeta{Name: namespace + "-" + name}
		_, err = c.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: role, Rules: rules}, metav1.CreateOptions{})
		must(t, err)
		_, err = c.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: role, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
		}, metav1.CreateOptions{})
		must(t, err)
	}
	path, err := plane.ServiceAccountKubeconfig(ctx, namespace, name)
	must(t, err)
	return path
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
