package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The users that the API server knows from its token file. Everybody else is a ServiceAccount.
const (
	// Admin may do everything; tests and people are admins.
	Admin = "admin"
	// Kwok is the kubelets' stand-in.
	Kwok = "kwok"
	// Kubelet is the real kubelet of the node [Machine]; see the package machine.
	Kubelet           = "system:node:" + Machine
	controllerManager = "system:kube-controller-manager"
	scheduler         = "system:kube-scheduler"
)

// Machine is the name of the one node that can be real, and MachineLabel a label and a taint that it has: nothing that a test does to all nodes is for it.
const (
	Machine      = "machine"
	MachineLabel = "poolkeeper.io/e2e-machine"
)

// ServiceAccountUser is the user name under which a ServiceAccount appears, in the audit log for instance.
func ServiceAccountUser(namespace, name string) string {
	return "system:serviceaccount:" + namespace + ":" + name
}

func tokenFile() string {
	lines := []string{
		token(Admin) + "," + Admin + "," + Admin + ",system:masters",
		token(Kwok) + "," + Kwok + "," + Kwok + ",system:masters",
		token(controllerManager) + "," + controllerManager + "," + controllerManager,
		token(scheduler) + "," + scheduler + "," + scheduler,
		token(Kubelet) + "," + Kubelet + "," + Kubelet + ",system:nodes",
	}
	return strings.Join(lines, "\n") + "\n"
}

// token is no secret: the API server listens on loopback, lives for one test run and guards nothing.
func token(user string) string { return "token-of-" + strings.ReplaceAll(user, ":", "-") }

// Kubeconfig is the path of the kubeconfig file of one of the users above.
func (c *ControlPlane) Kubeconfig(user string) string {
	return filepath.Join(c.dir, strings.ReplaceAll(user, ":", "-")+".kubeconfig")
}

func (c *ControlPlane) writeKubeconfigs() error {
	for _, user := range []string{Admin, Kwok, controllerManager, scheduler, Kubelet} {
		if err := c.writeKubeconfig(c.Kubeconfig(user), user, token(user), ""); err != nil {
			return err
		}
	}
	return nil
}

func (c *ControlPlane) writeKubeconfig(path, user, token, namespace string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["e2e"] = &clientcmdapi.Cluster{Server: c.URL(), CertificateAuthorityData: c.authority}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: user, Namespace: namespace}
	config.CurrentContext = "e2e"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", user, err)
	}
	return nil
}

// ServiceAccountKubeconfig asks for a token of a ServiceAccount that exists (the TokenRequest API) and returns the path of a kubeconfig
// file with it: what is done with the file is done with the rights of the ServiceAccount, and appears in the audit log under its name.
func (c *ControlPlane) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	lifetime := int64((2 * time.Hour).Seconds()) // outlasts every test run
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
	answer, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("asking for a token of the ServiceAccount %s/%s: %w", namespace, name, err)
	}
	folder, err := os.MkdirTemp(c.dir, "serviceaccount-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, name+".kubeconfig")
	return path, c.writeKubeconfig(path, ServiceAccountUser(namespace, name), answer.Status.Token, namespace)
}

// Client is the admin's client, without a limit to its rate.
func (c *ControlPlane) Client() kubernetes.Interface { return c.client }

// RESTConfig is the admin's configuration for clients of other kinds. The caller may change it.
func (c *ControlPlane) RESTConfig() *rest.Config {
	return &rest.Config{
		Host:            c.URL(),
		BearerToken:     token(Admin),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.authority},
		QPS:             -1,
		UserAgent:       "poolkeeper-e2e",
	}
}

// URL is where the API server listens.
func (c *ControlPlane) URL() string { return c.apiPort.url("https") }

// Address is the same without the scheme: a host and a port.
func (c *ControlPlane) Address() string { return strings.TrimPrefix(c.URL(), "https://") }
