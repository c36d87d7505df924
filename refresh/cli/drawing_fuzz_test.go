package cli

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/writer/rundir"
)

// FuzzDrawing: whatever a run says of itself, no line of it is wider than the terminal, and
// none tells the terminal anything.
func FuzzDrawing(f *testing.F) {
	f.Add("name", "running", "exit status 1", "source", "ASIAABCDEFGHIJKLMNOP", "denied", int64(3600), int64(60), 3, 80)
	f.Add("a\x1b[2Jb\n", "\x00", strings.Repeat("x", 300), "\u202e", "k", strings.Repeat("word ", 100), int64(-1), int64(1)<<62, 2000, 41)
	f.Add("", "keeping", "", "", "", "", int64(0), int64(0), 1, 1000)
	f.Fuzz(func(t *testing.T, name, state, exit, source, key, err string, expires, next int64, count, width int) {
		width, count = 40+(width&0xff), count%20
		p := control.Profile{Name: name, Source: source, Identity: source, KeyID: key, Issued: statusNow, Expires: statusNow.Add(time.Duration(expires)),
			Next: statusNow.Add(time.Duration(next)), Failed: count, Failures: 3, Err: err, Hint: err, RequestID: key, Stale: count, StaleNow: true, LivesOn: source, SourceExpiry: statusNow}
		r := control.Record{Name: name, State: state, Exit: exit, Starts: count, DeliveryFailed: count, DeliveryErr: err}
		for range count {
			r.Profiles = append(r.Profiles, p)
		}
		text := drawing{now: statusNow, width: width}.runs([]seenRun{{Run: rundir.Run{PID: 1, UID: -1}, record: r}})
		if unprintable(text) {
			t.Errorf("%q", text)
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d of %d columns: %q", n, width, line)
			}
		}
	})
}
