package scaleway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

func TestEveryRefusalOfTheAPIHasItsClass(t *testing.T) {
	const html = "<html><body><h1>502 Bad Gateway</h1></body></html>"
	for _, c := range []struct {
		status int
		body   string
		want   cloudprovider.Class
		words  string
	}{
		{404, `{"message":"resource is not found","resource":"pool","resource_id":"0ba77b2e","type":"not_found"}`, cloudprovider.ClassNotFound, "pool 0ba77b2e"},
		{409, `{"type":"transient_state","resource":"cluster","resource_id":"1","current_state":"updating"}`, cloudprovider.ClassTransient, "updating"},
		{403, `{"type":"quotas_exceeded","details":[{"resource":"instances","quota":10,"current":10}]}`, cloudprovider.ClassQuota, "10 of 10 used"},
		{410, `{"type":"out_of_stock","resource":"GP1-XS"}`, cloudprovider.ClassOutOfResources, "GP1-XS"},
		{423, `{"type":"locked","resource":"pool","resource_id":"1"}`, cloudprovider.ClassInvalid, "pool"},
		{403, `{"type":"permissions_denied","details":[{"resource":"kubernetes","action":"write"}]}`, cloudprovider.ClassUnauthorized, "kubernetes write"},
		{401, `{"type":"denied_authentication","method":"api_key","reason":"expired"}`, cloudprovider.ClassUnauthorized, "expired"},
		{400, `{"type":"invalid_arguments","details":[{"argument_name":"version","reason":"constraint","help_message":"must be 1.36.3"}]}`, cloudprovider.ClassInvalid, "must be 1.36.3"},
		{400, `{"type":"invalid_arguments","details":[{"argument_name":"size","reason":"constraint"}]}`, cloudprovider.ClassLimit, "size"},
		{412, `{"type":"precondition_failed","precondition":"resource_still_in_use","help_message":"detach it"}`, cloudprovider.ClassInvalid, "detach it"},
		{410, `{"type":"resource_expired","resource":"x"}`, cloudprovider.ClassInvalid, ""},
		{429, `{"type":"too_many_requests","message":"slow down"}`, cloudprovider.ClassTransient, "slow down"},
		{503, `{"message":"maintenance"}`, cloudprovider.ClassTransient, "maintenance"},
		{500, `{"type":"a_new_word","message":"oops"}`, cloudprovider.ClassTransient, "oops"},
		{401, `{}`, cloudprovider.ClassUnauthorized, ""},
		{418, `{"type":"teapot"}`, cloudprovider.ClassOther, ""},
		{502, html, cloudprovider.ClassTransient, "bad gateway"},
		{504, "", cloudprovider.ClassTransient, "gateway timeout"},
		{403, html, cloudprovider.ClassUnauthorized, ""},
		{404, html, cloudprovider.ClassOther, ""}, // a gateway that doesn't know the address: no word about a node
		{200, html, cloudprovider.ClassTransient, ""},
		{404, `{"type":["not_found"]}`, cloudprovider.ClassOther, ""},
	} {
		isJSON := strings.HasPrefix(c.body, "{")
		err := explain(fmt.Errorf("scaleway-sdk-go: %w", understand(c.status, isJSON, []byte(c.body))), "do something")
		if got := cloudprovider.ClassOf(err); got != c.want || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), "do something: ") {
			t.Errorf("%d %.60s: %v (%s), want class %s and %q", c.status, c.body, err, got, c.want, c.words)
		}
		if absent(err) != (c.want == cloudprovider.ClassNotFound) {
			t.Errorf("%d %.60s: taken for an absence: %v", c.status, c.body, absent(err))
		}
	}
}

