package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// ProxiedHeader carries the token of a request that comes through the API server's service proxy, as "Bearer TOKEN": the API server takes the Authorization header
// for its own and passes none on.
const ProxiedHeader = "X-Poolkeeper-Authorization"

// Gate lets those through to the daemon's pages who may get them.
type Gate struct {
	tokens authenticator.Token
	may    *permissions
}

// NewGate asks the API server through the client, and believes each answer for 10 seconds. The client should have a rate limit of its own: whoever reaches the
// address can have it ask.
func NewGate(client kubernetes.Interface, c clock.Clock) *Gate {
	reviews := tokenReviews{client.AuthenticationV1().TokenReviews()}
	return &Gate{tokens: cache.New(reviews, false, believed, believed), may: newPermissions(client.AuthorizationV1().SubjectAccessReviews(), c)}
}

// Guard serves the open paths to everybody. For the others a request needs a token, as "Authorization: Bearer", as the password of "Authorization: Basic", which is
// what a browser can do, or in [ProxiedHeader]; and the token's owner the right to the verb ("get") on the path as a non-resource URL. It answers 401 where nobody is
// known by the token, 403 where they may not, and 503 where the API server can't be asked.
func (g *Gate) Guard(next http.Handler, open ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if slices.Contains(open, req.URL.Path) {
			next.ServeHTTP(w, req)
			return
		}
		who, known, err := g.who(req)
		switch {
		case err != nil:
			unable(w, err)
			return
		case !known:
			w.Header().Add("WWW-Authenticate", `Bearer realm="poolkeeper"`)
			w.Header().Add("WWW-Authenticate", `Basic realm="poolkeeper: any name, and a token as the password"`)
			http.Error(w, "a token is wanted here: ask with \"Authorization: Bearer TOKEN\", or through the API server's proxy with \""+ProxiedHeader+": Bearer TOKEN\"",
				http.StatusUnauthorized)
			return
		}
		verb := strings.ToLower(req.Method)
		allowed, err := g.may.allow(req.Context(), who, verb, req.URL.Path)
		switch {
		case err != nil:
			unable(w, err)
		case !allowed:
			http.Error(w, fmt.Sprintf("%s may not %s %s: a ClusterRole with the nonResourceURL %[3]s gives that right", who.GetName(), verb, req.URL.Path), http.StatusForbidden)
		default:
			next.ServeHTTP(w, withoutToken(req))
		}
	})
}

func (g *Gate) who(req *http.Request) (user.Info, bool, error) {
	token := tokenOf(req)
	if token == "" {
		return nil, false, nil
	}
	answer, known, err := g.tokens.AuthenticateToken(req.Context(), token)
	if err != nil || !known {
		return nil, false, err
	}
	return answer.User, true, nil
}

// tokenOf is the token of a request; empty if it has none.
func tokenOf(req *http.Request) string {
	if _, password, basic := req.BasicAuth(); basic {
		return strings.TrimSpace(password)
	}
	for _, header := range []string{"Authorization", ProxiedHeader} {
		if scheme, token, _ := strings.Cut(req.Header.Get(header), " "); strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(token)
		}
	}
	return ""
}

// withoutToken is the request as the pages see it: nothing behind the gate has a use for the token.
func withoutToken(req *http.Request) *http.Request {
	bare := req.Clone(req.Context())
	bare.Header.Del("Authorization")
	bare.Header.Del(ProxiedHeader)
	return bare
}

// unable answers who can't be judged. What went wrong is for the log: it may tell of the cluster.
func unable(w http.ResponseWriter, err error) {
	if !errors.Is(err, context.Canceled) { // who asked is gone
		klog.ErrorS(err, "Who asks can't be looked up at the API server")
	}
	http.Error(w, "the API server can't be asked who you are and what you may", http.StatusServiceUnavailable)
}
