//go:build unix

package integration

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// unreadable starts a command with the run directories out of its sight, as in
// another root, another user's or a foreign container's.
func (w *world) unreadable(command ...string) []string {
	w.t.Helper()
	return append(inMounts(w.t, `mount -t tmpfs none `+w.run+` && exec "$@"`), command...)
}

// TestEndpointWithoutFiles: --deliver endpoint needs nothing but the environment.
func TestEndpointWithoutFiles(t *testing.T) {
	t.Parallel()
	goV2 := goClient(t)
	for name, client := range map[string][]string{
		"botocore": {program(t, "python"), source("boto3", "client.py"), "2"},
		"gov2":     {goV2, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p := w.brsExec(append([]string{"--role-arn", roleARN, "--deliver", "endpoint", "--"}, w.unreadable(client...)...)...)
			if code := p.exitWithin(4 * patience); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			for _, line := range p.stdout.lines() {
				if !strings.HasPrefix(line, "ok ASIA") {
					t.Errorf("the command printed %q, want accepted calls", line)
				}
			}
		})
	}
}

// TestEndpointOtherUser: the command may be another user, as under sudo -E.
func TestEndpointOtherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	goV2 := goClient(t)
	w := newWorld(t, time.Hour)
	w.unset("GOCOVERDIR") // which that user may not write to
	p := w.brsExec("--role-arn", roleARN, "--deliver", "endpoint", "--", "setpriv", "--reuid=54323", "--regid=54323", "--clear-groups", goV2, "2")
	if code := p.exitWithin(4 * patience); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	if out := p.stdout.lines(); len(out) != 2 || !strings.HasPrefix(out[1], "ok ASIA") {
		t.Errorf("the command printed %q, want two accepted calls", out)
	}
}

// TestTokenFile: the endpoint's token is in a file only where Rust's object_store,
// which knows nothing else, is to be served.
func TestTokenFile(t *testing.T) {
	t.Parallel()
	for deliver, want := range map[string]string{"auto": "token: ok", "endpoint": "no file"} {
		w := newWorld(t, time.Hour)
		p := w.brsExec("--role-arn", roleARN, "--deliver", deliver, "--", "sh", "-c", `
			test -n "$AWS_CONTAINER_AUTHORIZATION_TOKEN" || exit 1
			if test "${AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE+set}"; then
				# and a dot, as the shell takes line ends off
				test "$(cat "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"; echo .)" = "$AWS_CONTAINER_AUTHORIZATION_TOKEN." && echo token: ok
			elif test -e "$(dirname "$AWS_CONFIG_FILE")/token"; then echo a file without a variable
			else echo no file; fi`)
		if code := p.exit(); code != 0 || strings.TrimSpace(p.stdout.String()) != want {
			t.Errorf("--deliver %s: exit code %d, %q, want %q", deliver, code, p.stdout.String(), want)
		}
	}
}

// TestNestedRun: a brs-exec that the command starts has settings of its own, and
// does not assume the role that the outer one was told to assume.
func TestNestedRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.env["BRS_EXEC_ROLE_ARN"], w.env["BRS_EXEC_LOG_LEVEL"] = roleARN, "info"
	p := w.brsExec("--", "env", "-u", "AWS_PROFILE", brsExec(t), "--", "sh", "-c", "env | grep ^BRS_EXEC_; true")
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	assumed := slices.DeleteFunc(w.server.Calls(), func(c fakeaws.Call) bool { return c.Action != "AssumeRole" })
	if len(assumed) != 1 {
		t.Errorf("the role was assumed %d times, want once: %v", len(assumed), assumed)
	}
	if out := p.stdout.String(); out != "" {
		t.Errorf("the command has the variables %s", out)
	}
	if strings.Contains(p.stderr.String(), "BRS_EXEC_") {
		t.Errorf("they are said to be removed:\n%s", p.stderr.String())
	}
}

