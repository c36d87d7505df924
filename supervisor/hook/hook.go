// Package hook runs the commands that follow an event: without a shell, for a
// bounded time, and with what they print handed on line by line.
package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Hook is a command to run. Argv is required.
type Hook struct {
	Argv []string
	Env  []string // its whole environment, KEY=VALUE each; nil is our own

	// Timeout is how long it may run; then it is killed with its process group
	// (on Windows: it alone). 0 is one minute.
	Timeout time.Duration

	// Line, if not nil, is called for each line that it prints on either output,
	// without the line end, until a limit of 64 KiB: a hook that prints for ever
	// should not fill a log. It is called by one goroutine at a time.
	Line func(string)
}

const (
	defaultTimeout = time.Minute
	outputLimit    = 64 << 10
	lineLimit      = 4 << 10

	// drain is how long after its end what a hook left running may go on
	// writing to the outputs that it inherited.
	drain = time.Second
)

// ErrTimeout is what a hook ends with that took too long.
var ErrTimeout = errors.New("took too long and was killed")

// Run runs the hook to its end. Its standard input is empty. The error is nil if
// it exited with 0; otherwise it says how it ended, and ctx's cause if that did
// it.
func Run(ctx context.Context, h Hook) error {
	timeout := h.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	out := &lines{each: h.Line, left: outputLimit}
	cmd := exec.CommandContext(ctx, h.Argv[0], h.Argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = h.Env, out, out, drain
	ownGroup(cmd)
	err := cmd.Run()
	out.flush()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		return nil // it did its work, whatever it left behind
	case ctx.Err() != nil:
		return fmt.Errorf("hook %s: %w", h.Argv[0], context.Cause(ctx))
	}
	return fmt.Errorf("hook %s: %w", h.Argv[0], err)
}

// lines cuts what is written to it into lines. os/exec writes from one goroutine
// if both outputs are the same.
type lines struct {
	each func(string)
	part []byte
	left int
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	p = p[:min(n, l.left)]
	l.left -= len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		l.part = append(l.part, line...)
		if ended || len(l.part) >= lineLimit {
			l.flush()
		}
		p = rest
	}
	return n, nil
}

func (l *lines) flush() {
	if line := bytes.TrimRight(l.part, "\r"); len(line) > 0 && l.each != nil {
		l.each(string(line))
	}
	l.part = l.part[:0]
}
