//go:build unix

package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// TestNoSecretLeaks runs through refreshes, failures of every kind and a hook,
// with the most talkative log, and looks for every secret that the server ever
// handed out: in what was printed, in arguments, in environments and in files.
func TestNoSecretLeaks(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4*time.Second)
			hooked := w.path("hooked")
			p := w.brsExec("--role-arn", roleARN, "--log-level", "debug", "--log-format", format,
				"--on-refresh", "exec:"+w.script("hook", `env >>"`+hooked+`"; echo "a hook's output"`),
				"--", "sh", "-c", "env >child-env; echo started; read -r _")
			w.awaitRefreshes(3)
			for _, k := range []fakeaws.Kind{fakeaws.Half, fakeaws.Garbage, fakeaws.Throttle, fakeaws.Reset} {
				w.server.SetFaults(fakeaws.Fault{Kind: k, Times: 1})
				w.awaitCalls(1)
			}
			w.server.SetFaults()
			w.awaitRefreshes(1)
			// Last, since what is denied is not tried again soon.
			w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied})
			w.awaitCalls(1)

			secrets := w.server.Secrets()
			files := w.checkFiles(secrets)
			argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
			if err != nil {
				t.Errorf("read the arguments: %v", err)
			}
			if leaked(string(argv), secrets) != "" {
				t.Errorf("the arguments hold a secret: %q", argv)
			}
			p.stdin.Close()
			p.exit()
			for _, name := range []string{"child-env", "hooked"} {
				b, err := os.ReadFile(w.path(name))
				if err != nil {
					t.Fatal(err)
				}
				if leaked(string(b), secrets) != "" {
					t.Errorf("the environment in %s holds a secret", name)
				}
			}
			// audit looks at standard output and error of this run as of every
			// other. Here it is enough that there was something to look at.
			if len(p.stderr.lines()) < 8 {
				t.Errorf("only %d lines were logged at level debug", len(p.stderr.lines()))
			}
			if files == 0 {
				t.Error("no file held the secrets, so where were they delivered?")
			}
		})
	}
}

// script makes an executable shell script and returns its path.
func (w *world) script(name, body string) string {
	w.t.Helper()
	path := w.write(name, "#!/bin/sh\n"+body+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// assumed counts the AssumeRole calls that the server accepted.
func (w *world) assumed() int {
	n := 0
	for _, c := range w.server.Calls() {
		if c.Action == "AssumeRole" && c.Accepted {
			n++
		}
	}
	return n
}

// awaitRefreshes waits for n more credentials to be issued.
func (w *world) awaitRefreshes(n int) {
	w.t.Helper()
	want := w.assumed() + n
	eventually(w.t, patience, fmt.Sprintf("%d more accepted AssumeRole calls", n), func() bool { return w.assumed() >= want })
}

// awaitCalls waits for n more calls of any kind and outcome.
func (w *world) awaitCalls(n int) {
	w.t.Helper()
	want := len(w.server.Calls()) + n
	eventually(w.t, patience, fmt.Sprintf("%d more calls", n), func() bool { return len(w.server.Calls()) >= want })
}

// checkFiles looks at the run directory: who may read what, and that secrets
// are only in the files that are there to deliver them. It returns how many of
// those there were.
func (w *world) checkFiles(secrets []string) int {
	w.t.Helper()
	holders := 0
	filepath.WalkDir(w.run, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == w.run {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // renamed away meanwhile
		}
		if bits := info.Mode().Perm(); bits&0o077 != 0 {
			w.t.Errorf("%s has mode %o: others may enter or read", path, bits)
		}
		if d.IsDir() || !info.Mode().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil || leaked(string(b), secrets) == "" {
			return nil
		}
		holders++
		if filepath.Base(path) == "config" {
			w.t.Errorf("%s holds a secret", path)
		}
		return nil
	})
	return holders
}

// TestLeakWouldBeSeen: the search of the other tests finds what a careless
// command prints.
func TestLeakWouldBeSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.reveals = true
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `cat "$AWS_SHARED_CREDENTIALS_FILE"`)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	if leaked(p.stdout.String(), w.server.Secrets()) == "" {
		t.Error("the credentials file was printed, but no secret was found in that")
	}
}

