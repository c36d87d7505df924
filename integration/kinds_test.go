//go:build unix

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// TestColdStart: with any kind of source, what no waiting will mend ends brs-exec
// at once, with the exact cause in one line and what to do in another. No command
// is started, however long there would be time.
func TestColdStart(t *testing.T) {
	t.Parallel()
	denied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(denied.Close)
	tests := []struct {
		name  string
		setup func(w *world) []string // the flags
		said  string                  // DIR is the world's
	}{
		{"nothing", func(w *world) []string {
			w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
			return nil
		}, "error: no AWS credentials found: none in the environment, in the profile, or from a container, and the instance metadata service is disabled\nbrs-exec: hint: pass --profile NAME"},
		{"keys that nobody knows", func(w *world) []string {
			w.env["AWS_ACCESS_KEY_ID"] = "AKIAGONE"
			return []string{"--role-arn", roleARN}
		}, "error: environment variables: assume role " + roleARN + ": InvalidClientTokenId: The security token included in the request is invalid.\nbrs-exec: hint: these keys are not known"},
		{"role", func(w *world) []string {
			w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied})
			return []string{"--role-arn", roleARN}
		}, "error: environment variables: assume role " + roleARN + ": AccessDenied: User: arn:aws:iam::123456789012:user/ops is not authorized to perform: sts:AssumeRole on resource: " + roleARN + "\nbrs-exec: hint: the role's trust policy must allow the identity behind environment variables"},
		{"profile", func(w *world) []string {
			w.write("config", "[profile prod]\nregion = eu-west-1\n")
			return []string{"--profile", "prdo"}
		}, "error: profile \"prdo\": there is no such profile\nbrs-exec: hint: did you mean \"prod\"?"},
		{"source_profile", func(w *world) []string {
			w.write("config", "[profile a]\nrole_arn = "+roleARN+"\nsource_profile = b\n")
			return []string{"--profile", "a"}
		}, "source_profile \"b\": there is no such profile"},
		{"credential_process", func(w *world) []string {
			w.write("config", "[profile a]\ncredential_process = "+w.script("p", "echo no; echo '{\"SecretAccessKey\":\"hunter2!\"}'")+"\n")
			return []string{"--profile", "a"}
		}, "error: profile \"a\": credential_process: prints neither JSON"},
		{"command", func(w *world) []string { return []string{"--credential-command", "no-such-broker --fast"} },
			"error: command no-such-broker: executable file not found in $PATH\nbrs-exec: hint: it is run without a shell"},
		{"command's answer", func(w *world) []string { return []string{"--credential-command", w.script("c", "echo 'hunter2!'")} },
			"error: command c: prints neither JSON"},
		{"token file", func(w *world) []string {
			return []string{"--web-identity-token-file", w.path("jwt"), "--role-arn", roleARN}
		}, "error: web identity token of DIR/jwt: open DIR/jwt: no such file or directory\nbrs-exec: hint: something must write the token there"},
		{"token that nobody knows", func(w *world) []string {
			return []string{"--web-identity-token-file", w.write("jwt", "eyJ.hunter2!"), "--role-arn", roleARN}
		}, "assume role " + roleARN + ": InvalidIdentityToken: No OpenIDConnect provider found in your account for the issuer\nbrs-exec: hint: IAM must have an OpenID Connect provider"},
		{"token command", func(w *world) []string {
			return []string{"--web-identity-token-command", w.script("c", "echo logged in as hunter2!"), "--role-arn", roleARN}
		}, "error: web identity token of command c: prints more than one word\nbrs-exec: hint: it must be one JSON web token"},
		{"GitHub without permission", func(w *world) []string { return []string{"--github-oidc", "--role-arn", roleARN} },
			"error: GitHub Actions token: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not both set\nbrs-exec: hint: the job needs `permissions: id-token: write`"},
		{"GitHub after the job", func(w *world) []string {
			w.env["ACTIONS_ID_TOKEN_REQUEST_URL"], w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = denied.URL+"/x?hunter2!", "hunter2!"
			return []string{"--github-oidc", "--role-arn", roleARN}
		}, "error: GitHub Actions token: HTTP 403 Forbidden from 127.0.0.1"},
		{"file with many profiles", func(w *world) []string {
			return []string{"--from-file", w.write("f", "[a]\naws_access_key_id=A\n[b]\naws_access_key_id=B\n")}
		}, "error: file DIR/f: has 2 profiles, and none of them is default\nbrs-exec: hint: name one with --from-profile: a, b"},
		{"MFA secret", func(w *world) []string {
			return []string{"--mfa-serial", "m", "--mfa-totp-file", w.write("totp", "hunter2!")}
		}, "error: TOTP file DIR/totp: holds something else than base32"},
		{"provided context", func(w *world) []string {
			return []string{"--role-arn", roleARN, "--provided-context", "arn:aws:iam::aws:contextProvider/IdentityCenter=" + w.path("assertion")}
		}, "assume role " + roleARN + ": provided context in DIR/assertion: no such file or directory\nbrs-exec: hint: something must write the context assertion there"},
		{"every one of several", func(w *world) []string {
			return []string{"--source", "command,web-identity", "--credential-command", w.script("c", "echo 'hunter2!'"), "--web-identity-token-file", w.path("jwt"), "--role-arn", roleARN}
		}, "error: command c: prints neither JSON with credentials nor lines such as AWS_ACCESS_KEY_ID=…; web identity token of DIR/jwt: open DIR/jwt: no such file or directory\nbrs-exec: hint: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p := w.brsExec(append(tt.setup(w), "--start-timeout", "1h", "--", "echo", "started")...)
			code, said := p.exit(), p.stderr.String()
			if want := strings.ReplaceAll(tt.said, "DIR", w.dir); code != 125 || p.stdout.String() != "" || !strings.Contains(said, want) {
				t.Errorf("exit code %d, want 125 and %q\n%s", code, want, said)
			}
			if n := strings.Count(said, "\n"); n > 2 || strings.Contains(said, "hunter2!") {
				t.Errorf("%d lines, want one with the cause and one that helps, and no secret:\n%s", n, said)
			}
		})
	}
}

