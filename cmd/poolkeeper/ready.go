package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// readyLimit is how long a replica may take to answer.
const readyLimit = 10 * time.Second

// ready asks the replica at an address, such as http://poolkeeper:8085, whether it is ready, and says what it answers: for `helm test`, whose image has no
// other program. It gives the exit code.
func ready(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) != 1 || !strings.HasPrefix(args[0], "http") {
		fmt.Fprintln(errs, "poolkeeper ready: want one argument, the address of a replica or of the Service, such as http://poolkeeper:8085")
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	text, err := readiness(ctx, strings.TrimSuffix(args[0], "/")+"/readyz")
	if err != nil {
		fmt.Fprintf(errs, "poolkeeper ready: %v\n", err)
		return 1
	}
	fmt.Fprintln(out, text)
	return 0
}

func readiness(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	// Whose certificate it is doesn't matter to whoever asks for nothing but readiness, as with a kubelet's probes.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}} //nolint:gosec // see above
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	const most = 64 << 10
	text, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	said := strings.TrimSpace(string(text))
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", address, err, said)
	}
	return said, nil
}
