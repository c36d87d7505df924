package source

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

// authority signs certificates, as a CA of one's own does.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// holder is whom a certificate was issued to.
type holder struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newAuthority makes one; parent is nil for a root.
func newAuthority(t testing.TB, name string, parent *authority) *authority {
	t.Helper()
	now, key := time.Now(), ecKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{cert: template, key: key}
	if parent == nil {
		parent = a
	}
	a.cert = sign(t, template, parent.cert, key.Public(), parent.key)
	return a
}

// issue makes a certificate for key; edit, if not nil, has the last word on it.
func (a *authority) issue(t testing.TB, name string, key crypto.Signer, edit func(*x509.Certificate)) *holder {
	t.Helper()
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	if edit != nil {
		edit(template)
	}
	return &holder{sign(t, template, a.cert, key.Public(), a.key), key}
}

// lives is an edit for issue.
func lives(from, to time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

func sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 150))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// writeTo puts certificate and key into files of dir, after the certificate more.
func (h *holder) writeTo(t testing.TB, dir string, more ...*x509.Certificate) keyfile.Pair {
	t.Helper()
	files := keyfile.Pair{Certificate: filepath.Join(dir, "device.crt"), PrivateKey: filepath.Join(dir, "device.key")}
	text := pemOf(h.cert.Raw)
	for _, c := range more {
		text += pemOf(c.Raw)
	}
	write(t, files.Certificate, text)
	write(t, files.PrivateKey, pkcs8Of(t, h.key))
	return files
}

func pkcs8Of(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// recorded is one request that a fake got.
type recorded struct {
	name   string // of the certificate
	path   string
	header http.Header
}
