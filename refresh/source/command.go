package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// commandTimeout is that of the SDKs for credential_process.
	commandTimeout = time.Minute

	// outputLimit is far above any set of credentials, and what Java's SDK takes.
	outputLimit = 64 << 10

	// attendedTimeout is for a program that may ask a person, who can end it.
	attendedTimeout = 5 * time.Minute

	// drainTimeout is how long a helper that the command left behind may hold its
	// output open after the command itself has ended.
	drainTimeout = time.Second
)

// command runs argv for each set. It gets our environment, but not our standard
// input, which is the child's. name says in errors which setting it is from, where
// that is not plain.
func (s *Source) command(argv []string, name string) func(context.Context) (aws.Credentials, error) {
	limit := cmp.Or(s.spec.CommandTimeout, commandTimeout)
	return func(ctx context.Context) (aws.Credentials, error) {
		out, err := s.run(ctx, argv, limit)
		if err != nil {
			return aws.Credentials{}, &commandError{name, err}
		}
		creds, err := parseOutput(out, time.Now().Round(0))
		if err != nil {
			return aws.Credentials{}, &commandError{name, &outputError{fmt.Errorf("prints %w", err)}}
		}
		return creds, nil
	}
}

// errLate is the cause of the end of a program that took too long.
var errLate = errors.New("took too long")

// programError is what became of a program.
type programError struct {
	err   error         // how it ended, unless it was
	late  time.Duration // ended because it took so long
	alone bool          // it had no terminal
}

func (e *programError) Error() string {
	if e.late > 0 {
		return fmt.Sprintf("no answer within %s", e.late)
	}
	return e.err.Error()
}

func (e *programError) Unwrap() error { return e.err }

// run runs a program that is to print something. As long as the command has not been
// started the terminal is ours, and the program's for the time that it runs, as it is
// under the AWS CLI: it may ask. Later it is the command's.
func (s *Source) run(ctx context.Context, argv []string, limit time.Duration) ([]byte, error) {
	tty := s.lend()
	if tty != nil {
		s.asked, limit = true, max(limit, attendedTimeout)
	}
	began := time.Now()
	late, cancel := context.WithTimeoutCause(ctx, limit, errLate)
	defer cancel()
	c := exec.CommandContext(late, argv[0], argv[1:]...)
	out := capped{stop: cancel}
	c.Stdout = &out
	c.WaitDelay = drainTimeout
	c.Env = s.vars().list()
	if tty == nil {
		alone(c)
		if s.spec.Stderr != nil {
			c.Stderr = &chatter{to: s.spec.Stderr, left: chatterLimit}
		}
	} else {
		tty.lendTo(c, s.spec.Stderr)
		defer tty.Close()
	}
	err := c.Run()
	if err != nil && tty != nil {
		tty.back()
	}
	switch {
	case out.over:
		return nil, &outputError{fmt.Errorf("prints more than %d bytes", outputLimit)}
	case errors.Is(err, exec.ErrWaitDelay):
		return out.buf.Bytes(), nil // it has ended well; what holds its output is no concern of ours
	case err == nil:
		return out.buf.Bytes(), nil
	case context.Cause(late) == errLate:
		return nil, &programError{late: limit, alone: tty == nil}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, &programError{late: max(time.Second, time.Since(began).Round(time.Second)), alone: tty == nil}
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, &programError{err: err, alone: tty == nil}
}

// lendTo makes c a program that may ask.
func (t *terminal) lendTo(c *exec.Cmd, stderr io.Writer) {
	c.Stdin = t.File
	if t.errors() {
		c.Stderr = t.File
	} else if stderr != nil {
		c.Stderr = &chatter{to: stderr, left: chatterLimit}
	}
	c.Cancel = func() error {
		defer t.back() // at once: who has ended the context may be about to end the process
		return c.Process.Kill()
	}
}

// lend gives the terminal, if a program may have it now.
func (s *Source) lend() *terminal {
	if s.spec.Prompt == nil || s.spec.codes.isOver() {
		return nil
	}
	return openTerminal()
}

func (s *Source) attended() bool {
	tty := s.lend()
	if tty != nil {
		tty.Close()
	}
	return tty != nil
}

// runs says whether a program has to be run for the base of f.
func (s *Source) runs(f *found) bool {
	return len(s.spec.Command) > 0 || len(s.spec.WebIdentity.Command) > 0 || f.from(aws.CredentialSourceProcess)
}

// base asks what the roles are assumed from. What a person may have been asked for is
// not asked for again until a set has come of it.
func (s *Source) base(ctx context.Context, f *found) (aws.Credentials, error) {
	if k := s.first; s.firstOf == f && k.HasKeys() && (!k.CanExpire || k.Expires.After(s.serverTime())) {
		return k, nil
	}
	s.asked = false
	creds, err := f.base(ctx)
	if err == nil && s.asked {
		s.first, s.firstOf = creds, f
	}
	return creds, err
}

// capped keeps what is written until it is too much, and then stops the writer.
// The buffer is not embedded: its ReadFrom would be copied to in place of Write,
// and knows no limit.
type capped struct {
	buf  bytes.Buffer
	stop func()
	over bool
}

var errFull = errors.New("too much output")

func (c *capped) Write(p []byte) (int, error) {
	if c.buf.Len()+len(p) > outputLimit {
		c.over = true
		c.stop()
		return 0, errFull
	}
	return c.buf.Write(p)
}
