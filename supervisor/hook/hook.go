// Package hook runs a command because something happened.
package hook

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

// Command is what to run.
type Command struct {
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
	// Run's return for the last time.
	Output func(line string)
}

const (
	defaultTimeout = 30 * time.Second
	maxLine        = 4 << 10  // longer lines come in pieces
	maxOutput      = 64 << 10 // the rest is dropped
	drainTime      = time.Second
)

// errTimeout is why a hook was killed that took too long.
var errTimeout = errors.New("took too long")

// Run runs a hook to its end. Its standard input is empty, and it leads a
// process group of its own, so that nothing that is typed or sent to the child
// reaches it. It is never taken for the child. What it leaves running keeps
// running, but is not listened to.
//
// The error tells that it can't be run, that it was killed (errTimeout, or
// the cause of ctx), or that it failed: then it wraps an *exec.ExitError. The
// hook's output is in none of them.
func Run(ctx context.Context, c Command) error {
	if len(c.Argv) == 0 {
		return errors.New("no command to run")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, errTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // the user's PATH is the user's
	}
	cmd.Env, cmd.Dir = c.Env, c.Dir
	cmd.WaitDelay = drainTime // a process that it leaves behind may hold the pipe
	newProcessGroup(cmd)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	read := make(chan struct{})
	go func() {
		defer close(read)
		readLines(r, c.Output)
	}()
	err := cmd.Run()
	w.Close()
	<-read
	switch cause := context.Cause(ctx); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && cause == nil:
		return nil
	case cause != nil:
		return fmt.Errorf("run %s: %w", c.Argv[0], cause)
	}
	return fmt.Errorf("run %s: %w", c.Argv[0], err)
}

// readLines hands out lines until r ends, and always reads to the end.
func readLines(r io.Reader, output func(string)) {
	defer io.Copy(io.Discard, r)
	if output == nil {
		return
	}
	buf := bufio.NewReaderSize(io.LimitReader(r, maxOutput), maxLine)
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
	if read == maxOutput {
		output("(more output than this is not shown)")
	}
}
