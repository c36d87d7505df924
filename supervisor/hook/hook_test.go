//go:build unix

package hook

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		script string
		want   []string
		err    string
	}{
		{"both outputs, in order", `echo a; echo b >&2; printf 'c\r\n\nd'`, []string{"a", "b", "c", "d"}, ""},
		{"environment", `echo "$WHO $(env | wc -l | tr -d ' ')"`, []string{"me 2"}, ""}, // sh adds PWD
		{"no input", `read x; echo "got $?"`, []string{"got 1"}, ""},
		{"exit code", `exit 3`, nil, "hook /bin/sh: exit status 3"},
		{"signal", `kill -9 $$`, nil, "hook /bin/sh: signal: killed"},
		{"a long line is cut", `printf %05000d 0`, []string{strings.Repeat("0", 5000)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			err := Run(t.Context(), Hook{
				Argv: []string{"/bin/sh", "-c", test.script}, Env: []string{"WHO=me", "PATH=" + os.Getenv("PATH")},
				Line: func(s string) { got = append(got, s) },
			})
			if message(err) != test.err {
				t.Errorf("Run = %v, want %q", err, test.err)
			}
			if test.name == "environment" {
				got[0] = got[0][:len("me ")] + "2"
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRunNotFound(t *testing.T) {
	t.Parallel()
	if err := Run(t.Context(), Hook{Argv: []string{"/no/such/hook"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run = %v, want a file that does not exist", err)
	}
}

// TestRunTimeout: the hook and what it started are gone when Run returns.
func TestRunTimeout(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- Run(context.Background(), Hook{
			Argv: []string{"/bin/sh", "-c", `(exec 3>"$1"; echo up >&3; exec sleep 60) & exec sleep 60`, "sh", fifo}, Timeout: time.Second,
		})
	}()
	pipe, err := os.Open(fifo) // waits for the grandchild
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	r := bufio.NewReader(pipe)
	if line, err := r.ReadString('\n'); line != "up\n" {
		t.Fatalf("read %q, %v", line, err)
	}
	if err := <-done; !errors.Is(err, ErrTimeout) {
		t.Errorf("Run = %v, want %v", err, ErrTimeout)
	}
	if _, err := r.ReadByte(); err == nil { // its end is the end of the last writer
		t.Error("the grandchild wrote again")
	}
}

func TestRunCancelled(t *testing.T) {
	t.Parallel()
	why := errors.New("the command has ended")
	ctx, cancel := context.WithCancelCause(context.Background())
	err := Run(ctx, Hook{Argv: []string{"/bin/sh", "-c", "echo up; exec sleep 60"}, Line: func(string) { cancel(why) }})
	if !errors.Is(err, why) {
		t.Errorf("Run = %v, want %v", err, why)
	}
}

// TestRunOutputIsLimited: a hook that prints for ever is read to its end, but
// not passed on.
func TestRunOutputIsLimited(t *testing.T) {
	t.Parallel()
	total := 0
	err := Run(t.Context(), Hook{
		Argv: []string{"/bin/sh", "-c", "i=0; while [ $i -lt 2000 ]; do printf '%0100d\\n' $i; i=$((i+1)); done"},
		Line: func(s string) { total += len(s) + 1 },
	})
	if err != nil || total > outputLimit+1 || total < outputLimit-200 {
		t.Errorf("%d bytes, %v", total, err)
	}
}
