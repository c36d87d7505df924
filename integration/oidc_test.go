//go:build unix

package integration

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	oidcAudience = "sts.amazonaws.com"
	webRole      = "arn:aws:iam::123456789012:role/Web"
)

// oidcLife is how long a token of the provider lives, oidcSession the set that is
// had for it: a busy server takes more than ten seconds for an answer.
const oidcLife, oidcSession = 30 * time.Second, 30 * time.Second

// startIssuer starts an OpenID Connect provider that the gateway trusts, and returns
// a script of w that logs in there and prints a new token.
func startIssuer(t *testing.T, w *world, g *gateway) (token string) {
	t.Helper()
	cmd := exec.Command(program(t, "oidc-issuer"), oidcAudience, "its-secret", oidcLife.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	eventually(t, patience, "the issuer is ready", func() bool { return len(said.lines()) == 1 })
	var issuer, thumbprint string
	if _, err := fmt.Sscanf(said.String(), "ready %s %s\n", &issuer, &thumbprint); err != nil {
		t.Fatalf("the issuer said %q", said.String())
	}
	name := strings.TrimPrefix(issuer, "http://")
	g.admin(t, "caps", "add", "--uid=ops", "--caps=oidc-provider=*")
	g.admin(t, "role", "create", "--role-name=Web", "--path=/", "--assume-role-policy-doc="+fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":["arn:aws:iam::123456789012:oidc-provider/%s"]},"Action":["sts:AssumeRoleWithWebIdentity"],"Condition":{"StringEquals":{"%s:app_id":"%s"}}}]}`,
		name, name, oidcAudience))
	g.admin(t, "role-policy", "put", "--role-name=Web", "--policy-name=p", `--policy-doc={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	p := w.start(program(t, "aws"), "--region", "us-east-1", "iam", "create-open-id-connect-provider",
		"--url", issuer, "--client-id-list", oidcAudience, "--thumbprint-list", thumbprint)
	if code := p.exit(); code != 0 {
		t.Fatalf("create-open-id-connect-provider: exit code %d\n%s", code, p.stderr.String())
	}
	return w.script("token", fmt.Sprintf(`set -e
code=$(curl -fsS -o /dev/null -w '%%{redirect_url}' '%[1]s/authorize?client_id=%[2]s&response_type=code&redirect_uri=http://127.0.0.1/&scope=openid&state=x' | sed 's/.*[?&]code=\([^&]*\).*/\1/')
curl -fsS -d grant_type=authorization_code -d client_id=%[2]s -d client_secret=its-secret -d "code=$code" '%[1]s/token' | sed 's/.*"id_token":"\([^"]*\)".*/\1/'`,
		issuer, oidcAudience))
}

// TestWebIdentity: a command outlives the tokens of a real OpenID Connect provider,
// which a real server verifies, and the credentials that are had for them.
func TestWebIdentity(t *testing.T) {
	slow(t)
	t.Parallel()
	python := program(t, "python")
	shared := newWorld(t, 0)
	g := startGateway(t, shared)
	token := startIssuer(t, shared, g)
	fresh := func(t *testing.T, w *world) string {
		p := w.start(token)
		if code := p.exit(); code != 0 {
			t.Fatalf("no token: exit code %d\n%s", code, p.stderr.String())
		}
		return p.stdout.String()
	}
	start := func(t *testing.T) *world {
		w := newWorld(t, 0)
		for _, name := range []string{"AWS_ENDPOINT_URL", "CLIENT_SERVICES", "AWS_MAX_ATTEMPTS"} {
			w.env[name] = shared.env[name]
		}
		w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
		return w
	}
	// outlives waits for three sets of credentials in use, one after the other.
	outlives := func(t *testing.T, p *process) {
		t.Helper()
		sets := func() int {
			used := map[string]bool{}
			for _, line := range p.stdout.lines() {
				used[line] = true
			}
			return len(used)
		}
		eventually(t, 5*oidcSession+patience, "calls with three sets of credentials", func() bool { return p.ended() || sets() >= 3 })
		if _, refused := counts(p); refused > 0 || p.ended() {
			t.Errorf("the command printed\n%s\n%s", p.stdout.String(), p.stderr.String())
		}
	}
	ends := func(t *testing.T, p *process) {
		t.Helper()
		p.stdin.Close()
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		if strings.Contains(p.stderr.String(), "eyJ") {
			t.Error("a token was printed")
		}
	}
	flags := []string{"--role-arn", webRole, "--duration", oidcSession.String()}
	client := []string{"--", python, source("boto3", "client.py")}

	// The gateway makes a user of who comes for the first time, and is not good at
	// two of them at once.
	// On a busy machine it refuses even the first, until it has read what it was told.
	first := start(t)
	eventually(t, patience, "the gateway takes a token", func() bool {
		first.swap("jwt", fresh(t, first))
		p := first.brsExec("--web-identity-token-file", first.path("jwt"), "--role-arn", webRole, "--", "true")
		return p.exit() == 0
	})
	t.Run("command", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		p := w.brsExec(append(append([]string{"--web-identity-token-command", token}, flags...), client...)...)
		outlives(t, p)
		ends(t, p)
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		w.swap("jwt", fresh(t, w))
		p := w.brsExec(append(append([]string{"--web-identity-token-file", w.path("jwt")}, flags...), client...)...)
		renew, renewed := make(chan struct{}), make(chan struct{})
		go func() { // as the kubelet does, long before the end
			defer close(renewed)
			tick := time.NewTicker(oidcLife / 4)
			defer tick.Stop()
			for {
				select {
				case <-renew:
					return
				case <-tick.C:
					w.swap("jwt", fresh(t, w))
				}
			}
		}()
		outlives(t, p)
		close(renew)
		<-renewed
		// Nobody renews it any more: the command keeps what it has, to the end and beyond.
		eventually(t, oidcLife+oidcSession+patience, "that the token is refused", func() bool { return strings.Contains(p.stderr.String(), "assume role "+webRole+": AccessDenied") })
		eventually(t, oidcSession+patience, "a refused call", func() bool {
			_, refused := counts(p)
			return refused > 0
		})
		if p.ended() {
			t.Fatalf("ended with the token: %d", p.exit())
		}
		if n := strings.Count(p.stderr.String(), "a person must act"); n != 1 {
			t.Errorf("said %d times that a person must do something\n%s", n, p.stderr.String())
		}
		// Nothing is started with such a token.
		q := w.brsExec("--web-identity-token-file", w.path("jwt"), "--role-arn", webRole, "--", "echo", "started")
		if code := q.exit(); code != 125 || q.stdout.String() != "" || !strings.Contains(q.stderr.String(), "hint: the role's trust policy must allow this identity provider") {
			t.Errorf("exit code %d, standard output %q\n%s", code, q.stdout.String(), q.stderr.String())
		}
		// The refusal is for a person to mend, so that it would be minutes to the next
		// attempt. That the file was written is seen before.
		w.swap("jwt", fresh(t, w))
		eventually(t, patience, "calls go well again", func() bool {
			lines := p.stdout.lines()
			return strings.HasPrefix(lines[len(lines)-1], "ok ")
		})
		ends(t, p)
	})
}
