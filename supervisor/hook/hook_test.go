//go:build unix

package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRunHook(t *testing.T) {
	t.Parallel()
	sh := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	for _, tt := range []struct {
		name    string
		argv    []string
		env     []string
		want    []string
		wantErr string
	}{
		{name: "silent", argv: sh(":")},
		{name: "both outputs", argv: sh("echo a; echo b >&2; echo; printf c"), want: []string{"a", "b", "", "c"}},
		{name: "no shell", argv: []string{"/bin/echo", "$HOME | cat; x"}, want: []string{"$HOME | cat; x"}},
		{name: "environment", argv: sh("echo $A"), env: []string{"A=x y"}, want: []string{"x y"}},
		{name: "empty input", argv: sh("cat; echo end"), want: []string{"end"}},
		{name: "code", argv: sh("echo a; exit 3"), want: []string{"a"}, wantErr: "run /bin/sh: exit status 3"},
		{name: "death", argv: sh("kill -9 $$"), wantErr: "run /bin/sh: signal: killed"},
		{name: "not found", argv: []string{"/no/such/hook"}, wantErr: "run /no/such/hook: fork/exec /no/such/hook: no such file or directory"},
		{name: "no command", wantErr: "no command to run"},
		{name: "leaves a process that holds the pipe", argv: sh("sleep 5 & echo a"), want: []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			err := Run(t.Context(), Command{Argv: tt.argv, Env: tt.env, Output: func(s string) { got = append(got, s) }})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if msg := message(err); msg != tt.wantErr {
				t.Errorf("error = %q, want %q", msg, tt.wantErr)
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

func TestHookIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("time", func(t *testing.T) {
		t.Parallel()
		fifo := filepath.Join(t.TempDir(), "open-while-it-lives")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		gone := make(chan error, 1)
		go func() {
			b, err := os.ReadFile(fifo) // until the last process that could write to it has ended
			if string(b) != "started" {
				err = fmt.Errorf("read %q, %v", b, err)
			}
			gone <- err
		}()
		err := Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "(printf started; exec sleep 100000) >" + fifo + " & wait"}, Timeout: 300 * time.Millisecond})
		if !errors.Is(err, errTimeout) {
			t.Errorf("error = %v, want %v", err, errTimeout)
		}
		select {
		case err := <-gone:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * time.Minute):
			t.Error("what the hook has started lives on")
		}
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("no more")
		err := Run(ctx, Command{Argv: []string{"/bin/sh", "-c", "echo x; sleep 60"}, Output: func(string) { cancel(stop) }})
		if !errors.Is(err, stop) {
			t.Errorf("error = %v, want %v", err, stop)
		}
	})
	t.Run("output", func(t *testing.T) {
		t.Parallel()
		var lines, bytes, longest int
		err := Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; seq 100000"},
			Output: func(s string) { lines++; bytes += len(s); longest = max(longest, len(s)) }})
		if err != nil {
			t.Error(err)
		}
		if lines > 100 || bytes > maxOutput+100 || longest > maxLine {
			t.Errorf("%d lines, %d bytes, the longest %d", lines, bytes, longest)
		}
	})
}
