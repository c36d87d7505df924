package source

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"brs-exec/refresh"
)

// X509 names the PEM files of a certificate and its private key. They are read
// anew for each set, so that a renewed certificate is used without a restart.
type X509 struct {
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

func (x X509) validate() error {
	switch {
	case x.Certificate == "":
		return errors.New("no certificate file is named")
	case x.PrivateKey == "":
		return errors.New("no private key file is named")
	}
	if _, ok := cutScheme(x.Certificate, pkcs11Scheme); ok {
		return refresh.Permanentf("pkcs11-tool --module FILE --read-object --type cert --id 01 | openssl x509 -inform der -out FILE.pem gets it out of the token",
			"certificate: is a PEM file; only the private key can be a pkcs11: URI")
	}
	return x.validateHeld()
}

func (s *Spec) validateX509() error {
	switch {
	case s.IoT != nil:
		return s.IoT.validate()
	case s.RolesAnywhere != nil:
		return s.RolesAnywhere.validate(s.Names)
	}
	return nil
}

// pair are the files that a Spec goes by, nil if it goes by none.
func (s *Spec) pair() *pair {
	p := &pair{told: map[[sha256.Size]byte]time.Duration{}}
	switch {
	case s.IoT != nil:
		p.files = s.IoT.X509
	case s.RolesAnywhere != nil:
		p.files = s.RolesAnywhere.X509
	default:
		return nil
	}
	return p
}

// identity is a certificate that belongs to a key.
type identity struct {
	leaf  *x509.Certificate
	chain []*x509.Certificate // what followed it in the file
	key   crypto.Signer
}

// tls is the identity as a client of TLS shows it.
func (id *identity) tls() *tls.Certificate {
	c := &tls.Certificate{Certificate: [][]byte{id.leaf.Raw}, PrivateKey: id.key, Leaf: id.leaf}
	for _, more := range id.chain {
		c.Certificate = append(c.Certificate, more.Raw)
	}
	return c
}

// pair is a certificate and key as they were last read.
type pair struct {
	files   X509
	current *identity                           // nil before they could first be read
	broken  string                              // the note of what is wrong with the files now, "" for nothing
	told    map[[sha256.Size]byte]time.Duration // by certificate, the lowest threshold before its end that a note was made of
}

// checkIdentity reads certificate and key as far as that reaches for no device.
func (s *Source) checkIdentity() error {
	id, err := s.pair.files.read()
	if err == nil && id.held() != nil {
		return id.valid(s.pair.files.Certificate, time.Now())
	}
	_, err = s.identity()
	return err
}

// identity reads certificate and key. While they are being replaced, or are
// broken, those that were read before serve until they end.
func (s *Source) identity() (*identity, error) {
	now := time.Now().Round(0).Add(-s.web.skew()) // by the server's clock, which judges it
	id, err := s.pair.files.read()
	if err == nil {
		err = id.valid(s.pair.files.Certificate, now)
	}
	if err == nil && id.held() != nil {
		err = id.held().proveAfter(s.pair.current)
	}
	if err != nil {
		old := s.pair.current
		if old == nil || old.valid("", now) != nil {
			return nil, err
		}
		s.pair.broken = fmt.Sprintf("%v: keeping to the certificate and key that were read before", err)
		s.note("%s", s.pair.broken)
		id = old
	} else if s.pair.broken != "" {
		s.forget(s.pair.broken)
		s.pair.broken = ""
	}
	s.pair.current = id
	s.noteEnd(id.leaf, now)
	return id, nil
}

// forget lets a note be made again.
func (s *Source) forget(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.said, line)
}

func (x X509) read() (*identity, error) {
	certs, err := readCertificates("certificate", x.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := x.readKey(certs[0].PublicKey)
	if err != nil {
		return nil, err
	}
	id := &identity{leaf: certs[0], chain: certs[1:], key: key}
	if !sameKey(key.Public(), id.leaf.PublicKey) {
		return nil, refresh.Permanentf("they are not of one pair: was only one of the two files replaced?",
			"private key %s does not belong to certificate %s", x.PrivateKey, x.Certificate)
	}
	return id, nil
}

// valid says whether a certificate's time has come, and is not over.
func (id *identity) valid(path string, now time.Time) error {
	switch c := id.leaf; {
	case now.After(c.NotAfter):
		return refresh.Permanentf("renew it: the new one is read at the next try, without a restart",
			"certificate %s has expired: it was valid until %s", path, onClock(c.NotAfter))
	case now.Before(c.NotBefore):
		return verdict{
			text: fmt.Sprintf("certificate %s is not valid before %s", path, onClock(c.NotBefore)),
			hint: fmt.Sprintf("is this machine's clock right? It says %s", onClock(time.Now())),
		}.err()
	}
	return nil
}

const day = 24 * time.Hour

// endNotes are the times before a certificate's end at which a person is told.
var endNotes = [...]time.Duration{30 * day, 14 * day, 7 * day, 3 * day, day}

// noteEnd tells of a certificate's end, once for each threshold. Those that are
// more than a third of its life do not count: it is renewed more often than that.
func (s *Source) noteEnd(c *x509.Certificate, now time.Time) {
	life, left := c.NotAfter.Sub(c.NotBefore), c.NotAfter.Sub(now)
	reached := time.Duration(0)
	for _, t := range endNotes {
		if t <= life/3 && left <= t {
			reached = t
		}
	}
	if life/3 < endNotes[len(endNotes)-1] && left <= life/10 {
		reached = life / 10
	}
	print := sha256.Sum256(c.Raw)
	if told, ok := s.pair.told[print]; reached == 0 || ok && told <= reached {
		return
	}
	s.pair.told[print] = reached
	s.note("certificate %s ends in %s, on %s: renew it (the new one is used without a restart)",
		s.pair.files.Certificate, roughly(left), onClock(c.NotAfter))
}

// roughly is a length of time as people say it.
func roughly(d time.Duration) string {
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return d.Round(time.Minute).String()
}

// readCertificates reads the certificates of a PEM file, at least one, in their
// order. what says in errors which file it is.
func readCertificates(what, path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, refresh.Permanentf("", "%s %s: %v", what, path, deepest(err))
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
			return nil, refresh.Permanentf("", "%s %s: not an X.509 certificate: %v", what, path, err)
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
