package source

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec.example/brs-exec/refresh/source/keyfile"

	"github.com/google/go-cmp/cmp"
)

const (
	ssoProfiles = `[profile app]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = r
region = eu-west-1
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://example.awsapps.com/start
[profile old]
sso_region = eu-west-1
sso_start_url = https://example.awsapps.com/start
sso_account_id = 123456789012
sso_role_name = r
[profile over]
role_arn = ` + roleA + `
source_profile = app
`
	ssoRefresh = "aorRefreshToken0/of40/Characters/1234567abcDEF"
	ssoSecret  = "eyClientSecret0/of40/Characters/1234567abcDEF"
)

// ssoConfig writes the profiles, and gives the path of the session's token.
func ssoConfig(t testing.TB) string {
	t.Helper()
	conf, _ := isolate(t)
	write(t, conf, ssoProfiles)
	setenv(t, "AWS_ENDPOINT_URL_SSO=http://sso.test", "AWS_ENDPOINT_URL_SSO_OIDC=http://sso.test")
	path, err := envOf(t).tokenPath("corp")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// cached writes a token of that much life.
func cached(t testing.TB, path string, life time.Duration, more ...string) {
	t.Helper()
	write(t, path, fmt.Sprintf(
		`{"startUrl": "https://example.awsapps.com/start", "region": "eu-west-1", "accessToken": "first", "expiresAt": %q, "clientId": "c", "clientSecret": %q, "registrationExpiresAt": %q, "refreshToken": %q%s}`,
		time.Now().Add(life).UTC().Format(time.RFC3339), ssoSecret, time.Now().AddDate(0, 3, 0).UTC().Format(time.RFC3339), ssoRefresh, strings.Join(more, "")))
}

// ssoServer renews tokens and gives credentials.
type ssoServer struct {
	mu      sync.Mutex
	renewed int
	asked   []string // refresh tokens
	answer  func(w http.ResponseWriter, n int) bool
	life    time.Duration
	asleep  func() // before an answer
	valid   string // access token
}

func (s *ssoServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		var in struct{ GrantType, RefreshToken, ClientID, ClientSecret string }
		json.NewDecoder(r.Body).Decode(&in)
		if s.asleep != nil {
			s.asleep()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, in.RefreshToken)
		if s.answer != nil && s.answer(w, len(s.asked)) {
			return
		}
		s.renewed++
		s.valid = fmt.Sprintf("renewed%d", s.renewed)
		fmt.Fprintf(w, `{"accessToken":%q,"expiresIn":%d,"tokenType":"Bearer"}`, s.valid, s.life/time.Second)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if token := r.Header.Get("X-Amz-Sso_bearer_token"); token != s.valid {
		ssoRefuse(w, http.StatusUnauthorized, "UnauthorizedException", "Session token not found or invalid: "+ssoRefresh)
		return
	}
	fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q,"expiration":%d}}`,
		"ASIA"+s.valid, roleSecret, roleToken, time.Now().Add(time.Hour).UnixMilli())
}

func ssoRefuse(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q,"error":"x","error_description":%q}`, message, message)
	return true
}

