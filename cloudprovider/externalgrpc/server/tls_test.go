package server_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
	"github.com/poolkeeper/poolkeeper/test/certificates"
)

func newAuthority(t testing.TB) *certificates.Authority {
	t.Helper()
	a, err := certificates.NewAuthority()
	must(t, err)
	return a
}

func sign(t testing.TB, a *certificates.Authority, folder string) externalgrpc.Files {
	t.Helper()
	files, err := a.Sign(folder)
	must(t, err)
	return files
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// secured is a server with these files that answers nothing, and a way to connect to it.
func secured(t *testing.T, files externalgrpc.Files) (connect func(externalgrpc.Files) error, drop func()) {
	t.Helper()
	credentials, err := files.ServerCredentials()
	must(t, err)
	s := grpc.NewServer(grpc.Creds(credentials))
	address := serve(t, s)
	var last *externalgrpc.Provider
	connect = func(own externalgrpc.Files) error {
		if last == nil {
			last, err = externalgrpc.NewFromConfig(externalgrpc.Config{Address: address, Files: own, Timeout: 10 * time.Second},
				registry.Options{Clock: clocktesting.NewFakePassiveClock(start)})
			must(t, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return last.Refresh(ctx)
	}
	return connect, func() {
		last.Cleanup()
		last = nil
	}
}

// reached tells whether the error comes from the server's services, and not from the way there.
func reached(err error) bool { return errors.Is(err, cloudprovider.ErrNotImplemented) }

func TestOnlyWhoHasACertificateOfTheAuthorityGetsIn(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	files := sign(t, ours, t.TempDir())
	connect, drop := secured(t, files)
	if err := connect(sign(t, ours, t.TempDir())); !reached(err) {
		t.Errorf("a client with a good certificate: %v", err)
	}
	drop()
	stranger := sign(t, others, t.TempDir())
	stranger.CA = files.CA
	if err := connect(stranger); err == nil || reached(err) {
		t.Errorf("a client with another authority's certificate got in: %v", err)
	}
	drop()
	if err := connect(externalgrpc.Files{CA: files.CA}); err == nil || reached(err) {
		t.Errorf("a client without a certificate got in: %v", err)
	}
	drop()
	if err := connect(externalgrpc.Files{}); err == nil || reached(err) {
		t.Errorf("a client without TLS got in: %v", err)
	}
	drop()
	misled := sign(t, others, t.TempDir())
	err := connect(misled)
	if !errors.Is(err, cloudprovider.ErrUnauthorized) || !strings.Contains(err.Error(), "cacert") {
		t.Errorf("a client that doesn't trust the server: %v; want Unauthorized, and where to look", err)
	}
	drop()
}

func TestRenewedCertificatesCountForTheNextConnection(t *testing.T) {
	old, renewed := newAuthority(t), newAuthority(t)
	here, there := t.TempDir(), t.TempDir()
	connect, drop := secured(t, sign(t, old, there))
	files := sign(t, old, here)
	if err := connect(files); !reached(err) {
		t.Fatalf("at first: %v", err)
	}
	drop()
	sign(t, renewed, there) // the server's side first
	if err := connect(files); err == nil || reached(err) {
		t.Fatalf("the server's files have changed, and it still takes the old authority's clients: %v", err)
	}
	sign(t, renewed, here) // then the client's, whose connection is tried anew
	deadline := time.Now().Add(20 * time.Second)
	err := connect(files)
	for ; !reached(err) && time.Now().Before(deadline); err = connect(files) {
		t.Log("not yet:", err)
	}
	if !reached(err) {
		t.Fatalf("both sides have new files: %v", err)
	}
	drop()
}

func TestAHalfWrittenCertificateLeavesTheFormerOneInForce(t *testing.T) {
	a := newAuthority(t)
	folder := t.TempDir()
	connect, drop := secured(t, sign(t, a, folder))
	files := sign(t, a, t.TempDir())
	if err := connect(files); !reached(err) {
		t.Fatalf("at first: %v", err)
	}
	drop()
	must(t, os.WriteFile(folder+"/cert.pem", []byte("-----BEGIN CERTIF"), 0o600))
	if err := connect(files); !reached(err) {
		t.Errorf("while the server's certificate is half-written: %v", err)
	}
	drop()
}

func TestFilesThatCantBeUsedAreAnErrorAtTheStart(t *testing.T) {
	files := sign(t, newAuthority(t), t.TempDir())
	for name, spoiled := range map[string]externalgrpc.Files{
		"no such certificate": {Cert: files.Cert + "x", Key: files.Key, CA: files.CA},
		"no such authority":   {Cert: files.Cert, Key: files.Key, CA: files.CA + "x"},
		"no certificate":      {Cert: files.Key, Key: files.Key, CA: files.CA},
		"no PEM":              {Cert: files.Cert, Key: files.Key, CA: files.Key},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := spoiled.ServerCredentials(); err == nil {
				t.Error("a server takes them")
			}
			_, err := externalgrpc.NewFromConfig(externalgrpc.Config{Address: "127.0.0.1:1", Files: spoiled}, registry.Options{Clock: clocktesting.NewFakePassiveClock(start)})
			if err == nil {
				t.Error("a client takes them")
			}
		})
	}
	if _, err := (externalgrpc.Files{Cert: files.Cert, Key: files.Key}).ServerCredentials(); err == nil {
		t.Error("a server without an authority for its clients takes everybody")
	}
}
