// Package notify tells people of decisions by a webhook that takes what Slack's incoming webhooks take: a JSON object with a "text".
//
// The webhook's address is a secret: who has it can write to the channel. It is read from a file, and is in no log line, error or metric.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/report"
)

// Options of a notifier.
type Options struct {
	// URLFile has the webhook's address. It is read for every message, so that another address needs no restart.
	URLFile string
	// All tells every decision; otherwise only warnings are told.
	All bool
	// From says who speaks, such as "poolkeeper in namespace kube-system".
	From string
	// After is the clock: a channel that hears when a time is over.
	After func(time.Duration) <-chan time.Time
	// Trouble hears of messages that were given up.
	Trouble func(error)
}

const (
	// between is the least time between two messages: what comes meanwhile is told together.
	between = 10 * time.Second
	// waitingMost is how many decisions wait for a message, and saidMost how many one message says in words. The rest is counted.
	waitingMost, saidMost = 1000, 20
	// tries is how often a message is tried, tryLimit how long one try may take, and pauseMost the longest pause before the next.
	tries     = 4
	tryLimit  = 10 * time.Second
	pauseMost = time.Minute
	// lastWords is how long messages may still take when the process ends.
	lastWords = 5 * time.Second
)

// Notifier sends messages, one at a time.
type Notifier struct {
	options Options
	client  *http.Client
	waiting chan report.Decision
	dropped chan struct{} // one for each decision for which there was no room
}

// New makes a notifier. It reads the address once, so that a wrong file is found at the start.
func New(options Options) (*Notifier, error) {
	n := &Notifier{
		options: options, waiting: make(chan report.Decision, waitingMost), dropped: make(chan struct{}, waitingMost),
		client: &http.Client{
			Timeout:       tryLimit,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // an address is told to nobody else
		},
	}
	_, err := n.address()
	return n, err
}

// Decided takes decisions. It never waits: what finds no room is counted in the next message.
func (n *Notifier) Decided(decisions []report.Decision) {
	for _, d := range decisions {
		if !n.options.All && !d.Warning {
			continue
		}
		select {
		case n.waiting <- d:
		default:
			select {
			case n.dropped <- struct{}{}:
			default:
			}
		}
	}
}

// Run sends what is told until the context ends, and then once more what waits; that takes a few seconds at most.
func (n *Notifier) Run(ctx context.Context) {
	speaking, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	defer context.AfterFunc(ctx, func() {
		last, end := context.WithTimeout(speaking, lastWords)
		defer end()
		<-last.Done()
		silence()
	})()
	for {
		select {
		case <-ctx.Done():
			n.say(speaking)
			return
		case first := <-n.waiting:
			n.say(speaking, first)
		}
		select {
		case <-ctx.Done():
		case <-n.options.After(between):
		}
	}
}

// say sends one message with the decisions and with all that waits.
func (n *Notifier) say(ctx context.Context, decisions ...report.Decision) {
	for len(n.waiting) > 0 {
		decisions = append(decisions, <-n.waiting)
	}
	if len(decisions) == 0 {
		return
	}
	if err := n.send(ctx, n.message(decisions)); err != nil {
		n.options.Trouble(err)
	}
}

func (n *Notifier) message(all []report.Decision) string {
	more := max(0, len(all)-saidMost)
	for ; len(n.dropped) > 0; more++ {
		<-n.dropped
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%s*", escape(n.options.From))
	for _, d := range all[:min(len(all), saidMost)] {
		mark := ""
		if d.Warning {
			mark = "⚠ "
		}
		fmt.Fprintf(&b, "\n• %s%s: %s (%s)", mark, d.Owner, escape(d.Text), d.Reason)
	}
	if more > 0 {
		fmt.Fprintf(&b, "\n… and %d more: kubectl poolkeeper history", more)
	}
	return b.String()
}

// escape is what Slack wants of texts: these three letters, and no others.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// send tries a message until it is taken, refused for good, or was tried often enough.
func (n *Notifier) send(ctx context.Context, text string) error {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return err
	}
	pause := time.Second
	for try := 1; ; try++ {
		again, err := n.post(ctx, body)
		if err == nil {
			return nil
		}
		if again < 0 || try == tries || ctx.Err() != nil {
			return fmt.Errorf("a notification was given up after %d tries: %w", try, err)
		}
		select {
		case <-ctx.Done():
		case <-n.options.After(min(max(pause, again), pauseMost)):
		}
		pause *= 4
	}
}

// post tries once. After an error it says how long to wait at least before another try; a negative time means that none will help.
func (n *Notifier) post(ctx context.Context, body []byte) (time.Duration, error) {
	address, err := n.address()
	if err != nil {
		return -1, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return -1, errAddress(n.options.URLFile)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := n.client.Do(request)
	if err != nil {
		return 0, withoutURL(err)
	}
	defer answer.Body.Close()
	const most = 200
	said, _ := io.ReadAll(io.LimitReader(answer.Body, most)) // for the message alone
	if answer.StatusCode < 300 {
		return 0, nil
	}
	err = fmt.Errorf("the webhook answered %s: %s", answer.Status, strings.ReplaceAll(strings.TrimSpace(string(said)), address, "(the address)"))
	switch {
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusRequestTimeout, answer.StatusCode >= 500:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After")) // a date, which is rare, counts as nothing said
		return time.Duration(seconds) * time.Second, err
	}
	return -1, err
}

// address reads the webhook's address.
func (n *Notifier) address() (string, error) {
	content, err := os.ReadFile(n.options.URLFile)
	if err != nil {
		return "", fmt.Errorf("--notify-url-file: %w", err)
	}
	text := strings.TrimSpace(string(content))
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", errAddress(n.options.URLFile)
	}
	return text, nil
}

// errAddress doesn't say what the file holds.
func errAddress(file string) error {
	return fmt.Errorf("--notify-url-file: %s: want nothing but the webhook's address, such as https://hooks.example.com/services/…", file)
}

// withoutURL is what an HTTP client's error says, without the address that it names.
func withoutURL(err error) error {
	if named, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("the webhook can't be reached: %w", named.Err)
	}
	return err
}