func TestSSORenews(t *testing.T) {
	t.Parallel()
	ended := "the SSO session has expired: "
	login := "brs-exec login --profile app, or aws sso login --profile app"
	for _, tt := range []struct {
		name   string
		life   time.Duration // of the cached token
		valid  string        // what the portal takes, besides renewed ones
		cache  func(text string) string
		answer func(w http.ResponseWriter, n int) bool

		key       string // of the credentials
		err       string
		permanent bool
		hint      string
		asked     int  // how often a renewal was asked for
		kept      bool // the cache is as it was
	}{
		{name: "lives", life: time.Hour, valid: "first", key: "ASIAfirst", kept: true},
		{name: "soon ends", life: 14 * time.Minute, valid: "first", key: "ASIArenewed1", asked: 1},
		{name: "has ended", life: -time.Hour, key: "ASIArenewed1", asked: 1},
		{name: "revoked", life: time.Hour, key: "ASIArenewed1", asked: 1},
		{name: "soon ends, server down", life: 5 * time.Minute, valid: "first", key: "ASIAfirst", asked: 2, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool {
				return ssoRefuse(w, 503, "InternalServerException", ssoSecret)
			}},
		{name: "soon ends, refused", life: 5 * time.Minute, valid: "first", key: "ASIAfirst", asked: 1, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool { return ssoRefuse(w, 400, "InvalidGrantException", ssoRefresh) }},
		{name: "server down", life: -time.Hour, err: "InternalServerException", asked: 2, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool {
				return ssoRefuse(w, 503, "InternalServerException", ssoSecret)
			}},
		{name: "refused", life: -time.Hour, err: ended + "InvalidGrantException", permanent: true, hint: login, asked: 1, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool { return ssoRefuse(w, 400, "InvalidGrantException", ssoRefresh) }},
		{name: "client unknown", life: -time.Hour, err: ended + "InvalidClientException", permanent: true, hint: login, asked: 1, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool { return ssoRefuse(w, 401, "InvalidClientException", ssoSecret) }},
		{name: "nothing in the answer", life: -time.Hour, err: "unreadable answer from sso.test", asked: 1, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool { fmt.Fprint(w, "{}"); return true }},
		{name: "no length of life", life: -time.Hour, err: "unreadable answer from sso.test", asked: 1, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool { fmt.Fprint(w, `{"accessToken":"x"}`); return true }},
		{name: "garbage", life: -time.Hour, err: "unreadable answer from sso.test", asked: 1, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool { fmt.Fprint(w, ssoSecret); return true }},
		{name: "no refresh token", life: -time.Hour, err: ended + "its token was valid until 1999-12-31T23:00:00Z", permanent: true, hint: login, kept: true,
			cache: func(s string) string { return strings.Replace(s, "refreshToken", "other", 1) }},
		{name: "registration over", life: -time.Hour, err: ended + "the client that it was begun with was registered until 1999-04-01T00:00:00Z", permanent: true, hint: login, kept: true,
			cache: func(s string) string { return strings.Replace(s, "2000-04-01", "1999-04-01", 1) }},
		{name: "broken", life: -time.Hour, err: "the cache of the SSO session cannot be read: ", permanent: true, hint: login, kept: true,
			cache: func(s string) string { return s[:50] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := ssoConfig(t)
			synctest.Test(t, func(t *testing.T) {
				server := &ssoServer{life: time.Hour, valid: tt.valid, answer: tt.answer}
				n := serve(t, server)
				cached(t, path, tt.life, `, "theirs": {"a": 1}`)
				if tt.cache != nil {
					write(t, path, tt.cache(content(t, path)))
				}
				was := content(t, path)
				src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
				c, err := src.Retrieve(t.Context())
				if tt.err != "" {
					e := failure(t, err)
					for _, secret := range []string{ssoRefresh, ssoSecret} {
						if strings.Contains(e.Error()+e.Hint, secret) {
							t.Errorf("shows a secret: %v", e)
						}
					}
					if !strings.Contains(e.Error(), tt.err) || e.Permanent != tt.permanent || tt.hint != "" && e.Hint != tt.hint {
						t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.err, tt.permanent, tt.hint)
					}
				} else if err != nil || c.AccessKeyID != tt.key {
					t.Errorf("set %s, %v; want %s", c.AccessKeyID, err, tt.key)
				}
				if len(server.asked) != tt.asked {
					t.Errorf("a renewal was asked for %d times, want %d", len(server.asked), tt.asked)
				}
				now := content(t, path)
				if tt.kept {
					if now != was {
						t.Errorf("the cache has become %s", now)
					}
					return
				}
				// As it was, with another token: that the answer has no refresh token means that the old one stays.
				want := strings.NewReplacer(`"first"`, `"renewed1"`, expiryOf(was), expiryOf(now)).Replace(was)
				if diff := cmp.Diff(want, now); diff != "" || expiryOf(now) != "2000-01-01T01:00:00Z" {
					t.Errorf("the cache (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func expiryOf(text string) string {
	_, rest, _ := strings.Cut(text, `"expiresAt": "`)
	at, _, _ := strings.Cut(rest, `"`)
	return at
}

// Ten sources need a new token at once: one asks for it.
func TestSSOTakesTurns(t *testing.T) {
	t.Parallel()
	path := ssoConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &ssoServer{life: time.Hour, asleep: func() { time.Sleep(time.Second) }}
		n := serve(t, server)
		cached(t, path, -time.Hour)
		var all sync.WaitGroup
		var failed atomic.Int32
		for range 10 {
			src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
			all.Go(func() {
				if c, err := src.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIArenewed1" {
					t.Errorf("set %s, %v", c.AccessKeyID, err)
					failed.Add(1)
				}
			})
		}
		all.Wait()
		if len(server.asked) != 1 || failed.Load() > 0 {
			t.Errorf("renewed %d times", len(server.asked))
		}
	})
}

// Someone who takes no turns, as the AWS CLI, was faster: its token is used, and
// not overwritten.
func TestSSOOvertaken(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{true, false} {
		path := ssoConfig(t)
		synctest.Test(t, func(t *testing.T) {
			server := &ssoServer{life: time.Hour}
			server.answer = func(w http.ResponseWriter, _ int) bool {
				cached(t, path, 50*time.Minute)
				write(t, path, strings.Replace(content(t, path), "first", "theirs", 1))
				if refused {
					server.valid = "theirs"
					return ssoRefuse(w, 400, "InvalidGrantException", "used")
				}
				fmt.Fprint(w, `{"accessToken":"ours","expiresIn":3600}`)
				server.valid = "theirs"
				return true
			}
			n := serve(t, server)
			cached(t, path, -time.Hour)
			src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
			if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAtheirs" {
				t.Errorf("set %s, want that of their token", c.AccessKeyID)
			}
			if text := content(t, path); !strings.Contains(text, "theirs") {
				t.Errorf("the cache has %s", text)
			}
		})
	}
}

// Who logs out while the token is renewed is logged out.
func TestSSOLoggedOut(t *testing.T) {
	t.Parallel()
	path := ssoConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &ssoServer{life: time.Hour, asleep: func() { os.Remove(path) }}
		n := serve(t, server)
		cached(t, path, -time.Hour)
		_, err := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}}).Retrieve(t.Context())
		if e := failure(t, err); e.Error() != `profile "app": the SSO session has expired, or was never begun` || !e.Permanent {
			t.Errorf("error %q, permanent %v", e, e.Permanent)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("the cache has %s again", content(t, path))
		}
	})
}

