package source

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"brs-exec/refresh"
)

var (
	errEmpty      = errors.New("gives no access key and secret")
	errUnreadable = errors.New("unreadable answer")
)

// roleError is a failed call of STS for a role, with what must not be shown of it.
type roleError struct {
	arn  string
	step string // what failed, if it is not the role
	err  error
	hide []string
}

func (e *roleError) Error() string { return e.where() + ": " + e.err.Error() }
func (e *roleError) Unwrap() error { return e.err }

func (e *roleError) where() string {
	if e.step != "" {
		return e.step
	}
	return "assume role " + e.arn
}

// configError is what is wrong with the environment or the shared files.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// commandError is a command that failed, outputError one that printed something
// else than credentials. Neither holds anything of the output.
type commandError struct {
	name string // prefix, where what the base is called does not say it
	err  error
}

func (e *commandError) Error() string { return e.name + e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// verdict is what an error comes to: text without where it happened.
type verdict struct {
	text      string
	permanent bool
	hint      string
}

func (v verdict) err() error {
	return &refresh.Error{Err: errors.New(v.text), Permanent: v.permanent, Hint: v.hint}
}

func verdictOf(e *refresh.Error) verdict { return verdict{e.Error(), e.Permanent, e.Hint} }

// explain makes a *refresh.Error of any error: one line of text of our own making,
// since those of the SDK run to paragraphs, and some quote what they could not
// parse. It wraps nothing but the end of ctx, so that no one can print more.
func (s *Source) explain(ctx context.Context, f *found, err error) error {
	var where, hide []string
	if f != nil {
		hide = f.hidden
		if !f.chainEnd() || s.answered || s.web.heard() {
			where = append(where, f.what)
		}
	}
	var role *roleError
	if errors.As(err, &role) {
		where, hide = append(where, role.where()), append(hide[:len(hide):len(hide)], role.hide...)
	}
	var secret *withheld
	if errors.As(err, &secret) {
		hide = append(hide[:len(hide):len(hide)], secret.hide...)
	}
	var v verdict
	end := ctx.Err()
	if end != nil && !isAnswer(err) {
		v.text = "stopped"
		if errors.Is(end, context.DeadlineExceeded) {
			v.text = "no answer in time" + s.byServer()
		}
		var program *programError
		if errors.As(err, &program) {
			v = s.judge(f, role, err)
		}
	} else {
		v, end = s.judge(f, role, err), nil
	}
	text := scrub(strings.Join(append(where, v.text), ": "), hide)
	e := errors.New(text)
	if end != nil {
		e = &ended{text, end}
	}
	return &refresh.Error{Err: e, Permanent: v.permanent, Hint: scrub(v.hint, hide)}
}

// ended is an error that is the end of a context, and says so in its own words.
type ended struct {
	text string
	end  error
}

func (e *ended) Error() string { return e.text }
func (e *ended) Unwrap() error { return e.end }

// isAnswer says whether err is what someone answered, rather than the end of
// waiting for it.
func isAnswer(err error) bool {
	var api smithy.APIError
	var conf *configError
	var known *refresh.Error
	return errors.As(err, &api) || errors.As(err, &conf) || errors.As(err, &known)
}

func (s *Source) byServer() string {
	if host, _, _ := s.web.last(); host != "" {
		return " from " + host
	}
	return ""
}

// judge goes from what was answered to what kept an answer from coming.
func (s *Source) judge(f *found, role *roleError, err error) verdict {
	var conf *configError
	var cmd *commandError
	var known *refresh.Error
	if errors.As(err, &known) {
		return verdictOf(known)
	}
	if errors.As(err, &conf) {
		return judgeConfig(conf.err)
	}
	if errors.As(err, &cmd) {
		v := judgeCommand(cmd.err)
		v.text = cmd.name + v.text
		return v
	}
	if errors.Is(err, errEmpty) {
		return verdict{text: errEmpty.Error(), permanent: true}
	}
	service := ""
	var op *smithy.OperationError
	if errors.As(err, &op) {
		service = op.Service()
	}
	if service == "ec2imds" || f.from(aws.CredentialSourceIMDS) && role == nil {
		if v, ok := s.judgeMetadata(f, err); ok {
			return v
		}
	}
	if a, ok := answerOf(err); ok {
		return s.judgeAnswer(f, role, service, a)
	}
	if _, replied, broken := s.web.last(); broken != nil {
		err = broken
	} else if replied && !errors.Is(err, errElsewhere) {
		// Whatever the SDK says now is about the answer, and likely to quote it.
		return verdict{text: errUnreadable.Error() + s.byServer(), hint: "is that the right endpoint, and nothing in between?" + s.endpointHint()}
	}
	if v, ok := s.judgeNetwork(err); ok {
		return v
	}
	if f != nil && f.tokenFile != "" && role == nil {
		// The SDK's text for it is longer, and hides which error it was.
		text, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return verdict{err.Error(), true, "something must write the token there"}
		}
		if f.from(aws.CredentialSourceHTTP) && bytes.ContainsAny(text, "\r\n") {
			return verdict{f.tokenFile + ": holds a line break", true, "AWS's SDKs take a token alone, without the end of a line after it"}
		}
	}
	return verdict{text: foreign(deepest(err).Error())}
}

