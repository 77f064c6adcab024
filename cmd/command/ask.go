package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/poolkeeper/poolkeeper/access"
)

// standbyError is the answer of a replica that has no plan.
type standbyError struct {
	Standby         bool
	Leader, Message string
}

// Error implements error.
func (e *standbyError) Error() string {
	switch {
	case !e.Standby:
		return e.Message + "; try again in some seconds"
	case e.Leader == "":
		return "the replica that answered stands by, and knows no leader: try again in some seconds, and if that lasts look at the Lease kube-system/poolkeeper"
	}
	return fmt.Sprintf("the replica that answered stands by; %s leads: ask that one, with --namespace, --service or --address", e.Leader)
}

// refusal is an answer of the daemon that is no plan's fault: a subject that nobody knows, a parameter that is wrong.
type refusal struct {
	code int
	text string
}

// Error implements error.
func (e *refusal) Error() string { return e.text }

// ask reads a page of the running daemon into what answer points to. Through the service proxy a replica that stands by is passed over: the leader is then asked
// by its pod's name.
func (r *reach) ask(ctx context.Context, page string, query url.Values, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	body, err := r.read(ctx, page, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("read the daemon's answer to %s: %w; are the daemon and this program of one version?", page, err)
	}
	return nil
}

func (r *reach) read(ctx context.Context, page string, query url.Values) ([]byte, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	if r.address != "" {
		address, err := served(r.address)
		if err != nil {
			return nil, err
		}
		return r.askDirectly(ctx, address, page, query, token)
	}
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	places, err := r.places(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		var body []byte
		if body, err = r.askPlace(ctx, client, p, page, query, token); err == nil {
			return body, nil
		}
	}
	return nil, err
}

// askPlace asks the Service, and the leader by its pod's name if a standby has answered.
func (r *reach) askPlace(ctx context.Context, client kubernetes.Interface, p place, page string, query url.Values, token string) ([]byte, error) {
	body, err := r.askProxy(ctx, client, "services", p, page, query, token)
	standby := new(standbyError)
	if !errors.As(err, &standby) || !standby.Standby || standby.Leader == "" {
		return body, err
	}
	leader := place{p.namespace, standby.Leader, p.port, p.encrypted}
	body, err = r.askProxy(ctx, client, "pods", leader, page, query, token)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("the replica that answered stands by, and its leader %s is no pod in namespace %s: another installation leads; give its --namespace",
			standby.Leader, p.namespace)
	case err != nil:
		return nil, fmt.Errorf("the leader %s, of which a standby told: %w", standby.Leader, err)
	}
	return body, nil
}

func (r *reach) askProxy(ctx context.Context, client kubernetes.Interface, resource string, p place, page string, query url.Values, token string) ([]byte, error) {
	address := client.CoreV1().RESTClient().Get().Namespace(p.namespace).Resource(resource).Name(p.proxied()).SubResource("proxy").Suffix(page)
	for key, values := range query {
		address = address.Param(key, values[0])
	}
	// client-go drops the body of an error that is no object of Kubernetes, and that body is the daemon's answer.
	code, body, err := get(ctx, r.http, address.URL().String(), access.ProxiedHeader, token)
	if err != nil {
		return nil, r.away(err)
	}
	kind, said := strings.TrimSuffix(resource, "s"), fromKubernetes(body)
	switch {
	case code == http.StatusOK:
		return body, nil
	case standing(body) != nil:
		return nil, standing(body)
	case said == nil && (code == http.StatusUnauthorized || code == http.StatusForbidden):
		return nil, unwelcome(fmt.Sprintf("%s %s/%s", kind, p.namespace, p.name), body)
	case apierrors.IsForbidden(said) || apierrors.IsUnauthorized(said):
		return nil, fmt.Errorf("you may not ask %s %s/%s through the API server: ask for the right to get %s/proxy there: %w", kind, p.namespace, p.name, resource, said)
	case apierrors.IsNotFound(said):
		return nil, fmt.Errorf("there is no %s %s in namespace %s; give --namespace and --service of Poolkeeper: %w", kind, p.name, p.namespace, said)
	case said != nil:
		return nil, fmt.Errorf("the %s %s/%s gives no answer: is a replica running and ready? See kubectl -n %s get pods -l %s: %w", kind, p.namespace, p.name, p.namespace, serviceLabels, said)
	}
	return nil, &refusal{code, strings.TrimSpace(string(body))}
}

