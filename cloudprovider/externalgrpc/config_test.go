package externalgrpc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cloud.yaml")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestTheFileHasTheClusterAutoscalersKeys(t *testing.T) {
	config, err := externalgrpc.ReadConfig(write(t, "address: \"provider:8086\"\nkey: /k\ncert: /c\ncacert: /a\ngrpc_timeout: 7s\n"))
	must(t, err)
	want := externalgrpc.Config{Address: "provider:8086", Files: externalgrpc.Files{Cert: "/c", Key: "/k", CA: "/a"}, Timeout: 7 * time.Second}
	if config != want {
		t.Errorf("got %+v, want %+v", config, want)
	}
	config, err = externalgrpc.ReadConfig(write(t, "address: unix:///run/provider.sock\n"))
	must(t, err)
	if config.Timeout != 5*time.Second || config.Files.Any() {
		t.Errorf("the defaults are %+v", config)
	}
}

func TestAFileThatCantBeUsedSaysWhereAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"no YAML":          {"address: [", []string{":1: this is no YAML"}},
		"nothing":          {"", []string{":1: this is no YAML"}},
		"a list":           {"- address", []string{":1: the file has to be fields with values", "grpc_timeout"}},
		"no address":       {"grpc_timeout: 5s", []string{":1: address: is missing", "address: provider"}},
		"no port":          {"address: provider", []string{`:1: address: "provider" is not host:port`}},
		"a URL":            {"address: https://provider:8086", []string{"not host:port"}},
		"a field too many": {"address: a:1\nadress: b:1", []string{":2: adress: there is no such field; there are address"}},
		"a field twice":    {"address: a:1\naddress: b:1", []string{":2: address: is in line 1 already"}},
		"half a pair":      {"address: a:1\ncert: /c", []string{":2: cert: needs its key"}},
		"the other half":   {"address: a:1\nkey: /c", []string{":2: key: needs its certificate"}},
		"a bare number":    {"address: a:1\ngrpc_timeout: 5", []string{`:2: grpc_timeout: "5" is not a time`, "5s"}},
		"a time of zero":   {"address: a:1\ngrpc_timeout: 0s", []string{":2: grpc_timeout"}},
		"no single value":  {"address: a:1\ncert: {a: b}", []string{":2: cert: has to be a single value"}},
		"two documents":    {"address: a:1\n---\naddress: b:1", []string{"second document"}},
		"several":          {"cert: /c\ngrpc_timeout: x", []string{":1: address", ":1: cert", ":2: grpc_timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.content)
			_, err := externalgrpc.ReadConfig(path)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(c.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestWithoutAFileOrWithOneThatIsNotThereTheErrorNamesTheFlag(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(start)
	for _, path := range []string{"", "/no/such/file"} {
		_, err := externalgrpc.New(t.Context(), registry.Options{CloudConfig: path, Clock: clock})
		if err == nil || !strings.Contains(err.Error(), "--cloud-config") {
			t.Errorf("%q gave %v", path, err)
		}
	}
	path := write(t, "address: a:1\ncert: /no/cert\nkey: /no/key\ncacert: /no/ca")
	_, err := externalgrpc.New(t.Context(), registry.Options{CloudConfig: path, Clock: clock})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "/no/cert") {
		t.Errorf("files that are not there gave %v", err)
	}
}

// FuzzConfig: whatever the file says, there is a configuration or an error, and never a panic.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{"", "address: a:1", "address: [a", "? a\n: b", "&a [*a]", "address: a:1\ngrpc_timeout: 99999999999h", "---\n---", "address: !!binary x"} {
		f.Add([]byte(seed))
	}
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(folder, "cloud.yaml")
		must(t, os.WriteFile(path, content, 0o600))
		config, err := externalgrpc.ReadConfig(path)
		if err == nil && (config.Address == "" || config.Timeout <= 0) {
			t.Errorf("%q gave %+v", content, config)
		}
	})
}
