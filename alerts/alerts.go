// Package alerts asks a Prometheus server which alerts fire. Nothing is upgraded while some do.
package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Source asks a Prometheus server, or whatever speaks its query API.
type Source struct {
	client  *http.Client
	address string
	ignore  []string
}

// timeout bounds one question.
const timeout = 10 * time.Second

// most is how many bytes of an answer are read: an alert is about 300.
const most = 4 << 20

// New makes a source of the server's address, such as http://prometheus.monitoring:9090. Only alerts that the matcher selects count, such as
// severity="critical"; empty selects all. Those of the names in ignore never do.
func New(address, matcher string, ignore []string) (*Source, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address: write it as in http://prometheus.monitoring:9090", address)
	}
	selector := `ALERTS{alertstate="firing"`
	if matcher = strings.Trim(strings.TrimSpace(matcher), "{}"); matcher != "" {
		selector += "," + matcher
	}
	base = base.JoinPath("api/v1/query")
	base.RawQuery = url.Values{"query": {"count by (alertname) (" + selector + "})"}}.Encode()
	return &Source{client: &http.Client{Timeout: timeout}, address: base.String(), ignore: ignore}, nil
}

// Firing are the names of the alerts that fire, in their order.
func (s *Source) Firing(ctx context.Context) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask which alerts fire: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask which alerts fire: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return nil, fmt.Errorf("ask which alerts fire: %w", err)
	}
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     []struct{ Metric struct{ Alertname string } }
		}
	}
	err = json.Unmarshal(body, &answer)
	switch {
	case err == nil && answer.Status == "error":
		return nil, fmt.Errorf("ask which alerts fire: the server answered: %s", answer.Error)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask which alerts fire: the server answered %s", response.Status)
	case err != nil || answer.Status != "success" || answer.Data.ResultType != "vector":
		return nil, fmt.Errorf("ask which alerts fire: the answer is not that of a Prometheus server")
	}
	var names []string
	for _, one := range answer.Data.Result {
		if name := one.Metric.Alertname; !slices.Contains(s.ignore, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
