package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/app/rights"
	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/config"
)

// Finding is one thing that was looked at before the daemon runs.
type Finding struct {
	// What was looked at, and what was found; Fails says that the daemon would not work so.
	What, Says string
	Fails      bool
}

// checkTimeout bounds each look at the cluster, and the providers' read.
const checkTimeout = 30 * time.Second

// Validate looks whether the daemon would work with the configuration: at the API server, its rights there, and its providers. It goes on after a
// failure, so that all of them are told at once. Each finding is told as soon as it is known. With as, the rights are those of that user.
func Validate(ctx context.Context, c *config.Config, providers registry.Registry, version, as string, tell func(Finding)) {
	rc, err := restConfig(c, version)
	if err != nil {
		tell(Finding{"API server", err.Error(), true})
		return
	}
	if as != "" {
		rc.Impersonate.UserName = as
		if namespace, is := strings.CutPrefix(as, "system:serviceaccount:"); is {
			namespace, _, _ = strings.Cut(namespace, ":")
			rc.Impersonate.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
		}
	}
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		tell(Finding{"API server", fmt.Sprintf("make a client of %s: %v", rc.Host, err), true})
		return
	}
	info, err := client.Discovery().ServerVersion()
	if err != nil {
		tell(Finding{"API server", fmt.Sprintf("%s can't be asked: %v; check --kubeconfig and the network", rc.Host, err), true})
		return
	}
	tell(Finding{"API server", fmt.Sprintf("%s, version %s", rc.Host, info.GitVersion), false})
	needed := rights.Needed(string(c.Arbiter.Mode), strings.Split(c.CloudProvider, ","), c.Namespace)
	if c.RequireAuthorization {
		needed = append(needed, rights.Guarding()...)
	}
	checkRights(ctx, client, needed, tell)
	checkProviders(ctx, c, providers, rc, client, version, tell)
}

// checkRights asks the API server for each right.
func checkRights(ctx context.Context, client kubernetes.Interface, needed []rights.Right, tell func(Finding)) {
	missing := 0
	for _, right := range needed {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: right.Verb, Group: right.Group, Resource: right.Resource, Subresource: right.Subresource, Namespace: right.Namespace, Name: right.Name,
			}},
		}, metav1.CreateOptions{})
		cancel()
		switch {
		case err != nil:
			tell(Finding{"rights", fmt.Sprintf("the API server can't say whether %s is allowed: %v", right, err), true})
			return
		case !review.Status.Allowed:
			missing++
			tell(Finding{"rights", fmt.Sprintf("may not %s, which it needs to %s; the chart's roles have it", right, right.For), true})
		}
	}
	if missing == 0 {
		tell(Finding{"rights", fmt.Sprintf("all %d that this mode and these providers need", len(needed)), false})
	}
}

// checkProviders makes the providers and has each read what there is.
func checkProviders(ctx context.Context, c *config.Config, providers registry.Registry, rc *rest.Config, client kubernetes.Interface, version string, tell func(Finding)) {
	built, err := providers.Build(ctx, c.CloudProvider, c.CloudConfig, registry.Options{
		API: api.NewClient(client), RESTConfig: rc, Clock: clock.RealClock{}, Namespace: c.Namespace, UserAgent: c.UserAgent + "/" + version,
	})
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			tell(Finding{"provider", line, true})
		}
		return
	}
	for _, provider := range built {
		checkProvider(ctx, c, provider, tell)
		_ = provider.Cleanup() // nothing was begun
	}
}

func checkProvider(ctx context.Context, c *config.Config, provider cloudprovider.CloudProvider, tell func(Finding)) {
	what := "provider " + provider.Name()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if provider.Name() == "kwok" {
		tell(Finding{what, "its pools are read from its file, and are made when the daemon runs", false})
		return
	}
	if err := provider.Refresh(ctx); err != nil {
		tell(Finding{what, fmt.Sprintf("can't read what there is: %v; check --cloud-config and the credentials", err), true})
		return
	}
	groups := provider.NodeGroups()
	var names []string
	for _, group := range groups {
		names = append(names, group.Id())
		options, err := group.GetOptions(ctx, cloudprovider.Options{})
		if err != nil {
			options = nil
		}
		if _, err := c.Settings(group.Id(), group.MinSize(), group.MaxSize(), options); err != nil {
			tell(Finding{"pool " + group.Id(), err.Error(), true})
		}
	}
	if len(groups) == 0 {
		tell(Finding{what, "answers, and has no pool: nothing would be kept; check its configuration", true})
		return
	}
	slices.Sort(names)
	tell(Finding{what, fmt.Sprintf("answers, and has %d pools: %s", len(names), strings.Join(names, ", ")), false})
}
