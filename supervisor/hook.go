package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Hook is a command that is run because something happened.
type Hook struct {
	// Argv is the command, looked up in our PATH; no shell is involved.
	Argv []string

	// Env is its whole environment; nil is our own.
	Env []string

	// Dir is its working directory; "" is ours.
	Dir string

	// Timeout is how long it may take until it is killed, with what it has
	// started; 0 is 30 s.
	Timeout time.Duration

	// Output gets each line that it prints on standard output or error, without
	// the line end; nil discards them. It is called from one goroutine, and by
	// RunHook's return for the last time.
	Output func(line string)
}

const (
	defaultHookTimeout = 30 * time.Second
	hookLine           = 4 << 10  // longer lines come in pieces
	hookOutput         = 64 << 10 // the rest is dropped
	hookDrain          = time.Second
)

// ErrHookTimeout is why a hook was killed that took too long.
var ErrHookTimeout = errors.New("took too long")

// RunHook runs a hook to its end. Its standard input is empty, and it leads a
// process group of its own, so that nothing that is typed or sent to the child
// reaches it. It is never taken for the child. What it leaves running keeps
// running, but is not listened to.
//
// The error tells that it can't be run, that it was killed ([ErrHookTimeout], or
// the cause of ctx), or that it failed: then it wraps an *exec.ExitError. The
// hook's output is in none of them.
func RunHook(ctx context.Context, h Hook) error {
	if len(h.Argv) == 0 {
		return errors.New("no command to run")
	}
	if h.Timeout == 0 {
		h.Timeout = defaultHookTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, ErrHookTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.Argv[0], h.Argv[1:]...)
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // the user's PATH is the user's
	}
	cmd.Env, cmd.Dir = h.Env, h.Dir
	cmd.WaitDelay = hookDrain // a process that it leaves behind may hold the pipe
	leadGroup(cmd)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	read := make(chan struct{})
	go func() {
		defer close(read)
		readLines(r, h.Output)
	}()
	err := cmd.Run()
	w.Close()
	<-read
	switch cause := context.Cause(ctx); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && cause == nil:
		return nil
	case cause != nil:
		return fmt.Errorf("run %s: %w", h.Argv[0], cause)
	}
	return fmt.Errorf("run %s: %w", h.Argv[0], err)
}

// readLines hands out lines until r ends, and always reads to the end.
func readLines(r io.Reader, output func(string)) {
	defer io.Copy(io.Discard, r)
	if output == nil {
		return
	}
	buf := bufio.NewReaderSize(io.LimitReader(r, hookOutput), hookLine)
	read := 0
	for {
		line, err := buf.ReadSlice('\n')
		read += len(line)
		if s := strings.TrimRight(string(line), "\r\n"); s != "" || len(line) > 0 {
			output(s)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if read == hookOutput {
		output("(more output than this is not shown)")
	}
}
