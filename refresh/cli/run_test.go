package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"brs-exec.example/brs-exec/refresh/run"
	"brs-exec.example/brs-exec/supervisor"
)

func TestIsTerminal(t *testing.T) {
	for _, name := range []string{os.DevNull, filepath.Join(t.TempDir(), "file")} {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if isTerminal(f) {
			t.Errorf("%s is taken for a terminal", name)
		}
	}
}

// TestExitCodes: what a script hears of the end of a run.
func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		exit   supervisor.Exit
		err    error
		code   int
		passed bool   // the error, to whoever prints it
		stderr string // part
	}{
		{"success", supervisor.Exit{}, nil, 0, false, ""},
		{"failure", supervisor.Exit{Code: 3}, nil, 3, false, ""},
		{"stopped for want of credentials", supervisor.Exit{Code: 143, Stopped: true}, run.ErrExpired, exitExpired, false, ""},
		{"not found", supervisor.Exit{Code: 127}, fs.ErrNotExist, 127, false, "hint: cd is of the shell"},
		{"not executable", supervisor.Exit{Code: 126}, fs.ErrPermission, 126, false, "hint: make it executable"},
		{"no credentials", supervisor.Exit{Code: exitFailed}, errors.New("denied"), exitFailed, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			flushed := false
			p := &program{argv: []string{"cd", "/"}, stderr: &stderr, flush: func() { flushed = true }}
			err := p.passOn(tt.exit, tt.err)
			if p.code != tt.code || (err != nil) != tt.passed {
				t.Errorf("code %d, error %v; want %d", p.code, err, tt.code)
			}
			if tt.err == nil && !flushed { // before we die of the command's signal
				t.Error("the log is not flushed")
			}
			if got := stderr.String(); !strings.Contains(got, tt.stderr) || tt.stderr == "" && got != "" {
				t.Errorf("standard error has %q, want %q", got, tt.stderr)
			}
		})
	}
}

// TestCredentials prints what a source gives, in each format.
func TestCredentials(t *testing.T) {
	withoutSettings(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	command := `sh -c "printf 'AWS_ACCESS_KEY_ID=ASIAFAKE\\nAWS_SECRET_ACCESS_KEY=secret\\nAWS_SESSION_TOKEN=token\\n'"`
	for format, want := range map[string]string{
		"process": `"AccessKeyId":"ASIAFAKE"`,
		"env":     "AWS_SESSION_TOKEN='token'",
		"ini":     "[default]\naws_access_key_id = ASIAFAKE\n",
	} {
		stdout, stderr, code := runQuietly("credentials", "--credential-command", command, "--format", format)
		if code != 0 || !strings.Contains(strings.ReplaceAll(stdout, `": "`, `":"`), want) {
			t.Errorf("%s: exit code %d, standard error %q, and\n%s\nlacks %s", format, code, stderr, stdout, want)
		}
	}
}
