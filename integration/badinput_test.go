//go:build unix

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// bad is input that brs-exec must refuse before it starts anything.
type bad struct {
	name string // of the golden file, too
	// args is the whole command line; MARK in it is a command that leaves a
	// file behind if it ever runs.
	args []string
	// prepare sets up the world: variables, files, the server.
	prepare func(w *world)
}

// mark is replaced by a command that would be seen to have run.
const mark = "MARK"

func badInputs() []bad {
	role := []string{"--role-arn", roleARN}
	device := func(key string) []string {
		return []string{"--iot-endpoint", "127.0.0.1:1", "--iot-role-alias", "app", "--certificate", "device.crt", "--private-key", key}
	}
	run := func(flags ...string) []string { return append(flags, "--", mark) }
	env := func(name, value string) func(*world) { return func(w *world) { w.env[name] = value } }
	return []bad{
		{name: "no command", args: []string{}},
		{name: "no command after dashes", args: []string{"--"}},
		{name: "no dashes", args: []string{mark}},
		{name: "no dashes after a flag", args: []string{"--profile", "prod", mark}},
		{name: "unknown flag", args: run("--frobnicate")},
		{name: "flag misspelt", args: run("--rol-arn", roleARN)},
		{name: "flag without its value", args: []string{"--role-arn"}},
		{name: "unknown subcommand flag", args: []string{"credentials", "--frobnicate"}},

		{name: "variable with a bad value", args: run(), prepare: env("BRS_EXEC_DELIVER", "teleport")},
		{name: "variable with a bad duration", args: run(), prepare: env("BRS_EXEC_START_TIMEOUT", "soon")},
		{name: "demo that lives no time", args: []string{"demo", "--life", "1s", "--", mark}},
		{name: "rehearsal that lives no time", args: []string{"rehearse", "--life", "9s", "--", mark}},
		{name: "rehearsal that lives too long", args: []string{"rehearse", "--life", "13h", "--", mark}},
		{name: "rehearsal of nothing", args: []string{"rehearse", "--life", "20s"}},
		{name: "rehearsal without dashes", args: []string{"rehearse", mark}},
		{name: "rehearsal in a file of others", args: []string{"rehearse", "--credentials-file", "shared", "--", mark}},
		{name: "unknown deliver", args: run("--deliver", "teleport")},
		{name: "sign for others as well", args: run("--deliver", "sign", "--credentials-file", "DIR/c")},
		{name: "sign without deliver", args: run("--sign-only", "s3")},
		{name: "sign only a service that is none", args: run("--deliver", "sign", "--sign-only", "s3,,sqs")},
		{name: "sign for a URL", args: run("--deliver", "sign", "--sign-host", "https://minio.internal:9000")},
		{name: "keep that signs", args: []string{"keep", "--run-dir", "volume", "--deliver", "sign"}},
		{name: "unknown log level", args: run("--log-level", "chatty")},
		{name: "unknown log format", args: run("--log-format", "xml")},
		{name: "unknown format", args: []string{"credentials", "--format", "xml"}},

		{name: "key in a token without PKCS11", args: run(device("pkcs11:token=dev;id=%01?module-path=/usr/lib/x.so")...)},
		{name: "PIN in a PKCS11 URI", args: run(device("pkcs11:token=dev;id=%01?module-path=/usr/lib/x.so&pin-value=" + tokenPIN)...)},
		{name: "PIN in a PKCS11 URI misspelt", args: run(device("pkcs11:token=dev;id=%01?module-path=/usr/lib/x.so&pinvalue=" + tokenPIN)...)},
		{name: "PKCS11 URI without a module", args: run(device("pkcs11:token=dev;id=%01")...)},
		{name: "certificate in a token", args: run("--iot-endpoint", "127.0.0.1:1", "--iot-role-alias", "app", "--certificate", "pkcs11:token=dev;id=%01", "--private-key", "device.key")},
		{name: "TPM URI malformed", args: run(device("tpm2:handle=0x40000001")...)},

		{name: "variable misspelt", args: run(), prepare: env("BRS_EXEC_ROLEARN", roleARN)},
		{name: "two profiles", args: run("--profile", "prod", "--profile", "dev")},
		{name: "flags before no dashes", args: append(role, mark)},
		{name: "exec of a profile", args: []string{"exec", "prod", "--", mark}, prepare: func(w *world) {
			w.write("config", "[profile prod]\nregion = eu-west-1\n")
			w.env["AWS_CONFIG_FILE"] = w.path("config")
		}},
		{name: "long dash", args: []string{"—", mark}},
		{name: "subcommand misspelt", args: []string{"stauts"}},
		{name: "keep without a place", args: []string{"keep", "--role-arn", roleARN}},
		{name: "keep with a command", args: []string{"keep", "--run-dir", "volume", "--", mark}},
		{name: "keep with a flag of a command", args: []string{"keep", "--run-dir", "volume", "--stop-signal", "INT"}},
		{name: "keep with a restart", args: []string{"keep", "--run-dir", "volume", "--restart", "always"}},
		{name: "keep that signals nobody", args: []string{"keep", "--run-dir", "volume", "--on-refresh", "signal:HUP"}},
		{name: "keep where all make files", args: []string{"keep", "--role-arn", roleARN, "--run-dir", "/tmp"}},
		{name: "flag before status", args: []string{"--profile", "prod", "status"}},
		{name: "truth that is none", args: run("--quiet=no")},
		{name: "section of no file", args: run("--credentials-file-profile", "app")},
		{name: "JSON for a usage error", args: run("--frobnicate", "--log-format", "json")},
		{name: "JSON when STS denies", args: run(append(role, "--log-format", "json")...), prepare: fault(fakeaws.Denied)},

		{name: "two roles in one", args: run("--role-arn", roleARN+","+roleARN)},
		{name: "role is a user", args: run("--role-arn", "arn:aws:iam::123456789012:user/me")},
		{name: "role is a session", args: run("--role-arn", "arn:aws:sts::123456789012:assumed-role/App/me")},
		{name: "role of a short account", args: run("--role-arn", "arn:aws:iam::12345:role/App"), prepare: ofAWS},
		{name: "duration too short", args: run(append(role, "--duration", "5m")...), prepare: ofAWS},
		{name: "duration too long", args: run(append(role, "--duration", "13h")...), prepare: ofAWS},
		{name: "duration far too long", args: run(append(role, "--duration", "600000h")...)},
		{name: "more life than a session has", args: run(append(role, "--duration", "1h", "--min-ttl", "2h")...)},
		{name: "refreshed before it begins", args: run(append(role, "--duration", "1h", "--refresh-before", "2h")...)},

		{name: "two sources", args: run("--profile", "prod", "--credential-command", "true")},
		{name: "two sources with a variable", args: run("--profile", "prod"), prepare: env("BRS_EXEC_CREDENTIAL_COMMAND", "true")},
		{name: "role option without a role", args: run("--external-id", "x")},
		{name: "duration without a role", args: run("--duration", "1h")},

		{name: "role is no ARN", args: run("--role-arn", "App")},
		{name: "duration malformed", args: run(append(role, "--duration", "5parsecs")...)},
		{name: "duration without a unit", args: run(append(role, "--duration", "900")...)},
		{name: "duration negative", args: run("--start-timeout", "-3s")},
		{name: "signal unknown", args: run("--stop-signal", "FROB")},
		{name: "signal of a reaction unknown", args: run("--on-refresh", "signal:NOPE")},
		{name: "reaction unknown", args: run("--on-refresh", "dance")},
		{name: "reaction to expiry unknown", args: run("--on-expiry", "dance")},
		{name: "reaction to the end of the source unknown", args: run("--on-source-ending", "dance")},
		{name: "time before the end of the source without a unit", args: run("--source-ending-before", "60")},
		{name: "tag without a value", args: run(append(role, "--tag", "team")...)},
		{name: "transitive tag that is none", args: run(append(role, "--transitive-tag", "team")...)},
		{name: "provided context without a file", args: run(append(role, "--provided-context", "arn:aws:iam::aws:contextProvider/IdentityCenter")...)},
		{name: "policy is no JSON", args: run(append(role, "--policy", "{")...)},
		{name: "policy file missing", args: run(append(role, "--policy", "@missing.json")...)},
		{name: "session name template", args: run(append(role, "--role-session-name", "{planet}")...)},

		{name: "config missing", args: run("--config", "missing.yaml")},
		{name: "config with an unknown key", args: run("--config", "settings.yaml"), prepare: func(w *world) {
			w.write("settings.yaml", "log-level: info\nrole-anr: x\n")
		}},
		{name: "config with a bad value", args: run("--config", "settings.yaml"), prepare: func(w *world) {
			w.write("settings.yaml", "log-level: info\nstart-timeout: soon\n")
		}},
		{name: "config is no YAML", args: run("--config", "settings.yaml"), prepare: func(w *world) {
			w.write("settings.yaml", "log-level: [\n")
		}},

		{name: "list with a bad entry", args: run("--config", "fleet.yaml"), prepare: func(w *world) {
			w.write("fleet.yaml", "profiles:\n- name: one\n  role-arn: "+roleARN+"\n- name: two\n  role-arm: "+roleARN+"\n")
		}},
		{name: "list with a bad row", args: run("--config", "fleet.yaml"), prepare: func(w *world) {
			w.write("fleet.yaml", "profiles:\n- name: app-{account}\n  region: '{region}'\n  for-each: {file: accounts.csv}\n")
			w.write("accounts.csv", "account,region\n1,eu-west-1\n2,eu west\n")
		}},
		{name: "list with a command that fails", args: run("--config", "fleet.yaml"), prepare: func(w *world) {
			w.write("fleet.yaml", "profiles:\n- name: app-{account}\n  for-each: {command: \"sh -c 'exit 3'\"}\n")
		}},
		{name: "list with an unknown placeholder", args: run("--config", "fleet.yaml"), prepare: func(w *world) {
			w.write("fleet.yaml", "profiles:\n- name: app-{acount}\n  for-each: {account: [1, 2]}\n")
		}},
		{name: "list without the profile", args: []string{"credentials", "--config", "fleet.yaml", "--profile", "tow"}, prepare: func(w *world) {
			w.write("fleet.yaml", "profiles: [{name: one}, {name: two}]\n")
		}},

		{name: "no credentials", args: run(), prepare: func(w *world) {
			w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
		}},
		{name: "no such profile", args: run("--profile", "nobody")},
		{name: "credential command missing", args: run("--credential-command", "/no/such/program")},
		{name: "credential command fails", args: run("--credential-command", "false", "--start-timeout", "2s")},
		{name: "credential command says nothing", args: run("--credential-command", "true")},
		{name: "credential command says rubbish", args: run("--credential-command", "echo rubbish")},
		{name: "credentials already expired", args: run("--credential-command", "cat expired.json"), prepare: func(w *world) {
			w.write("expired.json", `{"Version":1,"AccessKeyId":"ASIAEXPIRED","SecretAccessKey":"s","SessionToken":"t","Expiration":"2020-01-02T03:04:05Z"}`)
		}},
		{name: "credentials live too short", args: run(append(role, "--min-ttl", "1h", "--start-timeout", "2s")...)},
		{name: "STS unreachable", args: run(append(role, "--start-timeout", "1s")...), prepare: env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")},
		{name: "STS denies", args: run(role...), prepare: fault(fakeaws.Denied)},
		{name: "STS throttles", args: run(append(role, "--start-timeout", "2s")...), prepare: fault(fakeaws.Throttle)},
		{name: "STS unavailable", args: run(append(role, "--start-timeout", "2s")...), prepare: fault(fakeaws.Unavailable)},
		{name: "STS answers garbage", args: run(append(role, "--start-timeout", "2s")...), prepare: fault(fakeaws.Garbage)},
		{name: "STS is a black hole", args: run(append(role, "--start-timeout", "2s")...), prepare: fault(fakeaws.BlackHole)},
		{name: "keys unknown to STS", args: run(role...), prepare: env("AWS_ACCESS_KEY_ID", "AKIANOBODY")},
		{name: "secret wrong", args: run(role...), prepare: env("AWS_SECRET_ACCESS_KEY", "SecretOfAnotherKey/0123456789abcdefghijkl")},
	}
}

// ofAWS takes the test's server away: these are refused before anyone is asked.
func ofAWS(w *world) { w.unset("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS") }

func fault(k fakeaws.Kind) func(*world) {
	return func(w *world) { w.server.SetFaults(fakeaws.Fault{Kind: k}) }
}

// TestBadInput: one line that says what is wrong, at most one that says what to
// do, exit code 125, nothing started and nothing left.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, b := range badInputs() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Minute)
			if b.prepare != nil {
				b.prepare(w)
			}
			before := w.places()
			p := w.brsExec(w.withMark(b.args)...)
			if code := p.exit(); code != 125 {
				t.Errorf("exit code %d, want 125", code)
			}
			w.checkComplaint(p)
			w.checkNothingHappened(before)
			golden(t, filepath.Join("badinput", strings.ReplaceAll(b.name, " ", "-")), w.plain(p.stderr.String()))
		})
	}
}

