package access

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/utils/clock"
)

const (
	// believed is how long an answer of the API server holds: what Kubernetes' own components take. A token that is revoked is good for that long.
	believed = 10 * time.Second
	// reviewWithin bounds one question, the wait for its turn among others included.
	reviewWithin = 10 * time.Second
	// remembered is how many answers about rights are kept at most.
	remembered = 4096
)

// tokenReviews asks the API server whose a token is.
type tokenReviews struct {
	client authenticationclient.TokenReviewInterface
}

// AuthenticateToken implements authenticator.Token.
func (t tokenReviews) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewWithin)
	defer cancel()
	review, err := t.client.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return nil, false, fmt.Errorf("review a token: %w", err)
	}
	if !review.Status.Authenticated {
		return nil, false, nil // its error says why it is not good, which is not for whoever has it
	}
	who := review.Status.User
	info := &user.DefaultInfo{Name: who.Username, UID: who.UID, Groups: who.Groups, Extra: map[string][]string{}}
	for key, values := range who.Extra {
		info.Extra[key] = values
	}
	return &authenticator.Response{User: info}, true, nil
}

// permissions asks the API server what somebody may, and remembers the answers for a while.
type permissions struct {
	client authorizationclient.SubjectAccessReviewInterface
	known  *cache.LRUExpireCache
}

func newPermissions(client authorizationclient.SubjectAccessReviewInterface, c clock.Clock) *permissions {
	return &permissions{client, cache.NewLRUExpireCacheWithClock(remembered, c)}
}

// allow says whether somebody has the right to the verb on the path.
func (p *permissions) allow(ctx context.Context, who user.Info, verb, path string) (bool, error) {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: map[string]authorizationv1.ExtraValue{},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}
	for key, values := range who.GetExtra() {
		spec.Extra[key] = values
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return false, err
	}
	if answer, is := p.known.Get(string(text)); is {
		return answer.(bool), nil
	}
	ctx, cancel := context.WithTimeout(ctx, reviewWithin)
	defer cancel()
	review, err := p.client.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("review what %s may: %w", who.GetName(), err)
	}
	allowed := review.Status.Allowed && !review.Status.Denied
	p.known.Add(string(text), allowed, believed)
	return allowed, nil
}
