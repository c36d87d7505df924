package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bearer is what authorises a job to ask for tokens.
const bearer = "eyJ0eXAiOiJKV1QifQ.eyJqb2IiOiIxIn0.YmVhcmVyLW9mLXRoZS1mYWtl"

func webForm(pairs ...string) map[string][]string {
	v := form(pairs...)
	v.Set("Action", "AssumeRoleWithWebIdentity")
	return v
}

func TestWebChain(t *testing.T) {
	t.Parallel()
	session := Role{SessionName: "s", Policy: "{}", PolicyARNs: []string{"p"}, Duration: time.Hour, SourceIdentity: "i", ExternalID: "x"}
	one := session
	one.ARN = roleA
	tests := []struct {
		arns []string
		want []Role
	}{
		{nil, nil},
		{[]string{roleA}, []Role{one}},
		{[]string{roleA, roleB}, []Role{
			{ARN: roleA, SessionName: "s"},
			{ARN: roleB, SessionName: "s", Policy: "{}", PolicyARNs: []string{"p"}, Duration: time.Hour, SourceIdentity: "i", ExternalID: "x"},
		}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, WebChain(tt.arns, session)); diff != "" {
			t.Errorf("WebChain(%v) (-want +got):\n%s", tt.arns, diff)
		}
	}
}

// The token is read anew each time, and is the first role's; the next one is
// assumed with that. Nothing is said about a duration that nobody asked for.
func TestTokenFile(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t) // is no part of it
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL, "AWS_REGION=eu-central-1")
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, jwt+"\n")
	src := mustNew(t, Spec{
		WebIdentity: WebIdentity{TokenFile: path},
		Roles:       WebChain([]string{roleA, roleB}, Role{SessionName: "job", ExternalID: "x", Duration: 2 * time.Hour}),
	})
	if got, want := src.Describe(), "web identity token of "+path+" → "+roleA+" → "+roleB; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
	if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAROLE2" || c.AccountID != "123456789012" || !c.Expires.Equal(roleExpires) {
		t.Errorf("credentials %+v", c)
	}
	want := []call{
		{webForm("RoleArn="+roleA, "RoleSessionName=job", "WebIdentityToken="+jwt), "", "", ""},
		{form("RoleArn="+roleB, "RoleSessionName=job", "ExternalId=x", "DurationSeconds=3600"), "ASIAROLE1", "eu-central-1", roleToken},
	}
	if diff := cmp.Diff(want, sts.got(), cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if n := src.Notes(); len(n) != 1 || !strings.Contains(n[0], "1h, not 2h") {
		t.Errorf("Notes = %q, want one on the length of the chained session", n)
	}
	write(t, path, "second."+jwt)
	mustRetrieve(t, src)
	if got := sts.got()[0].Get("WebIdentityToken"); got != "second."+jwt {
		t.Errorf("token %q, want the new one", got)
	}
}

func TestTokenOptions(t *testing.T) {
	t.Parallel()
	isolate(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, jwt)
	mustRetrieve(t, mustNew(t, Spec{WebIdentity: WebIdentity{TokenFile: path}, Roles: WebChain([]string{roleA}, Role{
		SessionName: "job", Policy: "{}", PolicyARNs: []string{"arn:aws:iam::aws:policy/P"}, Duration: 12 * time.Hour,
	})}))
	want := webForm("RoleArn="+roleA, "RoleSessionName=job", "WebIdentityToken="+jwt, "Policy={}", "PolicyArns.member.1.arn=arn:aws:iam::aws:policy/P", "DurationSeconds=43200")
	if diff := cmp.Diff(want, map[string][]string(sts.got()[0].Values)); diff != "" {
		t.Errorf("call (-want +got):\n%s", diff)
	}
}