// TestEnvSpellings: under env a program finds the keys in whatever spelling it reads.
func TestEnvSpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	p := w.brsExec("--role-arn", roleARN, "--deliver", "env", "--on-refresh", "restart", "--", "sh", "-c", `
		set -u # boto 2 reads the token from AWS_SECURITY_TOKEN, old s3fs keys from AWSACCESSKEYID
		for id in "$AWS_ACCESS_KEY" "$AMAZON_ACCESS_KEY_ID" "$AWSACCESSKEYID"; do test "$id" = "$AWS_ACCESS_KEY_ID" || exit 1; done
		for secret in "$AWS_SECRET_KEY" "$AMAZON_SECRET_ACCESS_KEY" "$AWSSECRETACCESSKEY"; do test "$secret" = "$AWS_SECRET_ACCESS_KEY" || exit 2; done
		for token in "$AWS_SECURITY_TOKEN" "$AMAZON_SESSION_TOKEN" "$AWSSESSIONTOKEN"; do test "$token" = "$AWS_SESSION_TOKEN" || exit 3; done
		test -n "$AWS_SESSION_TOKEN" && test -z "${AWS_CREDENTIAL_EXPIRATION-}"`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, p.stderr.String())
	}
}

// TestNoShell: Go's SDK runs a credential_process through sh. In a root without one
// auto leaves the profile out.
func TestNoShell(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a root directory of its own")
	}
	bin := t.TempDir()
	for _, pkg := range []string{"brs-exec.example/brs-exec", "brs-exec.example/brs-exec/integration/clients/gov2"} {
		build := exec.Command("go", "build", "-o", bin, pkg)
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build.Args, err, out)
		}
	}
	for name, script := range map[string]string{
		"image":            `mount -t proc none "$1/proc" && mount --bind /dev "$1/dev" && exec chroot "$@"`,
		"bare of all else": `exec chroot "$@"`, // so that nothing says where brs-exec itself is
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			for _, dir := range []string{"bin", "proc", "dev"} {
				if err := os.Mkdir(w.path(dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			command := append(inMounts(t, `mount --bind `+bin+` "$1/bin" && `+script), w.dir, "/bin/brs-exec",
				"--role-arn", roleARN, "--log-level", "info", "--", "/bin/gov2", "2")
			w.env["XDG_RUNTIME_DIR"], w.env["AWS_CONFIG_FILE"], w.env["AWS_SHARED_CREDENTIALS_FILE"] = "/run", "/config", "/credentials"
			p := w.start(command[0], command[1:]...)
			if code := p.exitWithin(4 * patience); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			if out := p.stdout.lines(); len(out) != 2 || !strings.HasPrefix(out[0], "ok ASIA") {
				t.Errorf("the command printed %q, want two accepted calls", out)
			}
			if said := strings.Count(p.stderr.String(), "the command finds the endpoint alone"); said != 1 {
				t.Errorf("said %d times that there is no profile, want once:\n%s", said, p.stderr.String())
			}
		})
	}
}

// TestMetadataForNobody: in a user namespace that does not know all users of the
// machine, those look like its user 65534, and anyone could ask for the keys.
func TestMetadataForNobody(t *testing.T) {
	t.Parallel()
	const as = "--map-user=65534"
	if out, err := exec.Command("unshare", "--user", as, "true").CombinedOutput(); err != nil {
		t.Skipf("needs user namespaces: %v\n%s", err, out)
	}
	w := newWorld(t, time.Hour)
	p := w.start("unshare", "--user", as, brsExec(t), "--role-arn", roleARN, "--deliver", "imds", "--", "touch", "started")
	if code := p.exit(); code != 125 {
		t.Errorf("exit code %d, want 125", code)
	}
	w.checkComplaint(p)
	w.checkNothingHappened(nil)
	if !strings.Contains(p.stderr.String(), "hint: --deliver endpoint") {
		t.Errorf("no way out is named:\n%s", p.stderr.String())
	}
}

// TestMetadataForRoot: the user that runs brs-exec is answered, and not even root
// besides, whose daemons may fetch what another user asks them to.
func TestMetadataForRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	program(t, "curl")
	w := newWorld(t, time.Hour)
	w.unset("HOME", "XDG_RUNTIME_DIR", "TMPDIR", "GOCOVERDIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
	cmd := exec.Command(brsExec(t), "--role-arn", roleARN, "--deliver", "imds", "--", "sh", "-c", `echo "$AWS_EC2_METADATA_SERVICE_ENDPOINT"; read -r _
		curl -sf -o /dev/null -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/api/token"`)
	cmd.Env, cmd.Dir = w.environ(), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54322, Gid: 54322}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the command itself got nothing: %v", err)
		}
	}()
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	ask, err := http.NewRequest(http.MethodPut, strings.TrimSpace(address)+"latest/api/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60")
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("root got %s, want 403", answer.Status)
	}
}
