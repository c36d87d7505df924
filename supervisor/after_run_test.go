//go:build unix

package supervisor

import (
	"context"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	// after runs a command, and then tidies up until it is told to end.
	register("after", func([]string) {
		signals := hold()
		s, err := New(Options{Argv: []string{"/bin/sh", "-c", "exit 3"}}, signals)
		if err != nil {
			panic(err)
		}
		ready := make(chan struct{})
		close(ready)
		exit, err := s.Run(context.Background(), ready)
		if err != nil {
			panic(err)
		}
		err = signals.AfterRun(context.Background(), func(ctx context.Context) error {
			fmt.Println("tidying")
			<-ctx.Done()
			return context.Cause(ctx)
		})
		fmt.Println(err)
		os.Exit(exit.Code)
	})
}

// A signal cuts short what is done after the command's end, and the exit code is the
// command's all the same.
func TestAfter(t *testing.T) {
	t.Parallel()
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		p := start(t, command(t, helper(t, "after")...))
		p.expect("tidying")
		p.signal(unix.SIGUSR1)
		p.signal(sig)
		p.expect("interrupted by " + SignalName(sig))
		if got := p.status(); got != "exit 3" {
			t.Errorf("status = %s, want exit 3", got)
		}
	}
}
