//go:build unix

package integration

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakesso"
)

// ssoWorld is a world with a portal, and the profiles "corp" (sso_session) and
// "old" (without one). Roles live for life.
func ssoWorld(t *testing.T, life time.Duration, o fakesso.Options) (*world, *fakesso.Server) {
	t.Helper()
	w := newWorld(t, life)
	o.Issue = func(account, role string) fakesso.Keys {
		c := w.server.Issue(fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/ann", account, role), life)
		return fakesso.Keys{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires}
	}
	portal := fakesso.Start(o)
	t.Cleanup(portal.Close)
	w.secrets = portal.Secrets
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.env["AWS_ENDPOINT_URL_SSO"], w.env["AWS_ENDPOINT_URL_SSO_OIDC"] = portal.URL(), portal.URL()
	w.write("config", `[profile corp]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = App
region = us-east-1
[sso-session corp]
sso_region = us-east-1
sso_start_url = `+fakesso.StartURL+`
sso_registration_scopes = sso:account:access
[profile old]
sso_region = us-east-1
sso_start_url = `+fakesso.StartURL+`
sso_account_id = 123456789012
sso_role_name = App
region = us-east-1
[profile over]
role_arn = `+roleARN+`
source_profile = corp
region = us-east-1
[profile none]
region = us-east-1
`)
	return w, portal
}

// tokenFile is where the AWS CLI keeps the token of a session, or of a start URL.
func (w *world) tokenFile(key string) string {
	return filepath.Join("home", ".aws", "sso", "cache", fmt.Sprintf("%x.json", sha1.Sum([]byte(key))))
}

var address = regexp.MustCompile(`(?m)^https?://\S+`)

// visit goes where a process says that a person should go.
func visit(t *testing.T, p *process) (page string) {
	t.Helper()
	eventually(t, patience, "an address to go to", func() bool { return address.MatchString(p.stderr.String()) || p.ended() })
	url := address.FindString(p.stderr.String())
	resp, err := http.Get(url)
	if err != nil {
		t.Fatalf("go to %q: %v\n%s", url, err, p.stderr.String())
	}
	defer resp.Body.Close()
	b := new(strings.Builder)
	fmt.Fprint(b, resp.StatusCode)
	return b.String()
}

// login logs in, as a person would.
func (w *world) login(args ...string) *process {
	w.t.Helper()
	p := w.brsExec(append([]string{"login"}, args...)...)
	if status := visit(w.t, p); status != "200" {
		w.t.Fatalf("the page answers %s", status)
	}
	if code := p.exit(); code != 0 {
		w.t.Fatalf("login: exit code %d\n%s", code, p.stderr.String())
	}
	return p
}

// TestLogin: what a login writes serves the AWS CLI (botocore) and the SDK for Go,
// which renew it, and what they write serves us.
func TestLogin(t *testing.T) {
	t.Parallel()
	aws := program(t, "aws")
	registered := []string{"startUrl", "region", "accessToken", "expiresAt", "clientId", "clientSecret", "registrationExpiresAt"}
	for _, tt := range []struct {
		name  string
		args  []string
		key   string
		grant string
		keys  []string
		says  string
	}{
		{"sso_session", []string{"--profile", "corp"}, "corp", "device_code", append(registered[:7:7], "refreshToken"), `SSO session "corp"`},
		{"flags of former versions", []string{"--profile", "corp", "--device-code", "--no-browser"}, "corp", "device_code", append(registered[:7:7], "refreshToken"), "and see that it shows the code"},
		{"without sso_session", []string{"--profile", "old"}, fakesso.StartURL, "device_code", registered, "it expires 20"},
		{"role on top", []string{"--profile", "over"}, "corp", "device_code", append(registered[:7:7], "refreshToken"), "until 20"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, portal := ssoWorld(t, time.Hour, fakesso.Options{})
			p := w.login(tt.args...)
			if portal.Count("CreateToken "+tt.grant) != 1 {
				t.Errorf("not by %s: %+v", tt.grant, portal.Calls())
			}
			if p.stdout.String() != "" || !strings.Contains(p.stderr.String(), tt.says) {
				t.Errorf("stdout %q, stderr %q, want %q in it", p.stdout.String(), p.stderr.String(), tt.says)
			}
			text := w.read(w.tokenFile(tt.key))
			if keys := keysInOrder(t, text); !slices.Equal(keys, tt.keys) {
				t.Errorf("the cache has %q, want %q", keys, tt.keys)
			}
			w.checkMode(w.tokenFile(tt.key), 0o600)
			cli := w.start(aws, "--profile", tt.args[1], "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
			if code := cli.exit(); code != 0 || !strings.Contains(cli.stdout.String(), "assumed-role/App/") {
				t.Errorf("the AWS CLI: exit code %d: %s%s", code, cli.stdout.String(), cli.stderr.String())
			}
			if tt.key != "corp" {
				return
			}
			// An hour later botocore renews it.
			w.expire(tt.key)
			os.RemoveAll(w.path("home/.aws/cli")) // the role's credentials, which it keeps as well
			cli = w.start(aws, "--profile", "corp", "sts", "get-caller-identity")
			if code := cli.exit(); code != 0 || portal.Count("CreateToken refresh_token") != 1 {
				t.Errorf("the AWS CLI: exit code %d: %s\n%+v", code, cli.stderr.String(), portal.Calls())
			}
			theirs := w.read(w.tokenFile(tt.key))
			w.reveals = true
			if code := w.brsExec("credentials", "--profile", "corp").exit(); code != 0 {
				t.Errorf("credentials: exit code %d", code)
			}
			// And another hour later we do, just as botocore did.
			w.expire(tt.key)
			if code := w.brsExec("credentials", "--profile", "corp").exit(); code != 0 || portal.Count("CreateToken refresh_token") != 2 {
				t.Errorf("credentials: exit code %d; %+v", code, portal.Calls())
			}
			if got, want := blank(w.read(w.tokenFile(tt.key))), blank(theirs); got != want {
				t.Errorf("the cache is\n%s\nand of botocore\n%s", got, want)
			}
			w.checkMode(w.tokenFile(tt.key), 0o600)
			// The SDK for Go renews what we wrote, and we read what it wrote.
			w.expire(tt.key)
			w.env["AWS_PROFILE"] = "corp"
			sdk := w.start(child(t)[0], "1")
			if code := sdk.exit(); code != 0 || !strings.HasPrefix(sdk.stdout.String(), "ok ") || portal.Count("CreateToken refresh_token") != 3 {
				t.Errorf("the SDK for Go: exit code %d: %s%s\n%+v", code, sdk.stdout.String(), sdk.stderr.String(), portal.Calls())
			}
			w.expire(tt.key)
			if code := w.brsExec("credentials").exit(); code != 0 || portal.Count("CreateToken refresh_token") != 4 {
				t.Errorf("credentials: exit code %d; %+v", code, portal.Calls())
			}
			if left, _ := filepath.Glob(w.path("home/.aws/sso/cache/*.tmp")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// blank takes the values out of an entry of the cache that differ each time.
func blank(text string) string {
	return regexp.MustCompile(`"(accessToken|expiresAt|refreshToken)": "[^"]*"`).ReplaceAllString(text, `"$1": "…"`)
}

func keysInOrder(t *testing.T, text string) (keys []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	for n := 0; ; n++ {
		token, err := d.Token()
		if err != nil {
			break
		}
		if s, ok := token.(string); ok && n%2 == 1 {
			keys = append(keys, s)
		}
	}
	return keys
}

func (w *world) checkMode(name string, want fs.FileMode) {
	w.t.Helper()
	info, err := os.Stat(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	if info.Mode().Perm() != want {
		w.t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
	}
}

// expire makes the token in the cache one that ended an hour ago.
func (w *world) expire(key string) {
	w.t.Helper()
	was := w.read(w.tokenFile(key))
	now := regexp.MustCompile(`"expiresAt": ?"[^"]*"`).ReplaceAllString(was, fmt.Sprintf(`"expiresAt": %q`, time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05Z")))
	if was == now {
		w.t.Fatalf("no expiresAt in %q", was)
	}
	w.write(w.tokenFile(key), now)
}

// TestLoginRefused: one line, a hint, exit code 125, and the cache as it was.
func TestLoginRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		args    []string
		prepare func(*world, *fakesso.Server)
		visit   bool
		want    string
	}{
		{"no in the browser", []string{"--profile", "corp"}, func(_ *world, p *fakesso.Server) { p.Refuse() }, true,
			"error: profile \"corp\": it was refused in the browser\nhint: run it again\n"},
		{"no SSO settings", []string{"--profile", "none"}, nil, false,
			"error: profile \"none\": has no SSO settings: sso_session, or sso_start_url and sso_region\nhint: `aws configure sso` writes them, or name another --profile\n"},
		{"no profile", nil, nil, false,
			"error: profile \"default\": has no SSO settings: sso_session, or sso_start_url and sso_region\nhint: `aws configure sso` writes them, or name another --profile\n"},
		{"no such profile", []string{"--profile", "corb"}, nil, false,
			"error: profile \"corb\": there is no such profile\nhint: did you mean \"corp\"?\n"},
		{"another start URL", []string{"--profile", "corp"}, func(w *world, _ *fakesso.Server) {
			w.write("config", strings.ReplaceAll(w.read("config"), "//example.", "//elsewhere."))
		}, false, "error: profile \"corp\": InvalidRequestException\nhint: look at sso_start_url and sso_region, or try again\n"},
		{"garbage", []string{"--profile", "corp"}, func(_ *world, p *fakesso.Server) { p.SetFaults(fakesso.Fault{Kind: fakesso.Garbage}) }, false,
			"error: profile \"corp\": unreadable answer from 127.0.0.1:PORT\nhint: check the endpoint, and whether a proxy answers in its place (AWS_ENDPOINT_URL_SSO_OIDC is set)\n"},
		{"empty", []string{"--profile", "corp"}, func(_ *world, p *fakesso.Server) { p.SetFaults(fakesso.Fault{Kind: fakesso.Empty}) }, false,
			"error: profile \"corp\": unreadable answer\nhint: look at sso_start_url and sso_region, or try again\n"},
		{"unavailable", []string{"--profile", "corp"}, func(_ *world, p *fakesso.Server) { p.SetFaults(fakesso.Fault{Kind: fakesso.Unavailable}) }, false,
			"error: profile \"corp\": InternalServerException\n"},
		{"a command", []string{"--profile", "corp", "--", "true"}, nil, false,
			"error: login runs no command\nhint: brs-exec login --profile NAME, and then brs-exec --profile NAME -- COMMAND\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, portal := ssoWorld(t, time.Hour, fakesso.Options{})
			if tt.prepare != nil {
				tt.prepare(w, portal)
			}
			p := w.brsExec(append([]string{"login"}, tt.args...)...)
			if tt.visit {
				visit(t, p)
			}
			if code := p.exit(); code != 125 {
				t.Errorf("exit code %d, want 125", code)
			}
			said := p.stderr.String()
			said = said[max(0, strings.Index(said, "brs-exec: error")):]
			said = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(strings.ReplaceAll(said, "brs-exec: ", ""), "127.0.0.1:PORT")
			if said != tt.want {
				t.Errorf("said\n%swant\n%s", said, tt.want)
			}
			if text := w.read(w.tokenFile("corp")); text != "" {
				t.Errorf("the cache has %q", text)
			}
		})
	}
}

// startSSO runs the client under brs-exec on the profile "corp".
func (w *world) startSSO(flags ...string) *process {
	w.t.Helper()
	p := w.brsExec(append(append([]string{"--profile", "corp"}, flags...), append([]string{"--"}, child(w.t)...)...)...)
	w.awaitOK(p, 2)
	return p
}

// TestSSORuns: through several ends of the token and of the role's credentials, two
// processes on one cache, with a server that takes each refresh token once.
func TestSSORuns(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, rotate := range []bool{false, true} {
		t.Run(fmt.Sprintf("rotate=%v", rotate), func(t *testing.T) {
			t.Parallel()
			w, portal := ssoWorld(t, 8*time.Second, fakesso.Options{Token: 6 * time.Second, Rotate: rotate})
			w.login("--profile", "corp")
			one, other := w.startSSO(), w.startSSO()
			eventually(t, 2*patience, "several renewals", func() bool {
				return portal.Count("CreateToken refresh_token") >= 5 && distinctKeys(one) >= 4 && distinctKeys(other) >= 4
			})
			w.finish(one)
			w.finish(other)
			for _, p := range []*process{one, other} {
				if strings.Contains(p.stderr.String(), "refresh failed") {
					t.Errorf("a refresh failed:\n%s", p.stderr.String())
				}
			}
			for _, c := range portal.Calls() {
				if c.Code != "" && c.Code != "AuthorizationPendingException" { // which says that the person takes their time
					t.Errorf("the portal refused %+v", c)
				}
			}
			w.checkMode(w.tokenFile("corp"), 0o600)
		})
	}
}

// distinctKeys counts the sets of credentials that a client has used.
func distinctKeys(p *process) int {
	keys := map[string]bool{}
	for _, line := range p.stdout.lines() {
		if key, ok := strings.CutPrefix(line, "ok "); ok {
			keys[key] = true
		}
	}
	return len(keys)
}

// TestSSOEnds: the session ends, the last good set stays, a person is told by line
// and hook, logs in, and the job goes on.
func TestSSOEnds(t *testing.T) {
	slow(t)
	t.Parallel()
	w, portal := ssoWorld(t, 40*time.Second, fakesso.Options{Token: 5 * time.Second})
	w.login("--profile", "corp")
	hook := w.script("hook", `env | grep -c SECRET_ACCESS >> secrets; env | grep ^BRS_ | sort > all; cat all >> told`)
	p := w.startSSO("--deliver", "env", "--on-refresh", "restart", "--on-source-ending", "exec:"+hook)
	portal.EndSessions()
	eventually(t, 2*patience, "the loud line", func() bool {
		return strings.Contains(p.stderr.String(), "refresh refused; the command keeps its credentials, but a person must act before they expire")
	})
	for _, want := range []string{"the SSO session has expired: InvalidGrantException", "brs-exec login --profile corp, or aws sso login --profile corp"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("not said: %s\n%s", want, p.stderr.String())
		}
	}
	eventually(t, patience, "the hook", func() bool { return strings.Count(w.read("told"), "\n") == 5 })
	told := regexp.MustCompile(`(?m)^BRS_EXPIRES=.*$`).ReplaceAllString(w.read("told"), "BRS_EXPIRES=…")
	want := `BRS_EVENT=source-ended
BRS_EXPIRES=…
BRS_HINT=brs-exec login --profile corp, or aws sso login --profile corp
BRS_PROFILE=corp
BRS_SOURCE=profile "corp": the SSO session has expired: InvalidGrantException
`
	if told != want || w.read("secrets") != "0\n" {
		t.Errorf("the hook was told\n%swant\n%ssecrets: %s", told, want, w.read("secrets"))
	}
	w.awaitOK(p, 1) // with what it has
	before := portal.Count("GetRoleCredentials")
	w.login("--profile", "corp")
	eventually(t, patience, "the job to go on", func() bool { return portal.Count("GetRoleCredentials") > before })
	w.awaitOK(p, 1)
	w.finish(p)
}

// TestSourceEnding: an end that is known is told ahead, once.
func TestSourceEnding(t *testing.T) {
	t.Parallel()
	w, _ := ssoWorld(t, time.Hour, fakesso.Options{Token: 30 * time.Minute})
	w.login("--profile", "old")
	hook := w.script("hook", `env | grep ^BRS_ | sort > all; mv all told`)
	p := w.brsExec("--profile", "old", "--on-source-ending", "exec:"+hook, "--", "sh", "-c", "until test -s told && test -e seen; do sleep 0.1; done; sleep 0.3")
	eventually(t, patience, "a status that tells of it", func() bool {
		s := w.status(p)
		return !s.Ends.IsZero() && s.LivesOn == `the SSO session of profile "old"`
	})
	w.write("seen", "")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	line := regexp.MustCompile(`level=ERROR msg="the source expires, and a person must renew it" what="the SSO session of profile \\"old\\"" ends=\S+ hint="brs-exec login --profile old, or aws sso login --profile old"`)
	if n := len(line.FindAllString(p.stderr.String(), -1)); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, p.stderr.String())
	}
	told := regexp.MustCompile(`(?m)^BRS_EXPIRES=.*$`).ReplaceAllString(w.read("told"), "BRS_EXPIRES=…")
	want := "BRS_EVENT=source-ending\nBRS_EXPIRES=…\nBRS_HINT=brs-exec login --profile old, or aws sso login --profile old\nBRS_PROFILE=old\nBRS_SOURCE=the SSO session of profile \"old\"\n"
	if told != want {
		t.Errorf("the hook was told\n%swant\n%s", told, want)
	}
	d := w.brsExec("doctor", "--profile", "old", "--", "true")
	d.exit()
	if want := "note     source: the SSO session of profile \"old\" expires "; !strings.Contains(d.stdout.String(), want) {
		t.Errorf("doctor does not say %q:\n%s", want, d.stdout.String())
	}
	// A session that is renewed has no end that is near.
	w.login("--profile", "corp")
	p = w.brsExec("--profile", "corp", "--", "true")
	if code := p.exit(); code != 0 || strings.Contains(p.stderr.String(), "the source expires") {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
}

// TestSSOFaults: whatever a server answers in place of a token, the cache stays as
// it was, nothing is sent elsewhere, and the run goes on when the fault is over.
func TestSSOFaults(t *testing.T) {
	slow(t)
	t.Parallel()
	kinds := map[string]fakesso.Kind{
		"unavailable": fakesso.Unavailable, "throttled": fakesso.Throttle, "garbage": fakesso.Garbage, "empty": fakesso.Empty,
		"redirect": fakesso.Redirect, "oversized": fakesso.Oversized, "late": fakesso.Late,
	}
	for name, kind := range kinds {
		for _, action := range []string{"CreateToken", "GetRoleCredentials"} {
			t.Run(name+" "+action, func(t *testing.T) {
				t.Parallel()
				w, portal := ssoWorld(t, 30*time.Second, fakesso.Options{Token: 4 * time.Second})
				reached := false
				elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
				w.login("--profile", "corp")
				p := w.startSSO()
				was := w.read(w.tokenFile("corp"))
				portal.SetFaults(fakesso.Fault{Kind: kind, Actions: []string{action}, To: elsewhere.URL})
				fails := kind != fakesso.Late
				if fails {
					eventually(t, 2*patience, "a failure", func() bool { return strings.Contains(p.stderr.String(), "the command keeps its credentials") })
					if action == "CreateToken" && w.read(w.tokenFile("corp")) != was {
						t.Errorf("the cache has become %q", w.read(w.tokenFile("corp")))
					}
				} else {
					eventually(t, 2*patience, "a refresh", func() bool { return portal.Count("GetRoleCredentials") > 1 })
				}
				portal.SetFaults()
				if kind == fakesso.Redirect { // for a person to look at, and not soon tried again
					w.login("--profile", "corp")
				}
				eventually(t, 2*patience, "other credentials", func() bool { return distinctKeys(p) >= 2 })
				w.finish(p)
				elsewhere.Close()
				if reached {
					t.Error("a redirect was followed")
				}
			})
		}
	}
}

// TestSSORevoked: a token that is refused before its end is renewed, and a cache
// that cannot be written is no reason to fail.
func TestSSORevoked(t *testing.T) {
	t.Parallel()
	w, portal := ssoWorld(t, time.Hour, fakesso.Options{})
	w.login("--profile", "corp")
	portal.Revoke()
	w.reveals = true
	if p := w.brsExec("credentials", "--profile", "corp"); p.exit() != 0 || portal.Count("CreateToken refresh_token") != 1 {
		t.Errorf("not renewed: %s\n%+v", p.stderr.String(), portal.Calls())
	}
}

// TestSSOReadOnly: where the cache cannot be written, as in a mount, the renewed token
// serves this process.
func TestSSOReadOnly(t *testing.T) {
	t.Parallel()
	w, portal := ssoWorld(t, time.Hour, fakesso.Options{})
	w.login("--profile", "corp")
	w.expire("corp")
	was := w.read(w.tokenFile("corp"))
	w.reveals = true
	command := inMounts(t, `mount --bind home/.aws/sso/cache home/.aws/sso/cache && mount -o remount,ro,bind home/.aws/sso/cache && exec "$@"`)
	p := w.start(command[0], append(command[1:], brsExec(t), "credentials", "--profile", "corp")...)
	if p.exit() != 0 || !strings.Contains(p.stderr.String(), "cannot be written to the cache") || portal.Count("CreateToken refresh_token") != 1 {
		t.Errorf("%s\n%+v", p.stderr.String(), portal.Calls())
	}
	if now := w.read(w.tokenFile("corp")); now != was {
		t.Errorf("the cache was\n%s\nand is\n%s", was, now)
	}
}
