//go:build unix

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// fleet writes a file of --config with a role in each of n accounts.
func (w *world) fleet(n int) (config string) {
	accounts := make([]string, n)
	for i := range accounts {
		accounts[i] = fmt.Sprintf("%q", account(i))
	}
	return w.write("fleet.yaml", "profiles:\n  - for-each:\n      account: ["+strings.Join(accounts, ", ")+"]\n"+
		"    name: app-{account}\n    role-arn: arn:aws:iam::{account}:role/App-{account}\n")
}

func account(i int) string { return fmt.Sprintf("1%011d", i) }

// TestManyAccounts: one boto3 program works in 200 accounts, through expirations, each call
// with the credentials of its own account.
func TestManyAccounts(t *testing.T) {
	slow(t)
	if raceEnabled {
		t.Skip("each of some thousand starts takes ten times as long with the race detector")
	}
	t.Parallel()
	// Longer than elsewhere: a round of calls takes its time on a busy machine.
	const accounts, life = 200, 30 * time.Second
	python := program(t, "python")
	w := newWorld(t, life)
	w.env["CLIENT_PAUSE"] = "5"
	p := w.brsExec("--config", w.fleet(accounts), "--", python, source("boto3", "fleet.py"), "app-")
	expired := func(ids map[string]bool) (n int) {
		for id := range ids {
			if end, ok := w.server.Expiry(id); ok && end.Before(w.server.Now()) {
				n++
			}
		}
		return n
	}
	used := map[string]map[string]bool{} // key ids by profile
	read := 0
	eventually(t, patience, "two expirations of each of 200 profiles", func() bool {
		lines := p.stdout.lines()
		for ; read < len(lines); read++ {
			words := strings.Fields(lines[read])
			switch {
			case len(words) == 4 && words[0] == "ok":
				name, account := words[1], strings.TrimPrefix(words[1], "app-")
				if !strings.Contains(words[3], ":assumed-role/App-"+account+"/") {
					t.Errorf("profile %s is %s", name, words[3])
				}
				if used[name] == nil {
					used[name] = map[string]bool{}
				}
				used[name][words[2]] = true
			case len(words) > 0 && words[0] == "refused":
				t.Errorf("the command printed %q", lines[read])
			}
		}
		if p.ended() || t.Failed() {
			return true
		}
		for _, ids := range used {
			if expired(ids) < 2 || len(ids) < 3 {
				return false
			}
		}
		return len(used) == accounts
	})
	if p.ended() {
		t.Fatalf("ended early with %d\n%s", p.exit(), p.stderr.String())
	}
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, call := range w.server.Calls() {
		if !call.Accepted {
			t.Errorf("refused: %s", call)
		}
	}
	if said := p.stderr.String(); said != "" {
		t.Logf("brs-exec said:\n%s", said)
	}
}

// TestFleetRequire: a role that is denied keeps the command from its start, unless the
// others are enough; it costs these nothing.
func TestFleetRequire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		require string
		code    int
		starts  bool
	}{
		{"all", 125, false},
		{"any", 0, true},
		{"2", 0, true},
	} {
		t.Run(tt.require, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			w.server.SetFaults(fakeaws.Fault{Kind: fakeaws.Denied, Actions: []string{"AssumeRole"}, Times: 1})
			p := w.brsExec("--config", w.fleet(3), "--require", tt.require, "--", "sh", "-c", "echo started; exec cat")
			eventually(t, patience, "the refusal in the log", func() bool {
				said := p.stderr.String()
				return strings.Contains(said, "app-1000000000") && strings.Contains(said, "AccessDenied") || p.ended()
			})
			if tt.starts {
				eventually(t, patience, "the start", func() bool { return p.stdout.String() != "" || p.ended() })
			}
			p.stdin.Close()
			if code := p.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, p.stderr.String())
			}
			if started := p.stdout.String() == "started\n"; started != tt.starts {
				t.Errorf("the command printed %q", p.stdout.String())
			}
			if said := p.stderr.String(); !strings.Contains(said, "app-1000000000") || !strings.Contains(said, "AccessDenied") {
				t.Errorf("brs-exec said %q, want the profile and the reason", said)
			}
		})
	}
}
