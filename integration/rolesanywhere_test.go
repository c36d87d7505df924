//go:build unix

package integration

import (
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"brs-exec/integration/fakeanywhere"
)

// TestRolesAnywhere: a command outlives its sessions and the certificate that they
// are had with; every request is verified, chain and signature.
func TestRolesAnywhere(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 0)
	ca := newCertifier(t)
	const lifetime = 8 * time.Second
	var mu sync.Mutex
	var holders []string
	service := httptest.NewTLSServer(&fakeanywhere.Handler{
		Anchor: ca.cert, Region: "eu-west-1",
		Issue: func(role string, leaf *x509.Certificate) fakeanywhere.Session {
			mu.Lock()
			defer mu.Unlock()
			holders = append(holders, leaf.Subject.CommonName)
			c := w.server.Issue(strings.Replace(role, ":iam:", ":sts:", 1)+"/machine", lifetime)
			return fakeanywhere.Session{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires}
		},
	})
	t.Cleanup(service.Close)
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.env["AWS_CA_BUNDLE"] = w.write("service.pem", pemText("CERTIFICATE", service.Certificate().Raw))
	flags := func(cert, key string) []string {
		return []string{
			"--trust-anchor-arn", "arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/t",
			"--rolesanywhere-profile-arn", "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/p",
			"--rolesanywhere-endpoint", service.URL, "--role-arn", roleARN, "--certificate", cert, "--private-key", key,
		}
	}
	client, err := buildGoV2()
	if err != nil {
		t.Fatal(err)
	}
	cert, key := ca.write(w, "machine", "first", time.Hour)
	p := w.brsExec(append(flags(cert, key), "--", client)...)
	calls := func(n int) {
		t.Helper()
		eventually(t, time.Minute, "more calls", func() bool { return len(p.stdout.lines()) >= n || p.ended() })
	}
	calls(30)
	ca.write(w, "machine", "second", time.Hour)
	calls(70)
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if ok, refused := counts(p); refused > 0 || ok < 70 {
		t.Errorf("%d calls went well, and %d were refused:\n%s", ok, refused, p.stdout.String())
	}
	checkOutlived(t, w, p)
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(holders, " "); !strings.HasPrefix(got, "first first") || !strings.HasSuffix(got, "second second") || strings.Contains(got, "second first") {
		t.Errorf("sessions were given to %s, want the first and then the second", got)
	}

	strangerCert, strangerKey := newCertifier(t).write(w, "stranger", "stranger", time.Hour)
	p = w.brsExec(append(flags(strangerCert, strangerKey), "--", "true")...)
	if code := p.exit(); code != 125 || !strings.Contains(p.stderr.String(), "AccessDeniedException: Untrusted signing certificate") {
		t.Errorf("exit code %d for a stranger, want 125\n%s", code, p.stderr.String())
	}
}
