//go:build unix

package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// TestCommonBase: what the roles of a list are assumed from is asked for once: a program, the
// first role of a chain, a code of MFA.
func TestCommonBase(t *testing.T) {
	t.Parallel()
	const accounts = 60
	for _, tt := range []struct {
		name     string
		settings string // of the file; RUNS is where a program counts
		runs     int
		calls    map[string]int
	}{
		{"program", "credential-command: sh -c \"echo x >>RUNS; echo AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID; echo AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY\"\nrole-arn: [ROLE]\n", 1,
			map[string]int{"AssumeRole": accounts}},
		{"first role", "role-arn: [arn:aws:iam::123456789012:role/Hub, ROLE]\n", 0, map[string]int{"AssumeRole": accounts + 1}},
		{"code", "mfa-serial: arn:aws:iam::123456789012:mfa/ann\nmfa-command: sh -c \"echo x >>RUNS; echo 123456\"\nrole-arn: [ROLE]\n", 1,
			map[string]int{"AssumeRole": accounts, "GetSessionToken": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			runs := w.write("runs", "")
			ids := make([]string, accounts)
			for i := range ids {
				ids[i] = fmt.Sprintf("%q", account(i))
			}
			entry, text := "", ""
			for _, line := range strings.SplitAfter(strings.ReplaceAll(tt.settings, "RUNS", runs), "\n") {
				if strings.HasPrefix(line, "role-arn") {
					entry = "    " + strings.ReplaceAll(line, "ROLE", `"arn:aws:iam::{account}:role/App"`)
				} else {
					text += line
				}
			}
			config := w.write("fleet.yaml", text+"profiles:\n  - name: app-{account}\n"+entry+"    for-each: {account: ["+strings.Join(ids, ", ")+"]}\n")
			p := w.brsExec("--config", config, "--", "true")
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d: %s", code, p.stderr.String())
			}
			got := map[string]int{}
			for _, c := range w.server.Calls() {
				got[c.Action]++
			}
			ran, _ := os.ReadFile(runs)
			for action, want := range tt.calls {
				if got[action] != want {
					t.Errorf("%d calls of %s, want %d (all: %v)", got[action], action, want, got)
				}
			}
			if n := strings.Count(string(ran), "x"); n != tt.runs {
				t.Errorf("the program ran %d times, want %d", n, tt.runs)
			}
		})
	}
}

// TestCommonPace: an STS that throttles is asked a little more often than there are roles.
func TestCommonPace(t *testing.T) {
	t.Parallel()
	const accounts, throttled = 40, 12
	w := newWorld(t, time.Hour)
	w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Throttle, Actions: []string{"AssumeRole"}, Times: throttled})
	p := w.brsExec("--config", w.fleet(accounts), "--start-timeout", "2m", "--", "true")
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	if n := w.assumed(); n != accounts {
		t.Errorf("%d roles were assumed", n)
	}
	if n := len(w.server.Calls()); n != accounts+throttled {
		t.Errorf("%d calls, of which %d were throttled, for %d roles", n, throttled, accounts)
	}
}
