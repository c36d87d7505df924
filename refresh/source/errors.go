package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"brs-exec/refresh"
)

var (
	errEmpty      = refresh.Permanentf("", "gives no access key and secret")
	errUnreadable = errors.New("unreadable answer")
)

// transientf is an error that a retry may cure, as [refresh.Permanentf] makes one that
// none does.
func transientf(hint, format string, args ...any) *refresh.Error {
	return &refresh.Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

// callError is the error of one call on the way to credentials, with what must not be
// shown of it. What the error means is for explain to say.
type callError struct {
	step    string // what failed; "" if that is what the whole source is called
	role    string // ARN of the role that was to be assumed; "" if none was
	err     error
	secrets []string
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// explain makes a *refresh.Error of any error: one line of text of our own making,
// since those of the SDK run to paragraphs, and some quote what they could not
// parse. It wraps nothing but the end of ctx, so that no one can print more.
func (s *Source) explain(ctx context.Context, f *resolved, err error) error {
	call := &callError{}
	errors.As(err, &call)
	e := s.classify(ctx, f, call, err)
	texts, secrets := []string{e.Error()}, call.secrets
	if call.step != "" {
		texts = append([]string{call.step}, texts...)
	}
	if f != nil {
		secrets = append(secrets[:len(secrets):len(secrets)], f.secrets...)
		if !f.chainEnd() || s.succeeded || s.web.heard() {
			texts = append([]string{f.description}, texts...)
		}
	}
	shown := errors.New(redact(strings.Join(texts, ": "), secrets))
	if end := ctx.Err(); end != nil && errors.Is(e, end) {
		shown = ended(shown.Error(), end)
	}
	return &refresh.Error{Err: shown, Permanent: e.Permanent, Hint: redact(e.Hint, secrets)}
}

// ended is an error that is the end of a context, and says so in its own words.
func ended(text string, end error) error { return fmt.Errorf("%s%.0w", text, end) }

// classify says what an error means, without where it happened: what was understood where
// it happened, what a server answered, what kept an answer from coming.
func (s *Source) classify(ctx context.Context, f *resolved, call *callError, err error) *refresh.Error {
	var known *refresh.Error
	if errors.As(err, &known) {
		return known
	}
	service := ""
	var op *smithy.OperationError
	if errors.As(err, &op) {
		service = op.Service()
	}
	var api smithy.APIError
	if end := ctx.Err(); end != nil && !errors.As(err, &api) {
		if errors.Is(end, context.DeadlineExceeded) {
			return &refresh.Error{Err: ended("no answer in time"+s.fromServer(), end)}
		}
		return &refresh.Error{Err: ended("stopped", end)}
	}
	if service == "ec2imds" || f.from(aws.CredentialSourceIMDS) && call.step == "" {
		if e := s.classifyMetadata(f, err); e != nil {
			return e
		}
	}
	if r, ok := refusalIn(err); ok {
		return s.classifyRefusal(f, call, service, r)
	}
	if _, replied, broken := s.web.last(); broken != nil {
		err = broken
	} else if replied && !errors.Is(err, errElsewhere) {
		// Whatever the SDK says now is about the answer, and likely to quote it.
		return s.unreadable("")
	}
	if e := s.classifyNetwork(err); e != nil {
		return e
	}
	if f != nil && f.tokenFile != "" && call.step == "" {
		// The SDK's text for it is longer, and hides which error it was.
		text, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return refresh.Permanentf("something must write the token there", "%v", err)
		}
		if f.from(aws.CredentialSourceHTTP) && bytes.ContainsAny(text, "\r\n") {
			return refresh.Permanentf("AWS's SDKs take a token alone, without the end of a line after it", "%s: holds a line break", f.tokenFile)
		}
	}
	return transientf("", "%s", redactForeign(deepest(err).Error()))
}

// unreadable is for an answer that is none of the protocol's, or has nothing in it that is
// needed. What it says may be anything, and is not shown; detail is.
func (s *Source) unreadable(detail string) *refresh.Error {
	return transientf("is that the right endpoint, and nothing in between?"+s.endpointHint(), "%v%s%s", errUnreadable, s.fromServer(), detail)
}

func (s *Source) fromServer() string {
	if host, _, _ := s.web.last(); host != "" {
		return " from " + host
	}
	return ""
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

// withProfile is a hint to begin a session, with the profile's name where it is needed.
func (f *resolved) withProfile(command string) string {
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