// The program of SPIRE prints more than the token.
func TestTokenOfSPIRE(t *testing.T) {
	t.Parallel()
	isolate(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	const out = "token(spiffe://example.org/app):\n\t" + jwt + "\nbundle(spiffe://example.org):\n\t{\"keys\": [{\"kty\": \"EC\"}]}\n"
	mustRetrieve(t, mustNew(t, Spec{WebIdentity: WebIdentity{Command: helperCommand("print", out)}, Roles: []Role{{ARN: roleA}}}))
	if got := sts.got()[0].Get("WebIdentityToken"); got != jwt {
		t.Errorf("token %q, want %q", got, jwt)
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	isolate(t)
	dir := t.TempDir()
	file := func(name, text string) WebIdentity {
		write(t, filepath.Join(dir, name), text)
		return WebIdentity{TokenFile: filepath.Join(dir, name)}
	}
	sh := func(script string) WebIdentity { return WebIdentity{Command: []string{"sh", "-c", script}} }
	tests := []struct {
		name      string
		web       WebIdentity
		want      string
		permanent bool
		hint      string
	}{
		{"no file", WebIdentity{TokenFile: filepath.Join(dir, "none")}, "web identity token of DIR/none: open DIR/none: no such file or directory", true, "something must write"},
		{"empty", file("empty", " \n"), "web identity token of DIR/empty: holds no token", false, "one JSON web token"},
		{"words", file("words", jwt+" "+jwt), "web identity token of DIR/words: holds more than one word", true, "one JSON web token"},
		{"huge", file("huge", strings.Repeat("a", 1<<20)), "web identity token of DIR/huge: holds more than the 20000 bytes that a token can have", true, ""},
		{"command fails", sh("echo " + jwt + "; exit 3"), "web identity token of command sh: exit status 3", false, ""},
		{"command greets", sh("echo hello " + jwt), "web identity token of command sh: prints more than one word", true, "one JSON web token"},
		{"command prints too much", sh("yes"), "web identity token of command sh: prints more than the 20000 bytes", true, ""},
		{"command prints nothing", sh("true"), "web identity token of command sh: prints no token", false, ""},
		{"no command", WebIdentity{Command: []string{filepath.Join(dir, "none")}}, "web identity token of command none: no such file or directory", true, "without a shell"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustNew(t, Spec{WebIdentity: tt.web, Roles: WebChain([]string{roleA}, Role{})}).Retrieve(t.Context())
			e := failure(t, err)
			if want := strings.ReplaceAll(tt.want, "DIR", dir); !strings.HasPrefix(e.Error(), want) || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, want, tt.permanent, tt.hint)
			}
		})
	}
}

// github answers as the token service of GitHub Actions does.
func github(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int)) {
	t.Helper()
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, int(n.Add(1))) }))
	t.Cleanup(srv.Close)
	setenv(t, githubURL+"="+srv.URL+"/runs/1/idtoken?api-version=2.0", githubToken+"="+bearer)
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ audience, role, want string }{
		{"", roleA, "sts.amazonaws.com"},
		{"", "arn:aws-cn:iam::123456789012:role/a", "sts.amazonaws.com.cn"},
		{"my aud&x=1", roleA, "my aud&x=1"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			isolate(t)
			sts := newSTS(t)
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
			github(t, func(w http.ResponseWriter, r *http.Request, n int) {
				q := r.URL.Query()
				if got := r.Header.Get("Authorization"); got != "Bearer "+bearer || q.Get("api-version") != "2.0" || q.Get("audience") != tt.want || len(q) != 2 {
					t.Errorf("asked for %s with authorisation %q", r.URL, got)
				}
				fmt.Fprintf(w, `{"count":1234,"value":"%d.%s"}`, n, jwt)
			})
			src := mustNew(t, Spec{WebIdentity: WebIdentity{GitHub: true, Audience: tt.audience}, Roles: WebChain([]string{tt.role}, Role{})})
			if got := src.Describe(); got != "GitHub Actions token → "+tt.role {
				t.Errorf("Describe = %q", got)
			}
			for n := range 2 {
				mustRetrieve(t, src)
				if got, want := sts.got()[0].Get("WebIdentityToken"), fmt.Sprintf("%d.%s", n+1, jwt); got != want {
					t.Errorf("token %q, want %q", got, want)
				}
			}
		})
	}
}

