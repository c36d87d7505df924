package source

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/integration/fakeanywhere"
	"brs-exec.example/brs-exec/refresh/source/keyfile"
)

const (
	testAnchor  = "arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a1"
	testProfile = "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/p1"
)

// fakeAnywhere is IAM Roles Anywhere: it verifies each request as AWS's
// description of the signing process says, and knows nothing of how it was made.
type fakeAnywhere struct {
	*httptest.Server
	ca    *authority // the trust anchor
	names bool       // the profile accepts session names
	ahead time.Duration

	// answer, if set, is asked first, and says whether it has answered.
	answer func(w http.ResponseWriter, r *http.Request) bool

	mu   sync.Mutex
	got  []map[string]any // bodies of what was accepted, with the query's parameters
	open int
}

func newAnywhere(t testing.TB) *fakeAnywhere {
	t.Helper()
	f := &fakeAnywhere{ca: newAuthority(t, "anchor", nil)}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch s {
		case http.StateNew:
			f.open++
		case http.StateClosed:
			f.open--
		}
	}
	f.StartTLS()
	t.Cleanup(f.Close)
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	write(t, bundle, pemOf(f.Certificate().Raw))
	setenv(t, "AWS_CA_BUNDLE="+bundle)
	return f
}

func (f *fakeAnywhere) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

func (f *fakeAnywhere) accepted() []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}

func (f *fakeAnywhere) spec(t testing.TB, key crypto.Signer) Spec {
	t.Helper()
	return Spec{RolesAnywhere: &RolesAnywhere{
		Pair:           f.ca.issue(t, "machine", key, nil).writeTo(t, t.TempDir()),
		TrustAnchorARN: testAnchor, ProfileARN: testProfile, RoleARN: roleA, Endpoint: f.URL,
	}}
}

func (f *fakeAnywhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	answer, now := f.answer, time.Now().Add(f.ahead)
	f.mu.Unlock()
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if answer != nil && answer(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	refuse := func(status int, code, message string) {
		w.Header().Set("X-Amzn-Errortype", code+":")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
	if why := fakeanywhere.Verify(r, r.Host, body, f.ca.cert, "eu-west-1", now); why != "" {
		refuse(403, "AccessDeniedException", why)
		return
	}
	in := map[string]any{}
	if err := json.Unmarshal(body, &in); err != nil {
		refuse(400, "ValidationException", "body")
		return
	}
	q := r.URL.Query()
	switch {
	case q.Get("trustAnchorArn") != testAnchor || q.Get("profileArn") != testProfile:
		refuse(404, "ResourceNotFoundException", "Trust anchor or profile not found")
	case q.Get("roleArn") != roleA:
		refuse(403, "AccessDeniedException", "Unable to assume role for "+q.Get("roleArn"))
	case in["roleSessionName"] != nil && !f.names:
		refuse(403, "AccessDeniedException", "Not authorized to set roleSessionName.")
	case in["durationSeconds"] != nil && in["durationSeconds"].(float64) < 900:
		refuse(400, "ValidationException", "durationSeconds must be at least 900")
	default:
		f.mu.Lock()
		f.got = append(f.got, in)
		f.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, anywhereSet)
	}
}

var anywhereSet = fmt.Sprintf(`{"credentialSet":[{"assumedRoleUser":{"arn":"arn:aws:sts::123456789012:assumed-role/a/1f","assumedRoleId":"AROA:1f"},`+
	`"credentials":{"accessKeyId":"ASIAANYWHERE","expiration":%q,"secretAccessKey":%q,"sessionToken":%q},"packedPolicySize":10,"roleArn":"x","sourceIdentity":"CN=machine"}],`+
	`"subjectArn":"arn:aws:rolesanywhere:eu-west-1:123456789012:subject/s"}`, roleExpires.Format(time.RFC3339), roleSecret, roleToken)

func TestRolesAnywhere(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newAnywhere(t)
	inter := newAuthority(t, "intermediate", f.ca)
	lower := newAuthority(t, "lower", inter)
	dir := t.TempDir()
	intermediates := filepath.Join(dir, "intermediates.pem")
	write(t, intermediates, pemOf(inter.cert.Raw)+pemOf(lower.cert.Raw)+pemOf(f.ca.cert.Raw))
	for _, tt := range []struct {
		name string
		edit func(t *testing.T, r *RolesAnywhere)
		want map[string]any
	}{
		{"EC", func(*testing.T, *RolesAnywhere) {}, map[string]any{}},
		{"RSA", func(t *testing.T, r *RolesAnywhere) {
			r.Pair = f.ca.issue(t, "machine", rsaKey(t), nil).writeTo(t, t.TempDir())
		}, map[string]any{}},
		{"RSA below intermediates", func(t *testing.T, r *RolesAnywhere) {
			r.Pair = lower.issue(t, "machine", rsaKey(t), nil).writeTo(t, t.TempDir())
			r.Intermediates = intermediates
		}, map[string]any{}},
		{"EC with a full chain in its file", func(t *testing.T, r *RolesAnywhere) {
			r.Pair = lower.issue(t, "machine", ecKey(t), nil).writeTo(t, t.TempDir(), lower.cert, inter.cert, f.ca.cert)
		}, map[string]any{}},
		{"with a duration and a name", func(t *testing.T, r *RolesAnywhere) {
			r.Duration, r.SessionName = 15*time.Minute, "job {command}/{pid}"
		}, map[string]any{"durationSeconds": 900.0, "roleSessionName": "job-make-7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.names = true
			spec := f.spec(t, ecKey(t))
			spec.Names = Names{Command: "make", PID: 7}
			tt.edit(t, spec.RolesAnywhere)
			s := mustNew(t, spec)
			want := aws.Credentials{
				AccessKeyID: "ASIAANYWHERE", SecretAccessKey: roleSecret, SessionToken: roleToken, Source: "RolesAnywhere",
				CanExpire: true, Expires: roleExpires, AccountID: "123456789012",
			}
			if diff := cmp.Diff(want, mustRetrieve(t, s)); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]map[string]any{tt.want}, f.accepted()); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
			if got := s.Describe(); got != "IAM Roles Anywhere → "+roleA {
				t.Errorf("described as %s", got)
			}
		})
	}
}

