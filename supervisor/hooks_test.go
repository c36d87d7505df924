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

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/hook"
)

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
				err := hook.Run(context.Background(), hook.Command{Argv: []string{"/bin/sh", "-c", "cut -d' ' -f5 /proc/$$/stat; exit " + strconv.Itoa(want)},
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