func TestGitHubErrors(t *testing.T) {
	t.Parallel()
	status := func(code int, body string) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	tests := []struct {
		name      string
		answer    func(http.ResponseWriter, *http.Request, int)
		env       string
		want      string
		permanent bool
		hint      string
	}{
		{"no variables", nil, "", "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not both set", true, "permissions: id-token: write"},
		{"plain http", nil, "http://192.0.2.1/x", "ACTIONS_ID_TOKEN_REQUEST_URL is no https address", true, ""},
		{"nonsense", nil, "::", "ACTIONS_ID_TOKEN_REQUEST_URL is no https address", true, ""},
		{"denied", status(401, "token "+bearer), "", "HTTP 401 Unauthorized from 127.0.0.1", true, "the job has ended"},
		{"forbidden", status(403, ""), "", "HTTP 403 Forbidden", true, "permissions: id-token: write"},
		{"not found", status(404, ""), "", "HTTP 404 Not Found", true, "what the runner has set"},
		{"redirect", status(302, ""), "", "HTTP 302 Found", true, "what the runner has set"},
		{"busy", status(429, ""), "", "HTTP 429 Too Many Requests", false, ""},
		{"broken", status(500, jwt), "", "HTTP 500 Internal Server Error", false, ""},
		{"garbage", status(200, "<html>"+jwt), "", "unreadable answer from 127.0.0.1", false, ""},
		{"empty", status(200, `{"value":""}`), "", "unreadable answer", false, ""},
		{"wrong type", status(200, `{"value":{"a":"`+jwt+`"}}`), "", "unreadable answer", false, ""},
		{"two words", status(200, `{"value":"a `+jwt+`"}`), "", "gives more than one word", true, ""},
		{"oversized", status(200, `{"value":"`+strings.Repeat("a", 2<<20)), "", "the answer is too long from 127.0.0.1", false, ""},
		{"cut off", func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"value":"`+jwt)
		}, "", "incomplete answer from 127.0.0.1", false, ""},
		{"slow", func(w http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }, "", "no answer in time from 127.0.0.1", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			setenv(t, githubURL+"="+tt.env, githubToken+"=")
			if tt.env != "" {
				setenv(t, githubToken+"="+bearer)
			}
			if tt.answer != nil {
				github(t, tt.answer)
			}
			limit := patient
			if strings.HasPrefix(tt.want, "no answer") {
				limit = 300 * time.Millisecond
			}
			src := mustNew(t, Spec{
				WebIdentity: WebIdentity{GitHub: true}, Roles: WebChain([]string{roleA}, Role{}),
				limits: limits{connect: limit, whole: limit},
			})
			_, err := src.Retrieve(t.Context())
			e := failure(t, err)
			if !strings.HasPrefix(e.Error(), "GitHub Actions token: "+tt.want) || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.want, tt.permanent, tt.hint)
			}
			if strings.Contains(e.Error()+e.Hint, bearer) {
				t.Errorf("shows what authorises the job: %q, %q", e, e.Hint)
			}
		})
	}
}

