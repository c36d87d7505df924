package fakeaws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// ServeTLS has the server answer on l, too, until Close: HTTP/1.1 and HTTP/2 over TLS, under
// whatever name c has a certificate for. A host of AWS's is taken at its word: a bucket may be
// its first part, and a signature has to be of its region and service.
func (s *Server) ServeTLS(l net.Listener, c *tls.Config) {
	secure := &http.Server{Handler: s, TLSConfig: c, ErrorLog: log.New(io.Discard, "", 0)}
	s.mu.Lock()
	s.also = append(s.also, secure)
	s.mu.Unlock()
	go secure.ServeTLS(l, "", "")
}

// Authority is a certificate authority of a test, which certifies every name that is asked for.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex // guards leaves
	leaves map[string]*tls.Certificate
}

// NewAuthority makes one that is valid for some hours.
func NewAuthority() (*Authority, error) {
	a := &Authority{leaves: map[string]*tls.Certificate{}}
	c, err := a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "fakeaws"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return nil, err
	}
	a.cert, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	return a, nil
}

// PEM is what a client has to trust.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Config has a certificate for each name.
func (a *Authority) Config() *tls.Config {
	return &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "" {
			return nil, errors.New("the client names no server")
		}
		return a.Certificate(hello.ServerName)
	}}
}

// Certificate is the one for a name, or an address.
func (a *Authority) Certificate(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[name]; c != nil {
		return c, nil
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	c, err := a.make(template)
	if err != nil {
		return nil, err
	}
	a.leaves[name] = c
	return c, nil
}

func (a *Authority) make(template *x509.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(24*time.Hour)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// hostSuffix ends the names that AWS's services have.
var hostSuffix = regexp.MustCompile(`\.(amazonaws\.com|amazonaws\.com\.cn|api\.aws)$`)

// ofAWS returns the labels of a host of AWS's before its suffix, nil if it is none.
func ofAWS(host string) []string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	cut := hostSuffix.FindStringIndex(host)
	if cut == nil {
		return nil
	}
	return strings.Split(host[:cut[0]], ".")
}

// bucketOf returns the bucket that a host names ("BUCKET.s3.us-east-1.amazonaws.com"), or "".
func bucketOf(host string) string {
	labels := ofAWS(host)
	if i := slices.Index(labels, "s3"); i > 0 {
		return strings.Join(labels[:i], ".")
	}
	return ""
}

var region = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)

// fits returns why a service at that host does not take a signature of this scope, or "".
func (s *signedRequest) fits(host string) string {
	for _, label := range ofAWS(host) {
		switch {
		case region.MatchString(label) && label != s.scope[1]:
			return "the scope's region is " + s.scope[1] + " at " + host
		case slices.Contains([]string{"s3", "sts", "dynamodb"}, label) && label != s.service():
			return "the scope's service is " + s.service() + " at " + host
		}
	}
	return ""
}
