package installation

import (
	"context"
	"fmt"
	"os"
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

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

// An Installation is Poolkeeper in a namespace of its own. It goes with the test.
type Installation struct {
	t     testing.TB
	plane *controlplane.ControlPlane
	// program is the path of the daemon's binary, and folder the place of the installation's files.
	program, folder string
	// replicas counts the processes that were started, for their names.
	replicas int

	// Namespace is where it is installed.
	Namespace string
	// Account is the name of the chart's ServiceAccount, and Rendered all that the chart consists of, from Apply on.
	Account  string
	Rendered []runtime.Object
	// Args are the daemon's arguments, and Env its variables.
	Args, Env []string
}

// New makes the namespace for an installation of the program.
func New(t testing.TB, plane *controlplane.ControlPlane, program, namespace string) *Installation {
	t.Helper()
	i := &Installation{t: t, plane: plane, program: program, folder: t.TempDir(), Namespace: namespace}
	t.Cleanup(i.remove)
	i.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	return i
}

// NameOf is the test's name as a namespace may be called.
func NameOf(t testing.TB) string {
	t.Helper()
	const longest = 30
	letters := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ToLower(strings.TrimPrefix(t.Name(), "Test")))
	return letters[:min(len(letters), longest)]
}

// Apply renders the chart, makes its account and its roles, and takes over the daemon's arguments. The daemon's pods are not made: see [Installation.Start].
func (i *Installation) Apply(chart *Chart) {
	i.t.Helper()
	values, mounted := chart.values(i)
	i.Rendered, i.Env = Render(i.t, i.Namespace, values...), chart.Env
	for _, object := range i.Rendered {
		switch o := object.(type) {
		case *corev1.ServiceAccount:
			i.Account = o.Name
			i.Create(o)
		case *appsv1.Deployment:
			i.Args = slices.Clone(o.Spec.Template.Spec.Containers[0].Args)
		case *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding, *rbacv1.Role, *rbacv1.RoleBinding:
			i.Create(o)
		}
	}
	replace := strings.NewReplacer(append(mounted, "$(POD_NAMESPACE)", i.Namespace, "--address=:8085", "--address=127.0.0.1:0")...)
	for n, arg := range i.Args {
		i.Args[n] = replace.Replace(arg)
	}
	kubeconfig, err := i.plane.ServiceAccountKubeconfig(i.t.Context(), i.Namespace, i.Account)
	must(i.t, err)
	i.Args = append(i.Args, "--kubeconfig="+kubeconfig)
}

// Folder is where the installation's files are.
func (i *Installation) Folder() string { return i.folder }

// File writes a file of the installation and gives its path.
func (i *Installation) File(name, content string) string {
	i.t.Helper()
	path := filepath.Join(i.folder, name)
	must(i.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// Create makes an object of a kind that charts have.
func (i *Installation) Create(object runtime.Object) {
	i.t.Helper()
	var err error
	ctx, c := i.t.Context(), i.plane.Client()
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
	default:
		err = fmt.Errorf("an installation has no %T", object)
	}
	must(i.t, err)
}

// Start runs one replica of the daemon, which is ended with the test. Of a flag that is given twice the last one counts.
func (i *Installation) Start(more ...string) *process.Process {
	i.t.Helper()
	i.replicas++
	path, args := i.program, slices.Concat(i.Args, more)
	if len(i.Env) > 0 {
		path, args = "/usr/bin/env", slices.Concat(i.Env, []string{i.program}, args)
	}
	p, err := i.plane.Run(fmt.Sprintf("%s-%d", nameIn(i.Namespace), i.replicas), path, args...)
	must(i.t, err)
	i.EndWithTest(p)
	return p
}

// EndWithTest has the process end with the test, cleanly, and says its last words when the test has failed.
func (i *Installation) EndWithTest(p *process.Process) {
	i.t.Helper()
	i.t.Cleanup(func() {
		if p.Running() {
			if err := p.Terminate(stopLimit); err != nil {
				i.t.Errorf("%s did not stop cleanly: %v", p.Name, err)
			}
		}
		if i.t.Failed() {
			i.t.Logf("the last words of %s:\n%s", p.Name, p.Tail(80))
		}
	})
}

// stopLimit is how long a process may take to end; it takes a moment.
const stopLimit = 30 * time.Second

// Stop ends a replica as Kubernetes would, and waits for it.
func (i *Installation) Stop(p *process.Process) {
	i.t.Helper()
	must(i.t, p.Terminate(stopLimit))
}

// Requests are the wanted ones of those that the daemon has made so far.
func (i *Installation) Requests(wanted func(controlplane.Request) bool) []controlplane.Request {
	i.t.Helper()
	return i.RequestsOf(i.Account, wanted)
}

// RequestsOf are the wanted ones of those that an account in the installation's namespace has made so far.
func (i *Installation) RequestsOf(account string, wanted func(controlplane.Request) bool) []controlplane.Request {
	i.t.Helper()
	user := controlplane.ServiceAccountUser(i.Namespace, account)
	all, err := i.plane.Requests(func(q controlplane.Request) bool { return q.User == user && wanted(q) })
	must(i.t, err)
	return all
}

// CheckRights looks that nothing which the daemon asked for was forbidden.
func (i *Installation) CheckRights() {
	i.t.Helper()
	all := i.Requests(func(controlplane.Request) bool { return true })
	for _, q := range controlplane.Refused(all) {
		i.t.Errorf("forbidden: %s", q)
	}
}

// remove takes the namespace and the cluster-wide roles away.
func (i *Installation) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := i.plane.Client()
	for _, name := range []string{nameIn(i.Namespace), nameIn(i.Namespace) + "-retire"} {
		_ = c.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{})
		_ = c.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})
	}
	_ = c.CoreV1().Namespaces().Delete(ctx, i.Namespace, metav1.DeleteOptions{})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