func TestWhatNeverReachedTheAPIIsInDoubt(t *testing.T) {
	for want, list := range map[cloudprovider.Class][]error{
		cloudprovider.ClassTransient: {context.DeadlineExceeded, &net.OpError{Op: "dial", Err: errors.New("connection refused")}, errors.New("unexpected end of JSON input")},
		cloudprovider.ClassOther:     {context.Canceled},
		cloudprovider.ClassLimit:     {cloudprovider.Errorf(cloudprovider.ClassLimit, "", "too many")},
	} {
		for _, err := range list {
			explained := explain(err, "grow")
			if got := cloudprovider.ClassOf(explained); got != want || !strings.HasPrefix(explained.Error(), "grow: ") {
				t.Errorf("%v became %v (%s), want %s", err, explained, got, want)
			}
		}
	}
	if explain(nil, "grow") != nil {
		t.Error("no error became one")
	}
}

func TestHowLongTheAPIWantsToBeLeftAlone(t *testing.T) {
	now := time.Date(2026, 8, 3, 9, 0, 0, 0, time.UTC)
	d := &door{clock: clocktesting.NewFakePassiveClock(now)}
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-3": 0, "soon": 0, "99999999999999999999": 0, "86400": longestQuiet,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := d.retryAfter(text); got != want {
			t.Errorf("Retry-After %q means %v, want %v", text, got, want)
		}
	}
}

func TestWhichProviderIDsAreScaleways(t *testing.T) {
	const id = "0ba77b2e-58dd-43a3-bb1d-4e7b3a4d1b5e"
	for text, want := range map[string]string{
		"scaleway://instance/fr-par-1/" + id: "fr-par-1", "scaleway://baremetal/nl-ams-2/" + id: "nl-ams-2", "scaleway://" + id: "", "scaleway://external/" + id: "",
	} {
		if zone, ok := place(text); !ok || zone != want {
			t.Errorf("%s is in zone %q (ours: %v), want %q", text, zone, ok, want)
		}
	}
	for _, text := range []string{
		"", "scaleway://", id, "aws:///" + id, "scaleway://instance/fr-par-1/", "scaleway://instance//" + id, "scaleway://instance/paris/" + id,
		"scaleway:///" + id, "scaleway://instance/fr-par-1/x/" + id, "scaleway://instance/fr-par-1/" + id + "/",
	} {
		if _, ok := place(text); ok {
			t.Errorf("%q is taken for one", text)
		}
	}
}

func FuzzAnswersOfTheAPI(f *testing.F) {
	for _, seed := range []string{
		"", "<html>", "{", "null", "[]", `{"type":"not_found"}`, `{"type":"invalid_arguments","details":[{"argument_name":"size"}]}`, `{"details":[null,{"quota":-1}]}`,
		`{"type":"quotas_exceeded","details":[{"resource":"x","quota":9223372036854775807,"current":1}]}`, `{"message":"` + strings.Repeat("a\\n", 600) + `"}`, "{\"message\":\"\xff\"}",
	} {
		f.Add(404, true, []byte(seed))
		f.Add(200, false, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, isJSON bool, body []byte) {
		err := explain(understand(status, isJSON, body), "do")
		text := err.Error()
		if strings.ContainsAny(text, "\n\r") || !utf8.ValidString(text) || len(text) > 2*longestText+200 {
			t.Errorf("%q is no line for people", text)
		}
		if absent(err) && !isJSON {
			t.Errorf("a page of status %d is taken for an absence", status)
		}
		if cloudprovider.ClassOf(err) == "" {
			t.Error("the error has no class")
		}
	})
}

func FuzzProviderIDs(f *testing.F) {
	for _, seed := range []string{"", "scaleway://instance/fr-par-1/0ba77b2e-58dd-43a3-bb1d-4e7b3a4d1b5e", "scaleway://0ba77b2e-58dd-43a3-bb1d-4e7b3a4d1b5e", "scaleway:////", "scaleway://node/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if zone, ok := place(id); ok && (!strings.HasPrefix(id, scheme) || zone != "" && !strings.Contains(id, "/"+zone+"/")) {
			t.Errorf("%q is ours, in zone %q", id, zone)
		}
	})
}
