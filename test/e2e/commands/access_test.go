package commands

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/installation"
	"github.com/poolkeeper/poolkeeper/test/e2e/stage"
)

// With the chart's rights for it the daemon has the API server judge who asks: directly, and through the API server's own proxy.
func TestOnlyWhoMayIsAnsweredWhereTheChartSaysSo(t *testing.T) {
	host := reachable(t)
	s := stage.New(t, plane)
	i := installation.New(t, plane, daemon, "keeper-guarded")
	file := stage.KwokFile([]string{"v1.36.3"}, stage.KwokPool{Name: "guarded", Min: 1, Max: 2, Size: 1, Version: "v1.36.3"})
	i.Apply(&installation.Chart{
		Mode: "act", Provider: "kwok", CloudConfig: file, Flags: installation.QuickTimers(),
		Values: []string{"--set", "tls.secret=certificate", "--set", "requireAuthorization=true"},
	})
	listener, err := net.Listen("tcp", host+":0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	certFile, keyFile := certificate(t, host)
	i.Start(fmt.Sprintf("--address=%s:%d", host, port), "--tls-cert-file="+certFile, "--tls-private-key-file="+keyFile, "--dashboard")
	serve(t, i.Namespace, "https", host, port)
	s.KwokPool("guarded").Sized(1, time.Minute)

	reader := []rbacv1.PolicyRule{{NonResourceURLs: []string{"/status", "/metrics", "/"}, Verbs: []string{"get"}}}
	allowed, stranger := token(t, account(t, i.Namespace, "reader", reader)), token(t, account(t, i.Namespace, "stranger", nil))
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the test's own daemon
	ask := func(path, token string) (int, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://%s:%d%s", host, port, path), http.NoBody)
		must(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		defer func() { _ = answer.Body.Close() }()
		_, err = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode, err
	}
	s.Eventually(time.Minute, func(context.Context) error {
		if code, err := ask("/status", allowed); err != nil || code != http.StatusOK {
			return fmt.Errorf("who may ask is answered %d: %w", code, errors.Join(err))
		}
		return nil
	})
	for _, c := range []struct {
		path, who, token string
		want             int
	}{
		{"/status", "nobody", "", 401},
		{"/metrics", "nobody", "", 401},
		{"/", "nobody", "", 401},
		{"/dashboard/stream", "nobody", "", 401},
		{"/nowhere", "nobody", "", 401},
		{"/status", "a forger", "forged", 401},
		{"/status", "an account without rights", stranger, 403},
		{"/metrics", "an account without rights", stranger, 403},
		{"/status", "an account with the right", allowed, 200},
		{"/metrics", "an account with the right", allowed, 200},
		{"/", "an account with the right", allowed, 200},
		{"/plan", "an account with the right to others", allowed, 403},
		{"/livez", "nobody", "", 200},
		{"/readyz", "nobody", "", 200},
		{"/livez", "a forger", "forged", 200},
	} {
		if code, err := ask(c.path, c.token); err != nil || code != c.want {
			t.Errorf("%s asks for %s: %d %v, want %d", c.who, c.path, code, err, c.want)
		}
	}

	// The API server keeps the Authorization header for itself: through its proxy the token comes in another.
	ann := newPerson(t, i)
	if out, err := ann.run("status -n " + i.Namespace); err == nil || !strings.Contains(out, "give --daemon-token-file") {
		t.Errorf("without a token: %v\n%s", err, out)
	}
	tokenFile := i.File("token", allowed)
	ann.says("status -n "+i.Namespace+" --daemon-token-file="+tokenFile, "guarded")
	ann.says(fmt.Sprintf("status -n %s --service=https:keeper:%d --daemon-token-file=%s", i.Namespace, port, tokenFile), "guarded")
	ann.says(fmt.Sprintf("status --address=https://%s:%d --daemon-ca-file=%s --daemon-token-file=%s", host, port, certFile, tokenFile), "guarded")

	i.CheckRights()
	for _, resource := range []string{"tokenreviews", "subjectaccessreviews"} {
		n := len(i.Requests(func(q controlplane.Request) bool {
			return q.Resource == resource && q.Verb == "create" && q.Code == http.StatusCreated
		}))
		if n == 0 || n > 40 {
			t.Errorf("%d %s were made: want some, and an answer is believed for a while", n, resource)
		}
	}
}

// certificate writes a certificate for the host, and its key.
func certificate(t *testing.T, host string) (certFile, keyFile string) {
	t.Helper()
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	out, err := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
		"-subj", "/CN=keeper", "-addext", "subjectAltName=IP:"+host, "-out", certFile, "-keyout", keyFile).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return certFile, keyFile
}

// token is that of a kubeconfig.
func token(t *testing.T, kubeconfig string) string {
	t.Helper()
	content, err := os.ReadFile(kubeconfig)
	must(t, err)
	config, err := clientcmd.RESTConfigFromKubeConfig(content)
	must(t, err)
	return config.BearerToken
}
