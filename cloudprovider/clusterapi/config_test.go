package clusterapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

func TestTheFileIsStrictAndItsErrorsNameTheField(t *testing.T) {
	for text, want := range map[string]string{
		"kubeconfg: x": `unknown field "kubeconfg"`, "context: a": "there is no kubeconfig", "discover: [{}]": "discover[0]: is empty",
		"discover: [{labels: {a: '!'}}]": "discover[0].labels", "discover: 7": "discover", "- a": "json",
	} {
		if _, err := parseConfig("file.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "file.yaml") {
			t.Errorf("%s: the error is %v, want %q in it", text, err, want)
		}
	}
	got, err := parseConfig("file.yaml", []byte("kubeconfig: k\ncontext: c\ndiscover: [{namespace: fleet, clusterName: x, labels: {a: b}}]"))
	want := Config{Kubeconfig: "k", Context: "c", Discover: []Discover{{Namespace: "fleet", ClusterName: "x", Labels: map[string]string{"a": "b"}}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:7"}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
current-context: one
users: [{name: u, user: {token: t}}]
`

func TestTheManagementClusterIsTheFilesOwnOrTheDaemons(t *testing.T) {
	own := &rest.Config{Host: "https://own", ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"}, QPS: 7}
	path := filepath.Join(t.TempDir(), "management")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	reach := func(c Config) (host string, err error) {
		rc, err := c.management(own, "poolkeeper")
		if err != nil {
			return "", err
		}
		if rc.ContentType == own.ContentType || rc.QPS != 7 {
			t.Errorf("%s is spoken to with %s, %v times a second", rc.Host, rc.ContentType, rc.QPS)
		}
		return rc.Host, nil
	}
	asKubeconfig, err := readConfig(path) // as with the cluster-autoscaler
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Config{"https://own": {}, "https://127.0.0.1:7": {Kubeconfig: path, Context: "one"}} {
		if got, err := reach(c); got != want || err != nil {
			t.Errorf("%+v reaches %s (%v), want %s", c, got, err, want)
		}
	}
	if got, err := reach(asKubeconfig); got != "https://127.0.0.1:7" || err != nil {
		t.Errorf("a kubeconfig as the file reaches %s (%v)", got, err)
	}
	for want, c := range map[string]Config{
		"no such file": {Kubeconfig: path + "2"}, `context "two" does not exist`: {Kubeconfig: path, Context: "two"},
	} {
		if _, err := reach(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gives %v, want %q", c, err, want)
		}
	}
	if own.ContentType != "application/vnd.kubernetes.protobuf" {
		t.Error("the daemon's own configuration was changed")
	}
	if _, err := (Config{}).management(nil, ""); err == nil {
		t.Error("no management cluster at all is no error")
	}
}

func TestProviderIDsAreComparedInOneSpelling(t *testing.T) {
	for a, b := range map[string]string{
		"azure:///subscriptions/A/vm/1": "azure:///Subscriptions/a/vm/1", "docker:////one": "docker:///one", "aws:///z/i-1": " aws:///z/i-1",
	} {
		if normal(a) != normal(b) {
			t.Errorf("%q and %q are not the same: %q, %q", a, b, normal(a), normal(b))
		}
	}
	if normal("aws:///z/i-1") == normal("aws:///y/i-1") || normal("a://1") == normal("b://1") {
		t.Error("different machines are the same")
	}
}
