package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/logincache"
)

const (
	signinSession  = "arn:aws:iam::123456789012:user/ann"
	signinProfiles = "[profile app]\nlogin_session = " + signinSession + "\nregion = eu-west-1\n"
	signinRefresh  = "eyRefreshToken0/of40/Characters/1234567abcDEF"
)

// signinKey is one for all tests: they differ in nothing that it decides about.
var signinKey = sync.OnceValue(func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signinPEM(key)
})

func signinPEM(key *ecdsa.PrivateKey) string {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// signinConfig writes the profiles, and gives the path of the session's entry.
func signinConfig(t testing.TB) string {
	t.Helper()
	conf, _ := isolate(t)
	write(t, conf, signinProfiles)
	setenv(t, "AWS_ENDPOINT_URL_SIGNIN=http://signin.test", "AWS_ENDPOINT_URL_STS=http://sts.test")
	path, err := envOf(t).loginPath(signinSession)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	signinKey()
	return path
}

// loggedIn writes an entry, as `aws login` does, whose credentials have that much of their lifetime left.
func loggedIn(t testing.TB, path, name string, life time.Duration) {
	t.Helper()
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":%q,"iat":%d}`, signinSession, time.Now().Unix()))
	write(t, path, fmt.Sprintf(
		`{"accessToken": {"accessKeyId": "ASIA%s", "secretAccessKey": %q, "sessionToken": %q, "accountId": "123456789012", "expiresAt": %q}, "tokenType": "aws_sigv4", "clientId": "arn:aws:signin:::devtools/same-device", "refreshToken": %q, "idToken": "e30.%s.x", "dpopKey": "%s", "theirs": {"a": 1}}`,
		name, baseSecret, baseToken, time.Now().Add(life).UTC().Format(time.RFC3339), signinRefresh+name, claims, strings.ReplaceAll(signinKey(), "\n", `\n`)))
}

// signinServer renews credentials, each refresh token once.
type signinServer struct {
	mu      sync.Mutex
	asked   []string // refresh tokens
	hosts   []string
	refresh string // the one that is taken; "": any
	answer  func(w http.ResponseWriter, n int) bool
	asleep  func() // before an answer
	life    time.Duration
}

func (s *signinServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/token" {
		r.ParseForm()
		stsAnswer(w, r.Form.Get("Action"), time.Hour)
		return
	}
	if s.asleep != nil {
		s.asleep()
	}
	var in struct{ ClientID, GrantType, RefreshToken string }
	json.NewDecoder(r.Body).Decode(&in)
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.hosts = append(s.asked, in.RefreshToken), append(s.hosts, r.Host)
	if s.answer != nil && s.answer(w, len(s.asked)) {
		return
	}
	if s.refresh != "" && in.RefreshToken != s.refresh || in.GrantType != "refresh_token" || in.ClientID == "" || r.Header.Get("DPoP") == "" {
		signinRefuse(w, 401, "AccessDeniedException", "TOKEN_EXPIRED", "")
		return
	}
	s.refresh = fmt.Sprintf("%s.%d", jwt, len(s.asked))
	signinAnswer(w, fmt.Sprint("ASIAnew", len(s.asked)), s.refresh, s.life)
}

func signinAnswer(w http.ResponseWriter, keyID, refresh string, life time.Duration) {
	fmt.Fprintf(w, `{"accessToken":{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q},"tokenType":"aws_sigv4","expiresIn":%d,"refreshToken":%q}`,
		keyID, roleSecret, roleToken, life/time.Second, refresh)
}

