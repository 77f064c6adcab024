// Package registry turns the names in --cloud-provider into providers. Nothing registers itself: whoever wires the program writes down
// the [Registry] it wants.
package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// Options are what a provider is built with. A provider takes from it what it needs.
type Options struct {
	// CloudConfig is the path of the provider's own configuration file; empty if none was given.
	CloudConfig string
	// API is the door to the Kubernetes API, for providers that keep something there.
	API api.Interface
	// RESTConfig is how the daemon reaches the API server, for providers whose cloud lives behind one; nil in a simulation. It is not to be changed.
	RESTConfig *rest.Config
	// Clock tells the time.
	Clock clock.PassiveClock
	// Namespace is the daemon's own namespace.
	Namespace string
	// UserAgent is how the daemon introduces itself to a cloud.
	UserAgent string
}

// Builder makes a provider. It reads and checks the configuration, and may, but need not, ask the cloud; what the cloud knows is read by
// the first Refresh. Its errors name file, line or field and the remedy.
type Builder func(ctx context.Context, options Options) (cloudprovider.CloudProvider, error)

// Registry has the providers that can be had, by the name in --cloud-provider.
type Registry map[string]Builder

// Names are the names of the providers that can be had, in alphabetical order.
func (r Registry) Names() []string { return slices.Sorted(maps.Keys(r)) }

// Build makes the providers that names asks for: a comma-separated list such as "scaleway,kwok", in its order. An empty list gives none.
//
// cloudConfigs is the value of --cloud-config: with one provider the path of its file, with several a comma-separated list of
// name=path pairs, in which providers that need no file are left out. It replaces options.CloudConfig.
//
// All errors are reported, joined; then there are no providers, and those that were made have been cleaned up.
func (r Registry) Build(ctx context.Context, names, cloudConfigs string, options Options) ([]cloudprovider.CloudProvider, error) {
	wanted, paths, err := r.parse(names, cloudConfigs)
	if err != nil {
		return nil, err
	}
	var providers []cloudprovider.CloudProvider
	var problems []error
	for _, name := range wanted {
		options.CloudConfig = paths[name]
		provider, err := r[name](ctx, options)
		if err != nil {
			problems = append(problems, fmt.Errorf("cloud provider %s: %w", name, err))
			continue
		}
		providers = append(providers, provider)
	}
	if len(problems) == 0 {
		return providers, nil
	}
	for _, provider := range providers {
		if err := provider.Cleanup(); err != nil {
			problems = append(problems, fmt.Errorf("cloud provider %s: clean up: %w", provider.Name(), err))
		}
	}
	return nil, errors.Join(problems...)
}

// Check looks at what [Registry.Build] would be given without making a provider or asking anybody: names that are not known, files that are nobody's or
// can't be read. What is in a file only its provider knows. All errors are reported, joined.
func (r Registry) Check(names, cloudConfigs string) error {
	wanted, paths, err := r.parse(names, cloudConfigs)
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range wanted {
		if paths[name] == "" {
			continue
		}
		if _, err := os.ReadFile(paths[name]); err != nil {
			problems = append(problems, fmt.Errorf("--cloud-config: the file of provider %s: %w; name a file that can be read", name, err))
		}
	}
	return errors.Join(problems...)
}

// parse gives the providers that are named, in their order, and the path of the file of each that has one.
func (r Registry) parse(names, cloudConfigs string) ([]string, map[string]string, error) {
	wanted, err := r.parseNames(names)
	if err != nil {
		return nil, nil, err
	}
	paths, err := parseCloudConfigs(wanted, cloudConfigs)
	return wanted, paths, err
}

func (r Registry) parseNames(list string) ([]string, error) {
	var names []string
	var problems []error
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		_, known := r[name]
		switch {
		case name == "":
		case !known:
			problems = append(problems, fmt.Errorf("--cloud-provider: unknown provider %q; the known ones are %s", name, strings.Join(r.Names(), ", ")))
		case slices.Contains(names, name):
			problems = append(problems, fmt.Errorf("--cloud-provider: provider %q is named twice; name it once", name))
		default:
			names = append(names, name)
		}
	}
	return names, errors.Join(problems...)
}

func parseCloudConfigs(names []string, value string) (map[string]string, error) {
	paths := map[string]string{}
	value = strings.TrimSpace(value)
	if value == "" {
		return paths, nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("--cloud-config: %s is given, but no provider; name one with --cloud-provider", value)
	}
	if len(names) == 1 {
		paths[names[0]] = strings.TrimPrefix(value, names[0]+"=")
		return paths, nil
	}
	var problems []error
	for pair := range strings.SplitSeq(value, ",") {
		name, path, found := strings.Cut(strings.TrimSpace(pair), "=")
		_, twice := paths[name]
		switch {
		case !found || path == "":
			problems = append(problems, fmt.Errorf("--cloud-config: %q does not say whose file it is; with several providers write name=path, such as %s=%s",
				pair, names[0], "providers.yaml"))
		case !slices.Contains(names, name):
			problems = append(problems, fmt.Errorf("--cloud-config: %q is not among the providers of --cloud-provider, which are %s", name, strings.Join(names, ", ")))
		case twice:
			problems = append(problems, fmt.Errorf("--cloud-config: provider %q has two files; give it one", name))
		default:
			paths[name] = path
		}
	}
	return paths, errors.Join(problems...)
}
