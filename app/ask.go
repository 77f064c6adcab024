package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Asking is how a running daemon is asked for one of its pages.
type Asking struct {
	// URL is where it is served, such as http://127.0.0.1:8085; empty asks through the API server's service proxy.
	URL string
	// Kubeconfig, Namespace and Service say where the service proxy finds it; Service is name:port.
	Kubeconfig, Namespace, Service string
}

// StandbyError is the answer of a replica that has no plan.
type StandbyError struct {
	Standby         bool
	Leader, Message string
}

// Error implements error.
func (e *StandbyError) Error() string {
	if e.Standby && e.Leader != "" {
		return fmt.Sprintf("the replica that answered stands by; %s leads: ask that one, with --service or --address", e.Leader)
	}
	return e.Message
}

// askTimeout bounds one question.
const askTimeout = 30 * time.Second

// Ask reads a page of the running daemon. Through the service proxy a replica that stands by is passed over: the leader is then asked by its pod's name.
func Ask(ctx context.Context, a Asking, page string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if a.URL != "" {
		return askDirectly(ctx, strings.TrimSuffix(a.URL, "/")+page)
	}
	rc, err := reach(a.Kubeconfig)
	if err != nil {
		return nil, &UsageError{err}
	}
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server at %s: %w", rc.Host, err)
	}
	answer, err := askProxy(ctx, client.CoreV1().RESTClient(), a.Namespace, "services", a.Service, page)
	standby := new(StandbyError)
	if !errors.As(err, &standby) || !standby.Standby || standby.Leader == "" {
		return answer, err
	}
	_, port, _ := strings.Cut(a.Service, ":")
	answer, err = askProxy(ctx, client.CoreV1().RESTClient(), a.Namespace, "pods", standby.Leader+":8085", page)
	if err != nil && port != "" {
		return nil, fmt.Errorf("the leader %s, of which a standby told, was asked: %w", standby.Leader, err)
	}
	return answer, err
}

func askProxy(ctx context.Context, client rest.Interface, namespace, resource, name, page string) ([]byte, error) {
	answer := client.Get().Namespace(namespace).Resource(resource).Name(name).SubResource("proxy").Suffix(page).Do(ctx)
	body, err := answer.Raw()
	switch {
	case err == nil:
		return body, nil
	case standing(body) != nil:
		return nil, standing(body)
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no %s %s in namespace %s; give --namespace and --service of the daemon: %w", strings.TrimSuffix(resource, "s"), name, namespace, err)
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not use the proxy of %s %s/%s; the right is get on %s/proxy: %w", resource, namespace, name, resource, err)
	}
	return nil, fmt.Errorf("ask %s %s/%s through the API server: %w", resource, namespace, name, err)
}

func askDirectly(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, &UsageError{fmt.Errorf("--address: %w", err)}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer of %s: %w", url, err)
	case response.StatusCode == http.StatusOK:
		return body, nil
	case standing(body) != nil:
		return nil, standing(body)
	}
	return nil, fmt.Errorf("%s answers %s: %s", url, response.Status, strings.TrimSpace(string(body)))
}

// standing reads the answer of a replica without a plan; nil if it is none.
func standing(body []byte) error {
	var answer StandbyError
	err := json.Unmarshal(body, &answer)
	if err == nil && answer.Message != "" && strings.Contains(string(body), `"standby"`) {
		return &answer
	}
	return nil
}
