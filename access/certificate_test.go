package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
)

// pair writes a certificate for a name, and its key, over what is in the folder.
func pair(t *testing.T, folder, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile, keyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

// name is whose certificate a server with the configuration shows.
func name(t *testing.T, c *tls.Config) string {
	t.Helper()
	shown, err := c.GetCertificate(&tls.ClientHelloInfo{})
	must(t, err)
	return shown.Leaf.Subject.CommonName
}

func TestARenewedCertificateIsUsedWithoutARestart(t *testing.T) {
	folder, clock := t.TempDir(), testclock.NewFakeClock(time.Now())
	certFile, keyFile := pair(t, folder, "first")
	c, err := Load(certFile, keyFile, clock)
	must(t, err)
	config := c.Config()
	if got := name(t, config); got != "first" {
		t.Fatalf("shows %s", got)
	}
	pair(t, folder, "second")
	if got := name(t, config); got != "first" {
		t.Errorf("shows %s at once: the files are looked at every %v", got, lookEvery)
	}
	clock.Step(lookEvery)
	if got := name(t, config); got != "second" {
		t.Errorf("shows %s after %v", got, lookEvery)
	}
	for what, spoil := range map[string]func() error{
		"a certificate without its key": func() error { certFile, _ := pair(t, t.TempDir(), "third"); return os.Rename(certFile, c.certFile) },
		"nonsense":                      func() error { return os.WriteFile(c.certFile, []byte("nonsense"), 0o600) },
		"nothing":                       func() error { return os.Remove(c.certFile) },
	} {
		must(t, spoil())
		clock.Step(lookEvery)
		if got := name(t, config); got != "second" {
			t.Errorf("with %s it shows %s, want that of before", what, got)
		}
		pair(t, folder, "second")
	}
	if config.MinVersion < tls.VersionTLS12 {
		t.Error("takes TLS older than 1.2")
	}
}

func TestACertificateThatCantBeUsedNamesItsFlag(t *testing.T) {
	certFile, keyFile := pair(t, t.TempDir(), "a")
	_, otherKey := pair(t, t.TempDir(), "b")
	for _, c := range []struct{ cert, key, want string }{
		{certFile + "x", keyFile, "--tls-cert-file: open"},
		{certFile, keyFile + "x", "--tls-private-key-file: open"},
		{certFile, otherKey, "are no pair"},
		{keyFile, certFile, "give a certificate and its own private key, both in PEM"},
	} {
		if _, err := Load(c.cert, c.key, testclock.NewFakeClock(time.Now())); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q in it", err, c.want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