// What STS says of tokens.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status        int
		code, message string
		want          string
		permanent     bool
		hint          string
	}{
		{400, "ExpiredTokenException", "Token expired: current date/time 1 must be before the expiration date/time 0", "ExpiredTokenException: Token expired", false, "nothing has renewed it"},
		{400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://token.example", "InvalidIdentityToken: No OpenIDConnect provider found", true, "OpenID Connect provider"},
		{400, "InvalidIdentityToken", "Incorrect token audience", "InvalidIdentityToken: Incorrect token audience", true, "audience"},
		{403, "IDPRejectedClaim", "x", "IDPRejectedClaim", true, "does not accept"},
		{400, "IDPCommunicationError", "x", "IDPCommunicationError", false, ""},
		{403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", "AccessDenied: Not authorized", true, "trust policy must allow this identity provider, audience and subject"},
		{403, "AccessDenied", "bad token " + jwt, "AccessDenied: bad token [redacted]", true, ""},
		{400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", "ValidationError: The requested", true, "--duration"},
	}
	isolate(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, jwt)
	src := mustNew(t, Spec{WebIdentity: WebIdentity{TokenFile: path}, Roles: WebChain([]string{roleA}, Role{})})
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			sts.answer = func(w http.ResponseWriter, _ call) bool { return refuse(w, tt.status, tt.code, tt.message) }
			_, err := src.Retrieve(t.Context())
			e := failure(t, err)
			if want := "web identity token of " + path + ": assume role " + roleA + ": " + tt.want; !strings.HasPrefix(e.Error(), want) || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, want, tt.permanent, tt.hint)
			}
		})
	}
}

func FuzzToken(f *testing.F) {
	for _, seed := range []string{jwt, jwt + "\n", "", " ", "a b", "\x00", "\xef\xbb\xbfa", "a\u00a0b", "token(spiffe://a):\n\t" + jwt + "\nbundle(spiffe://a):\n{}", "token(spiffe://):\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tok, err := oneToken(svid(text), "holds")
		if (err == nil) != (tok != "") || len(tok) > tokenLimit || strings.ContainsFunc(tok, unprintable) {
			t.Errorf("oneToken(%q) = %q, %v", text, tok, err)
		}
	})
}

// Two weeks of a job in GitHub Actions: tokens that live for five minutes.
func TestGitHubSoak(t *testing.T) {
	t.Parallel()
	isolate(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test", githubURL+"=http://localhost/idtoken", githubToken+"="+bearer)
	synctest.Test(t, func(t *testing.T) {
		var minted atomic.Int64
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/idtoken" {
				minted.Store(time.Now().Unix())
				fmt.Fprintf(w, `{"value":"%s.%d"}`, jwt, minted.Load())
				return
			}
			r.ParseForm()
			if got, want := r.Form.Get("WebIdentityToken"), fmt.Sprintf("%s.%d", jwt, minted.Load()); got != want || time.Now().Unix()-minted.Load() > 300 {
				refuse(w, 400, "ExpiredTokenException", "Token expired")
				return
			}
			stsAnswer(w, r.Form.Get("Action"), time.Hour)
		}))
		src := mustNew(t, Spec{WebIdentity: WebIdentity{GitHub: true}, Roles: WebChain([]string{roleA}, Role{}), limits: limits{dial: n.dial}})
		soak(t, src, n, 18*time.Minute, 14*24*2, 14*24*3)
	})
}

// Two weeks of a pod whose token is rotated every hour by a rename.
func TestTokenFileSoak(t *testing.T) {
	t.Parallel()
	isolate(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	path := filepath.Join(t.TempDir(), "token")
	synctest.Test(t, func(t *testing.T) {
		rotate := func() {
			write(t, path+".new", fmt.Sprintf("%s.%d", jwt, time.Now().Unix()))
			if err := os.Rename(path+".new", path); err != nil {
				t.Error(err)
			}
		}
		rotate()
		go func() {
			tick := time.NewTicker(time.Hour)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					rotate()
				case <-t.Context().Done():
					return
				}
			}
		}()
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			var made int64
			fmt.Sscanf(strings.TrimPrefix(r.Form.Get("WebIdentityToken"), jwt+"."), "%d", &made)
			if time.Now().Unix()-made > 2*3600 {
				refuse(w, 400, "ExpiredTokenException", "Token expired")
				return
			}
			stsAnswer(w, r.Form.Get("Action"), time.Hour)
		}))
		src := mustNew(t, Spec{WebIdentity: WebIdentity{TokenFile: path}, Roles: WebChain([]string{roleA}, Role{}), limits: limits{dial: n.dial}})
		soak(t, src, n, 18*time.Minute, 14*24*2, 14*24*3)
	})
}
