package access

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// lookEvery is how long a certificate is used before its files are looked at again: those who renew it write both files long before the old one ends.
const lookEvery = 10 * time.Second

// Certificate is what the daemon is known by, kept in two files.
type Certificate struct {
	certFile, keyFile string
	clock             clock.PassiveClock

	mu         sync.Mutex
	held       *tls.Certificate
	cert, key  []byte
	looked     time.Time
	complained string
}

// Load reads a certificate with its chain, and its private key, from files in PEM. The error names the flag.
func Load(certFile, keyFile string, c clock.PassiveClock) (*Certificate, error) {
	loaded := &Certificate{certFile: certFile, keyFile: keyFile, clock: c}
	if err := loaded.look(); err != nil {
		return nil, err
	}
	return loaded, nil
}

// Config is how a server offers the certificate. A handshake looks at the files when that was not done for a while; what can't be used is complained of once, and the
// certificate of before stays.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}
}

func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clock.Since(c.looked) < lookEvery {
		return c.held
	}
	switch err := c.look(); {
	case err == nil:
		c.complained = ""
	case err.Error() != c.complained:
		c.complained = err.Error()
		klog.ErrorS(err, "The certificate can't be read anew; the one of before stays in use")
	}
	return c.held
}

// look reads the files, and takes over what is new in them.
func (c *Certificate) look() error {
	c.looked = c.clock.Now()
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("--tls-cert-file: %w; give the path of a certificate in PEM", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-private-key-file: %w; give the path of the certificate's private key in PEM", err)
	}
	if c.held != nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("--tls-cert-file=%s and --tls-private-key-file=%s are no pair: %w; give a certificate and its own private key, both in PEM", c.certFile, c.keyFile, err)
	}
	if c.held != nil {
		klog.InfoS("The certificate was read anew", "file", c.certFile, "ends", pair.Leaf.NotAfter)
	}
	c.held, c.cert, c.key = &pair, cert, key
	return nil
}
