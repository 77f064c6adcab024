package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/report"
	"github.com/poolkeeper/poolkeeper/report/notify"
)

// secret is the part of the webhook's address that nobody may read.
const secret = "T000-very-secret"

// scene is a notifier with a webhook that gives these answers, one after the other, and then takes everything. Its clock hurries, and remembers the pauses.
type scene struct {
	*notify.Notifier
	t        *testing.T
	server   *httptest.Server
	file     string
	heard    chan string
	pauses   []time.Duration
	troubles []error
}

func newScene(t *testing.T, all bool, answers ...int) *scene {
	t.Helper()
	s := &scene{t: t, heard: make(chan string, 100), file: filepath.Join(t.TempDir(), "url")}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v: %v", r.Method, r.Header, err)
		}
		if len(answers) > 0 {
			w.Header().Set("Retry-After", "30")
			w.Header().Set("Location", "/elsewhere/"+secret)
			w.WriteHeader(answers[0])
			fmt.Fprintf(w, "I know http://%s%s", r.Host, r.URL.Path)
			answers = answers[1:]
		}
		s.heard <- message.Text
	}))
	t.Cleanup(s.server.Close)
	s.writeURL(s.server.URL + "/services/" + secret + "\n")
	n, err := notify.New(notify.Options{
		URLFile: s.file, All: all, From: "Poolkeeper in namespace keeper", After: s.after, Trouble: func(err error) { s.troubles = append(s.troubles, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Notifier = n
	return s
}

func (s *scene) writeURL(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) after(d time.Duration) <-chan time.Time {
	s.pauses = append(s.pauses, d)
	over := make(chan time.Time, 1)
	over <- time.Time{}
	return over
}

// run runs the notifier until it has heard n posts, and stops it.
func (s *scene) run(n int) []string {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	var heard []string
	for range n {
		select {
		case text := <-s.heard:
			heard = append(heard, text)
		case <-time.After(30 * time.Second):
			s.t.Fatalf("the webhook heard %d messages, want %d", len(heard), n)
		}
	}
	cancel()
	<-done
	close(s.heard)
	for text := range s.heard {
		heard = append(heard, text)
	}
	return heard
}

func decision(text string, warning bool) report.Decision {
	return report.Decision{Owner: "healer", Text: text, Reason: "Quarantined", Warning: warning}
}

func TestWarningsAreToldTogetherAndTheRestIsNot(t *testing.T) {
	s := newScene(t, false)
	s.Decided([]report.Decision{decision("pool web: 3 <new> nodes & no more", true), decision("all is well", false), decision("pool db", true)})
	heard := s.run(1)
	want := "*Poolkeeper in namespace keeper*\n• ⚠ healer: pool web: 3 &lt;new&gt; nodes &amp; no more (Quarantined)\n• ⚠ healer: pool db (Quarantined)"
	if len(heard) != 1 || heard[0] != want {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

func TestEveryDecisionIsToldWhereThatIsWanted(t *testing.T) {
	s := newScene(t, true)
	s.Decided([]report.Decision{decision("all is well", false)})
	if heard := s.run(1); !strings.Contains(heard[0], "\n• healer: all is well") {
		t.Errorf("heard %q", heard)
	}
}

func TestAMessageSaysTwentyDecisionsAndCountsTheRestAlsoWhatFoundNoRoom(t *testing.T) {
	s := newScene(t, false)
	for range 1100 {
		s.Decided([]report.Decision{decision("x", true)})
	}
	heard := s.run(1)
	if n := strings.Count(heard[0], "\n•"); n != 20 || !strings.Contains(heard[0], "and 1080 more") {
		t.Errorf("%d decisions are said in %q", n, heard[0])
	}
}

func TestAWebhookThatIsBusyIsAskedAgainAfterThePauseItWants(t *testing.T) {
	s := newScene(t, false, http.StatusTooManyRequests, http.StatusBadGateway)
	s.Decided([]report.Decision{decision("x", true)})
	if heard := s.run(3); len(heard) != 3 || len(s.troubles) != 0 {
		t.Errorf("heard %q, troubles %v", heard, s.troubles)
	}
	if want := []time.Duration{30 * time.Second, 30 * time.Second}; !slices.Equal(s.pauses[:2], want) {
		t.Errorf("the pauses were %v, want %v", s.pauses, want)
	}
}

func TestTriesEndAndNothingSaysTheAddress(t *testing.T) {
	for name, test := range map[string]struct {
		answers []int
		posts   int
	}{
		"always away":   {[]int{500, 500, 500, 500}, 4},
		"gone for good": {[]int{404}, 1},
		"moved":         {[]int{302}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, false, test.answers...)
			s.Decided([]report.Decision{decision("x", true)})
			if heard := s.run(test.posts); len(heard) != test.posts {
				t.Errorf("%d posts, want %d", len(heard), test.posts)
			}
			if len(s.troubles) != 1 || strings.Contains(s.troubles[0].Error(), secret) || !strings.Contains(s.troubles[0].Error(), "given up") {
				t.Errorf("the troubles are %v", s.troubles)
			}
		})
	}
}

func TestAWebhookThatCannotBeReachedIsToldWithoutItsAddress(t *testing.T) {
	s := newScene(t, false)
	s.server.Close()
	s.Decided([]report.Decision{decision("x", true)})
	s.run(0)
	if len(s.troubles) != 1 || strings.Contains(s.troubles[0].Error(), secret) || !strings.Contains(s.troubles[0].Error(), "can't be reached") {
		t.Errorf("the troubles are %v", s.troubles)
	}
}

func TestAnotherAddressInTheFileIsTakenWithoutARestart(t *testing.T) {
	s, other := newScene(t, false), newScene(t, false)
	s.writeURL(other.server.URL + "/services/other")
	s.Decided([]report.Decision{decision("x", true)})
	s.run(0)
	if len(other.heard) != 1 {
		t.Errorf("the new address heard %d messages", len(other.heard))
	}
}

func TestAFileWithoutAnAddressIsRefusedAndNotQuoted(t *testing.T) {
	for _, content := range []string{"", secret, "ftp://host/" + secret, "https://" + secret + " and more"} {
		s := newScene(t, false)
		s.writeURL(content)
		_, err := notify.New(notify.Options{URLFile: s.file})
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), s.file) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := notify.New(notify.Options{URLFile: "/nowhere/url"}); err == nil || !strings.Contains(err.Error(), "--notify-url-file") {
		t.Errorf("a file that is missing: %v", err)
	}
}
