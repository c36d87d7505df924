//go:build unix

package integration

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakesignin"
)

// signinWorld is a world with AWS Sign-In and the profile "app", that someone has
// logged in to. Its credentials have this lifetime.
func signinWorld(t *testing.T, life time.Duration) (*world, *fakesignin.Server) {
	t.Helper()
	w := newWorld(t, life)
	signin := fakesignin.Start(func() fakesignin.Keys {
		c := w.server.Issue(fakesignin.Session, life)
		return fakesignin.Keys{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires}
	})
	t.Cleanup(signin.Close)
	w.secrets = signin.Secrets
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.env["AWS_ENDPOINT_URL_SIGNIN"] = signin.URL()
	w.write("config", "[profile app]\nlogin_session = "+fakesignin.Session+"\nregion = us-east-1\n")
	if err := os.MkdirAll(w.path(filepath.Dir(signinFile)), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write(signinFile, signin.Login())
	return w, signin
}

// signinFile is where the AWS CLI keeps the session.
var signinFile = filepath.Join("home", ".aws", "login", "cache", fmt.Sprintf("%x.json", sha256.Sum256([]byte(fakesignin.Session))))

// startSignin runs the client under brs-exec on the profile "app".
func (w *world) startSignin(flags ...string) *process {
	w.t.Helper()
	p := w.brsExec(append(append([]string{"--profile", "app"}, flags...), append([]string{"--"}, child(w.t)...)...)...)
	w.awaitOK(p, 2)
	return p
}

// TestSigninRuns: through several expiries of the credentials, two processes on one cache, with a
// server that takes each refresh token once and verifies each proof.
func TestSigninRuns(t *testing.T) {
	slow(t)
	t.Parallel()
	w, signin := signinWorld(t, 8*time.Second)
	one, other := w.startSignin(), w.startSignin()
	eventually(t, 2*patience, "several renewals", func() bool {
		return signin.Count("refresh_token") >= 6 && distinctKeys(one) >= 4 && distinctKeys(other) >= 4
	})
	w.finish(one)
	w.finish(other)
	for _, p := range []*process{one, other} {
		if strings.Contains(p.stderr.String(), "refresh failed") {
			t.Errorf("a refresh failed:\n%s", p.stderr.String())
		}
	}
	for _, c := range signin.Calls() {
		if c.Code != "" {
			t.Errorf("the server refused %+v", c)
		}
	}
	w.checkMode(signinFile, 0o600)
}

// TestSigninEnds: the session ends, the last good set stays, a person is told by line
// and hook, logs in, and the job goes on.
func TestSigninEnds(t *testing.T) {
	slow(t)
	t.Parallel()
	w, signin := signinWorld(t, 40*time.Second)
	hook := w.script("hook", `env | grep -c SECRET_ACCESS >> secrets; env | grep ^BRS_ | sort > all; cat all >> told`)
	p := w.startSignin("--deliver", "env", "--on-refresh", "restart", "--on-source-ending", "exec:"+hook)
	signin.EndSessions()
	was := w.read(signinFile)
	eventually(t, 2*patience, "the loud line", func() bool {
		return strings.Contains(p.stderr.String(), "refresh refused; the command keeps its credentials, but a person must act before they expire")
	})
	for _, want := range []string{"the login session has expired: TOKEN_EXPIRED", "aws login --profile app"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("not said: %s\n%s", want, p.stderr.String())
		}
	}
	eventually(t, patience, "the hook", func() bool { return strings.Count(w.read("told"), "\n") == 5 })
	told := regexp.MustCompile(`(?m)^BRS_EXPIRES=.*$`).ReplaceAllString(w.read("told"), "BRS_EXPIRES=…")
	want := `BRS_EVENT=source-ended
BRS_EXPIRES=…
BRS_HINT=aws login --profile app
BRS_PROFILE=app
BRS_SOURCE=profile "app": the login session has expired: TOKEN_EXPIRED: The refresh token has expired.
`
	if told != want || w.read("secrets") != "0\n" {
		t.Errorf("the hook was told\n%swant\n%ssecrets: %s", told, want, w.read("secrets"))
	}
	if w.read(signinFile) != was {
		t.Errorf("the cache has become %q", w.read(signinFile))
	}
	w.awaitOK(p, 1) // with what it has
	sets := distinctKeys(p)
	w.write(signinFile, signin.Login())
	eventually(t, patience, "the job to go on", func() bool { return distinctKeys(p) > sets })
	w.finish(p)
}

// TestSigninFaults: whatever a server answers in place of credentials, the cache stays as it
// was, nothing is sent elsewhere, and the run goes on when the fault is over.
func TestSigninFaults(t *testing.T) {
	slow(t)
	t.Parallel()
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(func() {
		elsewhere.Close()
		if reached {
			t.Error("a redirect was followed")
		}
	})
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	for name, fault := range map[string]http.HandlerFunc{
		"unavailable": status(http.StatusServiceUnavailable),
		"throttled":   status(http.StatusTooManyRequests),
		"garbage":     text("\x16\x03\x01 <<<{{{ this is no answer \x00\xff"),
		"empty":       text("{}"),
		"oversized":   text(`{"refreshToken":"` + strings.Repeat("a", 3<<20) + `"}`),
		"redirect":    http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, signin := signinWorld(t, 30*time.Second)
			p := w.startSignin()
			was := w.read(signinFile)
			signin.SetFault(fault)
			eventually(t, 2*patience, "a failure", func() bool { return strings.Contains(p.stderr.String(), "the command keeps its credentials") })
			if now := w.read(signinFile); now != was {
				t.Errorf("the cache has become %q", now)
			}
			signin.SetFault(nil)
			if name == "redirect" { // for a person to look at, and not soon tried again
				w.write(signinFile, signin.Login())
			}
			eventually(t, 2*patience, "other credentials", func() bool { return distinctKeys(p) >= 2 })
			w.finish(p)
		})
	}
}

// TestSigninMounts: a full disk leaves the login as it was, and one that is mounted on
// its own is written in place. Both get new credentials.
func TestSigninMounts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		kept         bool
		says         string
	}{
		{"full", `cp "$f" was; mount -t tmpfs -o size=8k none "${f%/*}"; cp was "$f"
			head -c 4096 /dev/zero >"${f%/*}/full"`, true, "no space left on device"},
		{"mounted on its own", `mount --bind "$f" "$f"`, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, signin := signinWorld(t, 5*time.Minute)
			w.reveals = true
			was := w.read(signinFile)
			command := inMounts(t, "f="+signinFile+"\n"+tt.script+`
				"$@"; code=$?
				cat "$f" >left; exit $code`)
			p := w.start(command[0], append(command[1:], brsExec(t), "credentials", "--profile", "app")...)
			if code := p.exit(); code != 0 || signin.Count("refresh_token") != 1 || !strings.Contains(p.stderr.String(), tt.says) {
				t.Errorf("exit code %d, want 0, and %q on standard error:\n%s%+v", code, tt.says, p.stderr.String(), signin.Calls())
			}
			left := w.read("left")
			if kept := left == was; kept != tt.kept || !json.Valid([]byte(left)) {
				t.Errorf("the cache was\n%s\nand is\n%s", was, left)
			}
		})
	}
}
