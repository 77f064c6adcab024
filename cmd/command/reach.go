package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// reach is how the cluster, and Poolkeeper in it, are reached.
type reach struct {
	o          *Options
	kubeconfig string
	overrides  clientcmd.ConfigOverrides
	// service is name:port or https:name:port, address that of a daemon that is asked without the API server; both are usually empty.
	service, address string
	// tokenFile has the token that the daemon itself wants, caFile the certificates by which a daemon at the address is trusted.
	tokenFile, caFile string
	readToken         string
	timeout           time.Duration

	made kubernetes.Interface
	http *http.Client
	host string
	// found is where Poolkeeper is, once that was looked for.
	found []place
}

// place is a Service of Poolkeeper.
type place struct {
	namespace, name string
	port            string
	// encrypted says that it is served with TLS there.
	encrypted bool
}

// proxied is how the API server's proxy calls it.
func (p place) proxied() string {
	if p.encrypted {
		return "https:" + p.name + ":" + p.port
	}
	return p.name + ":" + p.port
}

// DefaultNamespace and DefaultService are where Poolkeeper is taken to be when it can't be looked for.
const (
	DefaultNamespace = "kube-system"
	defaultService   = "poolkeeper"
	defaultPort      = "8085"
)

// serviceLabels are those that the chart gives its objects.
const serviceLabels = "app.kubernetes.io/name=poolkeeper"

// addReach adds the flags by which kubectl is told which cluster and who, and where Poolkeeper is there.
func addReach(o *Options, c *cobra.Command) *reach {
	r := &reach{o: o}
	fs := c.Flags()
	fs.StringVar(&r.kubeconfig, "kubeconfig", "", "the kubeconfig `file`; without one it is that of $KUBECONFIG or ~/.kube/config")
	flags := clientcmd.RecommendedConfigOverrideFlags("")
	flags.Timeout.LongName = "" // ours has a default
	flags.ContextOverrideFlags.Namespace.Description = "Poolkeeper's own namespace; without one it is looked for by its labels"
	clientcmd.BindOverrideFlags(&r.overrides, fs, flags)
	fs.StringVar(&r.service, "service", "", "Poolkeeper's Service, as name, name:port, or https:name:port where it is served with TLS; without one it is looked for by its labels")
	fs.StringVar(&r.tokenFile, "daemon-token-file", "",
		"the `file` with a token for a daemon that answers only who may ask; as in --daemon-token-file=<(kubectl create token NAME)")
	fs.DurationVar(&r.timeout, "request-timeout", 30*time.Second, "how long an answer may take")
	for _, rare := range []string{
		"as-uid", "as-group", "as-user-extra", "certificate-authority", "client-certificate", "client-key", "cluster", "disable-compression", "insecure-skip-tls-verify",
		"password", "proxy-url", "tls-server-name", "username", "user", "server", "token",
	} {
		if fs.Lookup(rare) != nil {
			_ = fs.MarkHidden(rare) // they are kubectl's, and as there
		}
	}
	return r
}

// addAddress adds the way past the API server, for commands that only read.
func (r *reach) addAddress(c *cobra.Command) *reach {
	c.Flags().StringVar(&r.address, "address", "", "where the daemon serves, such as http://127.0.0.1:8085, to ask it past the API server")
	c.Flags().StringVar(&r.caFile, "daemon-ca-file", "", "the `file` with the certificates (PEM) by which a daemon at --address=https://... is trusted, beside those of this machine")
	return r
}

func (r *reach) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = r.kubeconfig
	rc, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &r.overrides).ClientConfig()
	switch {
	case err == nil:
		rc.ContentType, rc.AcceptContentTypes = "application/json", "application/json"
		rc.UserAgent = "kubectl-poolkeeper/" + r.o.Version
		return rc, nil
	case clientcmd.IsEmptyConfig(err) || errors.Is(err, rest.ErrNotInCluster):
		return nil, usagef("there is no kubeconfig, or it has no current context: give --kubeconfig, or choose a context: kubectl config use-context NAME")
	}
	return nil, usagef("read the kubeconfig: %w; give the path of one by --kubeconfig, and see kubectl config get-contexts", err)
}

func (r *reach) client() (kubernetes.Interface, error) {
	if r.made != nil {
		return r.made, nil
	}
	rc, err := r.config()
	if err != nil {
		return nil, err
	}
	r.host = rc.Host
	if r.http, err = rest.HTTPClientFor(rc); err == nil {
		r.made, err = kubernetes.NewForConfigAndClient(rc, r.http)
	}
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server at %s: %w", rc.Host, err)
	}
	return r.made, nil
}

// places are where Poolkeeper is: as the flags say, else by the labels of its Service in the given namespace or in all, else where most install it.
func (r *reach) places(ctx context.Context) ([]place, error) {
	if r.found != nil {
		return r.found, nil
	}
	namespace := r.overrides.Context.Namespace
	if r.service != "" {
		rest, encrypted := strings.CutPrefix(r.service, "https:")
		name, port, has := strings.Cut(rest, ":")
		if !has {
			port = defaultPort
		}
		r.found = []place{{or(namespace, DefaultNamespace), name, port, encrypted}}
		return r.found, nil
	}
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	list, err := client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{LabelSelector: serviceLabels})
	switch {
	case apierrors.IsForbidden(err): // who may not list may still ask
		r.found = []place{{or(namespace, DefaultNamespace), defaultService, defaultPort, false}}
		return r.found, nil
	case err != nil:
		return nil, r.away(err)
	}
	for i := range list.Items {
		if port, encrypted := portOf(&list.Items[i]); port != "" {
			r.found = append(r.found, place{list.Items[i].Namespace, list.Items[i].Name, port, encrypted})
		}
	}
	if len(r.found) == 0 {
		where := "in any namespace"
		if namespace != "" {
			where = "in namespace " + namespace
		}
		return nil, fmt.Errorf("there is no Service with the label %s %s: is Poolkeeper installed in this cluster? Else give --namespace and --service; one that runs outside of the cluster is asked by --address, and what is written needs only --namespace", serviceLabels, where)
	}
	return r.found, nil
}

// portOf is the port of a Service at which the daemon answers, and whether with TLS; empty if it has none.
func portOf(s *corev1.Service) (port string, encrypted bool) {
	for _, p := range s.Spec.Ports {
		if p.Name == "http" || p.Name == "https" {
			return strconv.Itoa(int(p.Port)), p.Name == "https"
		}
	}
	if len(s.Spec.Ports) > 0 {
		return strconv.Itoa(int(s.Spec.Ports[0].Port)), false
	}
	return "", false
}

// namespace is Poolkeeper's own.
func (r *reach) namespace(ctx context.Context) (string, error) {
	if given := r.overrides.Context.Namespace; given != "" {
		return given, nil
	}
	places, err := r.places(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range places[1:] {
		if p.namespace != places[0].namespace {
			return "", usagef("Poolkeeper is installed in namespaces %s and %s: say which by --namespace", places[0].namespace, p.namespace)
		}
	}
	return places[0].namespace, nil
}

// away says which API server does not answer.
func (r *reach) away(err error) error {
	if unreachable := new(net.OpError); errors.As(err, &unreachable) {
		return fmt.Errorf("the API server at %s can't be reached: %w; is it the right context? See kubectl config current-context", r.host, err)
	}
	return fmt.Errorf("ask the API server at %s: %w", r.host, err)
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