// TestEnvironmentKeys: keys in the environment are all that there is, which is said;
// beside them may stand when they end.
func TestEnvironmentKeys(t *testing.T) {
	t.Parallel()
	const static = "long-term keys: nothing to refresh"
	end := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
	for _, tt := range []struct{ name, end, said, not string }{
		{"for ever", "", static, "expires="},
		{"with an end", end, "expires=" + end, static},
		{"with a broken end", "tomorrow", "AWS_CREDENTIAL_EXPIRATION is not a time such as 2006-01-02T15:04:05Z: ignored", "tomorrow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			if tt.end != "" {
				w.env["AWS_CREDENTIAL_EXPIRATION"] = tt.end
			}
			p := w.brsExec("--log-level", "info", "--", "true")
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if said := p.stderr.String(); !strings.Contains(said, tt.said) || strings.Contains(said, tt.not) {
				t.Errorf("standard error %q, want %q and not %q", said, tt.said, tt.not)
			}
		})
	}
}

// handedSet is credentials in the form of a credential_process.
func handedSet(w *world, life time.Duration) string {
	c := w.server.Issue("arn:aws:sts::123456789012:assumed-role/App/handed", life)
	return fmt.Sprintf(processJSON, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.UTC().Format(time.RFC3339))
}

var defaultKey = regexp.MustCompile(`(?s)\[default\]\s+aws_access_key_id *= *(\w+)`)

