// Package certificates makes TLS certificates for tests.
package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
)

// Authority signs certificates.
type Authority struct {
	key     *ecdsa.PrivateKey
	cert    *x509.Certificate
	encoded []byte
	serial  int64
}

// NewAuthority makes an authority that lasts for an hour.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(encoded)
	return &Authority{key: key, cert: cert, encoded: encoded, serial: 1}, err
}

// Sign writes a new certificate for 127.0.0.1, its key and the authority's certificate into the folder, over those that are there. It is good for servers
// and clients.
func (a *Authority) Sign(folder string) (externalgrpc.Files, error) {
	a.serial++
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return externalgrpc.Files{}, err
	}
	encodedKey, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return externalgrpc.Files{}, err
	}
	encoded, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: fmt.Sprintf("side %d", a.serial)}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return externalgrpc.Files{}, err
	}
	files := externalgrpc.Files{Cert: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem"), CA: filepath.Join(folder, "ca.pem")}
	for path, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: encoded},
		files.Key:  {Type: "EC PRIVATE KEY", Bytes: encodedKey},
		files.CA:   {Type: "CERTIFICATE", Bytes: a.encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return externalgrpc.Files{}, err
		}
	}
	return files, nil
}