// TestRolesAnywhereTampering: the fake is no rubber stamp, and all that matters
// is under the signature.
func TestRolesAnywhereTampering(t *testing.T) {
	t.Parallel()
	isolate(t)
	ca := newAuthority(t, "anchor", nil)
	inter := newAuthority(t, "intermediate", ca)
	now := time.Now()
	sameDay := now.UTC().Add(time.Minute)
	if sameDay.Day() != now.UTC().Day() { // which is in the credential scope, too
		sameDay = now.UTC().Add(-time.Minute)
	}
	for _, key := range []crypto.Signer{ecKey(t), rsaKey(t)} {
		h := inter.issue(t, "machine", key, nil)
		other := inter.issue(t, "other", key, nil)
		for name, tt := range map[string]struct {
			edit func(r *http.Request, body *[]byte)
			want string
		}{
			"nothing": {func(*http.Request, *[]byte) {}, ""},
			"body":    {func(_ *http.Request, b *[]byte) { *b = append(*b, ' ') }, "Invalid signature"},
			"role": {func(r *http.Request, _ *[]byte) {
				r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "role%2F", "role%2Fx", 1)
			}, "Invalid signature"},
			"signature": {func(r *http.Request, _ *[]byte) {
				a := r.Header.Get("Authorization")
				last := "0" // another digit than the one that is there
				if strings.HasSuffix(a, last) {
					last = "1"
				}
				r.Header.Set("Authorization", a[:len(a)-1]+last)
			}, "Invalid signature"},
			"algorithm": {func(r *http.Request, _ *[]byte) {
				r.Header.Set("Authorization", strings.NewReplacer("RSA", "ECDSA", "ECDSA", "RSA").Replace(r.Header.Get("Authorization")))
			}, "Invalid signature"},
			"date": {func(r *http.Request, _ *[]byte) {
				r.Header.Set("X-Amz-Date", sameDay.Format("20060102T150405Z"))
			}, "Invalid signature"},
			"type": {func(r *http.Request, _ *[]byte) { r.Header.Set("Content-Type", "text/plain") }, "Invalid signature"},
			"chain": {func(r *http.Request, _ *[]byte) {
				r.Header.Set("X-Amz-X509-Chain", r.Header.Get("X-Amz-X509-Chain")+","+base64.StdEncoding.EncodeToString(ca.cert.Raw))
			}, "Invalid signature"},
			"no chain": {func(r *http.Request, _ *[]byte) { r.Header.Del("X-Amz-X509-Chain") }, "Untrusted signing certificate"},
			"certificate": {func(r *http.Request, _ *[]byte) {
				r.Header.Set("X-Amz-X509", base64.StdEncoding.EncodeToString(other.cert.Raw))
			}, "Credential scope"},
		} {
			t.Run(fmt.Sprintf("%T %s", key, name), func(t *testing.T) {
				s := &Source{spec: Spec{RolesAnywhere: &RolesAnywhere{TrustAnchorARN: testAnchor, ProfileARN: testProfile, RoleARN: roleA, Duration: time.Hour}}, web: newWeb(limits{})}
				req, body, err := s.sessionRequest(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := signX509(req, body, &keyfile.Identity{Leaf: h.cert, Key: h.key}, []*x509.Certificate{inter.cert}, "eu-west-1", now); err != nil {
					t.Fatal(err)
				}
				body = bytes.Clone(body)
				tt.edit(req, &body)
				if got := fakeanywhere.Verify(req, req.URL.Host, body, ca.cert, "eu-west-1", now); got != tt.want {
					t.Errorf("verified as %q, want %q", got, tt.want)
				}
			})
		}
	}
}

