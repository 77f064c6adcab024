package scenarios

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

// release is the chart as it was rendered and installed for one test, without its pods: the daemon runs as a process, with the rights of
// the chart's ServiceAccount and the arguments of the chart's Deployment.
type release struct {
	t          *testing.T
	namespace  string
	account    string
	args       []string
	kubeconfig string
	folder     string
	rendered   []runtime.Object
	// replicas counts the processes that were started, for their names.
	replicas int
}

// install renders the chart with helm, applies what it renders, and gives what a pod of it would have.
func install(t *testing.T, mode, pools string, flags ...string) *release {
	t.Helper()
	ctx := t.Context()
	r := &release{t: t, namespace: nameOf(t), folder: t.TempDir()}
	r.create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}})
	poolsFile := filepath.Join(r.folder, "pools.yaml")
	must(t, os.WriteFile(poolsFile, []byte(pools), 0o600))
	values := []string{"--set", "mode=" + mode, "--set", "provider=kwok", "--set-file", "cloudConfig=" + poolsFile}
	for i, flag := range flags {
		values = append(values, "--set-string", fmt.Sprintf("extraArgs[%d]=%s", i, strings.ReplaceAll(flag, ",", `\,`)))
	}
	for _, object := range render(t, r.namespace, values...) {
		r.rendered = append(r.rendered, object)
		switch o := object.(type) {
		case *corev1.ServiceAccount:
			r.account = o.Name
			r.create(ctx, o)
		case *appsv1.Deployment:
			r.args = o.Spec.Template.Spec.Containers[0].Args
		case *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding, *rbacv1.Role, *rbacv1.RoleBinding:
			r.create(ctx, o)
		}
	}
	var err error
	r.kubeconfig, err = plane.ServiceAccountKubeconfig(ctx, r.namespace, r.account)
	must(t, err)
	for i, arg := range r.args {
		arg = strings.ReplaceAll(arg, "$(POD_NAMESPACE)", r.namespace)
		arg = strings.ReplaceAll(arg, "/etc/poolkeeper/cloud/cloud-config", poolsFile)
		r.args[i] = strings.ReplaceAll(arg, "--address=:8085", "--address=127.0.0.1:0")
	}
	r.args = append(r.args, "--kubeconfig="+r.kubeconfig)
	t.Cleanup(r.uninstall)
	return r
}

// render is what helm makes of the chart, object by object.
func render(t *testing.T, namespace string, values ...string) []runtime.Object {
	t.Helper()
	helm, err := controlplane.Tool(t.Context(), "helm", "helm")
	must(t, err)
	tree, err := controlplane.Tree()
	must(t, err)
	args := append([]string{
		"template", "poolkeeper-" + namespace, filepath.Join(tree, "charts", "poolkeeper"), "--namespace", namespace,
		"--kube-version", "1.36.3",
	}, values...)
	var out, errs bytes.Buffer
	command := exec.CommandContext(t.Context(), helm, args...)
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	var objects []runtime.Object
	documents := yaml.NewYAMLReader(newReader(&out))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		must(t, err)
		if len(bytes.TrimSpace(withoutComments(document))) == 0 {
			continue
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("the chart rendered something that can't be read: %v\n%s", err, document)
		}
		objects = append(objects, object)
	}
}

// create makes the object, in the place of one that an earlier run left.
func (r *release) create(ctx context.Context, object runtime.Object) {
	r.t.Helper()
	var err error
	c := plane.Client()
	switch o := object.(type) {
	case *corev1.Namespace:
		_, err = c.CoreV1().Namespaces().Create(ctx, o, metav1.CreateOptions{})
	case *corev1.ServiceAccount:
		_, err = c.CoreV1().ServiceAccounts(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
	case *rbacv1.ClusterRole:
		_, err = c.RbacV1().ClusterRoles().Create(ctx, o, metav1.CreateOptions{})
	case *rbacv1.ClusterRoleBinding:
		_, err = c.RbacV1().ClusterRoleBindings().Create(ctx, o, metav1.CreateOptions{})
	case *rbacv1.Role:
		_, err = c.RbacV1().Roles(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
	case *rbacv1.RoleBinding:
		_, err = c.RbacV1().RoleBindings(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
	}
	must(r.t, err)
}

// start runs one replica of the daemon as a process, which is ended with the test.
func (r *release) start(more ...string) *process.Process {
	r.t.Helper()
	r.replicas++
	name := fmt.Sprintf("poolkeeper-%s-%d", r.namespace, r.replicas)
	p, err := plane.Run(name, daemon, append(slices.Clone(r.args), more...)...)
	must(r.t, err)
	r.t.Cleanup(func() {
		if p.Running() {
			if err := p.Terminate(30 * time.Second); err != nil {
				r.t.Errorf("the daemon did not stop cleanly: %v", err)
			}
		}
		if r.t.Failed() {
			r.t.Logf("the daemon's last words:\n%s", p.Tail(80))
		}
	})
	return p
}

// uninstall takes away what the test made in the cluster: pods first, then nodes, then the rest.
func (r *release) uninstall() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, now := plane.Client(), metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	all := metav1.ListOptions{}
	_ = c.AppsV1().Deployments("default").DeleteCollection(ctx, metav1.DeleteOptions{}, all)
	_ = c.PolicyV1().PodDisruptionBudgets("default").DeleteCollection(ctx, metav1.DeleteOptions{}, all)
	_ = c.AppsV1().ReplicaSets("default").DeleteCollection(ctx, metav1.DeleteOptions{}, all)
	_ = c.CoreV1().Events("default").DeleteCollection(ctx, metav1.DeleteOptions{}, all)
	_ = c.CoreV1().Pods("default").DeleteCollection(ctx, now, all)
	_ = c.CoreV1().Nodes().DeleteCollection(ctx, now, metav1.ListOptions{})
	name := "poolkeeper-" + r.namespace
	_ = c.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{})
	_ = c.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})
	_ = c.CoreV1().Namespaces().Delete(ctx, r.namespace, metav1.DeleteOptions{})
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		pods, err := c.CoreV1().Pods("default").List(ctx, all)
		if err != nil || len(pods.Items) == 0 {
			return err == nil, err
		}
		return false, c.CoreV1().Pods("default").DeleteCollection(ctx, now, all)
	})
	if err != nil {
		r.t.Errorf("the test's pods did not go: %v", err)
	}
}

func nameOf(t *testing.T) string {
	name := strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))
	var b strings.Builder
	for _, c := range name {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	return b.String()[:min(b.Len(), 30)]
}
