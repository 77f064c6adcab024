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
)

// externalCloud is the kwok provider in a process of its own, lent by `poolkeeper provider-server` over mutual TLS, with the extension: the daemon only knows its address.
func externalCloud(s *scene, w wish) cloud {
	return lent(s, w)
}

// usualExternalCloud is the same without the extension: a provider as a cluster-autoscaler would have it.
func usualExternalCloud(s *scene, w wish) cloud {
	c := lent(s, w, "--no-extension")
	c.except = map[string]string{
		"2 what nothing needs leaves": "the same as with the extension",
		"38 a pool is rolled":         "the cluster-autoscaler's protocol knows no versions",
	}
	return c
}

// lent lends the one pool that is wished for.
func lent(s *scene, w wish, flags ...string) cloud {
	s.T.Helper()
	inner := kwokCloud(s, w)
	c := lend(s, inner.config, flags...)
	c.owns = inner.owns
	return c
}

// lend starts the server with a file of the kwok provider. It has an account of its own, so that what the cloud does isn't taken for what the daemon does.
func lend(s *scene, pools string, flags ...string) cloud {
	s.T.Helper()
	const account = "cloud"
	kubeconfig := s.cloudAccount(account)
	authority, err := certificates.NewAuthority()
	must(s.T, err)
	files, err := authority.Sign(s.Folder())
	must(s.T, err)
	args := append([]string{
		"provider-server", "--cloud-provider=kwok", "--cloud-config=" + s.File("pools.yaml", pools), "--address=127.0.0.1:0",
		"--cert=" + files.Cert, "--key=" + files.Key, "--cacert=" + files.CA, "--kubeconfig=" + kubeconfig, "--namespace=" + s.name,
	}, flags...)
	p, err := plane.Run("provider-server-"+s.name, daemon, args...)
	must(s.T, err)
	s.EndWithTest(p)
	address := ""
	s.Eventually(time.Minute, func(context.Context) error {
		found := regexp.MustCompile(`Lending a provider.*address="([^"]+)"`).FindStringSubmatch(p.Tail(20))
		if found == nil {
			return errors.New("the provider server has not said where it listens")
		}
		address = found[1]
		return nil
	})
	return cloud{
		provider: "externalgrpc",
		config:   fmt.Sprintf("address: %s\ncert: %s\nkey: %s\ncacert: %s\ngrpc_timeout: 5s\n", address, files.Cert, files.Key, files.CA),
		made:     func() int { return s.created(account) },
	}
}

// cloudAccount makes an account that may do everything, in the scene's namespace, and gives the kubeconfig for it.
func (s *scene) cloudAccount(name string) string {
	s.T.Helper()
	s.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.name}})
	binding := "cloud-of-" + s.name
	s.Create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: binding},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: s.name}},
	})
	s.T.Cleanup(func() {
		_ = plane.Client().RbacV1().ClusterRoleBindings().Delete(context.Background(), binding, metav1.DeleteOptions{})
	})
	kubeconfig, err := plane.ServiceAccountKubeconfig(s.T.Context(), s.name, name)
	must(s.T, err)
	return kubeconfig
}
