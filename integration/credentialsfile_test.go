//go:build unix

package integration

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestCredentialsFileExpiry: what other tools wrote beside the old keys in a
// section does not make the new ones look old to the next reader.
func TestCredentialsFileExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	path := w.write("shared", "[app]\naws_access_key_id = ASIAOLD\naws_secret_access_key = old\naws_session_token = old\n"+
		"expiration = 2020-01-01 00:00:00\naws_credentials_expiration = 2020-01-01T00:00:00Z\nexpires = 1577836800\n")
	p := w.brsExec("--role-arn", roleARN, "--credentials-file", path, "--credentials-file-profile", "app", "--", "sh", "-c", "echo up; read -r _")
	eventually(t, patience, "the start", func() bool { return len(p.stdout.lines()) > 0 })
	reader := w.brsExec("--from-file", path, "--from-profile", "app", "--", "true")
	if code := reader.exit(); code != 0 {
		t.Errorf("a reader of the file: exit code %d: %s", code, reader.stderr.String())
	}
	p.stdin.Close()
	p.exit()
}

// TestCredentialsFileMissingDirectory: it is said before the source is asked, with
// the flag.
func TestCredentialsFileMissingDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.write("ask", "#!/bin/sh\ntouch asked\n")
	if err := os.Chmod(w.path("ask"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := w.path("no/such/file")
	for _, args := range [][]string{
		{"--credential-command", w.path("ask"), "--credentials-file", path, "--", "true"},
		{"doctor", "--credentials-file", path, "--", "true"},
	} {
		p := w.brsExec(args...)
		if code := p.exit(); code == 0 {
			t.Errorf("%q: exit code 0", args)
		}
		text := p.stderr.String() + p.stdout.String()
		if !strings.Contains(text, "--credentials-file") || !strings.Contains(text, path) || !strings.Contains(text, "mkdir -p "+w.path("no/such")) {
			t.Errorf("%q said:\n%s", args, text)
		}
	}
	if _, err := os.Stat(w.path("asked")); err == nil {
		t.Error("the source was asked first")
	}
}

// TestCredentialsFileReadable: that others can read the file is said, as it will
// hold keys.
func TestCredentialsFileReadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	path := w.write("shared", "[other]\n")
	for _, tt := range []struct {
		mode os.FileMode
		args []string
		want bool
	}{
		{0o600, nil, false},
		{0o640, nil, true},
		{0o644, nil, true},
		{0o640, []string{"--file-mode", "0640"}, false}, // as it was asked for
	} {
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		for _, sub := range [][]string{nil, {"doctor"}} {
			args := append(append(sub, "--role-arn", roleARN, "--credentials-file", path), tt.args...)
			p := w.brsExec(append(args, "--", "true")...)
			p.exit()
			if got := strings.Contains(p.stderr.String()+p.stdout.String(), "chmod 600 "+path); got != tt.want {
				t.Errorf("mode %o, %q: said it: %v, want %v\n%s%s", tt.mode, args, got, tt.want, p.stdout.String(), p.stderr.String())
			}
		}
	}
}