// withMark puts in the command that leaves a trace.
func (w *world) withMark(args []string) []string {
	var with []string
	for _, a := range args {
		if a == mark {
			with = append(with, "touch", w.path("started"))
		} else {
			with = append(with, a)
		}
	}
	return with
}

// checkComplaint: an error line, perhaps a hint line, and nothing else at all.
func (w *world) checkComplaint(p *process) {
	w.t.Helper()
	if out := p.stdout.String(); out != "" {
		w.t.Errorf("standard output %q, want none", out)
	}
	text := p.stderr.String()
	lines := p.stderr.lines()
	good := strings.HasSuffix(text, "\n") && len(lines) == 1 && strings.HasPrefix(lines[0], `{"time":`) ||
		strings.HasSuffix(text, "\n") && (len(lines) == 1 || len(lines) == 2) &&
			strings.HasPrefix(lines[0], "brs-exec: error: ") &&
			(len(lines) == 1 || strings.HasPrefix(lines[1], "brs-exec: hint: "))
	if !good {
		w.t.Errorf("standard error, want one line of error and at most one of hint:\n%s", text)
	}
	for _, line := range lines {
		if len(line) > 400 && !strings.HasPrefix(line, "{") {
			w.t.Errorf("a line of %d characters is not for people: %s", len(line), line)
		}
	}
}

