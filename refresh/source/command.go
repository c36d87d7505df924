package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// commandTimeout is that of the SDKs for credential_process.
	commandTimeout = time.Minute

	// outputLimit is far above any set of credentials, and what Java's SDK takes.
	outputLimit = 64 << 10

	// drainTimeout is how long a helper that the command left behind may hold its
	// output open after the command itself has ended.
	drainTimeout = time.Second
)

// command runs argv for each set. It gets our environment, but not our standard
// input, which is the child's, and not the terminal: it is in a process group of
// its own, so that what it started can be killed with it. name says in errors
// which setting it is from, where that is not plain.
func (s *Source) command(argv []string, name string) func(context.Context) (aws.Credentials, error) {
	limit := cmp.Or(s.spec.CommandTimeout, commandTimeout)
	return func(ctx context.Context) (aws.Credentials, error) {
		out, err := s.run(ctx, argv, limit)
		if err != nil {
			return aws.Credentials{}, &commandError{name, err}
		}
		creds, err := parseOutput(out, time.Now().Round(0))
		if err != nil {
			return aws.Credentials{}, &commandError{name, &outputError{err}}
		}
		return creds, nil
	}
}

// errLate is the cause of the end of a command that took too long.
var errLate = errors.New("took too long")

func (s *Source) run(ctx context.Context, argv []string, limit time.Duration) ([]byte, error) {
	late, cancel := context.WithTimeoutCause(ctx, limit, errLate)
	defer cancel()
	c := exec.CommandContext(late, argv[0], argv[1:]...)
	out := capped{stop: cancel}
	c.Stdout = &out
	c.Stderr = s.spec.Stderr
	c.WaitDelay = drainTimeout
	ownGroup(c)
	err := c.Run()
	switch {
	case out.over:
		return nil, &outputError{fmt.Errorf("prints more than %d bytes", outputLimit)}
	case err != nil && context.Cause(late) == errLate:
		return nil, fmt.Errorf("no answer within %s: %w", limit, errLate)
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, exec.ErrWaitDelay):
		return out.buf.Bytes(), nil // it has ended well; what holds its output is no concern of ours
	}
	return out.buf.Bytes(), err
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