// The AWS CLI empties the file before it writes it.
func TestSSOHalfWritten(t *testing.T) {
	t.Parallel()
	path := ssoConfig(t)
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, &ssoServer{valid: "first"})
		cached(t, path, time.Hour)
		text := content(t, path)
		write(t, path, "")
		go func() {
			time.Sleep(100 * time.Millisecond)
			os.WriteFile(path, []byte(text), 0o600)
		}()
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAfirst" {
			t.Errorf("set %s", c.AccessKeyID)
		}
	})
}

// A cache that cannot be written costs the others the new token, and not us, also
// where each refresh token serves once. A new login counts at once.
func TestSSOReadOnly(t *testing.T) {
	t.Parallel()
	path := ssoConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &ssoServer{}
		current := ssoRefresh
		server.answer = func(w http.ResponseWriter, n int) bool {
			if server.asked[n-1] != current {
				return ssoRefuse(w, 400, "InvalidGrantException", "")
			}
			current, server.valid = fmt.Sprint("r", n), fmt.Sprint("a", n)
			fmt.Fprintf(w, `{"accessToken":%q,"expiresIn":3600,"refreshToken":%q}`, server.valid, current)
			return true
		}
		n := serve(t, server)
		cached(t, path, -time.Hour)
		was := content(t, path)
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial, readOnly: fs.ErrPermission}})
		for _, want := range []string{"ASIAa1", "ASIAa2", "ASIAa3"} {
			if c := mustRetrieve(t, src); c.AccessKeyID != want {
				t.Errorf("set %s, want %s", c.AccessKeyID, want)
			}
			time.Sleep(time.Hour)
		}
		notes := src.Notes()
		if len(notes) != 1 || !strings.Contains(notes[0], "cannot be written to the cache, and serves this process alone: permission denied") {
			t.Errorf("notes %q", notes)
		}
		if now := content(t, path); now != was {
			t.Errorf("the cache has become %s", now)
		}
		cached(t, path, time.Hour)
		write(t, path, strings.NewReplacer("first", "login", ssoRefresh, "of the login").Replace(content(t, path)))
		server.valid = "login"
		if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAlogin" {
			t.Errorf("set %s, want that of the new login", c.AccessKeyID)
		}
	})
}

