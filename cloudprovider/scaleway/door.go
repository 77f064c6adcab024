package scaleway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scaleway/scaleway-sdk-go/scw"
	"k8s.io/utils/clock"
)

// door is the SDK's way to the API. It keeps what the SDK drops (the status, Retry-After, the request's ID), takes nothing but JSON for an
// answer, and stays quiet for as long as the API asks for.
//
// After most calls the SDK asks for /metadata, to make up a name that nobody here needs, without the caller's context and without a lock. The door
// answers that itself: it is asked once, when the client is made, and never again.
type door struct {
	client *http.Client
	clock  clock.PassiveClock

	mutex sync.Mutex
	// quiet is until when the API wants to be left alone.
	quiet time.Time
}

// timeout bounds one request; mostAnswer and mostRefusal how much of an answer is read.
const (
	timeout     = 30 * time.Second
	mostAnswer  = 64 << 20
	mostRefusal = 64 << 10
)

const metadata = `{"platform":"scaleway","partition":"scw","domain":"scw"}`

// newClient makes the SDK's client.
func newClient(c Config, userAgent string, clock clock.PassiveClock) (*scw.Client, error) {
	auth := c.credentials()
	options := []scw.ClientOption{
		scw.WithAuth(auth.access, auth.secret), scw.WithDefaultRegion(c.Region), scw.WithDefaultPageSize(pageSize),
		scw.WithHTTPClient(&door{client: &http.Client{Timeout: timeout}, clock: clock}),
	}
	if userAgent != "" {
		options = append(options, scw.WithUserAgent(userAgent))
	}
	if c.APIURL != "" {
		options = append(options, scw.WithAPIURL(c.APIURL))
	}
	client, err := scw.NewClient(options...)
	if err != nil {
		return nil, err
	}
	_, err = client.GetAPIMetadata() // from here on it is known, and the SDK writes it no more
	return client, err
}

// Do implements what the SDK asks for.
func (d *door) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/metadata" {
		return &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(metadata)), ContentLength: int64(len(metadata)), Request: r,
		}, nil
	}
	if left := d.left(); left > 0 {
		return nil, &failure{status: http.StatusTooManyRequests, text: "the API asked to be left alone, and was not called", retryAfter: left}
	}
	response, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	json := strings.HasPrefix(response.Header.Get("Content-Type"), "application/json")
	if good := response.StatusCode/100 == 2; good && (json || response.StatusCode == http.StatusNoContent) {
		response.Body = &limited{io.LimitReader(response.Body, mostAnswer), response.Body}
		return response, nil
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, mostRefusal)) // half a refusal is one too
	f := understand(response.StatusCode, json, body)
	f.request = response.Header.Get("X-Request-Id")
	if f.retryAfter = d.retryAfter(response.Header.Get("Retry-After")); f.retryAfter > 0 && (f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable) {
		d.mutex.Lock()
		d.quiet = d.clock.Now().Add(f.retryAfter)
		d.mutex.Unlock()
	}
	return nil, f
}

// limited is a body of which only so much is read.
type limited struct {
	io.Reader
	io.Closer
}

func (d *door) left() time.Duration {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.quiet.Sub(d.clock.Now())
}

// longestQuiet is how long the API is left alone at most, whatever it asks for.
const longestQuiet = 10 * time.Minute

// retryAfter reads the header: a number of seconds, or a date.
func (d *door) retryAfter(text string) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, int(longestQuiet/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(d.clock.Now())
	}
	return min(max(wait, 0), longestQuiet)
}

// failure is a refusal of the API, taken apart.
type failure struct {
	status int
	// kind is the API's own word for it, such as transient_state; empty where the body is not the API's.
	kind string
	text string
	// resource, id and state say what it is about, argument which one is wrong.
	resource, id, state, argument string
	request                       string
	retryAfter                    time.Duration
}

// understand takes a refusal apart. A body that isn't the API's (a gateway's page) is only a status.
func understand(status int, isJSON bool, body []byte) *failure {
	f := &failure{status: status, text: strings.ToLower(http.StatusText(status))}
	var said struct {
		Type         string `json:"type"`
		Message      string `json:"message"`
		Resource     string `json:"resource"`
		ResourceID   string `json:"resource_id"`
		CurrentState string `json:"current_state"`
		HelpMessage  string `json:"help_message"`
		Method       string `json:"method"`
		Reason       string `json:"reason"`
		Details      []struct {
			Argument string `json:"argument_name"`
			Reason   string `json:"reason"`
			Help     string `json:"help_message"`
			Resource string `json:"resource"`
			Action   string `json:"action"`
			Quota    int64  `json:"quota"`
			Current  int64  `json:"current"`
		} `json:"details"`
	}
	if !isJSON || json.Unmarshal(bytes.TrimSpace(body), &said) != nil {
		return f
	}
	f.kind, f.resource, f.id, f.state = said.Type, said.Resource, said.ResourceID, said.CurrentState
	words := []string{said.Message, said.HelpMessage, said.Reason}
	if said.Resource != "" {
		words = append(words, said.Resource, said.ResourceID, said.CurrentState)
	}
	for _, d := range said.Details {
		if f.argument == "" {
			f.argument = d.Argument
		}
		words = append(words, d.Argument, d.Reason, d.Help, d.Resource, d.Action)
		if d.Quota > 0 {
			words = append(words, strconv.FormatInt(d.Current, 10)+" of "+strconv.FormatInt(d.Quota, 10)+" used")
		}
	}
	if text := tidy(words); text != "" {
		f.text = text
	}
	return f
}

// longestText is how much of the API's words goes into an error.
const longestText = 500

// tidy joins words to one line.
func tidy(words []string) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(strings.Join(words, " "), "?")), " ")
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return text
}

// Error implements error.
func (f *failure) Error() string {
	text := "Scaleway answered " + strconv.Itoa(f.status) + ": " + f.text
	if f.request != "" {
		text += " (request " + f.request + ")"
	}
	return text
}
