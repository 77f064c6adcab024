package main

import (
	"strings"
	"testing"
)

func TestProviderServerSaysWhatItLacksAndEndsWithTwo(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no certificates":        {nil, "poolkeeper: --cert, --key and --cacert"},
		"an unknown flag":        {[]string{"--port=1"}, "provider-server: unknown flag: --port; see --help"},
		"an argument":            {[]string{"kwok"}, `provider-server: argument "kwok"`},
		"no provider":            {[]string{"--insecure"}, "name the one provider that is to be lent; there are"},
		"an unknown provider":    {[]string{"--insecure", "--cloud-provider=azure"}, `unknown provider "azure"`},
		"a provider's file":      {[]string{"--insecure", "--cloud-provider=externalgrpc", "--cloud-config=" + file(t, "cloud.yaml", "adress: a:1")}, ":1: adress: there is no such field"},
		"a provider's API":       {[]string{"--insecure", "--cloud-provider=kwok", "--cloud-config=" + file(t, "pools.yaml", onePool)}, "needs an API"},
		"a kubeconfig that lies": {[]string{"--insecure", "--cloud-provider=kwok", "--kubeconfig=/no/such/file"}, "--kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errs := runs(t, append([]string{"provider-server"}, c.args...)...)
			if code != 2 || !strings.Contains(errs, c.want) {
				t.Errorf("exit code %d and %q; want 2 and %q", code, errs, c.want)
			}
		})
	}
}

func TestProviderServerExplainsItself(t *testing.T) {
	code, out, _ := runs(t, "provider-server", "--help")
	if code != 0 || !strings.Contains(out, "--cacert") || !strings.Contains(out, "cluster-autoscaler") {
		t.Errorf("exit code %d and %q", code, out)
	}
	if _, out, _ := runs(t, "--help"); !strings.Contains(out, "poolkeeper provider-server") {
		t.Error("the daemon's help does not name it")
	}
}
