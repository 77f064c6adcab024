package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
)

// authority signs certificates for tests.
type authority struct {
	t       testing.TB
	key     *ecdsa.PrivateKey
	cert    *x509.Certificate
	encoded []byte
	serial  int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(encoded)
	must(t, err)
	return &authority{t: t, key: key, cert: cert, encoded: encoded, serial: 1}
}

// sign writes a new certificate for 127.0.0.1, its key and the authority's certificate into the folder, over those that are there.
func (a *authority) sign(folder string) externalgrpc.Files {
	a.t.Helper()
	a.serial++
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	encodedKey, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	encoded, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: "one side"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(folder, name)
		must(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
		return path
	}
	return externalgrpc.Files{
		Cert: write("cert.pem", "CERTIFICATE", encoded), Key: write("key.pem", "EC PRIVATE KEY", encodedKey), CA: write("ca.pem", "CERTIFICATE", a.encoded),
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
