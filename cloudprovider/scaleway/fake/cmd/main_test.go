package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

// page is what the program writes, to be read while it runs.
type page struct {
	mutex sync.Mutex
	text  bytes.Buffer
	first chan struct{}
	once  sync.Once
}

func (p *page) Write(b []byte) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	defer p.once.Do(func() { close(p.first) })
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.text.String()
}

func TestTheProgramServesTheClusterThatItsFlagsDescribe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &page{first: make(chan struct{})}, make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--address=127.0.0.1:0", "--pool=web,size=2,tag=poolkeeper-max=5", "--speed=100"}, out)
	}()
	<-out.first
	found := regexp.MustCompile(`cluster (\S+) serves on (\S+);`).FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("it says %s", out)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, found[2]+"/k8s/v1/regions/fr-par/clusters/"+found[1]+"/pools", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Auth-Token", fake.SecretKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(body), `"poolkeeper-max=5"`) || !strings.Contains(string(body), `"size":2`) {
		t.Errorf("%s, %v", body, err)
	}
	cancel()
	if err := <-done; err != nil || !strings.Contains(out.String(), "1 requests were answered") {
		t.Errorf("it ended with %v, and said %s", err, out)
	}
}

func TestFlagsThatCantBeAreRefused(t *testing.T) {
	for flags, want := range map[string]string{
		"--speed=0": "above 0", "--pool=": "needs a name", "--pool=web,size=many": "size", "--pool=web,colour=red": "is not known", "--pool=web,size=-1": "0 or more", "--pool=web,size=999999999": "up to 1000",
		"--kubeconfig=/nowhere": "--kubeconfig", "--address=nowhere:x": "unknown port",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := run(ctx, []string{flags}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flags, err, want)
		}
		cancel()
	}
}
