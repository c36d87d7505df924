// Package authority has the command trust the signing proxy, and go through it: a certificate
// authority that lives as long as the run, the bundles that the command's variables for
// certificate authorities point to, and the variables for proxies, the user's and the command's.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Validity. The key of the authority is gone with the process, so that its end protects nobody:
// it only must not come while a run lasts. Apple's systems take no certificate of a server that is
// valid for longer than 825 days (support.apple.com/en-us/103769). The past is there for a clock
// that is set back after the start, and for the command's, if it is another.
const (
	authorityYears = 10
	leafLife       = 30 * 24 * time.Hour
	past           = 30 * 24 * time.Hour
)

// maxHosts bounds the certificates that are kept: each bucket has a host of its own. To make
// one again takes some 50 µs.
const maxHosts = 1000

// maxName is the longest name of a host in DNS (RFC 1035, section 2.3.4).
const maxName = 253

// An Authority is a certificate authority for a few domains. It keeps its key in memory alone,
// and is safe for concurrent use.
type Authority struct {
	domains []string
	ips     []netip.Addr
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	leafKey *ecdsa.PrivateKey // of all hosts: they are all this process

	mu    sync.Mutex
	hosts map[string]*host
}

// host is what is kept of one.
type host struct {
	config *tls.Config
	leaf   *tls.Certificate // nil if there is none yet
}

// New makes an authority that can vouch for the domains, for what is below them, and for nothing
// else, as the critical name constraints of its certificate say (RFC 5280, section 4.2.1.10). A
// domain is a DNS name, or an IP address, which stands for itself alone; one must be a name.
func New(domains []string, now time.Time) (*Authority, error) {
	a := &Authority{hosts: map[string]*host{}}
	template := &x509.Certificate{
		NotBefore:             now.AddDate(-1, 0, 0), // more than leaves reach back
		NotAfter:              now.AddDate(authorityYears, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // of leaves alone
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		PermittedDNSDomainsCritical: true, // all name constraints are
	}
	for _, domain := range domains {
		if ip, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil {
			ip = ip.Unmap().WithZone("")
			a.ips = append(a.ips, ip)
			template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())})
			continue
		}
		name := canonical(domain)
		if !isName(name) {
			return nil, fmt.Errorf("%q is not the name of a domain", domain)
		}
		a.domains = append(a.domains, name)
	}
	if len(a.domains) == 0 {
		return nil, errors.New("an authority needs a domain") // with none permitted all would be
	}
	slices.Sort(a.domains)
	a.domains = slices.Compact(a.domains)
	template.PermittedDNSDomains = a.domains
	if len(a.ips) == 0 {
		for _, all := range []string{"0.0.0.0/0", "::/0"} {
			_, n, _ := net.ParseCIDR(all)
			template.ExcludedIPRanges = append(template.ExcludedIPRanges, n)
		}
	}

	// Where several runs are trusted (one starts another), the subject tells them apart.
	var id [8]byte
	rand.Read(id[:]) // never fails
	template.Subject = pkix.Name{CommonName: "brs-exec " + hex.EncodeToString(id[:])}

	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	if a.leafKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("parse the authority's certificate: %w", err)
	}
	return a, nil
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: a.cert.Raw})
}

// Config returns the configuration of a server that is host (a DNS name or an IP address,
// without a port), also for clients that send no name of a server. It is the same for all
// connections to a host while that is among the last ones, so that TLS sessions are resumed; it
// must not be changed. A handshake fails if the authority does not vouch for the host.
//
// Clients that offer both HTTP/2 and HTTP/1.1 get HTTP/2.
func (a *Authority) Config(name string) *tls.Config {
	name = canonical(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.host(name).config
}

// certificate returns the certificate of a host, valid for at least half of its life from now.
func (a *Authority) certificate(name string) (*tls.Certificate, error) {
	name = canonical(name)
	if !a.vouches(name) {
		return nil, fmt.Errorf("no certificate is made for %q", name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.host(name)
	now := time.Now()
	if h.leaf != nil && now.After(h.leaf.Leaf.NotBefore) && now.Before(h.leaf.Leaf.NotAfter.Add(-leafLife/2)) {
		return h.leaf, nil
	}
	leaf, err := a.issue(name, now)
	if err != nil {
		return nil, fmt.Errorf("make a certificate of %s: %w", name, err)
	}
	h.leaf = leaf
	return leaf, nil
}

// host returns what is kept of one. The caller holds the lock.
func (a *Authority) host(name string) *host {
	h := a.hosts[name]
	if h == nil {
		if len(a.hosts) >= maxHosts {
			clear(a.hosts)
		}
		h = &host{config: &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate(name) },
			NextProtos:     []string{"h2", "http/1.1"},
			MinVersion:     tls.VersionTLS12, // as AWS has it
		}}
		a.hosts[name] = h
	}
	return h
}

// issue makes the certificate of a host.
func (a *Authority) issue(name string, now time.Time) (*tls.Certificate, error) {
	template := &x509.Certificate{
		// Not the host: a common name takes 64 characters, and some check it for constraints.
		Subject:               pkix.Name{Organization: []string{"brs-exec"}},
		NotBefore:             now.Add(-past),
		NotAfter:              now.Add(leafLife),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		template.IPAddresses = []net.IP{ip.AsSlice()}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.leafKey.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.leafKey, Leaf: leaf}, nil
}

// vouches tells whether clients would accept a certificate of the host.
func (a *Authority) vouches(name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil {
		return slices.Contains(a.ips, ip)
	}
	return isName(name) && slices.ContainsFunc(a.domains, func(domain string) bool { return within(name, domain) })
}

// canonical returns a host as it is compared: DNS names in lower case and without the root's
// dot, IP addresses in their shortest form and without brackets.
func canonical(host string) string {
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// within tells whether a DNS name is the domain or below it.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// isName tells whether a name can be in a certificate: ASCII labels with no wildcard. Underscores
// are there: old buckets have them.
func isName(name string) bool {
	if len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
