//go:build unix

package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// client is a long-lived program that makes a call every half second and prints
// "ok KEYID" or "refused CODE" for each, until its standard input ends.
type client struct {
	name    string
	command func(t *testing.T) []string
	// rawFile is set for one that reads section [brs-static] of the credentials
	// file rather than the variables.
	rawFile bool
	// channels are the values of --deliver that it is run with.
	channels []string
}

func source(elem ...string) string {
	path, err := filepath.Abs(filepath.Join(append([]string{"clients"}, elem...)...))
	if err != nil {
		panic(err)
	}
	return path
}

func clients() []client {
	return []client{
		{name: "boto3", channels: []string{"auto", "endpoint"}, command: func(t *testing.T) []string {
			return []string{program(t, "python"), source("boto3", "client.py")}
		}},
		{name: "awscli", channels: []string{"auto"}, command: func(t *testing.T) []string {
			program(t, "aws")
			return []string{"bash", source("awscli", "client.sh")}
		}},
		{name: "gov2", channels: []string{"auto", "process", "endpoint", "imds"}, command: func(t *testing.T) []string {
			path := goClient(t)
			return []string{path}
		}},
		{name: "rawfile", rawFile: true, channels: []string{"auto"}, command: func(t *testing.T) []string {
			program(t, "curl")
			// It knows no variable of AWS's.
			return []string{"bash", "-c", `CLIENT_ENDPOINT=$AWS_ENDPOINT_URL exec bash "$0"`, source("rawfile", "client.sh")}
		}},
	}
}

const life = 20 * time.Second

// TestOutlives is the promise: whatever the command is written in, it makes
// calls across at least three expirations and not one of them is refused.
func TestOutlives(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, c := range clients() {
		for _, channel := range c.channels {
			t.Run(c.name+" "+channel, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, life)
				command := c.command(t)
				p := w.brsExec(append([]string{"--role-arn", roleARN, "--deliver", channel, "--log-level", "debug", "--"}, command...)...)
				eventually(t, patience, "calls past three expirations", func() bool {
					used, ended := w.usedSets()
					return len(used) >= 4 && ended >= 3 && len(p.stdout.lines()) >= 10 || p.ended()
				})
				if p.ended() {
					t.Fatalf("ended early with %d\n%s", p.exit(), p.stderr.String())
				}
				p.stdin.Close()
				if code := p.exit(); code != 0 {
					t.Errorf("exit code %d, want 0", code)
				}
				checkOutlived(t, w, p)
			})
		}
	}
}

// usedSets are the key ids that the command has made calls with, and how many of
// these have ended.
func (w *world) usedSets() (used map[string]int, ended int) {
	used = map[string]int{}
	for _, call := range w.server.Calls() {
		if call.Action != "AssumeRole" {
			used[call.KeyID]++
		}
	}
	for id := range used {
		if end, ok := w.server.Expiry(id); ok && !end.IsZero() && end.Before(w.server.Now()) {
			ended++
		}
	}
	return used, ended
}

// checkOutlived looks at the server's log, which knows of calls that a client
// retried in silence.
func checkOutlived(t *testing.T, w *world, p *process) {
	t.Helper()
	for _, call := range w.server.Calls() {
		if !call.Accepted {
			t.Errorf("refused: %s", call)
		}
	}
	used, ended := w.usedSets()
	if used[w.server.Bootstrap().AccessKeyID] > 0 {
		t.Error("the command called with the keys that brs-exec started from")
	}
	if len(used) < 4 {
		t.Errorf("%d key ids were used, want at least 4: %v", len(used), used)
	}
	if ended < 3 {
		t.Errorf("%d of the sets of credentials used have expired, want at least 3", ended)
	}
	for _, line := range p.stdout.lines() {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("the command printed %q", line)
		}
	}
	if got := len(p.stdout.lines()); got < 10 {
		t.Errorf("the command printed %d lines, want at least 10", got)
	}
}

// TestBareDies shows that TestOutlives can fail: the same programs with one set of credentials
// handed to them are refused once it has expired.
func TestBareDies(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, life)
			command := c.command(t)
			set := w.server.Issue("arn:aws:sts::123456789012:assumed-role/App/bare", time.Hour)
			w.hand(set, c.rawFile)
			p := w.start(command[0], command[1:]...)
			w.reveals = true // not a run of brs-exec
			eventually(t, patience, "a call", func() bool { return len(p.stdout.lines()) > 0 || p.ended() })
			w.server.SetExpiry(set.AccessKeyID, w.server.Now())
			eventually(t, patience, "a refused call", func() bool {
				return strings.Contains(p.stdout.String(), "refused ") || p.ended()
			})
			lines := p.stdout.lines()
			if len(lines) < 2 || lines[0] == "" || !strings.HasPrefix(lines[0], "ok ") {
				t.Fatalf("the first lines are %q, want calls that are accepted at first", lines)
			}
			if last := lines[len(lines)-1]; last != "refused ExpiredToken" && last != "refused ExpiredTokenException" {
				t.Errorf("the last line is %q, want a refusal for expiry", last)
			}
		})
	}
}

// hand gives credentials to a command as people do without brs-exec.
func (w *world) hand(set fakeaws.Credentials, file bool) {
	w.t.Helper()
	if file {
		w.write("credentials", fmt.Sprintf("[brs-static]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n",
			set.AccessKeyID, set.SecretAccessKey, set.SessionToken))
		return
	}
	w.env["AWS_ACCESS_KEY_ID"] = set.AccessKeyID
	w.env["AWS_SECRET_ACCESS_KEY"] = set.SecretAccessKey
	w.env["AWS_SESSION_TOKEN"] = set.SessionToken
}
