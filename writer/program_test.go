package writer

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// Go's SDK cannot run a program whose path needs quotes on Windows, where the
// short name is the way out.
func TestPlainly(t *testing.T) {
	t.Parallel()
	const long = `C:\Program Files\brs-exec.exe`
	for _, tt := range []struct {
		name, path, short string
		err               error
		want              string // "" is an error
	}{
		{name: "plain", path: `C:\bin\brs-exec.exe`, err: errors.New("not asked"), want: `C:\bin\brs-exec.exe`},
		{name: "short", path: long, short: `C:\PROGRA~1\brs-exec.exe`, want: `C:\PROGRA~1\brs-exec.exe`},
		{name: "volume without short names", path: long, short: long},
		{name: "unknown", path: long, err: errors.New("no such file")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := plainly(tt.path, func(path string) bool { return !strings.Contains(path, " ") }, func(string) (string, error) { return tt.short, tt.err })
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("plainly = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// Without a shell no SDK but a few runs a credential_process: a profile that has one
// would keep them from the endpoint.
func TestSelf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no shell is asked for")
	}
	for asked, without := range map[Mode]Mode{Auto: Endpoint, Process: Process, File: File, Endpoint: Endpoint} {
		if path, mode, err := Self(asked); path == "" || mode != asked || err != nil {
			t.Errorf("Self(%d) = %q, %d, %v", asked, path, mode, err)
		}
		t.Run("without sh", func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			if path, mode, err := Self(asked); path == "" || mode != without || !errors.Is(err, errNoShell) {
				t.Errorf("Self(%d) = %q, %d, %v, want mode %d", asked, path, mode, err, without)
			}
		})
	}
}
