//go:build unix

package integration

import (
	"crypto/x509"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeanywhere"
)

// anywhere is a Roles Anywhere whose sessions live for lifetime, and who had them.
type anywhere struct {
	url string

	mu      sync.Mutex // guards holders
	holders []string
}

// startAnywhere starts one that verifies every request, chain and signature.
func startAnywhere(t *testing.T, w *world, ca *certifier, lifetime time.Duration) *anywhere {
	t.Helper()
	a := &anywhere{}
	service := httptest.NewTLSServer(&fakeanywhere.Handler{
		Anchor: ca.cert, Region: "eu-west-1",
		Issue: func(role string, leaf *x509.Certificate) fakeanywhere.Session {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.holders = append(a.holders, leaf.Subject.CommonName)
			c := w.server.Issue(strings.Replace(role, ":iam:", ":sts:", 1)+"/machine", lifetime)
			return fakeanywhere.Session{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires}
		},
	})
	t.Cleanup(service.Close)
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.env["AWS_CA_BUNDLE"] = w.write("service.pem", pemText("CERTIFICATE", service.Certificate().Raw))
	a.url = service.URL
	return a
}

func (a *anywhere) flags(cert, key string) []string {
	return []string{
		"--trust-anchor-arn", "arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/t",
		"--rolesanywhere-profile-arn", "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/p",
		"--rolesanywhere-endpoint", a.url, "--role-arn", roleARN, "--certificate", cert, "--private-key", key,
	}
}

// gave are the names of those who had sessions, in order.
func (a *anywhere) gave() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.holders)
}

// TestRolesAnywhere: a command outlives its sessions and the certificate that they
// are had with; every request is verified, chain and signature.
func TestRolesAnywhere(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 0)
	ca := newCertifier(t)
	const lifetime = 16 * time.Second
	service := startAnywhere(t, w, ca, lifetime)
	flags := service.flags
	client := goClient(t)
	cert, key := ca.write(w, "machine", "first", time.Hour)
	p := w.brsExec(append(flags(cert, key), "--", client)...)
	calls := func(n int) {
		t.Helper()
		eventually(t, patience, "more calls", func() bool { return len(p.stdout.lines()) >= n || p.ended() })
	}
	calls(30)
	ca.write(w, "machine", "second", time.Hour)
	calls(70)
	w.awaitOutlived(p)
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if ok, refused := counts(p); refused > 0 || ok < 70 {
		t.Errorf("%d calls went well, and %d were refused:\n%s", ok, refused, p.stdout.String())
	}
	checkOutlived(t, w, p)
	if got := strings.Join(service.gave(), " "); !strings.HasPrefix(got, "first first") || !strings.HasSuffix(got, "second second") || strings.Contains(got, "second first") {
		t.Errorf("sessions were given to %s, want the first and then the second", got)
	}

	strangerCert, strangerKey := newCertifier(t).write(w, "stranger", "stranger", time.Hour)
	p = w.brsExec(append(flags(strangerCert, strangerKey), "--", "true")...)
	if code := p.exit(); code != 125 || !strings.Contains(p.stderr.String(), "AccessDeniedException: Untrusted signing certificate") {
		t.Errorf("exit code %d for a stranger, want 125\n%s", code, p.stderr.String())
	}
}
