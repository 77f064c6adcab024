package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	testclock "k8s.io/utils/clock/testing"
)

// reviewer is an API server that judges: ann may get everything, bob nothing, whom nobody knows has no name.
type reviewer struct {
	away, awayForRights bool
	tokens, rights      int
	asked               authorizationv1.SubjectAccessReviewSpec
}

func (r *reviewer) gate(clock *testclock.FakeClock) *Gate {
	client := fake.NewClientset()
	client.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		r.tokens++
		if r.away {
			return true, nil, errors.New("the etcd at 10.9.8.7 is away")
		}
		review := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview).DeepCopy()
		name, good := strings.CutPrefix(review.Spec.Token, "token-of-")
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: good, Error: "expired at noon"}
		if good {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{
				Username: name, UID: "7", Groups: []string{"staff"}, Extra: map[string]authenticationv1.ExtraValue{"pod": {"x"}},
			}}
		}
		return true, review, nil
	})
	client.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		r.rights++
		if r.awayForRights {
			return true, nil, errors.New("the etcd at 10.9.8.7 is away")
		}
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		r.asked = review.Spec
		review.Status.Allowed, review.Status.Denied = review.Spec.User == "ann" || review.Spec.User == "eve", review.Spec.User == "eve"
		return true, review, nil
	})
	return NewGate(client, clock)
}

// ask asks for a path with headers as "Name: value".
func ask(g *Gate, path string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Basic" {
			request.SetBasicAuth("anybody", value)
			continue
		}
		request.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	g.Guard(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(w, "page %s %v", req.URL.Path, req.Header)
	}), "/livez", "/readyz").ServeHTTP(answer, request)
	return answer
}

func TestOnlyWhoMayIsAnswered(t *testing.T) {
	r := &reviewer{}
	g := r.gate(testclock.NewFakeClock(time.Now()))
	for _, c := range []struct {
		name, path string
		headers    []string
		code       int
		says       string
	}{
		{"nobody", "/plan", nil, 401, "a token is wanted"},
		{"a token that nobody knows", "/plan", []string{"Authorization: Bearer stolen"}, 401, "a token is wanted"},
		{"an empty token", "/plan", []string{"Authorization: Bearer "}, 401, ""},
		{"another scheme", "/plan", []string{"Authorization: Negotiate token-of-ann"}, 401, ""},
		{"somebody without the right", "/plan", []string{"Authorization: Bearer token-of-bob"}, 403, "bob may not get /plan: a ClusterRole with the nonResourceURL /plan"},
		{"somebody to whom it is denied", "/plan", []string{"Authorization: Bearer token-of-eve"}, 403, "eve may not"},
		{"somebody with the right", "/plan", []string{"Authorization: Bearer token-of-ann"}, 200, "page /plan map[]"},
		{"the scheme in small letters", "/plan", []string{"Authorization: bearer token-of-ann"}, 200, "page /plan"},
		{"a browser", "/", []string{"Basic: token-of-ann"}, 200, "page / map[]"},
		{"through the API server's proxy", "/plan", []string{ProxiedHeader + ": Bearer token-of-ann"}, 200, "page /plan map[]"},
		{"a good token beside a bad one", "/plan", []string{"Authorization: Bearer stolen", ProxiedHeader + ": Bearer token-of-ann"}, 401, ""},
		{"a probe", "/livez", nil, 200, "page /livez"},
		{"another probe", "/readyz", nil, 200, "page /readyz"},
		{"what looks like a probe", "/livez/../plan", nil, 401, ""},
		{"what looks like another", "//livez", nil, 401, ""},
		{"a path below a probe", "/readyz/x", nil, 401, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := ask(g, c.path, c.headers...)
			if answer.Code != c.code || !strings.Contains(answer.Body.String(), c.says) {
				t.Errorf("%d %s, want %d with %q", answer.Code, answer.Body, c.code, c.says)
			}
			if text := fmt.Sprint(answer.Body.String(), answer.Header()); strings.Contains(text, "stolen") || strings.Contains(text, "token-of") || strings.Contains(text, "noon") {
				t.Errorf("the answer tells too much: %s", text)
			}
			if got := len(answer.Header().Values("WWW-Authenticate")) > 0; got != (c.code == 401) {
				t.Errorf("the answer %d has WWW-Authenticate %v", answer.Code, answer.Header())
			}
		})
	}
}

func TestTheAPIServerIsToldWhoAsksForWhat(t *testing.T) {
	r := &reviewer{}
	ask(r.gate(testclock.NewFakeClock(time.Now())), "/explain?kind=pod&name=shop/a", "Authorization: Bearer token-of-bob")
	want := authorizationv1.SubjectAccessReviewSpec{
		User: "bob", UID: "7", Groups: []string{"staff"}, Extra: map[string]authorizationv1.ExtraValue{"pod": {"x"}},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/explain", Verb: "get"},
	}
	if diff := cmp.Diff(want, r.asked); diff != "" {
		t.Error(diff)
	}
}

// Whoever can't be judged is not answered: neither while the API server is away nor by what it said long ago.
func TestWithoutTheAPIServerNobodyIsAnswered(t *testing.T) {
	for name, r := range map[string]*reviewer{"it can't say who asks": {away: true}, "it can't say what they may": {awayForRights: true}} {
		t.Run(name, func(t *testing.T) {
			g := r.gate(testclock.NewFakeClock(time.Now()))
			answer := ask(g, "/plan", "Authorization: Bearer token-of-ann")
			if answer.Code != http.StatusServiceUnavailable || strings.Contains(answer.Body.String(), "10.9.8.7") {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
			if answer := ask(g, "/livez"); answer.Code != http.StatusOK {
				t.Errorf("the probe answers %d", answer.Code)
			}
			r.away, r.awayForRights = false, false
			if answer := ask(g, "/plan", "Authorization: Bearer token-of-ann"); answer.Code != http.StatusOK {
				t.Errorf("once it is back: %d %s", answer.Code, answer.Body)
			}
		})
	}
}

func TestAnAnswerIsBelievedForAWhile(t *testing.T) {
	r, clock := &reviewer{}, testclock.NewFakeClock(time.Now())
	g := r.gate(clock)
	for range 20 {
		ask(g, "/metrics", "Authorization: Bearer token-of-ann")
		ask(g, "/metrics", "Authorization: Bearer token-of-bob")
		ask(g, "/metrics", "Authorization: Bearer stolen")
	}
	if r.tokens != 3 || r.rights != 2 {
		t.Errorf("60 requests of three made %d and %d reviews, want 3 and 2", r.tokens, r.rights)
	}
	clock.Step(believed + time.Second)
	ask(g, "/metrics", "Authorization: Bearer token-of-ann")
	if r.rights != 3 {
		t.Errorf("%d reviews of rights after the time, want one more", r.rights)
	}
}
