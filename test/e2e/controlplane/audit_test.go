package controlplane

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const auditLog = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/web-1/eviction","verb":"create","user":{"username":"system:serviceaccount:poolkeeper:poolkeeper"},"userAgent":"poolkeeper","objectRef":{"resource":"pods","namespace":"shop","name":"web-1","apiVersion":"v1","subresource":"eviction"},"responseStatus":{"metadata":{},"status":"Failure","code":429},"requestReceivedTimestamp":"2026-03-04T10:00:00.000000Z","stageTimestamp":"2026-03-04T10:00:00.250000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"poolkeeper\""}}
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"2","stage":"ResponseComplete","requestURI":"/apis/apps/v1/replicasets?limit=500","verb":"list","user":{"username":"system:serviceaccount:poolkeeper:poolkeeper"},"objectRef":{"resource":"replicasets","apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"metadata":{},"status":"Failure","reason":"Forbidden","code":403},"requestReceivedTimestamp":"2026-03-04T10:00:01.000000Z","stageTimestamp":"2026-03-04T10:00:01.000000Z","annotations":{"authorization.k8s.io/decision":"forbid","authorization.k8s.io/reason":""}}
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"3","stage":"ResponseComplete","requestURI":"/version","verb":"get","user":{"username":"admin"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-03-04T10:00:02.000000Z","stageTimestamp":"2026-03-04T10:00:02.000000Z","annotations":{"authorization.k8s.io/decision":"allow"}}
{"kind":"Event","apiVersion":"audit.k8s.io/v1","half a li`

func TestTheAuditLogTellsWhoDidWhatToWhatAndWhatTheAnswerWas(t *testing.T) {
	daemon := ServiceAccountUser("poolkeeper", "poolkeeper")
	requests, err := readRequests(strings.NewReader(auditLog), By(daemon))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	want := []Request{
		{
			Received: at, Answered: at.Add(250 * time.Millisecond), User: daemon, UserAgent: "poolkeeper", Verb: "create",
			Right: Right{Resource: "pods", Subresource: "eviction"}, Namespace: "shop", Name: "web-1",
			Path: "/api/v1/namespaces/shop/pods/web-1/eviction", Code: 429, Allowed: `RBAC: allowed by ClusterRoleBinding "poolkeeper"`,
		},
		{
			Received: at.Add(time.Second), Answered: at.Add(time.Second), User: daemon, Verb: "list",
			Right: Right{Group: "apps", Resource: "replicasets"}, Path: "/apis/apps/v1/replicasets?limit=500", Code: 403, Forbidden: true,
		},
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pods/eviction: create", "replicasets.apps: list"}, Rights(requests)); diff != "" {
		t.Errorf("rights (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:], Refused(requests)); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestALineOfTheAuditLogThatIsNotJSONIsAnErrorWithItsNumber(t *testing.T) {
	_, err := readRequests(strings.NewReader("{}\nnonsense\n"), By(Admin))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v", err)
	}
}
