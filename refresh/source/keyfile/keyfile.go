// Package keyfile reads a certificate and the private key that belongs to it: PEM
// files, or a key that a TPM or a PKCS#11 token signs with and does not give away. Its
// errors are *refresh.Error, one line each, and hold nothing of a key or a passphrase.
package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// Pair names the PEM files of a certificate and its private key.
type Pair struct {
	Certificate string // the certificate; intermediates may follow it in the file

	// PrivateKey is RSA or EC, a file: PKCS#1, SEC 1, PKCS#8, encrypted or not, maybe
	// the same file, or the file of a TPM's key (TSS2 PRIVATE KEY). Or a pkcs11: URI
	// (RFC 7512), or tpm2:handle=0x81000001 or tpm2:file=PATH. Builds differ in
	// whether they can use the keys of tokens and TPMs.
	PrivateKey string

	// Passphrase is a file with what opens the key on its first line: the passphrase
	// of an encrypted one, a token's PIN, a TPM key's authorization value. No one but
	// its owner may read it. "" if the key is open, or the URI has a pin-source.
	Passphrase string
}

// Validate checks what can be said without reading a file.
func (p Pair) Validate() error {
	switch {
	case p.Certificate == "":
		return refresh.Permanentf("name it: --certificate FILE", "no certificate file is named")
	case p.PrivateKey == "":
		return refresh.Permanentf("name it: --private-key FILE", "no private key file is named")
	}
	if _, ok := cutScheme(p.Certificate, pkcs11Scheme); ok {
		return refresh.Permanentf("pkcs11-tool --module FILE --read-object --type cert --id 01 | openssl x509 -inform der -out FILE.pem gets it out of the token",
			"certificate: is a PEM file; only the private key can be a pkcs11: URI")
	}
	return p.validateURI()
}

// Identity is a certificate that belongs to a key.
type Identity struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // what followed it in the file
	Key   crypto.Signer       // of Leaf; RSA or EC
}

// Read reads certificate and key. It reaches for no device: whether that has the
// certificate's key is seen when it signs.
func (p Pair) Read() (*Identity, error) {
	certs, err := Certificates("certificate", p.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := p.readKey(certs[0].PublicKey)
	if err != nil {
		return nil, err
	}
	id := &Identity{Leaf: certs[0], Chain: certs[1:], Key: key}
	if !sameKey(key.Public(), id.Leaf.PublicKey) {
		return nil, refresh.Permanentf("they are not of one pair: was only one of the two files replaced?",
			"private key %s does not belong to certificate %s", p.PrivateKey, p.Certificate)
	}
	return id, nil
}

// TLS is the identity as a client of TLS shows it.
func (id *Identity) TLS() *tls.Certificate {
	c := &tls.Certificate{Certificate: [][]byte{id.Leaf.Raw}, PrivateKey: id.Key, Leaf: id.Leaf}
	for _, more := range id.Chain {
		c.Certificate = append(c.Certificate, more.Raw)
	}
	return c
}

// ValidAt says whether at that moment the certificate's time has come, and is not
// over. path names it in errors.
func (id *Identity) ValidAt(moment time.Time, path string) error {
	onClock := func(t time.Time) string { return t.Local().Format(time.RFC3339) }
	switch c := id.Leaf; {
	case moment.After(c.NotAfter):
		return refresh.Permanentf("renew it: the new one is read at the next try, without a restart",
			"certificate %s has expired: it was valid until %s", path, onClock(c.NotAfter))
	case moment.Before(c.NotBefore):
		return &refresh.Error{
			Err:  fmt.Errorf("certificate %s is not valid before %s", path, onClock(c.NotBefore)),
			Hint: "is this machine's clock right? It says " + onClock(time.Now()),
		}
	}
	return nil
}

// Certificates reads the certificates of a PEM file, at least one, in their
// order. what says in errors which file it is.
func Certificates(what, path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	var certs []*x509.Certificate
	other := ""
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			other = block.Type
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, refresh.Permanentf("openssl x509 -noout -text -in FILE shows what it is", "%s %s: not an X.509 certificate: %v", what, path, err)
		}
		certs = append(certs, c)
	}
	switch {
	case len(certs) > 0:
		return certs, nil
	case other != "":
		return nil, refresh.Permanentf("are the files for certificate and key swapped?", "%s %s: holds no certificate, but a %s", what, path, other)
	}
	return nil, refresh.Permanentf("PEM begins with -----BEGIN CERTIFICATE-----; openssl x509 -inform der -in FILE -out FILE.pem makes it of DER",
		"%s %s: holds no certificate in PEM", what, path)
}

// signer checks that a key is of a kind that AWS takes.
func signer(key any) (crypto.Signer, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	}
	return nil, errAlgorithm
}