// unwelcome is the error of somebody whom the daemon itself does not answer.
func unwelcome(where string, body []byte) error {
	return fmt.Errorf("%s answers only who may ask, and the API server's proxy does not tell it who you are: give --daemon-token-file with the token of an account that may, "+
		"as in --daemon-token-file=<(kubectl create token NAME); it says: %s", where, strings.TrimSpace(string(body)))
}

// token is what --daemon-token-file has; empty without the flag.
func (r *reach) token() (string, error) {
	if r.tokenFile == "" {
		return "", nil
	}
	if r.readToken == "" { // a process substitution can be read once only
		content, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return "", usagef("--daemon-token-file: %w", err)
		}
		if r.readToken = strings.TrimSpace(string(content)); r.readToken == "" {
			return "", usagef("--daemon-token-file=%s is empty: the command that should have given a token may have failed", r.tokenFile)
		}
	}
	if r.address != "" && !safe(r.address) {
		return "", usagef("--daemon-token-file: the token would go unencrypted to %s: give an https:// address, or one of this machine, as by a port-forward", r.address)
	}
	return r.readToken, nil
}

// safe says whether nobody but this machine and the daemon can read what is sent to the address.
func safe(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// get reads a page, with a token in the header if there is one.
func get(ctx context.Context, client *http.Client, address, header, token string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		request.Header.Set(header, "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// fromKubernetes is the API server's own error; nil if the daemon behind it has answered.
func fromKubernetes(body []byte) error {
	var status metav1.Status
	_ = json.Unmarshal(body, &status) // what is no JSON is no Status either
	if status.Kind != "Status" || status.Status == metav1.StatusSuccess {
		return nil
	}
	return apierrors.FromObject(&status)
}

// served is --address as a URL: without a scheme it is http.
func served(address string) (string, error) {
	full := address
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usagef("--address is %q: write it as http://127.0.0.1:8085 or as 127.0.0.1:8085", address)
	}
	return strings.TrimSuffix(full, "/"), nil
}

func (r *reach) askDirectly(ctx context.Context, address, page string, query url.Values, token string) ([]byte, error) {
	full := address + page
	if len(query) > 0 {
		full += "?" + query.Encode()
	}
	client, err := r.direct()
	if err != nil {
		return nil, err
	}
	code, body, err := get(ctx, client, full, "Authorization", token)
	if failed, is := errors.AsType[*url.Error](err); is { // its text repeats the whole URL
		err = failed.Err
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask the daemon at %s: %w; is it served there? --address is for a port-forward, as in: kubectl port-forward deployment/poolkeeper 8085", address, err)
	case code == http.StatusOK:
		return body, nil
	case standing(body) != nil:
		return nil, standing(body)
	}
	said := strings.TrimSpace(string(body))
	if code == http.StatusNotFound && strings.HasPrefix(said, "there is no ") || code == http.StatusBadRequest {
		return nil, &refusal{code, said}
	}
	return nil, &refusal{code, fmt.Sprintf("%s answers %d %s: %s", full, code, http.StatusText(code), said)}
}

// direct is the client for a daemon that is asked past the API server.
func (r *reach) direct() (*http.Client, error) {
	if r.caFile == "" {
		return http.DefaultClient, nil
	}
	content, err := os.ReadFile(r.caFile)
	if err != nil {
		return nil, usagef("--daemon-ca-file: %w", err)
	}
	trusted, err := x509.SystemCertPool()
	if err != nil {
		trusted = x509.NewCertPool()
	}
	if !trusted.AppendCertsFromPEM(content) {
		return nil, usagef("--daemon-ca-file=%s has no certificate in PEM", r.caFile)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}
	return &http.Client{Transport: transport}, nil
}

// standing reads the answer of a replica without a plan; nil if it is none.
func standing(body []byte) error {
	var answer standbyError
	err := json.Unmarshal(body, &answer)
	if err == nil && answer.Message != "" && strings.Contains(string(body), `"standby"`) {
		return &answer
	}
	return nil
}
