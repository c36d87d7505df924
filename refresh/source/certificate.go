package source

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

// pair are the files that a Spec goes by, nil if it goes by none.
func (s *Spec) pair() *keyPair {
	p := &keyPair{noted: map[[sha256.Size]byte]time.Duration{}}
	switch {
	case s.IoT != nil:
		p.files = s.IoT.Pair
	case s.RolesAnywhere != nil:
		p.files = s.RolesAnywhere.Pair
	default:
		return nil
	}
	return p
}

// keyPair is a certificate and key as they were last read.
type keyPair struct {
	files   keyfile.Pair
	current *keyfile.Identity                   // nil before they could first be read
	broken  string                              // the note of what is wrong with the files now, "" for nothing
	noted   map[[sha256.Size]byte]time.Duration // by certificate, the lowest threshold before its end that a note was made of
}

// checkIdentity reads certificate and key as far as that reaches for no device.
func (s *Source) checkIdentity() error {
	id, err := s.pair.files.Read()
	if err == nil && id.InDevice() {
		return id.ValidAt(time.Now(), s.pair.files.Certificate)
	}
	_, err = s.identity()
	return err
}

// identity reads certificate and key. While they are being replaced, or are
// broken, those that were read before serve until they end.
func (s *Source) identity() (*keyfile.Identity, error) {
	now := time.Now().Round(0).Add(-s.web.skew()) // by the server's clock, which judges it
	id, err := s.pair.files.Read()
	if err == nil {
		err = id.ValidAt(now, s.pair.files.Certificate)
	}
	if err == nil {
		err = id.Prove(s.pair.current)
	}
	if err != nil {
		old := s.pair.current
		if old == nil || old.ValidAt(now, "") != nil {
			return nil, err
		}
		s.pair.broken = fmt.Sprintf("%v: the certificate and key that were read before are still used", err)
		s.note("%s", s.pair.broken)
		id = old
	} else if s.pair.broken != "" {
		s.forget(s.pair.broken)
		s.pair.broken = ""
	}
	s.pair.current = id
	s.noteCertificateExpiry(id.Leaf, now)
	return id, nil
}

// forget lets a note be made again.
func (s *Source) forget(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.noted, line)
	s.pool.forgetNote(line)
}

const day = 24 * time.Hour

// expiryNotes are the times before a certificate's expiry at which a person is told.
var expiryNotes = [...]time.Duration{30 * day, 14 * day, 7 * day, 3 * day, day}

// noteCertificateExpiry notes a certificate's expiry, once for each threshold. Those that are
// more than a third of its lifetime do not count: it is renewed more often than that.
func (s *Source) noteCertificateExpiry(c *x509.Certificate, now time.Time) {
	lifetime, left := c.NotAfter.Sub(c.NotBefore), c.NotAfter.Sub(now)
	reached := time.Duration(0)
	for _, t := range expiryNotes {
		if t <= lifetime/3 && left <= t {
			reached = t
		}
	}
	if lifetime/3 < expiryNotes[len(expiryNotes)-1] && left <= lifetime/10 {
		reached = lifetime / 10
	}
	print := sha256.Sum256(c.Raw)
	if told, ok := s.pair.noted[print]; reached == 0 || ok && told <= reached {
		return
	}
	s.pair.noted[print] = reached
	s.note("certificate %s expires in %s, on %s: renew it (the new one is used without a restart)",
		s.pair.files.Certificate, roughly(left), formatTime(c.NotAfter))
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
