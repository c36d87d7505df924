package source

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

// checkJudged checks an error that only a person can mend; "" wants none.
func checkJudged(t *testing.T, err error, want, hint string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		return
	}
	known, ok := err.(*refresh.Error)
	if !ok || known.Error() != want || !known.Permanent || !strings.Contains(known.Hint, hint) {
		t.Errorf("error %q (%+v)\nwant  %q, permanent, hint with %q", err, err, want, hint)
		return
	}
	presentable(t, known.Error())
	presentable(t, known.Hint)
}

// x509Source is a Source that reads certificates and asks no one.
func x509Source(files keyfile.Pair) *Source {
	s := &Source{spec: Spec{IoT: &IoT{Pair: files}}, web: newWeb(limits{}), pool: newPool()}
	s.pair = s.spec.pair()
	return s
}

func TestCertificateEnds(t *testing.T) {
	t.Parallel()
	isolate(t)
	ca := newAuthority(t, "ca", nil)
	now := time.Now()
	t.Run("over", func(t *testing.T) {
		files := ca.issue(t, "d", ecKey(t), lives(now.AddDate(0, 0, -9), now.Add(-time.Minute))).writeTo(t, t.TempDir())
		_, err := x509Source(files).identity()
		if err == nil {
			t.Fatal("an expired certificate is used")
		}
		checkJudged(t, err, "certificate "+files.Certificate+" has expired: it was valid until "+now.Add(-time.Minute).UTC().Format(time.RFC3339), "without a restart")
	})
	t.Run("not yet", func(t *testing.T) {
		files := ca.issue(t, "d", ecKey(t), lives(now.Add(time.Hour), now.AddDate(1, 0, 0))).writeTo(t, t.TempDir())
		_, err := x509Source(files).identity()
		known, ok := err.(*refresh.Error)
		if !ok || known.Permanent || !strings.Contains(known.Error(), "is not valid before") || !strings.Contains(known.Hint, "clock") {
			t.Errorf("error %+v, want a transient one with a hint on the clock", err)
		}
	})
	t.Run("not yet, at start", func(t *testing.T) {
		// The clock of a machine that boots may be set any moment.
		files := ca.issue(t, "d", ecKey(t), lives(now.Add(time.Hour), now.AddDate(1, 0, 0))).writeTo(t, t.TempDir())
		s, err := newIn(t, Spec{IoT: &IoT{Pair: files, Endpoint: "127.0.0.1:1", RoleAlias: "app"}})
		if err != nil {
			t.Fatalf("New = %v", err)
		}
		_, err = s.Retrieve(t.Context())
		if e := failure(t, err); e.Permanent || !strings.Contains(e.Error(), "is not valid before") {
			t.Errorf("Retrieve = %v", e)
		}
	})
	t.Run("by the server's clock", func(t *testing.T) {
		files := ca.issue(t, "d", ecKey(t), lives(now.AddDate(0, 0, -9), now.Add(-time.Minute))).writeTo(t, t.TempDir())
		s := x509Source(files)
		s.web.answered(now, now.Add(-time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
		if _, err := s.identity(); err != nil {
			t.Errorf("error %v, though the server's clock is an hour behind", err)
		}
	})
}

// TestCertificateEndIsTold: once for each threshold, and only for those that are
// not part of the certificate's usual life.
func TestCertificateEndIsTold(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca", nil)
	for _, tt := range []struct {
		name string
		life time.Duration
		want []string // "expires in …", in order, as time goes by
	}{
		{"a year", 365 * day, []string{"29 days", "13 days", "6 days", "2 days", "23 hours"}},
		{"90 days", 90 * day, []string{"29 days", "13 days", "6 days", "2 days", "23 hours"}},
		{"a week", 7 * day, []string{"23 hours"}},
		{"a day", day, []string{"2 hours"}},
		{"an hour", time.Hour, []string{"6m0s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now().Truncate(time.Second)
			c := ca.issue(t, "d", ecKey(t), lives(start, start.Add(tt.life))).cert
			s := x509Source(keyfile.Pair{Certificate: "device.crt"})
			var got []string
			step := min(time.Hour, tt.life/100)
			for at := start; at.Before(start.Add(tt.life)); at = at.Add(step) {
				s.noteCertificateExpiry(c, at.Add(time.Second))
				for _, n := range s.Notes() {
					_, after, _ := strings.Cut(n, " expires in ")
					when, _, _ := strings.Cut(after, ",")
					got = append(got, when)
					presentable(t, n)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("told %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRotation: what is in the files counts, but not what is broken in them.
func TestRotation(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t, "ca", nil), t.TempDir()
	first, second := ca.issue(t, "first", ecKey(t), nil), ca.issue(t, "second", ecKey(t), nil)
	files := first.writeTo(t, dir)
	s := x509Source(files)
	name := func() string {
		t.Helper()
		id, err := s.identity()
		if err != nil {
			t.Fatal(err)
		}
		return id.Leaf.Subject.CommonName
	}
	step := func(what, want string, notes int) {
		t.Helper()
		if got := name(); got != want {
			t.Errorf("%s: the certificate is %s, want %s", what, got, want)
		}
		if n := s.Notes(); len(n) != notes {
			t.Errorf("%s: notes %q, want %d", what, n, notes)
		}
	}
	step("at first", "first", 0)
	write(t, files.Certificate, pemOf(second.cert.Raw))
	step("between the two", "first", 1)
	step("between the two still", "first", 0)
	write(t, files.PrivateKey, pkcs8Of(t, second.key))
	step("after", "second", 0)
	write(t, files.Certificate, pemOf(second.cert.Raw)[:100])
	step("half written", "second", 1)
	if err := os.Remove(files.Certificate); err != nil {
		t.Fatal(err)
	}
	step("gone", "second", 1)
	first.writeTo(t, dir)
	step("back to the first", "first", 0)

	// What was read before helps no longer than it lives.
	now := time.Now()
	ca.issue(t, "short", ecKey(t), lives(now.Add(-time.Hour), now.Add(time.Hour))).writeTo(t, dir)
	step("short", "short", 0)
	if err := os.Remove(files.PrivateKey); err != nil {
		t.Fatal(err)
	}
	s.web.answered(now, now.Add(2*time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	_, err := s.identity()
	checkJudged(t, err, "private key "+files.PrivateKey+": no such file or directory", "")
}

// TestX509Specs: what cannot work is refused before anyone is asked.
func TestX509Specs(t *testing.T) {
	t.Parallel()
	isolate(t)
	dir := t.TempDir()
	files := newAuthority(t, "ca", nil).issue(t, "d", ecKey(t), nil).writeTo(t, dir)
	iot := func(edit func(*IoT)) Spec {
		i := &IoT{Pair: files, Endpoint: "x.credentials.iot.eu-west-1.amazonaws.com", RoleAlias: "app"}
		edit(i)
		return Spec{IoT: i}
	}
	const anchor, profile = "arn:aws:rolesanywhere:eu-west-1:1:trust-anchor/a", "arn:aws:rolesanywhere:eu-west-1:1:profile/p"
	anywhere := func(edit func(*RolesAnywhere)) Spec {
		r := &RolesAnywhere{Pair: files, TrustAnchorARN: anchor, ProfileARN: profile, RoleARN: roleA}
		edit(r)
		return Spec{RolesAnywhere: r}
	}
	for _, tt := range []struct {
		name       string
		spec       Spec
		want, hint string
	}{
		{"IoT", iot(func(*IoT) {}), "", ""},
		{"IoT by URL and port", iot(func(i *IoT) { i.Endpoint = "https://iot.example:8443/" }), "", ""},
		{"IoT data endpoint", iot(func(i *IoT) { i.Endpoint = "a1b2-ats.iot.eu-west-1.amazonaws.com" }),
			"IoT endpoint a1b2-ats.iot.eu-west-1.amazonaws.com: this is the endpoint for messages (MQTT), or for something else, not the one for credentials", "iot:CredentialProvider"},
		{"IoT data endpoint in China", iot(func(i *IoT) { i.Endpoint = "https://A1.ats.iot.cn-north-1.amazonaws.com.cn" }),
			"IoT endpoint a1.ats.iot.cn-north-1.amazonaws.com.cn: this is the endpoint for messages (MQTT), or for something else, not the one for credentials", "iot:CredentialProvider"},
		{"IoT no TLS", iot(func(i *IoT) { i.Endpoint = "http://127.0.0.1" }), `IoT endpoint "http://127.0.0.1": must be https`, ""},
		{"IoT no host", iot(func(i *IoT) { i.Endpoint = "" }), "IoT endpoint: is not a host, host:port or https:// URL", ""},
		{"IoT with a path", iot(func(i *IoT) { i.Endpoint = "https://x/role-aliases" }), "IoT endpoint: is not a host, host:port or https:// URL", ""},
		{"IoT with a password", iot(func(i *IoT) { i.Endpoint = "https://me:" + shortSecret + "@x" }), "IoT endpoint: is not a host, host:port or https:// URL", ""},
		{"IoT no certificate", iot(func(i *IoT) { i.Certificate = "" }), "no certificate file is named", ""},
		{"IoT no key", iot(func(i *IoT) { i.PrivateKey = "" }), "no private key file is named", ""},
		{"IoT unreadable key", iot(func(i *IoT) { i.PrivateKey = dir + "/none" }), "private key " + dir + "/none: no such file or directory", ""},
		{"Roles Anywhere", anywhere(func(*RolesAnywhere) {}), "", ""},
		{"Roles Anywhere on loopback", anywhere(func(r *RolesAnywhere) { r.Endpoint = "http://127.0.0.1:1" }), "", ""},
		{"Roles Anywhere without TLS", anywhere(func(r *RolesAnywhere) { r.Endpoint = "http://192.0.2.1" }), `Roles Anywhere endpoint "http://192.0.2.1": must be https`, ""},
		{"anchor and profile swapped", anywhere(func(r *RolesAnywhere) { r.TrustAnchorARN = profile }),
			`trust anchor "` + profile + `": is not arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID`, ""},
		{"no profile", anywhere(func(r *RolesAnywhere) { r.ProfileARN = "prod" }),
			`Roles Anywhere profile "prod": is not arn:aws:rolesanywhere:REGION:ACCOUNT:profile/ID`, ""},
		{"two regions", anywhere(func(r *RolesAnywhere) { r.ProfileARN = strings.Replace(profile, "west", "north", 1) }),
			"the trust anchor is in eu-west-1, and the Roles Anywhere profile in eu-north-1: both must be in one region", ""},
		{"placeholder", anywhere(func(r *RolesAnywhere) { r.SessionName = "{x}" }), `session name "{x}": {x}: no such placeholder`, "{user}"},
		{"unknown partition", anywhere(func(r *RolesAnywhere) {
			r.TrustAnchorARN, r.ProfileARN = strings.Replace(anchor, "aws", "aws-moon", 1), strings.Replace(profile, "aws", "aws-moon", 1)
		}), `partition "aws-moon": its Roles Anywhere endpoint is not known: name it`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newIn(t, tt.spec)
			if tt.want == "" {
				if err != nil {
					t.Errorf("New = %v", err)
				}
				return
			}
			e := failure(t, err)
			if e.Error() != tt.want || !e.Permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("New = %q (hint %q, permanent %v)\nwant  %q", e, e.Hint, e.Permanent, tt.want)
			}
		})
	}
}

func TestRolesAnywhereEndpoint(t *testing.T) {
	t.Parallel()
	isolate(t)
	for _, tt := range []struct{ anchor, fips, endpoint, want string }{
		{"arn:aws:rolesanywhere:eu-west-1:1:trust-anchor/a", "", "", "https://rolesanywhere.eu-west-1.amazonaws.com"},
		{"arn:aws:rolesanywhere:us-east-2:1:trust-anchor/a", "true", "", "https://rolesanywhere-fips.us-east-2.amazonaws.com"},
		{"arn:aws-cn:rolesanywhere:cn-north-1:1:trust-anchor/a", "", "", "https://rolesanywhere.cn-north-1.amazonaws.com.cn"},
		{"arn:aws-us-gov:rolesanywhere:us-gov-west-1:1:trust-anchor/a", "", "", "https://rolesanywhere.us-gov-west-1.amazonaws.com"},
		{"arn:aws:rolesanywhere:eu-west-1:1:trust-anchor/a", "true", "vpce-1.example", "https://vpce-1.example"},
	} {
		setenv(t, "AWS_USE_FIPS_ENDPOINT="+tt.fips)
		u, err := (&RolesAnywhere{TrustAnchorARN: tt.anchor, Endpoint: tt.endpoint}).endpoint(envOf(t))
		if err != nil || u.String() != tt.want {
			t.Errorf("endpoint of %s = %v, %v, want %s", tt.anchor, u, err, tt.want)
		}
	}
}
