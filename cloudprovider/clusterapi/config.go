package clusterapi

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// Config is the content of the file of --cloud-config.
type Config struct {
	// Kubeconfig is the path of the management cluster's kubeconfig; empty if the management cluster is the cluster that the daemon looks after.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Context is the context of that kubeconfig; its current one if empty.
	Context string `json:"context,omitempty"`
	// Discover says which resources can be pools, if any of the entries fits; all in the management cluster if there is none.
	Discover []Discover `json:"discover,omitempty"`
}

// Discover is one rule of which resources can be pools. What is empty fits all.
type Discover struct {
	Namespace   string            `json:"namespace,omitempty"`
	ClusterName string            `json:"clusterName,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// fits tells whether a resource can be a pool by this rule.
func (d Discover) fits(namespace, cluster string, has map[string]string) bool {
	return (d.Namespace == "" || d.Namespace == namespace) && (d.ClusterName == "" || d.ClusterName == cluster) &&
		labels.SelectorFromSet(d.Labels).Matches(labels.Set(has))
}

func (c Config) fits(namespace, cluster string, has map[string]string) bool {
	for _, d := range c.Discover {
		if d.fits(namespace, cluster, has) {
			return true
		}
	}
	return len(c.Discover) == 0
}

// namespaces are those that have to be read: one empty name for all of them.
func (c Config) namespaces() []string {
	var names []string
	seen := map[string]bool{}
	for _, d := range c.Discover {
		if d.Namespace == "" {
			return []string{""}
		}
		if !seen[d.Namespace] {
			seen[d.Namespace] = true
			names = append(names, d.Namespace)
		}
	}
	if len(names) == 0 {
		return []string{""}
	}
	return names
}

// readConfig reads the file of --cloud-config; no path gives an empty configuration. As with the cluster-autoscaler the file may also be the management
// cluster's kubeconfig itself.
func readConfig(path string) (Config, error) {
	if path == "" {
		return Config{}, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("--cloud-config: %w; give the path of the provider's file", err)
	}
	return parseConfig(path, content)
}

func parseConfig(path string, content []byte) (Config, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(content, &head); err == nil && head.Kind == "Config" {
		return Config{Kubeconfig: path}, nil
	}
	var c Config
	if err := yaml.UnmarshalStrict(content, &c); err != nil {
		return Config{}, fmt.Errorf("%s: %w; the known fields are kubeconfig, context and discover (namespace, clusterName, labels)", path, err)
	}
	var problems []error
	if c.Context != "" && c.Kubeconfig == "" {
		problems = append(problems, fmt.Errorf("%s: context: is %q, and there is no kubeconfig that it could be in; add kubeconfig, or take context out", path, c.Context))
	}
	for i, d := range c.Discover {
		if d.Namespace == "" && d.ClusterName == "" && len(d.Labels) == 0 {
			problems = append(problems, fmt.Errorf("%s: discover[%d]: is empty, and would fit everything; give namespace, clusterName or labels, or take discover out", path, i))
		}
		for key, value := range d.Labels {
			if _, err := labels.ValidatedSelectorFromSet(labels.Set{key: value}); err != nil {
				problems = append(problems, fmt.Errorf("%s: discover[%d].labels: %w", path, i, err))
			}
		}
	}
	return c, errors.Join(problems...)
}

// management is how the management cluster is reached.
func (c Config) management(own *rest.Config, userAgent string) (*rest.Config, error) {
	if c.Kubeconfig == "" {
		if own == nil {
			return nil, errors.New("the management cluster is not known; name a file with kubeconfig by --cloud-config")
		}
		rc := rest.CopyConfig(own)
		rc.ContentType, rc.AcceptContentTypes = "application/json", "application/json" // custom resources have no other form
		return rc, nil
	}
	if _, err := os.Stat(c.Kubeconfig); err != nil {
		return nil, fmt.Errorf("kubeconfig of the management cluster: %w; give the path of one", err)
	}
	rc, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: c.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s of the management cluster: %w; kubectl --kubeconfig=%s config get-contexts shows what it has",
			c.Kubeconfig, err, strings.ReplaceAll(c.Kubeconfig, " ", `\ `))
	}
	rc.UserAgent = userAgent
	if own != nil {
		rc.QPS, rc.Burst = own.QPS, own.Burst
	}
	return rc, nil
}