func TestRolesAnywhereRefusals(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newAnywhere(t)
	other, inter := newAuthority(t, "other", nil), newAuthority(t, "inter", f.ca)
	say := func(code, message string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("X-Amzn-Errortype", code)
			w.WriteHeader(403)
			json.NewEncoder(w).Encode(map[string]string{"message": message})
			return true
		}
	}
	const what = "IAM Roles Anywhere → " + roleA + ": "
	for _, tt := range []struct {
		name       string
		answer     func(http.ResponseWriter, *http.Request) bool
		edit       func(*testing.T, *RolesAnywhere)
		want, hint string
	}{
		{"wrong authority", nil, func(t *testing.T, r *RolesAnywhere) {
			r.Pair = other.issue(t, "machine", ecKey(t), nil).writeTo(t, t.TempDir())
		}, "AccessDeniedException: Untrusted signing certificate", "--intermediates"},
		{"no intermediates", nil, func(t *testing.T, r *RolesAnywhere) {
			r.Pair = inter.issue(t, "machine", ecKey(t), nil).writeTo(t, t.TempDir())
		}, "AccessDeniedException: Untrusted signing certificate", "--intermediates"},
		{"role", nil, func(_ *testing.T, r *RolesAnywhere) { r.RoleARN = roleB },
			"AccessDeniedException: Unable to assume role for " + roleB, "rolesanywhere.amazonaws.com"},
		{"session name", nil, func(_ *testing.T, r *RolesAnywhere) { r.SessionName = "x" },
			"AccessDeniedException: Not authorized to set roleSessionName.", "accept-role-session-name"},
		{"anchor", nil, func(_ *testing.T, r *RolesAnywhere) { r.TrustAnchorARN += "2" },
			"ResourceNotFoundException: Trust anchor or profile not found", "account and region"},
		{"duration", nil, func(_ *testing.T, r *RolesAnywhere) { r.Duration = time.Minute },
			"ValidationException: durationSeconds must be at least 900", "--duration"},
		{"attributes", say("AccessDeniedException", "Unable to assume role for x. Some attributes failed to be mapped into session tags. Subject: [ CN ]"),
			func(*testing.T, *RolesAnywhere) {}, "AccessDeniedException: Unable to assume role for x. Some attributes failed to be mapped into session tags. Subject: [ CN ]", "attribute mappings"},
		{"denied for other reasons", say("AccessDeniedException", "No"), func(*testing.T, *RolesAnywhere) {}, "AccessDeniedException: No", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.answer = tt.answer
			spec := f.spec(t, ecKey(t))
			tt.edit(t, spec.RolesAnywhere)
			_, err := mustNew(t, spec).Retrieve(t.Context())
			e := failure(t, err)
			prefix := strings.Replace(what, roleA, spec.RolesAnywhere.RoleARN, 1)
			if e.Error() != prefix+tt.want || !e.Permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q (permanent %v)\nwant  %q\nhint  %q, want %q in it", e, e.Permanent, prefix+tt.want, e.Hint, tt.hint)
			}
		})
	}
	t.Run("too long a chain", func(t *testing.T) {
		f.answer = nil
		a, all := f.ca, []*x509.Certificate{}
		for i := range 6 {
			a = newAuthority(t, fmt.Sprint("level ", i), a)
			all = append(all, a.cert)
		}
		spec := f.spec(t, ecKey(t))
		spec.RolesAnywhere.Pair = a.issue(t, "machine", ecKey(t), nil).writeTo(t, t.TempDir(), all...)
		_, err := mustNew(t, spec).Retrieve(t.Context())
		if e := failure(t, err); !e.Permanent || !strings.Contains(e.Error(), "6 intermediate certificates: the service takes 5 at most") {
			t.Errorf("error %q", e)
		}
	})
}

