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
	"errors"
	"io"
	"net"
	"net/http"
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
		// crypto/tls knows no other way to be told which authorities count once it has the chain.
		conf.InsecureSkipVerify = true
		conf.VerifyConnection = func(s tls.ConnectionState) error { return r.verify(s.PeerCertificates, host) }
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
	if host == "" { // which x509 takes for any
		return errors.New("tls: the server has no name")
	}
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
	names := map[string]bool{}
	for _, c := range chain {
		names[string(c.RawIssuer)], names[string(c.RawSubject)] = true, true
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

// authorities are the certificates in a PEM file whose subject is one of names, in DER.
func authorities(file io.Reader, names map[string]bool) (found []*x509.Certificate) {
	const begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
	lines := bufio.NewReaderSize(file, 16<<10)
	var block, der []byte // from its first line on, empty outside of one; how it begins, decoded
	sought := false       // it is one of those
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) == 0 && err != nil {
			return found
		}
		switch {
		case bytes.HasPrefix(line, []byte(begin)):
			block, der, sought = block[:0], der[:0], false
		case len(block) == 0:
			continue
		case bytes.HasPrefix(line, []byte(end)):
			if c := certificateIn(append(block, line...)); c != nil && names[string(c.RawSubject)] {
				found = append(found, c)
			}
			block = block[:0]
			continue
		case !sought:
			der, _ = base64.StdEncoding.AppendDecode(der, line) // of whole groups of four, or all of it is parsed
			if subject, ok := subjectOf(der); ok {
				if sought = names[string(subject)]; !sought {
					block = block[:0]
					continue
				}
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

// subjectOf is the subject of a certificate (RFC 5280 section 4.1), of which no more than the
// beginning need be there.
func subjectOf(der []byte) (subject []byte, ok bool) {
	for range 2 { // Certificate, TBSCertificate
		header, _, ok := derElement(der)
		if !ok {
			return nil, false
		}
		der = der[header:]
	}
	if len(der) > 0 && der[0] == 0xa0 { // the version
		_, size, _ := derElement(der)
		if size > len(der) {
			return nil, false
		}
		der = der[size:]
	}
	for range 4 { // serial number, signature, issuer, validity
		_, size, ok := derElement(der)
		if !ok || size > len(der) {
			return nil, false
		}
		der = der[size:]
	}
	_, size, ok := derElement(der)
	if !ok || size > len(der) {
		return nil, false
	}
	return der[:size], true
}

// derElement is the length of the header of the element that der begins with, and that of the whole element.
func derElement(der []byte) (header, size int, ok bool) {
	if len(der) < 2 || der[0]&0x1f == 0x1f {
		return 0, 0, false
	}
	n := int(der[1])
	if n < 0x80 {
		return 2, 2 + n, true
	}
	n -= 0x80
	if n == 0 || n > 3 || len(der) < 2+n {
		return 0, 0, false
	}
	for _, b := range der[2 : 2+n] {
		size = size<<8 | int(b)
	}
	return 2 + n, 2 + n + size, true
}
