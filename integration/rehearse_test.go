//go:build unix

package integration

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// copyKeys is a program that copies its keys at the start, and calls with them until a call
// is refused, or its standard input ends. It ends well all the same.
const copyKeys = `
import select, sys, boto3
from botocore.exceptions import ClientError
keys = boto3.Session().get_credentials().get_frozen_credentials()
sts = boto3.client("sts", aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key, aws_session_token=keys.token)
while True:
    try:
        sts.get_caller_identity()
        print("ok", keys.access_key, flush=True)
    except ClientError as error:
        print("refused", error.response["Error"]["Code"], flush=True)
        break
    if select.select([sys.stdin], [], [], 0.5)[0]:
        break
`

// usedKeys are the key ids that a client says to have called with.
func usedKeys(p *process) []string {
	var keys []string
	for _, line := range p.stdout.lines() {
		if key, ok := strings.CutPrefix(line, "ok "); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// report is what a rehearsal has said at its end, in one line.
func (p *process) report() string {
	_, report, _ := strings.Cut(p.stderr.String(), "rehearsal: ")
	return strings.Join(strings.Fields(report), " ")
}

// TestRehearse: a client that takes newer credentials does its real work, with real credentials
// of another lifetime, and is told to survive, whatever the delivery.
func TestRehearse(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, channel := range []string{"auto", "endpoint", "process", "sign"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			python := program(t, "python")
			w := newWorld(t, time.Hour)
			p := w.brsExec("rehearse", "--life", "20s", "--role-arn", roleARN, "--deliver", channel, "--", python, source("boto3", "client.py"))
			expiries := 4
			if channel == "sign" {
				expiries = 1
			}
			eventually(t, patience, "calls with several credentials", func() bool { return len(usedKeys(p)) >= expiries && len(p.stdout.lines()) >= 10 || p.ended() })
			p.stdin.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if refused := p.stdout.String(); strings.Contains(refused, "refused") {
				t.Errorf("the command printed %s", refused)
			}
			if !strings.Contains(p.report(), " none ") || !strings.Contains(p.report(), "survives: ") {
				t.Errorf("reported: %s", p.report())
			}
			if read := map[string]string{"auto": "process at", "process": "process at", "endpoint": "endpoint at"}[channel]; !strings.Contains(p.report(), read) {
				t.Errorf("it is not said that the credentials were read by %s: %s", read, p.report())
			}
			// What the service sees are the real credentials alone.
			real := map[string]bool{}
			for _, call := range w.server.Calls() {
				if !call.Accepted {
					t.Errorf("refused: %s", call)
				}
				if call.Action != "AssumeRole" {
					real[call.KeyID] = true
				}
			}
			for _, key := range usedKeys(p) {
				if real[key] {
					t.Errorf("the command called with real credentials, %s", key)
				}
			}
			if len(real) != 1 {
				t.Errorf("the services were called with %v, want one set of credentials", real)
			}
		})
	}
}

// TestRehearseCopy: a program that copies its keys is refused as AWS would refuse it once these
// have expired, the report says so and what helps, and so does the exit code. That advice is right.
func TestRehearseCopy(t *testing.T) {
	slow(t)
	t.Parallel()
	python := program(t, "python")
	w := newWorld(t, time.Hour)
	p := w.brsExec("rehearse", "--life", "10s", "--role-arn", roleARN, "--", python, "-c", copyKeys)
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if said := p.stdout.String(); !strings.HasPrefix(said, "ok ASIA") || !strings.HasSuffix(said, "\nrefused ExpiredToken\n") {
		t.Errorf("the command printed %q", said)
	}
	for _, want := range []string{`brs-exec 1 of \d+ \d+ 1 at \d+s`, `does not survive: 1 of \d+ calls`, `what helps: brs-exec --role-arn ` + roleARN + ` --deliver sign -- \S*python -c `} {
		if !regexp.MustCompile(want).MatchString(p.report()) {
			t.Errorf("%s is not in the report: %s", want, p.report())
		}
	}
	for _, call := range w.server.Calls() {
		if !call.Accepted {
			t.Errorf("the service was sent what it refused: %s", call)
		}
	}

	p = w.brsExec("--role-arn", roleARN, "--deliver", "sign", "--", python, "-c", copyKeys)
	eventually(t, patience, "a call", func() bool { return len(p.stdout.lines()) > 0 || p.ended() })
	for _, call := range w.server.Calls() { // what was real has expired
		if call.Action != "AssumeRole" {
			w.server.SetExpiry(call.KeyID, w.server.Now())
		}
	}
	p.stdin.Close()
	if code := p.exit(); code != 0 || strings.Contains(p.stdout.String(), "refused") {
		t.Errorf("exit code %d, printed %s", code, p.stdout.String())
	}
}

// TestRehearseNothing: what was not shown is not said to be.
func TestRehearseNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		program string // a client that has to be there
		command []string
		code    int
		want    string
	}{
		{name: "no call", command: []string{"sh", "-c", "exit 7"}, code: 7, want: "not shown: no call was seen, and nothing that read credentials"},
		{name: "no call, but read", command: []string{"sh", "-c", `cat "$AWS_SHARED_CREDENTIALS_FILE" >/dev/null`}, want: "not shown: credentials were read (file at 0s), but no call was seen"},
		{name: "one call", program: "aws", command: []string{"aws", "sts", "get-caller-identity"}, want: "not shown: no call was made after the credentials of an earlier one had expired; let the command run longer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.program != "" {
				program(t, tt.program)
			}
			w := newWorld(t, time.Hour)
			p := w.brsExec(append([]string{"rehearse", "--deliver", "file", "--role-arn", roleARN, "--"}, tt.command...)...)
			if code := p.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(p.report(), tt.want) {
				t.Errorf("reported: %s", p.report())
			}
		})
	}
}

// TestRehearseSimulate needs no account.
func TestRehearseSimulate(t *testing.T) {
	slow(t)
	t.Parallel()
	python := program(t, "python")
	w := newWorld(t, time.Hour)
	w.bare()
	p := w.brsExec("rehearse", "--simulate", "--life", "10s", "--", python, source("boto3", "client.py"))
	eventually(t, patience, "calls with several credentials", func() bool { return len(usedKeys(p)) >= 4 || p.ended() })
	p.stdin.Close()
	if code := p.exit(); code != 0 || strings.Contains(p.stdout.String(), "refused") {
		t.Errorf("exit code %d, printed %s", code, p.stdout.String())
	}
	if !strings.Contains(p.report(), "survives: ") {
		t.Errorf("reported: %s", p.report())
	}
	if calls := w.server.Calls(); len(calls) > 0 {
		t.Errorf("another server than the simulator was called: %v", calls)
	}
}

// TestRehearseSimulateProfile: a command that names the profile finds the credentials of the simulation there.
func TestRehearseSimulateProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.env["AWS_SHARED_CREDENTIALS_FILE"] = w.write("credentials", "[prod]\naws_access_key_id = AKIAOFTHEUSER\naws_secret_access_key = secret\n")
	p := w.brsExec("rehearse", "--simulate", "--profile", "prod", "--", "sh", "-c", `cat "$AWS_CONFIG_FILE" "$AWS_SHARED_CREDENTIALS_FILE"`)
	p.exit()
	if files := p.stdout.String(); !regexp.MustCompile(`(?m)^\[profile prod\]\ncredential_process = `).MatchString(files) || strings.Contains(files, "AKIAOFTHEUSER") {
		t.Errorf("the command found:\n%s", files)
	}
}
