package replace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// What a writer in place that was killed can have left.
func TestReplaceRecoversInPlace(t *testing.T) {
	for _, tt := range []struct{ name, old, next, now, want string }{
		{"before it began", "old", "newer", "old", "old"},
		{"grown", "old", "newer", "old\n", "old"},
		{"half written", "old.", "newer", "neww", "neww"}, // not by us
		{"half written, longer", "old.", "newer", "newe\n", "old."},
		{"half written, shorter", "older", "new", "neder", "older"},
		{"not yet cut", "older", "new", "new\n\n", "older"},
		{"done", "old", "newer", "newer", "newer"},
		{"half put back", "old.", "newer", "oldeer", "oldeer"}, // not by us either
		{"half put back, same length", "older", "newer", "olwer", "older"},
		{"changed since", "old", "newer", "mine", "mine"},
		{"no backup yet", "-", "newer", "old", "old"},
		{"half a backup", "o-", "newer", "old", "old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, backups := t.TempDir(), t.TempDir()
			path := filepath.Join(dir, "f")
			w, err := pathsafe.Resolve(path)
			if err != nil {
				t.Fatal(err)
			}
			real, other := &Location{Path: w.Path, name: "f"}, &Location{Path: w.Path + "x", name: "f"}
			put(t, path, tt.now, 0o600)
			backup := real.backupPrefix() + "0123456789abcdef" + backupSuffix
			old, partial := strings.CutSuffix(tt.old, "-")
			if old != "" {
				put(t, filepath.Join(backups, backup), old, 0o600)
			}
			put(t, filepath.Join(backups, nextOf(backup)), string(nextFile([]byte(tt.old), []byte(tt.next))), 0o600)
			others := other.backupPrefix() + nextSuffix
			put(t, filepath.Join(backups, others), "x", 0o600)
			var saw string
			_, err = Target{Path: path, BackupDir: backups}.Replace(context.Background(), func(old []byte) ([]byte, error) { saw = string(old); return old, nil })
			if err != nil || saw != tt.want {
				t.Fatalf("Replace found %q, %v, want %q", saw, err, tt.want)
			}
			holds(t, dir, map[string]string{"f": tt.want})
			want := map[string]string{others: "x"}
			if !partial && tt.want == tt.now && tt.now != tt.old && tt.now != tt.next {
				want[backup] = tt.old
			}
			holds(t, backups, want)
		})
	}
}

// helpInPlace rewrites PATH in place for ever.
func helpInPlace(args []string) error {
	target := Target{Path: args[0], Rename: func(string, string) error { return errCannotRename }}
	for i := 0; ; i++ {
		res, err := target.Replace(context.Background(), to(string(setOf(i%7*700+1))))
		if err != nil {
			return err
		}
		if i == 1 { // the first one may have found what it writes
			fmt.Println(res.Way == InPlace)
		}
	}
}

// Killed while it writes in place it may leave a mixture, which the next one
// recovers before it does anything else.
func TestReplaceInPlaceKilled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, string(setOf(2)), 0o600)
	mixed := 0
	for i := range 25 {
		cmd, _, said := startHelper(t, "inplace", path)
		if said != "true" {
			t.Fatalf("in place: %s", said)
		}
		timer := time.NewTimer(time.Duration(i*i%17) * 500 * time.Microsecond)
		<-timer.C
		cmd.Process.Kill()
		cmd.Wait()
		if data, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		} else if !wholeSet(data) {
			mixed++
		}
		_, err := Replace(path, 0, func(old []byte) ([]byte, error) {
			if !wholeSet(old) {
				return nil, errors.New("the file is a mixture")
			}
			return old, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(dir, ".*"))
		if err != nil || len(names) > 0 {
			t.Errorf("left %q, %v", names, err)
		}
	}
	t.Logf("%d of 25 kills left a mixture", mixed)
}