// places lists all that could have been left behind.
func (w *world) places() []string {
	var all []string
	for _, dir := range []string{w.run, w.path("home"), w.path("tmp")} {
		for _, f := range w.tree(dir) {
			all = append(all, filepath.Join(dir, f))
		}
	}
	for _, dir := range []string{"/run/brs-exec", "/dev/shm", os.TempDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "brs-exec") && !strings.HasPrefix(e.Name(), "brs-exec-test-") || dir == "/run/brs-exec" {
				all = append(all, filepath.Join(dir, e.Name()))
			}
		}
	}
	return all
}

func (w *world) checkNothingHappened(before []string) {
	w.t.Helper()
	if _, err := os.Stat(w.path("started")); err == nil {
		w.t.Error("the command was started")
	}
	for _, f := range w.places() {
		// Other tests work in the shared places at the same time; only what is
		// in this world's own is known to be from this run.
		if !slices.Contains(before, f) && strings.HasPrefix(f, w.dir) {
			w.t.Errorf("left behind: %s", f)
		}
	}
}

var (
	ports      = regexp.MustCompile(`127\.0\.0\.1:\d{4,5}`)
	ages       = regexp.MustCompile(`\d+h\d+m\d+s ago`)
	remains    = regexp.MustCompile(`\b(59s|1m0s)( left|, less)`)
	times      = regexp.MustCompile(`"time":"[^"]*"`)
	requestIDs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{20,}`)
)

// plain takes out of a text what differs from run to run.
func (w *world) plain(text string) string {
	text = strings.ReplaceAll(text, w.dir, "$DIR")
	text = ports.ReplaceAllString(text, "127.0.0.1:$$PORT")
	text = ages.ReplaceAllString(text, "$$AGE ago")
	text = remains.ReplaceAllString(text, "$$LIFE$2")
	text = times.ReplaceAllString(text, `"time":"$$TIME"`)
	return requestIDs.ReplaceAllString(text, "$$REQUEST")
}

// golden compares text with testdata/NAME.golden, or rewrites that with -update.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update && !t.Failed() {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the tests with -update, and read what that writes)", err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// TestExoticInput is what looks odd and is right all the same.
func TestExoticInput(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		args    []string
		prepare func(w *world)
		says    *regexp.Regexp // nil for silence
	}{
		{name: "role ARN without account", args: []string{"--role-arn", "arn:aws:iam:::role/x"}},
		{name: "role ARN with a line end", args: []string{"--role-arn", roleARN + "\n"}},
		{name: "role ARN of another server", args: []string{"--role-arn", "arn:minio:iam:::role/idmp-x"}},
		{name: "short duration", args: []string{"--role-arn", roleARN, "--duration", "5s"}},
		{name: "no session token and no expiry", args: []string{"--credential-command", "cat keys.json"}, prepare: func(w *world) {
			w.write("keys.json", `{"Version":1,"AccessKeyId":"FOREVERKEY","SecretAccessKey":"forever"}`)
		}, says: regexp.MustCompile(`(?i)\A[^\n]*can(no|')t be refreshed[^\n]*\n\z`)},
		{name: "long-term keys, which nobody can refresh", args: []string{"--credential-command", "cat keys.json"}, prepare: func(w *world) {
			w.write("keys.json", `{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"forever"}`)
		}},
		{name: "lifetime assumed", args: []string{"--credential-command", "cat keys.json", "--assume-lifetime", "1h"}, prepare: func(w *world) {
			w.write("keys.json", `{"Version":1,"AccessKeyId":"ASIAHOUR","SecretAccessKey":"s","SessionToken":"t"}`)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			if tt.prepare != nil {
				tt.prepare(w)
			}
			p := w.brsExec(append(tt.args, "--", "true")...)
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			said := p.stderr.String()
			if tt.says == nil && said != "" || tt.says != nil && !tt.says.MatchString(said) {
				t.Errorf("standard error %q, want %v", said, tt.says)
			}
		})
	}
}

