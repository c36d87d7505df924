package source

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"brs-exec.example/brs-exec/refresh"
)

// classifyNetwork classifies failures without a response: names, connections, TLS, time limits.
func (s *Source) classifyNetwork(err error) *refresh.Error {
	var (
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		invalid x509.CertificateInvalidError
		op      *net.OpError
		timeout net.Error
	)
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errElsewhere):
		_, status, _ := strings.Cut(err.Error(), errElsewhere.Error()+": ")
		return refresh.Permanentf("check the endpoint"+s.endpointHint(), "%s%s", status, s.fromServer())
	case errors.Is(err, errTooLong):
		return transientf("", "%v%s", errTooLong, s.fromServer())
	case errors.As(err, &dns):
		hint := ""
		if dns.IsNotFound {
			hint = "check the network, the region, and any endpoint URL" + s.endpointHint()
		}
		return transientf(hint, "cannot resolve %s", dns.Name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return transientf("is this machine's clock right?", "TLS certificate%s: has expired or is not yet valid", s.fromServer())
	case errors.As(err, &cert):
		hint := cmp.Or(s.caFileHint(), s.vars().caHint(), "set AWS_CA_BUNDLE to the certificates of the authority that signs for this server or proxy")
		return refresh.Permanentf(hint, "TLS certificate%s: %v", s.fromServer(), deepest(cert.Err))
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return transientf("is it an http:// address, or another port?"+s.endpointHint(), "no TLS%s", s.fromServer())
	case errors.Is(err, net.ErrClosed), errors.As(err, &timeout) && timeout.Timeout():
		// Closed is what is seen of the client's time limit if it strikes in a read.
		return transientf("", "no answer in time%s", s.fromServer())
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return transientf(proxyHint, "%v", op)
	case errors.As(err, &op) && op.Op == "dial":
		return transientf("", "%v", op)
	case errors.As(err, &op): // without its port of ours, which is another one each time
		return transientf("", "connection%s: %v", strings.Replace(s.fromServer(), "from", "to", 1), deepest(op))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return transientf("", "incomplete answer%s", s.fromServer())
	case errors.Is(err, io.EOF):
		return transientf("", "connection closed without an answer%s", s.fromServer())
	}
	return nil
}

// classifyMetadata is for the instance metadata service, the last resort of the SDK's
// chain: on most machines there is none, which then says that nothing else was found.
func (s *Source) classifyMetadata(f *resolved, err error) *refresh.Error {
	if f != nil && f.missing != "" && !s.succeeded && !s.web.heard() {
		return refresh.Permanentf("add what is missing; in between the instance's role was looked for, and there is none", "%s", f.missing)
	}
	if f.chainEnd() && !s.succeeded && !s.web.heard() {
		why := "no instance metadata service answers"
		if s.vars().isTrue("AWS_EC2_METADATA_DISABLED") {
			why = "the instance metadata service is disabled"
		}
		where := "in the environment, in the profile, or from a container"
		if s.spec.Profile != "" {
			where = fmt.Sprintf("in profile %q, or from a container", s.spec.Profile)
		}
		return refresh.Permanentf(s.vars().noSourceHint(), "no AWS credentials found: none %s, and %s", where, why)
	}
	r, ok := refusalIn(err)
	switch {
	case ok && r.status == http.StatusNotFound:
		return refresh.Permanentf(s.vars().noSourceHint(), "this instance has no role")
	case ok && r.code == "" && r.status >= 400:
		return transientf("", "the instance metadata service answers %d %s", r.status, http.StatusText(r.status))
	case !ok && s.web.lastStatus() == http.StatusUnauthorized: // the SDK hides it
		return transientf("", "the instance metadata service gave no session token, and refuses what comes without one")
	}
	return nil
}
