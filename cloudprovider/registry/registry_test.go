package registry_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

// stub is a provider that knows its name and its file, and whether it was cleaned up.
type stub struct {
	cloudprovider.CloudProvider
	name, file string
	cleaned    bool
}

func (s *stub) Name() string { return s.name }

func (s *stub) Cleanup() error {
	s.cleaned = true
	return nil
}

// stubs is a registry of two that work and one that doesn't; made collects what they built.
func stubs() (r registry.Registry, made *[]*stub) {
	made = &[]*stub{}
	builder := func(name string) registry.Builder {
		return func(_ context.Context, options registry.Options) (cloudprovider.CloudProvider, error) {
			s := &stub{name: name, file: options.CloudConfig}
			*made = append(*made, s)
			return s, nil
		}
	}
	broken := func(context.Context, registry.Options) (cloudprovider.CloudProvider, error) {
		return nil, errors.New("no credentials")
	}
	return registry.Registry{"kwok": builder("kwok"), "scaleway": builder("scaleway"), "broken": broken}, made
}

func TestProvidersAreBuiltInTheOrderTheyAreNamedEachWithItsFile(t *testing.T) {
	for name, c := range map[string]struct {
		names, files string
		want         []string
	}{
		"none":                          {"", "", nil},
		"one without a file":            {"kwok", "", []string{"kwok:"}},
		"one with its file":             {"kwok", "pools.yaml", []string{"kwok:pools.yaml"}},
		"one whose file is named after": {"kwok", "kwok=pools.yaml", []string{"kwok:pools.yaml"}},
		"two":                           {"scaleway, kwok", "kwok=pools.yaml,scaleway=account.yaml", []string{"scaleway:account.yaml", "kwok:pools.yaml"}},
		"two, one without a file":       {"kwok,scaleway,", "scaleway=account.yaml", []string{"kwok:", "scaleway:account.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := stubs()
			providers, err := r.Build(t.Context(), c.names, c.files, registry.Options{CloudConfig: "left-over"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, provider := range providers {
				got = append(got, provider.Name()+":"+provider.(*stub).file)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatCantBeBuiltSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		names, files string
		want         []string
	}{
		"an unknown name":          {"azure", "", []string{`--cloud-provider: unknown provider "azure"; the known ones are broken, kwok, scaleway`}},
		"two unknown names":        {"azure,gce", "", []string{`"azure"`, `"gce"`}},
		"a name twice":             {"kwok,kwok", "", []string{`provider "kwok" is named twice`}},
		"a file for nobody":        {"", "pools.yaml", []string{"--cloud-config: pools.yaml is given, but no provider"}},
		"whose file is it":         {"kwok,scaleway", "pools.yaml", []string{`"pools.yaml" does not say whose file it is; with several providers write name=path`}},
		"a file for somebody else": {"kwok,scaleway", "azure=a.yaml", []string{`"azure" is not among the providers`}},
		"two files":                {"kwok,scaleway", "kwok=a.yaml,kwok=b.yaml", []string{`provider "kwok" has two files`}},
		"a builder that fails":     {"broken", "", []string{"cloud provider broken: no credentials"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := stubs()
			providers, err := r.Build(t.Context(), c.names, c.files, registry.Options{})
			if err == nil || providers != nil {
				t.Fatalf("got %v and %v", providers, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestACheckMakesNoProvider(t *testing.T) {
	here := filepath.Join(t.TempDir(), "pools.yaml")
	if err := os.WriteFile(here, []byte("not looked into"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ names, files, want string }{
		"all is well":           {"broken,kwok", "kwok=" + here, ""},
		"no file is needed":     {"scaleway", "", ""},
		"an unknown name":       {"azure", "", `unknown provider "azure"`},
		"a file for nobody":     {"", here, "is given, but no provider"},
		"a file that isn't":     {"kwok,scaleway", "kwok=/no/such,scaleway=" + here, "--cloud-config: the file of provider kwok: open /no/such"},
		"a folder for its file": {"kwok", filepath.Dir(here), "--cloud-config: the file of provider kwok: read " + filepath.Dir(here) + ": is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			r, made := stubs()
			err := r.Check(c.names, c.files)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if len(*made) > 0 {
				t.Errorf("a provider was made")
			}
		})
	}
}

func TestWhenOneProviderFailsTheOthersAreCleanedUp(t *testing.T) {
	r, made := stubs()
	_, err := r.Build(t.Context(), "kwok,broken,scaleway", "", registry.Options{})
	if err == nil {
		t.Fatal("no error")
	}
	if len(*made) != 2 || !(*made)[0].cleaned || !(*made)[1].cleaned {
		t.Errorf("the others were left behind: %+v", *made)
	}
}