// TestCommandItself: found but not executable, not found, and its own code.
func TestCommandItself(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		command []string
		code    int
		says    string // in its complaint
	}{
		{"not found", []string{"no-such-program-anywhere"}, 127, "not found in PATH"},
		{"not executable", []string{"/etc/passwd"}, 126, "hint: make it executable (chmod +x)"},
		{"one word with blanks", []string{"aws s3 ls"}, 127, "hint: that is one word with blanks in it: leave the quotes off, or sh -c 'aws s3 ls'"},
		{"variable in front", []string{"FOO=bar", "env"}, 127, "hint: for a variable: brs-exec … -- env FOO=bar env"},
		{"word of the shell's", []string{"cd", "/tmp"}, 127, "hint: cd is of the shell: sh -c 'cd …'"},
		{"flag behind the dashes", []string{"--profile", "x", "true"}, 127, "hint: flags of brs-exec stand before the --"},
		{"its own code", []string{"sh", "-c", "exit 3"}, 3, ""},
		{"code 125 of its own", []string{"sh", "-c", "exit 125"}, 125, ""},
		{"a name of ours", []string{"sh", "-c", "exit 0", "status"}, 0, ""},
		{"died of a signal", []string{"sh", "-c", "kill -TERM $$"}, 143, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			p := w.brsExec(append([]string{"--role-arn", roleARN, "--"}, tt.command...)...)
			if code := p.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if tt.says != "" {
				if w.checkComplaint(p); !strings.Contains(p.stderr.String(), tt.says) {
					t.Errorf("standard error %q, want %q in it", p.stderr.String(), tt.says)
				}
			} else if got := p.stderr.String(); got != "" {
				t.Errorf("standard error %q, want none", got)
			}
		})
	}
}