func TestEnds(t *testing.T) {
	t.Parallel()
	login := func(profile string) string {
		return "brs-exec login --profile " + profile + ", or aws sso login --profile " + profile
	}
	for _, tt := range []struct {
		name    string
		spec    Spec
		env     []string
		cache   func(string) string
		refused bool
		at      string // "": not known
		what    string
		hint    string
	}{
		{name: "renewed until the registration ends", spec: Spec{Profile: "app"}, at: "2000-04-01T00:00:00Z", what: `the SSO session of profile "app"`, hint: login("app")},
		{name: "by way of a role", spec: Spec{Profile: "over"}, at: "2000-04-01T00:00:00Z", what: `the SSO session of profile "app"`, hint: login("app")},
		{name: "not renewed", spec: Spec{Profile: "app"}, at: "2000-01-01T00:05:00Z", what: `the SSO session of profile "app"`, hint: login("app"),
			cache: func(s string) string { return strings.Replace(s, "refreshToken", "other", 1) }},
		{name: "renewed no more", spec: Spec{Profile: "app"}, refused: true, at: "2000-01-01T00:05:00Z", what: `the SSO session of profile "app"`, hint: login("app")},
		{name: "registration of unknown length", spec: Spec{Profile: "app"},
			cache: func(s string) string { return strings.Replace(s, "registrationExpiresAt", "other", 1) }},
		{name: "never logged in", spec: Spec{Profile: "old"}},
		{name: "keys that end", env: []string{"AWS_ACCESS_KEY_ID=ASIAX", "AWS_SECRET_ACCESS_KEY=" + baseSecret, "AWS_SESSION_TOKEN=" + baseToken, "AWS_CREDENTIAL_EXPIRATION=2000-01-01T02:00:00Z"},
			at: "2000-01-01T02:00:00Z", what: "the session of the keys in the environment", hint: "start brs-exec again with newer keys, or let it get them itself: --profile, --role-arn"},
		{name: "keys without an end", env: []string{"AWS_ACCESS_KEY_ID=ASIAX", "AWS_SECRET_ACCESS_KEY=" + baseSecret}},
		{name: "command", spec: Spec{Command: []string{"true"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := ssoConfig(t)
			setenv(t, tt.env...)
			synctest.Test(t, func(t *testing.T) {
				server := &ssoServer{valid: "first"}
				if tt.refused {
					server.answer = func(w http.ResponseWriter, _ int) bool { return ssoRefuse(w, 400, "InvalidGrantException", "") }
				}
				n := serve(t, server)
				cached(t, path, 5*time.Minute)
				if tt.cache != nil {
					write(t, path, tt.cache(content(t, path)))
				}
				tt.spec.limits = limits{dial: n.dial}
				src := mustNew(t, tt.spec)
				if tt.refused {
					mustRetrieve(t, src) // the token lives still
				}
				got, ok := src.Expiry()
				at := ""
				if ok {
					at = got.At.UTC().Format(time.RFC3339)
				}
				if at != tt.at || got.What != tt.what && ok || got.Hint != tt.hint && ok {
					t.Errorf("Ends = %+v, %v; want %s, %q, %q", got, ok, tt.at, tt.what, tt.hint)
				}
			})
		})
	}
}

// The end of a certificate is that of the one in the file now; that of an MFA
// session counts if a person typed the code.
func TestEndsOfOthers(t *testing.T) {
	t.Parallel()
	isolate(t)
	ca := newAuthority(t, "ca", nil)
	until := func(at time.Time) *holder {
		return ca.issue(t, "device", ecKey(t), func(c *x509.Certificate) { c.NotAfter = at })
	}
	first, second := time.Now().Add(time.Hour).Truncate(time.Second), time.Now().AddDate(0, 1, 0).Truncate(time.Second)
	old, renewed := until(first), until(second)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put := func(h *holder) {
		der, err := x509.MarshalPKCS8PrivateKey(h.key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, cert, pemOf(h.cert.Raw))
		write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	}
	put(old)
	src := mustNew(t, Spec{IoT: &IoT{Endpoint: "127.0.0.1:1", RoleAlias: "a", Pair: keyfile.Pair{Certificate: cert, PrivateKey: key}}})
	for _, want := range []time.Time{first, second} {
		if got, ok := src.Expiry(); !ok || !got.At.Equal(want) || got.What != "certificate "+cert {
			t.Errorf("Ends = %+v, %v, want %s", got, ok, want)
		}
		put(renewed)
	}
	os.Remove(cert)
	if got, ok := src.Expiry(); ok {
		t.Errorf("Ends without the file = %+v", got)
	}

	mfaEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	var labels []string
	for _, m := range []MFA{{Serial: device}, {Serial: device, Command: []string{"echo", "234567"}}} {
		src = mustNew(t, Spec{MFA: m, Prompt: typing(&labels, "123456")})
		if got, ok := src.Expiry(); ok {
			t.Errorf("Ends before there is a session = %+v", got)
		}
		if err := src.Authenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, ok := src.Expiry()
		if typed := m.Command == nil; ok != typed || ok && !got.At.Equal(roleExpires) {
			t.Errorf("Ends = %+v, %v, want %s if it was typed", got, ok, roleExpires)
		}
	}
}
