package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// roots are the system's certificate authorities. They verify a server as crypto/tls does, but of
// the file that Go reads them from only those are parsed that the server's chain names. Go parses
// all, on Debian each of 140 three times, which takes longer than all the rest of a start.
//
// What they accept Go accepts, too: the verification is Go's own, with a part of its authorities. What they do not
// accept is left to Go, with all of them.
type roots struct {
	open func() (io.ReadCloser, error) // the file that Go reads first; nil: it asks the system
	all  *x509.CertPool                // of which those are a part; nil: all that Go finds

	mu    sync.Mutex
	known *x509.CertPool // those that a server's chain has named; nil: none yet. It is replaced, not changed
}

// dialTLS is how t makes its TLS connections without a proxy; nil leaves them to t.
func (r *roots) dialTLS(t *http.Transport) func(ctx context.Context, network, address string) (net.Conn, error) {
	if r.open == nil || t.TLSClientConfig.RootCAs != nil || fips140.Enabled() { // which has rules for chains, too
		return nil
	}
	dial, conf, limit := t.DialContext, t.TLSClientConfig, t.TLSHandshakeTimeout
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conf := conf.Clone()
		conf.ServerName = host
		if host != "" { // else crypto/tls refuses, where x509 would take any name
			// crypto/tls knows no other way to be told which authorities count once it has the chain.
			conf.InsecureSkipVerify = true
			conf.VerifyConnection = func(s tls.ConnectionState) error { return r.verify(s.PeerCertificates, host) }
		}
		secure := tls.Client(conn, conf)
		conn.SetDeadline(time.Now().Add(limit))
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn.SetDeadline(time.Time{})
		return secure, nil
	}
}

// verify verifies the chain that a server has shown for host.
func (r *roots) verify(chain []*x509.Certificate, host string) error {
	opts := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	by := func(pool *x509.CertPool) error {
		opts.Roots = pool
		_, err := chain[0].Verify(opts)
		return err
	}
	if known := r.parsed(); known != nil && by(known) == nil {
		return nil
	}
	if named := r.parse(chain); named != nil && by(named) == nil {
		return nil
	}
	if err := by(r.all); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

func (r *roots) parsed() *x509.CertPool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known
}

// parse adds to those that are known the authorities that chain names, and returns nil if
// there are none.
func (r *roots) parse(chain []*x509.Certificate) *x509.CertPool {
	file, err := r.open()
	if err != nil {
		return nil
	}
	defer file.Close()
	var names [][]byte
	for _, c := range chain {
		names = append(names, c.RawIssuer, c.RawSubject)
	}
	found := authorities(file, names)
	if len(found) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pool := x509.NewCertPool()
	if r.known != nil {
		pool = r.known.Clone()
	}
	for _, c := range found {
		pool.AddCert(c)
	}
	r.known = pool
	return pool
}

// beginning is how much of a certificate is looked at for a name. The subject stands before the
// key, and of an authority it ends within some 300 bytes.
const beginning = 384

// authorities are the certificates in a PEM file whose subject is one of names, in DER: none if the
// file cannot be read to its end. It may miss one that is written in an unusual way.
func authorities(file io.Reader, names [][]byte) (found []*x509.Certificate) {
	const begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
	named := func(by func(name []byte) bool) bool { return slices.ContainsFunc(names, by) }
	lines := bufio.NewReaderSize(file, 16<<10)
	var block, der []byte // from its first line on, empty outside of one; how it begins, decoded
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && err != io.EOF { // also that a line is too long
			return nil
		}
		if len(line) == 0 {
			return found
		}
		switch {
		case bytes.HasPrefix(line, []byte(begin)):
			block, der = block[:0], der[:0]
		case len(block) == 0:
			continue
		case bytes.HasPrefix(line, []byte(end)):
			c := certificateIn(append(block, line...))
			if c != nil && named(func(name []byte) bool { return bytes.Equal(name, c.RawSubject) }) {
				found = append(found, c)
			}
			block = block[:0]
			continue
		case len(der) < beginning:
			der, _ = base64.StdEncoding.AppendDecode(der, line)
			if len(der) >= beginning && !named(func(name []byte) bool { return bytes.Contains(der, name) }) {
				block = block[:0]
				continue
			}
		}
		block = append(block, line...)
	}
}

// certificateIn is the certificate in a block of PEM, nil if there is none.
func certificateIn(block []byte) *x509.Certificate {
	p, _ := pem.Decode(block)
	if p == nil || p.Type != "CERTIFICATE" || len(p.Headers) > 0 {
		return nil
	}
	c, err := x509.ParseCertificate(p.Bytes)
	if err != nil {
		return nil
	}
	return c
}