// deepest is the error at the bottom of err: the SDK's layers on top of it say
// what the prefix of the text says already.
func deepest(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// login is a hint to start a session, with the profile's name where it is needed.
func (f *found) again(command string) string {
	if f == nil {
		return command
	}
	return command + ofProfile(f.profile)
}

// loginHint is that of an SSO session.
func loginHint(profile string) string {
	return "brs-exec login" + ofProfile(profile) + ", or aws sso login" + ofProfile(profile)
}

func ofProfile(name string) string {
	if name == "" || name == config.DefaultSharedConfigProfile {
		return ""
	}
	return " --profile " + name
}

func judgeCommand(err error) verdict {
	var output *outputError
	var program *programError
	var exit *exec.ExitError
	var notRun *exec.Error
	var path *fs.PathError
	switch {
	case errors.Is(err, errTokenless):
		return verdict{err.Error(), true, "it must print the session token as well: SessionToken, or AWS_SESSION_TOKEN"}
	case errors.As(err, &output):
		return verdict{output.Error(), true, "it must print credential_process JSON, an STS answer, or lines KEY=VALUE, and only that, on its standard output"}
	case errors.As(err, &program) && program.late > 0:
		v := verdict{text: program.Error()}
		if program.alone {
			v.hint = "it must not ask anything: it has neither standard input nor terminal"
		}
		return v
	case errors.As(err, &exit):
		v := verdict{text: exit.ProcessState.String()}
		switch code := exit.ExitCode(); {
		case code == 127: // of a shell, or env
			v.permanent, v.hint = true, "what it is to run has not been found: give the whole path"
		case code == 126:
			v.permanent, v.hint = true, "what it is to run cannot be executed: look at its mode"
		case program != nil && program.alone:
			v.hint = "look at what it says itself; it can ask nothing, because it has neither standard input nor terminal"
		}
		return v
	case errors.As(err, &notRun):
		return verdict{deepest(notRun).Error(), true, "it is run without a shell: give the path of a program, and its arguments"}
	case errors.As(err, &path):
		return verdict{deepest(path).Error(), true, "it is run without a shell: give the path of a program, and its arguments"}
	}
	return verdict{text: foreign(deepest(err).Error())}
}

func judgeConfig(err error) verdict {
	return verdict{text: "AWS configuration: " + foreign(err.Error()), permanent: true}
}

// caFileHint is for a server that is believed by a file of its own.
func (s *Source) caFileHint() string {
	if i := s.spec.IoT; i != nil && i.CAFile != "" {
		return "look at the file of --ca-file, " + i.CAFile + ": it must hold the authority that signs for this server"
	}
	return ""
}

func (e environ) caHint() string {
	if b := e.get("AWS_CA_BUNDLE"); b != "" {
		return "look at the file of AWS_CA_BUNDLE, " + b
	}
	return ""
}
