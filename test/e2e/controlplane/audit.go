package controlplane

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// A Request is one request to the API server as its audit log has it. Reads by the control plane's own components, which include
// every ServiceAccount of kube-system, and kwok's leases are not recorded. A watch appears when it begins and once more when it ends.
type Request struct {
	// Received is when the request came in, Answered when the answer (or, of a watch, its beginning) went out.
	Received, Answered time.Time
	// User is the user name; of a ServiceAccount see [ServiceAccountUser].
	User      string
	UserAgent string
	// Verb is the verb that RBAC knows: get, list, watch, create, update, patch, delete, deletecollection.
	Verb string
	// Right says what the verb was used on.
	Right
	Namespace, Name string
	// Path is the request's URI, the only thing that a request for something other than a resource has.
	Path string
	// Code is the HTTP status of the answer.
	Code int
	// Forbidden tells that the authorisers refused. An answer of 403 can have other grounds too: a quota, an admission plugin.
	Forbidden bool
	// Allowed is the authoriser's ground for letting the request through, with the name of the role binding and of the role.
	Allowed string
}

// String is a line for messages.
func (r Request) String() string {
	return fmt.Sprintf("%s %s %s: %d", r.User, r.Verb, r.Path, r.Code)
}

// A Right is what a rule of a role grants a verb on.
type Right struct {
	// Group is the API group, empty for the core group.
	Group       string
	Resource    string // empty for a request of something other than a resource
	Subresource string
}

// String writes the right as roles do: resource.group/subresource.
func (r Right) String() string {
	text := r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	return text
}

// Requests reads the audit log from its beginning: all requests that were answered so far and that the filter wants, oldest answer first.
func (c *ControlPlane) Requests(wanted func(Request) bool) ([]Request, error) {
	file, err := os.Open(c.file("audit.log"))
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer file.Close()
	return readRequests(file, wanted)
}

func readRequests(log io.Reader, wanted func(Request) bool) ([]Request, error) {
	var requests []Request
	lines := bufio.NewReader(log)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return requests, nil // what stands behind the last newline is still being written
		}
		if err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("line %d of the audit log: %w", number, err)
		}
		if r := request(event); wanted(r) {
			requests = append(requests, r)
		}
	}
}

func request(event auditv1.Event) Request {
	r := Request{
		Received: event.RequestReceivedTimestamp.Time, Answered: event.StageTimestamp.Time,
		User: event.User.Username, UserAgent: event.UserAgent, Verb: event.Verb, Path: event.RequestURI,
	}
	if event.ImpersonatedUser != nil {
		r.User = event.ImpersonatedUser.Username
	}
	if o := event.ObjectRef; o != nil {
		r.Right = Right{Group: o.APIGroup, Resource: o.Resource, Subresource: o.Subresource}
		r.Namespace, r.Name = o.Namespace, o.Name
	}
	if event.ResponseStatus != nil {
		r.Code = int(event.ResponseStatus.Code)
	}
	switch event.Annotations["authorization.k8s.io/decision"] {
	case "forbid":
		r.Forbidden = true
	case "allow":
		r.Allowed = event.Annotations["authorization.k8s.io/reason"]
	}
	return r
}

// By is a filter for [ControlPlane.Requests]: those of one user.
func By(user string) func(Request) bool {
	return func(r Request) bool { return r.User == user }
}

// Rights lists each right that the requests used with its verbs, a line each and sorted: what a role for them would have to grant.
func Rights(requests []Request) []string {
	verbs := map[Right][]string{}
	for _, r := range requests {
		if r.Resource != "" && !slices.Contains(verbs[r.Right], r.Verb) {
			verbs[r.Right] = append(verbs[r.Right], r.Verb)
		}
	}
	var lines []string
	for right, used := range verbs {
		slices.Sort(used)
		lines = append(lines, right.String()+": "+strings.Join(used, ", "))
	}
	slices.Sort(lines)
	return lines
}

// Refused are those of the requests that the authorisers refused, and those that were not authenticated at all.
func Refused(requests []Request) []Request {
	refused := slices.DeleteFunc(slices.Clone(requests), func(r Request) bool {
		return !r.Forbidden && r.Code != http.StatusUnauthorized
	})
	slices.SortFunc(refused, func(a, b Request) int { return a.Received.Compare(b.Received) })
	return refused
}
