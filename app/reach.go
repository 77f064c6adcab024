package app

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/config"
)

// UsageError is a mistake in what the daemon was given: a flag, or a file that a flag names. Trying again is of no use.
type UsageError struct{ Err error }

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the mistake.
func (e *UsageError) Unwrap() error { return e.Err }

// restConfig is how the API server is reached: by --kubeconfig, else as a pod. Its errors are the user's.
func restConfig(c *config.Config, version string) (*rest.Config, error) {
	rc, err := reach(c.Kubeconfig)
	if err != nil {
		return nil, &UsageError{err}
	}
	rc.QPS, rc.Burst = float32(c.KubeClientQPS), c.KubeClientBurst
	rc.UserAgent = c.UserAgent + "/" + version
	rc.ContentType = c.KubeAPIContentType
	rc.AcceptContentTypes = c.KubeAPIContentType + ",application/json"
	return rc, nil
}

func reach(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		rc, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("--kubeconfig is missing, and this is no pod: name a kubeconfig, such as --kubeconfig=$HOME/.kube/config")
		}
		if err != nil {
			return nil, fmt.Errorf("reach the API server as a pod: %w; or give --kubeconfig", err)
		}
		return rc, nil
	}
	if err := checkKubeconfig(kubeconfig); err != nil {
		return nil, err
	}
	rc, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if clientcmd.IsEmptyConfig(err) {
		return nil, fmt.Errorf("--kubeconfig: %s has no current context with a cluster; choose one: kubectl config use-context NAME", kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %s: %w", kubeconfig, err)
	}
	return rc, nil
}

// checkKubeconfig finds what client-go would tell in Go's words.
func checkKubeconfig(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--kubeconfig: %w; give the path of a kubeconfig", err)
	}
	var head map[string]any
	if err := yaml.Unmarshal(content, &head); err != nil {
		return fmt.Errorf("--kubeconfig: %s is not a kubeconfig: it is not a YAML or JSON object; give the path of one", path)
	}
	if kind := head["kind"]; kind != "Config" {
		return fmt.Errorf("--kubeconfig: %s is not a kubeconfig: its kind is %q, not \"Config\"; give the path of one", path, fmt.Sprint(kind))
	}
	return nil
}
