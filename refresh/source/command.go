package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/refresh"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// commandTimeout is that of the SDKs for credential_process.
	commandTimeout = time.Minute

	// outputLimit is far above any credentials, and what Java's SDK takes.
	outputLimit = 64 << 10

	// attendedTimeout is for a program that may ask a person, who can end it.
	attendedTimeout = 5 * time.Minute

	// drainTimeout is how long a helper that the command left behind may hold its
	// output open after the command itself has ended.
	drainTimeout = time.Second
)

// command runs argv for each retrieval. It gets our environment, but not our standard
// input, which is the child's. name says in errors which setting it is from, where
// that is not plain.
func (s *Source) command(argv []string, name string) func(context.Context) (issue, error) {
	limit := cmp.Or(s.spec.CommandTimeout, commandTimeout)
	return func(ctx context.Context) (issue, error) {
		const hint = "it must print credential_process JSON, an STS answer, or lines KEY=VALUE, and only that, on its standard output"
		out, err := s.run(ctx, argv, name, limit)
		if errors.Is(err, errFull) {
			return issue{}, refresh.Permanentf(hint, "%sprints more than %d bytes", name, outputLimit)
		}
		if err != nil {
			return issue{}, err
		}
		creds, err := parseIssue(out, time.Now().Round(0))
		if errors.Is(err, errTokenless) {
			return issue{}, refresh.Permanentf("it must print the session token as well: SessionToken, or AWS_SESSION_TOKEN", "%sprints %v", name, err)
		}
		if err != nil {
			return issue{}, refresh.Permanentf(hint, "%sprints %v", name, err)
		}
		return creds, nil
	}
}

// errLate is the cause of the end of a program that took too long.
var errLate = errors.New("took too long")

// run runs a program that is to print something. As long as the command has not been
// started the terminal is ours, and the program's for the time that it runs, as it is
// under the AWS CLI: it may ask. Later it is the command's. Its errors are errFull, that
// of ctx, or *refresh.Error, whose text begins with name; none holds anything of the output.
func (s *Source) run(ctx context.Context, argv []string, name string, limit time.Duration) ([]byte, error) {
	tty := s.lendTerminal()
	if tty != nil {
		s.mayHavePrompted, limit = true, max(limit, attendedTimeout)
	}
	began := time.Now()
	late, cancel := context.WithTimeoutCause(ctx, limit, errLate)
	defer cancel()
	c := exec.CommandContext(late, argv[0], argv[1:]...)
	out := cappedBuffer{stop: cancel, limit: cmp.Or(s.outputLimit, outputLimit)}
	c.Stdout = &out
	c.WaitDelay = drainTimeout
	c.Env = s.vars().list()
	if tty == nil {
		alone(c)
		if s.spec.Stderr != nil {
			c.Stderr = &stderrFilter{to: s.spec.Stderr, left: stderrLimit}
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
		return nil, errFull
	case errors.Is(err, exec.ErrWaitDelay):
		return out.buf.Bytes(), nil // it has ended well; what holds its output is no concern of ours
	case err == nil:
		return out.buf.Bytes(), nil
	}
	deadline := errors.Is(ctx.Err(), context.DeadlineExceeded)
	if context.Cause(late) != errLate && !deadline {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, programFailed(name, err, tty == nil)
	}
	e := &refresh.Error{}
	if tty == nil {
		e.Hint = "it must not ask anything: it has neither standard input nor a terminal"
	}
	if deadline && context.Cause(late) != errLate {
		limit = max(time.Second, time.Since(began).Round(time.Second))
	}
	e.Err = fmt.Errorf("%sno answer within %s", name, limit)
	if deadline {
		e.Err = ended(e.Error(), ctx.Err())
	}
	return nil, e
}

// shortage tells whether what could not be started may start the next time: there were
// too many processes or open files, too little memory, or it was being written.
func shortage(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e) && (e.Temporary() || e == syscall.ENOMEM || e == syscall.ETXTBSY)
}

// programFailed is for a program that did not run, or failed; alone: it had no terminal.
func programFailed(name string, err error, alone bool) *refresh.Error {
	const noShell = "it is run without a shell: give the path of a program, and its arguments"
	var exit *exec.ExitError
	var notRun *exec.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &notRun):
		return refresh.Permanentf(noShell, "%s%v", name, deepest(notRun))
	case errors.As(err, &path) && !shortage(path.Err):
		return refresh.Permanentf(noShell, "%s%v", name, deepest(path))
	case !errors.As(err, &exit):
		return transientf("", "%s%s", name, redactForeign(deepest(err).Error()))
	}
	switch exit.ExitCode() {
	case 127: // of a shell, or env
		return refresh.Permanentf("its program was not found: give the full path", "%s%v", name, exit.ProcessState)
	case 126:
		return refresh.Permanentf("its program cannot be executed: check its mode", "%s%v", name, exit.ProcessState)
	}
	hint := ""
	if alone {
		hint = "see its own messages; it cannot ask anything, because it has neither standard input nor a terminal"
	}
	return transientf(hint, "%s%v", name, exit.ProcessState)
}

// lendTo gives c the terminal, so that the program may ask a person.
func (t *terminal) lendTo(c *exec.Cmd, stderr io.Writer) {
	c.Stdin = t.File
	if t.errors() {
		c.Stderr = t.File
	} else if stderr != nil {
		c.Stderr = &stderrFilter{to: stderr, left: stderrLimit}
	}
	c.Cancel = func() error {
		defer t.back() // at once: who has ended the context may be about to end the process
		return c.Process.Kill()
	}
}

// lendTerminal gives the terminal, if a program may have it now.
func (s *Source) lendTerminal() *terminal {
	if s.spec.Prompt == nil || s.pool.attempts.hasStarted() {
		return nil
	}
	return openTerminal()
}

func (s *Source) hasTerminal() bool {
	tty := s.lendTerminal()
	if tty != nil {
		tty.Close()
	}
	return tty != nil
}

// needsProgram says whether a program has to be run for the base of f.
func (s *Source) needsProgram(f *resolved) bool {
	return len(s.spec.Command) > 0 || len(s.spec.WebIdentity.Command) > 0 || f.from(aws.CredentialSourceProcess)
}

// cappedBuffer keeps what is written until it is too much, and then stops the writer.
// The buffer is not embedded: its ReadFrom would be copied to in place of Write,
// and knows no limit.
type cappedBuffer struct {
	buf   bytes.Buffer
	limit int
	stop  func()
	over  bool
}

var errFull = errors.New("too much output")

func (c *cappedBuffer) Write(p []byte) (int, error) {
	if c.buf.Len()+len(p) > c.limit {
		c.over = true
		c.stop()
		return 0, errFull
	}
	return c.buf.Write(p)
}