// TestRolesAnywhereClock: a machine whose clock is wrong is refused once, learns
// the time from that, and signs by the server's clock from then on.
func TestRolesAnywhereClock(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newAnywhere(t)
	f.ahead = 3 * time.Hour
	s := mustNew(t, f.spec(t, ecKey(t)))
	_, err := s.Retrieve(t.Context())
	if e := failure(t, err); e.Permanent || !strings.Contains(e.Hint, "behind the server's") {
		t.Errorf("error %q (permanent %v), hint %q, want a transient one that tells of the clock", e, e.Permanent, e.Hint)
	}
	mustRetrieve(t, s)
	if skew := s.Skew(); skew > -3*time.Hour+time.Minute || skew < -3*time.Hour-time.Minute {
		t.Errorf("the skew is %s", skew)
	}
}

// TestRolesAnywhereChain: further roles are assumed with the first one's session.
func TestRolesAnywhereChain(t *testing.T) {
	t.Parallel()
	isolate(t)
	f, sts := newAnywhere(t), newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL_STS="+sts.URL)
	spec := f.spec(t, ecKey(t))
	spec.Roles = []Role{{ARN: roleB}}
	if c := mustRetrieve(t, mustNew(t, spec)); c.AccessKeyID != "ASIAROLE1" {
		t.Errorf("the key is %s", c.AccessKeyID)
	}
	if got := sts.got(); len(got) != 1 || got[0].keyID != "ASIAANYWHERE" || got[0].Get("RoleArn") != roleB {
		t.Errorf("STS got %v", got)
	}
}

func TestRolesAnywhereFaults(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newAnywhere(t)
	certificateFaults(t, f.spec(t, ecKey(t)), "IAM Roles Anywhere → "+roleA+": ", f.connections, func(answer func(http.ResponseWriter, *http.Request) bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answer = answer
	}, anywhereSet, http.StatusCreated)
}

// TestRolesAnywhereChainHeader: what is sent is what leads to the anchor, once.
func TestRolesAnywhereChainHeader(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "root", nil)
	upper := newAuthority(t, "upper", root)
	lower := newAuthority(t, "lower", upper)
	h := lower.issue(t, "machine", ecKey(t), nil)
	file := filepath.Join(t.TempDir(), "intermediates.pem")
	write(t, file, pemOf(h.cert.Raw)+pemOf(lower.cert.Raw)+pemOf(upper.cert.Raw)+pemOf(root.cert.Raw))
	chain, err := (&RolesAnywhere{Intermediates: file}).chain(&keyfile.Identity{Leaf: h.cert, Chain: []*x509.Certificate{lower.cert}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range chain {
		names = append(names, c.Subject.CommonName)
	}
	if diff := cmp.Diff([]string{"lower", "upper"}, names); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
}
