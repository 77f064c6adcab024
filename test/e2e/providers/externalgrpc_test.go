package providers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/test/certificates"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// externalCloud is the kwok provider in a process of its own, lent by `poolkeeper provider-server` over mutual TLS, with the extension: the daemon only knows its address.
func externalCloud(s *stage, w wish) cloud {
	return lent(s, w)
}

// usualExternalCloud is the same without the extension: a provider as a cluster-autoscaler would have it.
func usualExternalCloud(s *stage, w wish) cloud {
	c := lent(s, w, "--no-extension")
	c.except = map[string]string{
		"2 what nothing needs leaves": "the same as with the extension",
		"38 a pool is rolled":         "the cluster-autoscaler's protocol knows no versions",
	}
	return c
}

// lent starts the server. It has an account of its own, so that what the cloud does isn't taken for what the daemon does.
func lent(s *stage, w wish, flags ...string) cloud {
	s.t.Helper()
	const account = "cloud"
	inner := kwokCloud(s, w)
	kubeconfig := s.cloudAccount(account)
	authority, err := certificates.NewAuthority()
	must(s.t, err)
	files, err := authority.Sign(s.folder())
	must(s.t, err)
	args := append([]string{
		"provider-server", "--cloud-provider=kwok", "--cloud-config=" + s.file("pools.yaml", inner.config), "--address=127.0.0.1:0",
		"--cert=" + files.Cert, "--key=" + files.Key, "--cacert=" + files.CA, "--kubeconfig=" + kubeconfig, "--namespace=" + s.name,
	}, flags...)
	p, err := plane.Run("provider-server-"+s.name, daemon, args...)
	must(s.t, err)
	s.t.Cleanup(func() {
		if err := p.Terminate(30 * time.Second); err != nil {
			s.t.Errorf("the provider server did not stop cleanly: %v", err)
		}
		if s.t.Failed() {
			s.t.Logf("the provider server's last words:\n%s", p.Tail(40))
		}
	})
	address := ""
	controlplane.Eventually(s.t, time.Minute, func(context.Context) error {
		found := regexp.MustCompile(`Lending a provider.*address="([^"]+)"`).FindStringSubmatch(p.Tail(20))
		if found == nil {
			return errors.New("the provider server has not said where it listens")
		}
		address = found[1]
		return nil
	})
	return cloud{
		provider: "externalgrpc", owns: inner.owns,
		config: fmt.Sprintf("address: %s\ncert: %s\nkey: %s\ncacert: %s\ngrpc_timeout: 5s\n", address, files.Cert, files.Key, files.CA),
		made: func() int {
			all, err := plane.Requests(func(q controlplane.Request) bool {
				return q.User == controlplane.ServiceAccountUser(s.name, account) && q.Verb == "create" && q.Resource == "nodes"
			})
			must(s.t, err)
			return len(all)
		},
	}
}

// cloudAccount makes an account that may do everything, in the stage's namespace, and gives the kubeconfig for it.
func (s *stage) cloudAccount(name string) string {
	s.t.Helper()
	s.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.name}})
	binding := "cloud-of-" + s.name
	s.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: binding},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: s.name}},
	})
	s.t.Cleanup(func() {
		_ = plane.Client().RbacV1().ClusterRoleBindings().Delete(context.Background(), binding, metav1.DeleteOptions{})
	})
	kubeconfig, err := plane.ServiceAccountKubeconfig(s.t.Context(), s.name, name)
	must(s.t, err)
	return kubeconfig
}
