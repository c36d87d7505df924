//go:build unix

package integration

import (
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