// TestCommandOutputIsNoError: what a --credential-command prints is never
// quoted in an error, however broken it is.
func TestCommandOutputIsNoError(t *testing.T) {
	t.Parallel()
	const secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
	outputs := map[string]string{
		"cut JSON":       `{"Version":1,"AccessKeyId":"ASIAX","SecretAccessKey":"` + secret + `","Sess`,
		"wrong version":  `{"Version":7,"AccessKeyId":"ASIAX","SecretAccessKey":"` + secret + `"}`,
		"bad expiration": `{"Version":1,"AccessKeyId":"ASIAX","SecretAccessKey":"` + secret + `","SessionToken":"t","Expiration":"` + secret + `"}`,
		"bare words":     secret,
		"variables cut":  "AWS_SECRET_ACCESS_KEY=" + secret + "\n",
		"a wrong type":   `{"Version":1,"AccessKeyId":7,"SecretAccessKey":"` + secret + `"}`,
	}
	for name, text := range outputs {
		for _, stream := range []string{"out", "err"} {
			t.Run(name+" on "+stream, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, time.Hour)
				w.write("said", text)
				body := "cat said"
				if stream == "err" {
					body = "cat said >&2; exit 1"
				}
				p := w.brsExec("--credential-command", w.script("command", body), "--log-level", "debug", "--start-timeout", "2s", "--", "true")
				if code := p.exit(); code != 125 {
					t.Errorf("exit code %d, want 125", code)
				}
				for _, line := range append(p.stderr.lines(), p.stdout.lines()...) {
					// What the command itself says on standard error is its own.
					if strings.HasPrefix(line, "brs-exec:") && strings.Contains(line, secret) {
						t.Errorf("the secret was printed: %s", line)
					}
				}
			})
		}
	}
}

// TestEnvironment checks what the command is started with: everything that it
// had, without what would shadow the credentials, and no keys.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.env["KEPT"] = "a value\nof two lines"
	w.env["AWS_RETRY_MODE"] = "standard"
	shadows := []string{
		"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ACCESS_KEY", "AWS_SECRET_KEY",
		"AMAZON_ACCESS_KEY_ID", "AMAZON_SECRET_ACCESS_KEY", "AMAZON_SESSION_TOKEN",
		"AWSACCESSKEYID", "AWSSECRETACCESSKEY", "AWSSESSIONTOKEN", "AWS_CREDENTIAL_EXPIRATION",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CREDENTIAL_FILE",
	}
	for _, name := range shadows {
		w.env[name] = ""
	}
	w.env["AWSACCESSKEYID"] = "old"
	w.env["AWS_CREDENTIAL_FILE"] = "/old"
	p := w.brsExec("--role-arn", roleARN, "--", "env", "-0")
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	got := map[string]string{}
	for _, kv := range bytes.Split([]byte(p.stdout.String()), []byte{0}) {
		name, value, _ := strings.Cut(string(kv), "=")
		got[name] = value
	}
	for _, name := range append(shadows, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") {
		if _, there := got[name]; there {
			t.Errorf("%s reached the command", name)
		}
	}
	for _, name := range []string{"KEPT", "AWS_RETRY_MODE", "PATH", "HOME", "AWS_ENDPOINT_URL"} {
		if got[name] != w.env[name] {
			t.Errorf("%s = %q, want %q", name, got[name], w.env[name])
		}
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_SDK_LOAD_CONFIG", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		if got[name] == "" {
			t.Errorf("%s is not set", name)
		}
	}
	if slices.Contains([]string{w.path("config"), w.path("credentials")}, got["AWS_CONFIG_FILE"]) {
		t.Error("the command was given the user's own config file")
	}
}
