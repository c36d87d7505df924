//go:build unix

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
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
			err := RunHook(t.Context(), Hook{Argv: tt.argv, Env: tt.env, Output: func(s string) { got = append(got, s) }})
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
		var pid int
		err := RunHook(t.Context(), Hook{Argv: []string{"/bin/sh", "-c", "sleep 60 & echo $!; wait"}, Timeout: 300 * time.Millisecond,
			Output: func(s string) { pid, _ = strconv.Atoi(s) }})
		if !errors.Is(err, ErrHookTimeout) {
			t.Errorf("error = %v, want %v", err, ErrHookTimeout)
		}
		eventually(t, "what the hook started is gone", func() bool { return pid != 0 && gonePid(pid) })
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("no more")
		err := RunHook(ctx, Hook{Argv: []string{"/bin/sh", "-c", "echo x; sleep 60"}, Output: func(string) { cancel(stop) }})
		if !errors.Is(err, stop) {
			t.Errorf("error = %v, want %v", err, stop)
		}
	})
	t.Run("output", func(t *testing.T) {
		t.Parallel()
		var lines, bytes, longest int
		err := RunHook(t.Context(), Hook{Argv: []string{"/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; seq 100000"},
			Output: func(s string) { lines++; bytes += len(s); longest = max(longest, len(s)) }})
		if err != nil {
			t.Error(err)
		}
		if lines > 100 || bytes > hookOutput+100 || longest > hookLine {
			t.Errorf("%d lines, %d bytes, the longest %d", lines, bytes, longest)
		}
	})
}

// The hook is in a group of its own, and never the one that is waited for.
func TestHooksBesideTheChild(t *testing.T) {
	t.Parallel()
	p := start(t, command(t, helper(t, "hooks")...))
	p.ready()
	for range 20 {
		p.signal(unix.SIGHUP)
		p.expect("HUP")
	}
	if line := p.line(); line != "hooks: 200 of 200, other group" {
		t.Errorf("got %q", line)
	}
	p.stdin.Close()
	if got := p.status(); got != "exit 7" {
		t.Errorf("status = %s, want exit 7", got)
	}
}

func init() {
	// hooks wraps the reporting helper and runs 200 hooks meanwhile.
	register("hooks", func([]string) {
		signals := hold()
		s, err := New(Options{Argv: append([]string{os.Args[0]}, "report", "eof")}, signals)
		if err != nil {
			panic(err)
		}
		hooked := make(chan struct{})
		go func() {
			defer close(hooked)
			good, group := 0, "same group"
			for i := range 200 {
				want := i % 5
				err := RunHook(context.Background(), Hook{Argv: []string{"/bin/sh", "-c", "cut -d' ' -f5 /proc/$$/stat; exit " + strconv.Itoa(want)},
					Output: func(line string) {
						if strings.TrimSpace(line) != strconv.Itoa(unix.Getpgrp()) {
							group = "other group"
						}
					}})
				var exit *exec.ExitError
				if want == 0 && err == nil || errors.As(err, &exit) && exit.ExitCode() == want {
					good++
				}
			}
			fmt.Println("hooks: " + strconv.Itoa(good) + " of 200, " + group)
		}()
		ready := make(chan struct{})
		close(ready)
		exit, err := s.Run(context.Background(), ready)
		if err != nil {
			panic(err)
		}
		<-hooked
		exit.Raise()
		os.Exit(exit.Code)
	})
}