func signinRefuse(w http.ResponseWriter, status int, code, oauth, message string) bool {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q,"message":%q}`, oauth, message)
	return true
}

// The proof is that of the key, also of one whose coordinates begin with zeros.
func TestDPoP(t *testing.T) {
	t.Parallel()
	var key *ecdsa.PrivateKey
	for {
		key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if point, _ := key.PublicKey.Bytes(); point[1] == 0 {
			break
		}
	}
	at := time.Unix(1_800_000_000, 0)
	proof, err := dpop{key, func() time.Time { return at }}.proof("POST", "https://eu-west-1.signin.aws.amazon.com/v1/token")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(proof, ".")
	var text [3][]byte
	for i := range text {
		if text[i], err = base64.RawURLEncoding.DecodeString(parts[i]); err != nil {
			t.Fatal(err)
		}
	}
	var head struct {
		Typ, Alg string
		JWK      map[string]string
	}
	var body struct {
		JTI, HTM, HTU string
		IAT           int64
	}
	if json.Unmarshal(text[0], &head) != nil || json.Unmarshal(text[1], &body) != nil {
		t.Fatalf("%s.%s", text[0], text[1])
	}
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		b, err := base64.RawURLEncoding.DecodeString(head.JWK[name])
		if err != nil || len(b) != 32 {
			t.Errorf("%s has %d bytes, %v, want 32", name, len(b), err)
		}
		point = append(point, b...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil || !public.Equal(&key.PublicKey) {
		t.Fatalf("jwk is another key: %v", err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(text[2]) != 64 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(text[2][:32]), new(big.Int).SetBytes(text[2][32:])) {
		t.Error("the signature is not that of the key")
	}
	got := fmt.Sprint(head.Typ, " ", head.Alg, " ", head.JWK["kty"], " ", head.JWK["crv"], " ", body.HTM, " ", body.HTU, " ", body.IAT, " ", len(head.JWK))
	if want := "dpop+jwt ES256 EC P-256 POST https://eu-west-1.signin.aws.amazon.com/v1/token 1800000000 4"; got != want || len(body.JTI) < 16 {
		t.Errorf("%s, jti %q; want %s", got, body.JTI, want)
	}
}

func TestSigninRenews(t *testing.T) {
	t.Parallel()
	ended := "the login session has expired: "
	login := "aws login --profile app"
	refuse := func(status int, code, oauth, message string) func(http.ResponseWriter, int) bool {
		return func(w http.ResponseWriter, _ int) bool { return signinRefuse(w, status, code, oauth, message) }
	}
	text := func(s string) func(http.ResponseWriter, int) bool {
		return func(w http.ResponseWriter, _ int) bool { fmt.Fprint(w, s); return true }
	}
	for _, tt := range []struct {
		name   string
		life   time.Duration // of the cached set
		env    string
		cache  func(text string) string
		answer func(w http.ResponseWriter, n int) bool

		key       string // of the credentials
		err       string
		permanent bool
		hint      string
		asked     int  // how often a renewal was asked for
		kept      bool // the cache is as it was
	}{
		{name: "fresh", life: 14 * time.Minute, key: "ASIAfirst", kept: true},
		{name: "half over", life: 8 * time.Minute, key: "ASIAnew1", asked: 1},
		{name: "has ended", life: -time.Hour, key: "ASIAnew1", asked: 1},
		{name: "server down", life: -time.Hour, err: "InternalServerException", asked: 2, kept: true, answer: refuse(500, "InternalServerException", "server_error", "")},
		{name: "half over, server down", life: 5 * time.Minute, key: "ASIAfirst", asked: 2, kept: true, answer: refuse(503, "InternalServerException", "server_error", "")},
		{name: "half over, session over", life: 5 * time.Minute, key: "ASIAfirst", asked: 1, kept: true, answer: refuse(401, "AccessDeniedException", "TOKEN_EXPIRED", "")},
		{name: "throttled", life: -time.Hour, err: "TooManyRequestsError", asked: 1, kept: true, answer: refuse(429, "TooManyRequestsError", "", "")},
		{name: "session over", life: -time.Hour, err: ended + "TOKEN_EXPIRED", permanent: true, hint: login, asked: 1, kept: true,
			answer: refuse(401, "AccessDeniedException", "TOKEN_EXPIRED", signinRefresh+"first")},
		{name: "session over, told with a token that looks like none", life: -time.Hour, err: ended + "TOKEN_EXPIRED: ", permanent: true, hint: login, asked: 1, kept: true,
			cache:  func(s string) string { return strings.Replace(s, signinRefresh+"first", shortSecret, 1) },
			answer: refuse(401, "AccessDeniedException", "TOKEN_EXPIRED", "no "+shortSecret)},
		{name: "password changed", life: -time.Hour, err: ended + "USER_CREDENTIALS_CHANGED", permanent: true, hint: login, asked: 1, kept: true,
			answer: refuse(403, "AccessDeniedException", "USER_CREDENTIALS_CHANGED", "")},
		{name: "not allowed", life: -time.Hour, err: ended + "AccessDeniedException", permanent: true, asked: 1, kept: true,
			hint:   "it must be allowed signin:CreateOAuth2Token, as AWS's policy SignInLocalDevelopmentAccess does",
			answer: refuse(403, "AccessDeniedException", "INSUFFICIENT_PERMISSIONS", "")},
		{name: "another region", life: -time.Hour, env: "AWS_REGION=us-east-2", err: ended + "ValidationException: invalid grant", permanent: true, asked: 2, kept: true,
			hint:   login + " --region us-east-2: AWS renews a login only in the region that it began in",
			answer: refuse(400, "ValidationException", "INVALID_REQUEST", "invalid grant")},
		{name: "nothing in the answer", life: -time.Hour, err: "unreadable answer from signin.test", asked: 1, kept: true, answer: text("{}")},
		{name: "no credentials in the answer", life: -time.Hour, err: "unreadable answer from signin.test", asked: 1, kept: true, answer: text(`{"accessToken":{},"expiresIn":900,"refreshToken":"x"}`)},
		{name: "no length of life", life: -time.Hour, err: "unreadable answer from signin.test", asked: 1, kept: true,
			answer: func(w http.ResponseWriter, _ int) bool { signinAnswer(w, "ASIAx", "r", 0); return true }},
		{name: "garbage", life: -time.Hour, err: "unreadable answer from signin.test", asked: 1, kept: true, answer: text(roleSecret)},
		{name: "no refresh token", life: -time.Hour, err: ended + "its credentials were valid until 1999-12-31T23:00:00Z, and nothing is there to renew them with", permanent: true, hint: login, kept: true,
			cache: func(s string) string { return strings.Replace(s, "refreshToken", "other", 1) }},
		{name: "no key", life: -time.Hour, err: "the login session cannot be renewed: dpopKey is no PEM", permanent: true, hint: login, kept: true,
			cache: func(s string) string { return strings.Replace(s, "-----BEGIN", "", 1) }},
		{name: "broken", life: -time.Hour, err: "is not the JSON of a login session", permanent: true, hint: login, kept: true,
			cache: func(s string) string { return s[:250] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := signinConfig(t)
			if tt.env != "" {
				setenv(t, tt.env)
			}
			synctest.Test(t, func(t *testing.T) {
				server := &signinServer{life: 15 * time.Minute, answer: tt.answer}
				n := serve(t, server)
				loggedIn(t, path, "first", tt.life)
				if tt.cache != nil {
					write(t, path, tt.cache(content(t, path)))
				}
				was := content(t, path)
				src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
				c, err := src.Retrieve(t.Context())
				if tt.err != "" {
					e := failure(t, err)
					if text := e.Error() + e.Hint; strings.Contains(text, signinRefresh) || strings.Contains(text, "BEGIN") {
						t.Errorf("shows a secret: %v", e)
					}
					if !strings.Contains(e.Error(), tt.err) || e.Permanent != tt.permanent || tt.hint != "" && e.Hint != tt.hint {
						t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.err, tt.permanent, tt.hint)
					}
				} else if err != nil || c.AccessKeyID != tt.key || c.AccountID != "123456789012" {
					t.Errorf("set %s of %s, %v; want %s", c.AccessKeyID, c.AccountID, err, tt.key)
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
				// As it was, with other credentials and refresh token.
				want := strings.NewReplacer("ASIAfirst", "ASIAnew1", baseSecret, roleSecret, baseToken, roleToken, signinRefresh+"first", server.refresh,
					expiryOf(was), "2000-01-01T00:15:00Z").Replace(was)
				if diff := cmp.Diff(want, now); diff != "" {
					t.Errorf("the cache (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Who retrieves again gets new credentials, and another process those that there are.
func TestSigninAgain(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, &signinServer{life: 15 * time.Minute})
		loggedIn(t, path, "first", 14*time.Minute)
		one, other := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}}), mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		var got []string
		for _, src := range []*Source{one, one, other, one, other} {
			got = append(got, mustRetrieve(t, src).AccessKeyID)
			time.Sleep(time.Minute)
		}
		if diff := cmp.Diff([]string{"ASIAfirst", "ASIAnew1", "ASIAnew1", "ASIAnew2", "ASIAnew2"}, got); diff != "" {
			t.Errorf("credentials (-want +got):\n%s", diff)
		}
	})
}

// Credentials that have not expired are good enough to assume a role with: without roles the same
// ones again are no new credentials, and the failure is told.
func TestSigninRoles(t *testing.T) {
	t.Parallel()
	for _, roles := range [][]string{nil, {roleA}} {
		path := signinConfig(t)
		synctest.Test(t, func(t *testing.T) {
			n := serve(t, &signinServer{answer: func(w http.ResponseWriter, _ int) bool {
				return signinRefuse(w, 503, "InternalServerException", "server_error", "")
			}})
			loggedIn(t, path, "first", 5*time.Minute)
			src := mustNew(t, Spec{Profile: "app", Roles: Chain(roles, Role{}), limits: limits{dial: n.dial}})
			mustRetrieve(t, src)
			_, err := src.Retrieve(t.Context())
			if failed := err != nil; failed != (roles == nil) {
				t.Errorf("with roles %q: error %v", roles, err)
			}
		})
	}
}

// A login is renewed in the region that it began in, which is that of the environment
// or the profile, whatever --region the command is to work in.
func TestSigninRegion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, env, profile, flag, begun string
		want                            []string // hosts, of two renewals
	}{
		{name: "the profile's", profile: "eu-west-1", flag: "us-west-2", begun: "eu-west-1", want: []string{"eu-west-1", "eu-west-1"}},
		{name: "the environment's", env: "eu-north-1", profile: "eu-west-1", begun: "eu-north-1", want: []string{"eu-north-1", "eu-north-1"}},
		{name: "not the environment's", env: "eu-north-1", profile: "eu-west-1", begun: "eu-west-1", want: []string{"eu-north-1", "eu-west-1", "eu-west-1"}},
		{name: "the flag's", flag: "us-west-2", begun: "us-west-2", want: []string{"us-west-2", "us-west-2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := signinConfig(t)
			setenv(t, "AWS_ENDPOINT_URL_SIGNIN=")
			write(t, envOf(t).get("AWS_CONFIG_FILE"), strings.ReplaceAll(signinProfiles, "eu-west-1", tt.profile))
			setenv(t, "AWS_REGION="+tt.env)
			server := &signinServer{life: 15 * time.Minute}
			server.answer = func(w http.ResponseWriter, n int) bool {
				return !strings.HasPrefix(server.hosts[n-1], tt.begun+".") && signinRefuse(w, 400, "ValidationException", "INVALID_REQUEST", "")
			}
			names := newAllNames(t, server)
			src := mustNew(t, Spec{Profile: "app", Region: tt.flag, limits: names.limits})
			for range 2 {
				loggedIn(t, path, "first", -time.Hour)
				server.refresh = ""
				mustRetrieve(t, src)
			}
			var got []string
			for _, address := range names.got() {
				got = append(got, strings.TrimSuffix(address, ".signin.aws.amazon.com:443"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("asked in (-want +got):\n%s", diff)
			}
		})
	}
}

// Ten sources need new credentials at once: one requests them.
func TestSigninTakesTurns(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &signinServer{life: 15 * time.Minute, refresh: signinRefresh + "first", asleep: func() { time.Sleep(time.Second) }}
		n := serve(t, server)
		loggedIn(t, path, "first", -time.Hour)
		var all sync.WaitGroup
		for range 10 {
			src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
			all.Go(func() {
				if c, err := src.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIAnew1" {
					t.Errorf("set %s, %v", c.AccessKeyID, err)
				}
			})
		}
		all.Wait()
		if len(server.asked) != 1 {
			t.Errorf("renewed %d times", len(server.asked))
		}
	})
}

// Someone who takes no turns was faster, or logged in or out: what they left is used,
// and not overwritten.
func TestSigninOvertaken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		theirs  func(t *testing.T, path string)
		refused bool
		key     string // "": the session has ended
	}{
		{"renewed, and ours refused", func(t *testing.T, path string) { loggedIn(t, path, "theirs", 15*time.Minute) }, true, "ASIAtheirs"},
		{"renewed, or a login", func(t *testing.T, path string) { loggedIn(t, path, "theirs", 15*time.Minute) }, false, "ASIAtheirs"},
		{"aws logout", func(t *testing.T, path string) { os.Remove(path) }, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := signinConfig(t)
			synctest.Test(t, func(t *testing.T) {
				was := ""
				n := serve(t, &signinServer{life: 15 * time.Minute, answer: func(w http.ResponseWriter, _ int) bool {
					tt.theirs(t, path)
					text, _ := os.ReadFile(path)
					was = string(text)
					return tt.refused && signinRefuse(w, 401, "AccessDeniedException", "TOKEN_EXPIRED", "")
				}})
				loggedIn(t, path, "first", -time.Hour)
				c, err := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}}).Retrieve(t.Context())
				if tt.key == "" {
					if e := failure(t, err); e.Error() != `profile "app": the login session has expired, or was never begun` || !e.Permanent {
						t.Errorf("error %q, permanent %v", e, e.Permanent)
					}
				} else if err != nil || c.AccessKeyID != tt.key {
					t.Errorf("set %s, %v; want %s", c.AccessKeyID, err, tt.key)
				}
				if text, _ := os.ReadFile(path); string(text) != was {
					t.Errorf("the cache has %s", text)
				}
			})
		})
	}
}

// A cache that cannot be written costs the others the new credentials, and not us, although each
// refresh token serves once. A new login counts at once.
func TestSigninReadOnly(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, &signinServer{life: 15 * time.Minute, refresh: signinRefresh + "first"})
		loggedIn(t, path, "first", -time.Hour)
		was := content(t, path)
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial, readOnly: fs.ErrPermission}})
		for _, want := range []string{"ASIAnew1", "ASIAnew2", "ASIAnew3"} {
			if c := mustRetrieve(t, src); c.AccessKeyID != want {
				t.Errorf("set %s, want %s", c.AccessKeyID, want)
			}
			time.Sleep(8 * time.Minute)
		}
		if notes := src.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "cannot be written to the cache, and serves this process alone: permission denied") {
			t.Errorf("notes %q", notes)
		}
		if now := content(t, path); now != was {
			t.Errorf("the cache has become %s", now)
		}
		loggedIn(t, path, "login", 15*time.Minute)
		if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAlogin" {
			t.Errorf("set %s, want that of the new login", c.AccessKeyID)
		}
	})
}

// A proof has the time of the server, whatever this machine's clock says.
func TestSigninSkew(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		const ahead = 20 * time.Minute
		asked := 0
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			here := time.Now().Add(-ahead)
			w.Header().Set("Date", here.UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Type", "application/json")
			_, rest, _ := strings.Cut(r.Header.Get("DPoP"), ".")
			claims, _, _ := strings.Cut(rest, ".")
			text, _ := base64.RawURLEncoding.DecodeString(claims)
			var proof struct{ IAT int64 }
			json.Unmarshal(text, &proof)
			if here.Sub(time.Unix(proof.IAT, 0)).Abs() > time.Minute {
				signinRefuse(w, 400, "ValidationException", "INVALID_REQUEST", "")
				return
			}
			signinAnswer(w, fmt.Sprint("ASIA", asked), "r", 15*time.Minute)
		}))
		loggedIn(t, path, "first", -time.Hour)
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		for _, want := range []string{"ASIA2", "ASIA3"} { // the first was with a wrong clock
			c := mustRetrieve(t, src)
			if left := c.Expires.Sub(time.Now().Add(-ahead)); c.AccessKeyID != want || left.Round(time.Minute) != 15*time.Minute || src.Skew().Round(time.Minute) != ahead {
				t.Errorf("set %s, with %s left on the server's clock, skew %s; want %s, 15m", c.AccessKeyID, left, src.Skew(), want)
			}
			time.Sleep(8 * time.Minute)
		}
	})
}

// What is written serves the SDK for Go, which renews it, and what that writes serves us.
func TestSigninSDK(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &signinServer{life: 15 * time.Minute, refresh: signinRefresh + "first"}
		n := serve(t, server)
		loggedIn(t, path, "first", -time.Hour)
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		for _, want := range []string{"ASIAnew1", "ASIAnew3", "ASIAnew5"} {
			if c := mustRetrieve(t, src); c.AccessKeyID != want {
				t.Errorf("set %s, want %s", c.AccessKeyID, want)
			}
			time.Sleep(16 * time.Minute)
			theirs := logincreds.New(signin.NewFromConfig(src.resolved.cfg), path)
			if _, err := theirs.Retrieve(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(16 * time.Minute)
		}
		slices.Sort(server.asked)
		if n := len(slices.Compact(server.asked)); n != 6 {
			t.Errorf("%d refresh tokens were used in 6 renewals", n)
		}
	})
}

// The end that is known is the latest there can be; that of a session which is renewed
// no more is that of its credentials.
func TestSigninEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		cache   func(string) string
		refused bool
		at      string // "": not known
	}{
		{name: "renewed for 12 hours at most", at: "2000-01-01T12:00:00Z"},
		{name: "renewed no more", refused: true, at: "2000-01-01T00:05:00Z"},
		{name: "nothing to renew with", at: "2000-01-01T00:05:00Z", cache: func(s string) string { return strings.Replace(s, "dpopKey", "x", 1) }},
		{name: "unknown begin", cache: func(s string) string { return strings.Replace(s, "idToken", "x", 1) }},
		{name: "broken", cache: func(s string) string { return s[:50] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := signinConfig(t)
			synctest.Test(t, func(t *testing.T) {
				n := serve(t, &signinServer{answer: func(w http.ResponseWriter, _ int) bool {
					return signinRefuse(w, 401, "AccessDeniedException", "TOKEN_EXPIRED", "")
				}})
				loggedIn(t, path, "first", 5*time.Minute)
				if tt.cache != nil {
					write(t, path, tt.cache(content(t, path)))
				}
				src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
				if tt.refused {
					mustRetrieve(t, src) // the credentials have not expired
				}
				got, ok := src.Expiry()
				at := ""
				if ok {
					at = got.At.UTC().Format(time.RFC3339)
				}
				if at != tt.at || ok && (got.What != `the login session of profile "app"` || got.Hint != "aws login --profile app") {
					t.Errorf("Ends = %+v, %v; want %s", got, ok, tt.at)
				}
			})
		})
	}
}

// How long AWS renews a login it counts on its own clock; a person goes by the local one.
func TestSigninEndsHere(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		const ahead = 10 * time.Minute
		server := &signinServer{life: 15 * time.Minute}
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
			server.ServeHTTP(w, r)
		}))
		loggedIn(t, path, "first", -time.Minute)
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		before, _ := src.Expiry()
		mustRetrieve(t, src)
		after, known := src.Expiry()
		if moved := after.At.Sub(before.At); !known || moved != ahead {
			t.Errorf("the end moved by %s, want %s, as this machine's clock is ahead", moved, ahead)
		}
	})
}

// Two weeks of a login whose credentials last for a quarter of an hour and whose refresh tokens
// serve once. Each night the server says nothing of use for two minutes.
func TestSigninSoak(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &signinServer{life: 15 * time.Minute, refresh: signinRefresh + "first"}
		server.answer = func(w http.ResponseWriter, _ int) bool {
			if now := time.Now().UTC(); now.Hour() != 3 || now.Minute() >= 2 {
				return false
			}
			fmt.Fprint(w, "{}")
			return true
		}
		n := serve(t, server)
		loggedIn(t, path, "first", 15*time.Minute)
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		var failed []error
		d := engine(t, src, func(e refresh.Event) {
			switch {
			case e.Kind == refresh.Expired, e.Permanent:
				t.Errorf("%s: %v: %v", e.Time, e.Kind, e.Err)
			case e.Kind == refresh.Failed:
				failed = append(failed, e.Err)
			}
		})
		for minute := range 14 * 24 * 60 {
			// The network is away for four minutes, at another time each day.
			n.down.Store(minute%1510 < 4)
			time.Sleep(time.Minute)
			synctest.Wait()
			if c, _ := d.get(); time.Until(c.Expires) < 2*time.Minute {
				t.Fatalf("minute %d: what is held lives for %s", minute, time.Until(c.Expires))
			}
		}
		if _, count := d.get(); count < 14*24*7 || count > 14*24*10 {
			t.Errorf("%d credentials in 14 days", count)
		}
		server.mu.Lock()
		defer server.mu.Unlock()
		if last, err := logincache.ReadLogin(path); err != nil || last.Refresh != server.refresh {
			t.Errorf("the cache has not the last refresh token: %v", err)
		}
		t.Logf("%d failures on the way, %d renewals", len(failed), len(server.asked))
	})
}

// Two weeks in which AWS ends the session every 12 hours. A person logs in four minutes
// after the loud line, and the reader notices nothing.
func TestSigninLoginSoak(t *testing.T) {
	t.Parallel()
	path := signinConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &signinServer{life: 15 * time.Minute}
		logins, began := 0, time.Time{}
		login := func() {
			server.mu.Lock()
			defer server.mu.Unlock()
			logins, began = logins+1, time.Now()
			name := fmt.Sprint("login", logins)
			server.refresh = signinRefresh + name
			loggedIn(t, path, name, 15*time.Minute)
		}
		server.answer = func(w http.ResponseWriter, _ int) bool {
			return time.Since(began) > 12*time.Hour && signinRefuse(w, 401, "AccessDeniedException", "TOKEN_EXPIRED", "")
		}
		n := serve(t, server)
		login()
		told := 0
		d := engine(t, mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial, pollOnly: true}}), func(e refresh.Event) {
			switch {
			case e.Kind == refresh.Expired:
				t.Errorf("%s: expired", e.Time)
			case e.Kind == refresh.Failed && e.First:
				if !e.Permanent {
					t.Errorf("%s: %v", e.Time, e.Err)
				}
				told++
				time.AfterFunc(4*time.Minute, login)
			}
		})
		for range 14 * 24 * 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if c, _ := d.get(); time.Until(c.Expires) <= time.Minute {
				t.Fatalf("after %d logins: what is held lives for %s", logins, time.Until(c.Expires))
			}
		}
		if told < 20 || told > 28 || logins < told {
			t.Errorf("told %d times, and logged in %d times, in 14 days of sessions of 12 hours", told, logins)
		}
	})
}