// TestWarmFailure: a source that fails later takes nothing from the command. What
// only a person can mend is said once, and loudly; and when it is mended the command
// has new credentials.
func TestWarmFailure(t *testing.T) {
	slow(t)
	t.Parallel()
	const life, loud = 15 * time.Second, "a person must act"
	tests := []struct {
		name  string
		setup func(w *world) []string // the flags
		spoil func(w *world)
		said  string
		loud  bool
		mend  func(w *world)
	}{
		{"command fails", func(w *world) []string {
			w.write("set", handedSet(w, life))
			return []string{"--credential-command", "cat set"}
		}, func(w *world) { os.Remove(w.path("set")) }, "command cat: exit status 1", false,
			func(w *world) { w.swap("set", handedSet(w, time.Hour)) }},
		{"credential_process fails", func(w *world) []string {
			w.write("set", handedSet(w, life))
			w.write("config", "[profile a]\ncredential_process = cat "+w.path("set")+"\n")
			return []string{"--profile", "a"}
		}, func(w *world) { os.Remove(w.path("set")) }, "credential_process: exit status 1", false,
			func(w *world) { w.swap("set", handedSet(w, time.Hour)) }},
		{"file goes", func(w *world) []string {
			w.write("set", handedSet(w, life))
			return []string{"--from-file", w.path("set")}
		}, func(w *world) { os.Remove(w.path("set")) }, "no such file or directory", false,
			func(w *world) { w.swap("set", handedSet(w, time.Hour)) }},
		{"token file goes", func(w *world) []string {
			w.write("jwt", w.server.IssueWebIdentity(time.Hour))
			return []string{"--web-identity-token-file", w.path("jwt"), "--role-arn", roleARN}
		}, func(w *world) { os.Remove(w.path("jwt")) }, "no such file or directory", true,
			func(w *world) { w.swap("jwt", w.server.IssueWebIdentity(time.Hour)) }},
		{"token of nobody", func(w *world) []string {
			w.write("jwt", w.server.IssueWebIdentity(time.Hour))
			return []string{"--web-identity-token-file", w.path("jwt"), "--role-arn", roleARN}
		}, func(w *world) { w.swap("jwt", "eyJ.of-nobody") }, "InvalidIdentityToken", true,
			func(w *world) { w.swap("jwt", w.server.IssueWebIdentity(time.Hour)) }},
		{"token ends", func(w *world) []string {
			w.write("jwt", w.server.IssueWebIdentity(time.Hour))
			return []string{"--web-identity-token-file", w.path("jwt"), "--role-arn", roleARN}
		}, func(w *world) { w.swap("jwt", w.server.IssueWebIdentity(-time.Second)) }, "ExpiredTokenException: Token expired", false,
			func(w *world) { w.swap("jwt", w.server.IssueWebIdentity(time.Hour)) }},
		{"keys of a profile go", func(w *world) []string {
			keys := w.server.Bootstrap()
			w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
			w.write("credentials", fmt.Sprintf("[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey))
			return []string{"--profile", "base", "--role-arn", roleARN}
		}, func(w *world) {
			w.swap("credentials", "[base]\naws_access_key_id = AKIAGONE\naws_secret_access_key = x\n")
		}, "InvalidClientTokenId", true,
			func(w *world) {
				keys := w.server.Bootstrap()
				w.swap("credentials", fmt.Sprintf("[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey))
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, life)
			p := w.brsExec(append(tt.setup(w), "--deliver", "file", "--", "sh", "-c", `echo "$AWS_SHARED_CREDENTIALS_FILE"; read -r _; exit 0`)...)
			eventually(t, patience, "the command's line", func() bool { return p.ended() || len(p.stdout.lines()) == 1 })
			if p.ended() {
				t.Fatalf("ended with %d\n%s", p.exit(), p.stderr.String())
			}
			held := func() string {
				b, err := os.ReadFile(p.stdout.lines()[0])
				if err != nil {
					t.Fatal(err)
				}
				m := defaultKey.FindSubmatch(b)
				if m == nil {
					t.Fatal("the command has no set any more")
				}
				return string(m[1])
			}
			tt.spoil(w)
			eventually(t, life+patience, "that it fails", func() bool { return strings.Contains(p.stderr.String(), tt.said) })
			last := held()
			if p.ended() {
				t.Fatalf("ended with its source: %d\n%s", p.exit(), p.stderr.String())
			}
			tt.mend(w)
			eventually(t, patience, "new credentials", func() bool { return held() != last })
			want := 0
			if tt.loud {
				want = 1
			}
			if n := strings.Count(p.stderr.String(), loud); n != want {
				t.Errorf("said loudly %d times, want %d\n%s", n, want, p.stderr.String())
			}
			p.stdin.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// TestKubernetesSecret: the kubelet replaces a secret by a link to another directory,
// and the command has the credentials that are in there without anyone asking for them: the one
// before would have lived for hours.
func TestKubernetesSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	// next lays out what the kubelet would, and returns the key id in it.
	next := func(version string) string {
		t.Helper()
		c := w.server.Issue("arn:aws:sts::123456789012:assumed-role/App/secret", 12*time.Hour)
		for _, err := range []error{
			os.MkdirAll(w.path("secret/"+version), 0o700),
			os.WriteFile(w.path("secret/"+version+"/credentials"), fmt.Appendf(nil,
				"[saml]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\nx_security_token_expires = %s\n",
				c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.Format("2006-01-02T15:04:05-07:00")), 0o600),
			os.Symlink(version, w.path("secret/..tmp")),
			os.Rename(w.path("secret/..tmp"), w.path("secret/..data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return c.AccessKeyID
	}
	first := next("..1")
	if err := os.Symlink("..data/credentials", w.path("secret/credentials")); err != nil {
		t.Fatal(err)
	}
	p := w.brsExec("--from-file", "secret/credentials", "--from-profile", "saml", "--deliver", "file", "--log-level", "info",
		"--", "sh", "-c", `echo "$AWS_SHARED_CREDENTIALS_FILE"; read -r _; exit 0`)
	eventually(t, patience, "the command's line", func() bool { return p.ended() || len(p.stdout.lines()) == 1 })
	holds := func(id string) func() bool {
		return func() bool {
			b, err := os.ReadFile(p.stdout.lines()[0])
			return err == nil && strings.Contains(string(b), id)
		}
	}
	if !holds(first)() {
		t.Fatalf("the command has not the first credentials\n%s", p.stderr.String())
	}
	eventually(t, patience, "the second credentials", holds(next("..2")))
	eventually(t, patience, "the third credentials", holds(next("..3")))
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(p.stderr.String(), " life=12h0m0s ") && !strings.Contains(p.stderr.String(), " life=11h59m") {
		t.Errorf("standard error %q, want the life that is told in the file", p.stderr.String())
	}
}

// TestSourceOrder: the second source takes over when the first one fails, is said and
// shown to be the one in use, and gives back to the first.
func TestSourceOrder(t *testing.T) {
	slow(t)
	t.Parallel()
	const life = 15 * time.Second
	w := newWorld(t, life)
	keys := w.server.Bootstrap()
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.write("credentials", fmt.Sprintf("[backup]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey))
	w.write("jwt", w.server.IssueWebIdentity(time.Hour))
	p := w.brsExec("--source", "web-identity,profile:backup", "--web-identity-token-file", w.path("jwt"), "--role-arn", roleARN, "--log-level", "info",
		"--", "sh", "-c", "read -r _; exit 0")
	says := func(text string) {
		t.Helper()
		eventually(t, life+patience, text, func() bool { return p.ended() || strings.Contains(p.stderr.String(), text) })
	}
	first, second := "web identity token of "+w.path("jwt")+" → "+roleARN, `profile \"backup\" → `+roleARN
	says(`msg=source from="` + first + `, else ` + second + `"`)
	w.swap("jwt", "eyJ.of-nobody")
	says("credentials come from " + second + " now, because of web identity token of " + w.path("jwt"))
	eventually(t, patience, "that status shows the one in use", func() bool {
		q := w.start(brsExec(t), "status", "--json")
		q.exit()
		return strings.Contains(q.stdout.String(), `"source":"profile \"backup\" → `+roleARN+`, in place of web identity token of `)
	})
	w.swap("jwt", w.server.IssueWebIdentity(time.Hour))
	says("credentials come from " + first + " now")
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, p.stderr.String())
	}
	how := map[string]bool{}
	for _, c := range w.server.Calls() {
		if c.Accepted {
			how[c.Action] = true
		}
	}
	if !how["AssumeRole"] || !how["AssumeRoleWithWebIdentity"] {
		t.Errorf("accepted were %v, want both ways", how)
	}
}

// TestListOfSources runs the list of the documentation as it is written there: the first
// source cannot be reached, and the second assumes a role of its own.
func TestListOfSources(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile(filepath.Join("..", "docs", "sources.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(docs), "\n## Several, with fallback\n")
	_, text, _ = strings.Cut(text, "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	w := newWorld(t, time.Hour)
	newCertifier(t).write(w, "device", "camera", time.Hour)
	keys := w.server.Bootstrap()
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.write("credentials", fmt.Sprintf("[backup]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey))
	w.write("settings.yaml", strings.Replace(text, "c1a2b3.credentials.iot.eu-west-1.amazonaws.com", "127.0.0.1:1", 1))
	p := w.brsExec("--config", "settings.yaml", "--", "sh", "-c", "echo $AWS_REGION")
	if code := p.exit(); code != 0 || p.stdout.String() != "eu-west-1\n" {
		t.Errorf("exit code %d, region %q", code, p.stdout.String())
	}
	if want := `credentials come from profile \"backup\" → arn:aws:iam::123456789012:role/Backup now, because of IoT role alias`; !strings.Contains(p.stderr.String(), want) {
		t.Errorf("standard error lacks %q:\n%s", want, p.stderr.String())
	}
	var roles []string
	for _, c := range w.server.Calls() {
		if c.Accepted && c.Action == "AssumeRole" {
			roles = append(roles, c.Params["RoleArn"][0]+" for "+c.Params["DurationSeconds"][0])
		}
	}
	if diff := cmp.Diff([]string{"arn:aws:iam::123456789012:role/Backup for 3600"}, roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}
