package providers

import (
	"bufio"
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

// quick are the daemon's timers at a fraction of their length, with their ratios kept.
var quick = []string{
	"--scale-down-unneeded-time=6s", "--scale-down-unready-time=12s", "--scale-down-delay-after-add=6s", "--scale-down-delay-after-failure=2s",
	"--node-delete-delay-after-taint=1s", "--max-node-provision-time=60s", "--scan-interval=2s", "--cloud-scan-interval=1s",
	"--heal-unhealthy-after=6s", "--v=2",
}

// stage is one scenario with one provider: its cloud, the chart as it was rendered for it, and the daemon as a process with the rights of the
// chart's ServiceAccount and the arguments of the chart's Deployment.
type stage struct {
	t *testing.T
	// name is the name of the namespace and of the pool.
	name     string
	cloud    cloud
	account  string
	args     []string
	replicas int
}

// newStage puts the cloud up and installs the chart for it. It is all taken down with the test: first the daemon, then the cloud, then what is left.
func newStage(t *testing.T, provider string, scene scenario, put func(*stage, wish) cloud) *stage {
	t.Helper()
	number, _, _ := strings.Cut(scene.name, " ")
	s := &stage{t: t, name: provider + "-" + number}
	t.Cleanup(s.clear)
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.name}})
	s.cloud = put(s, scene.wish)
	if s.cloud.provider == "" {
		s.cloud.provider = provider
	}
	s.install()
	return s
}

// install renders the chart with helm, makes the account and the roles of it, and takes over the daemon's arguments.
func (s *stage) install() {
	s.t.Helper()
	values := append([]string{"--set", "mode=act", "--set-string", "provider=" + strings.ReplaceAll(s.cloud.provider, ",", `\,`)}, s.cloud.values...)
	if s.cloud.config != "" {
		values = append(values, "--set-file", "cloudConfig="+s.file("cloud-config", s.cloud.config))
	}
	for name, config := range s.cloud.configs {
		values = append(values, "--set-file", "cloudConfigs."+name+"="+s.file("cloud-config."+name, config))
	}
	for _, object := range s.render(values...) {
		switch o := object.(type) {
		case *corev1.ServiceAccount:
			s.account = o.Name
			s.create(o)
		case *appsv1.Deployment:
			s.args = o.Spec.Template.Spec.Containers[0].Args
		case *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding, *rbacv1.Role, *rbacv1.RoleBinding:
			s.create(o)
		}
	}
	kubeconfig, err := plane.ServiceAccountKubeconfig(s.t.Context(), s.name, s.account)
	must(s.t, err)
	mounted := []string{"$(POD_NAMESPACE)", s.name, "--address=:8085", "--address=127.0.0.1:0"}
	if s.cloud.config != "" {
		mounted = append(mounted, "/etc/poolkeeper/cloud/cloud-config", s.file("cloud-config", s.cloud.config))
	}
	for name, config := range s.cloud.configs {
		mounted = append(mounted, "/etc/poolkeeper/cloud/"+name, s.file("cloud-config."+name, config))
	}
	replace := strings.NewReplacer(mounted...)
	for i, arg := range s.args {
		s.args[i] = replace.Replace(arg)
	}
	s.args = slices.Concat(s.args, quick, s.cloud.flags, []string{"--kubeconfig=" + kubeconfig})
}

// folder is the test's own folder for files; it is the same one whenever it is asked for.
func (s *stage) folder() string {
	folder := filepath.Join(filepath.Dir(daemon), s.name)
	must(s.t, os.MkdirAll(folder, 0o755))
	return folder
}

// file writes a file of the test and gives its path.
func (s *stage) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.folder(), name)
	must(s.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// render is what helm makes of the chart, object by object.
func (s *stage) render(values ...string) []runtime.Object {
	s.t.Helper()
	helm, err := controlplane.Tool(s.t.Context(), "helm", "helm")
	must(s.t, err)
	tree, err := controlplane.Tree()
	must(s.t, err)
	args := append([]string{
		"template", "poolkeeper-" + s.name, filepath.Join(tree, "charts", "poolkeeper"), "--namespace", s.name, "--kube-version", "1.36.3",
	}, values...)
	var out, errs bytes.Buffer
	command := exec.CommandContext(s.t.Context(), helm, args...)
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		s.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	var objects []runtime.Object
	documents := yaml.NewYAMLReader(bufio.NewReader(&out))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		must(s.t, err)
		if !bytes.Contains(document, []byte("\nkind:")) {
			continue // comments alone
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			s.t.Fatalf("the chart rendered something that can't be read: %v\n%s", err, document)
		}
		objects = append(objects, object)
	}
}

func (s *stage) create(object runtime.Object) {
	s.t.Helper()
	ctx, c := s.t.Context(), plane.Client()
	var err error
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
	must(s.t, err)
}

// start runs one replica of the daemon, which is ended with the test. Of a flag that is given twice the last one counts.
func (s *stage) start(more ...string) *process.Process {
	s.t.Helper()
	s.replicas++
	path, args := daemon, append(slices.Clone(s.args), more...)
	if len(s.cloud.env) > 0 {
		path, args = "/usr/bin/env", slices.Concat(s.cloud.env, []string{daemon}, args)
	}
	p, err := plane.Run(fmt.Sprintf("poolkeeper-%s-%d", s.name, s.replicas), path, args...)
	must(s.t, err)
	s.t.Cleanup(func() {
		if p.Running() {
			if err := p.Terminate(30 * time.Second); err != nil {
				s.t.Errorf("the daemon did not stop cleanly: %v", err)
			}
		}
		if s.t.Failed() {
			s.t.Logf("the daemon's last words:\n%s", p.Tail(80))
		}
	})
	return p
}

// clear takes away what the test made in the cluster.
func (s *stage) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, now, all := plane.Client(), metav1.DeleteOptions{GracePeriodSeconds: new(int64)}, metav1.ListOptions{}
	_ = c.AppsV1().Deployments("default").DeleteCollection(ctx, metav1.DeleteOptions{}, all)
	_ = c.AppsV1().ReplicaSets("default").DeleteCollection(ctx, metav1.DeleteOptions{}, all)
	_ = c.CoreV1().Pods("default").DeleteCollection(ctx, now, all)
	_ = c.CoreV1().Nodes().DeleteCollection(ctx, now, all)
	_ = c.RbacV1().ClusterRoleBindings().Delete(ctx, "poolkeeper-"+s.name, metav1.DeleteOptions{})
	_ = c.RbacV1().ClusterRoles().Delete(ctx, "poolkeeper-"+s.name, metav1.DeleteOptions{})
	_ = c.CoreV1().Namespaces().Delete(ctx, s.name, metav1.DeleteOptions{})
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		pods, err := c.CoreV1().Pods("default").List(ctx, all)
		if err != nil || len(pods.Items) == 0 {
			return err == nil, err
		}
		return false, c.CoreV1().Pods("default").DeleteCollection(ctx, now, all)
	})
	if err != nil {
		s.t.Errorf("the test's pods did not go: %v", err)
	}
}

// checkRights looks that nothing which the daemon asked for was forbidden.
func (s *stage) checkRights() {
	s.t.Helper()
	user := controlplane.ServiceAccountUser(s.name, s.account)
	all, err := plane.Requests(func(q controlplane.Request) bool { return q.User == user })
	must(s.t, err)
	for _, q := range controlplane.Refused(all) {
		s.t.Errorf("forbidden: %s", q)
	}
}
