package externalgrpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Files are the PEM files of one side of a TLS connection.
type Files struct {
	// Cert and Key are the side's own certificate, with what leads to its root, and private key.
	Cert, Key string
	// CA has the roots that the other side's certificate must come from. Without it a client takes the system's, and a server asks for no certificate.
	CA string
}

// Any tells whether there is any file, and so encryption.
func (f Files) Any() bool { return f != Files{} }

// pems are the files as they were last read without a problem. They are read again for each handshake, so that a renewed certificate needs no restart; should one
// be half-written at that moment, what was read before goes on.
type pems struct {
	files Files
	mutex sync.Mutex
	last  *tls.Config
}

// read gives a configuration with the certificate and the roots as they are now, the latter both as those of servers and of clients.
func (p *pems) read() (*tls.Config, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	fresh, err := p.files.load()
	if err == nil {
		p.last = fresh
	}
	if p.last == nil {
		return nil, err
	}
	return p.last.Clone(), nil
}

func (f Files) load() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate %s and its key %s: %w", f.Cert, f.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if f.CA != "" {
		content, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("read the authority's certificate %s: there is no certificate in it; it has to be PEM", f.CA)
		}
		config.RootCAs, config.ClientCAs = roots, roots
	}
	return config, nil
}

// clientCredentials are those of a client that wants the server to have that name. Files that can't be used now are an error now.
func (f Files) clientCredentials(serverName string) (credentials.TransportCredentials, error) {
	if !f.Any() {
		return insecure.NewCredentials(), nil
	}
	p := &pems{files: f}
	config, err := p.read()
	if err != nil {
		return nil, err
	}
	config.ServerName = serverName
	return &reloading{TransportCredentials: credentials.NewTLS(config), pems: p, name: serverName}, nil
}

// ServerCredentials are those of a server that wants to see a certificate of its clients. Files that can't be used now are an error now.
func (f Files) ServerCredentials() (credentials.TransportCredentials, error) {
	if f.Cert == "" || f.Key == "" || f.CA == "" {
		return nil, errors.New("mutual TLS needs all of certificate, key and the authority of the clients' certificates")
	}
	p := &pems{files: f}
	if _, err := p.read(); err != nil {
		return nil, err
	}
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		config, err := p.read()
		if err != nil {
			return nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		return config, nil
	}}), nil
}

// reloading shakes hands with what the files have at that moment.
type reloading struct {
	credentials.TransportCredentials
	pems *pems
	name string
}

// ClientHandshake implements [credentials.TransportCredentials].
func (r *reloading) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := r.pems.read()
	if err != nil {
		return nil, nil, err
	}
	config.ServerName = r.name
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

// Clone implements [credentials.TransportCredentials].
func (r *reloading) Clone() credentials.TransportCredentials {
	return &reloading{TransportCredentials: r.TransportCredentials.Clone(), pems: r.pems, name: r.name}
}
