package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec.example/brs-exec/refresh"
)

// MFA says which device the keys of an IAM user are to be used with, and who
// knows its codes. At most one of Command and TOTPFile is set; with neither, a
// person is asked through Spec.Prompt, by [Source.Authenticate] only.
type MFA struct {
	Serial   string        // ARN or serial number; "" is the profile's mfa_serial, and no MFA without one
	Command  []string      // prints a code; the last number of six digits counts. argv, no shell
	TOTPFile string        // holds the device's secret; see Source.Authenticate
	Session  time.Duration // how long one code serves; 0 is 12 h, AWS allows 36 h
}

// Prompt asks a person and returns the answer. It returns when ctx ends.
type Prompt func(ctx context.Context, label string) (string, error)

const (
	// mfaSession is GetSessionToken's own default, and a working day.
	mfaSession = 12 * time.Hour

	// mfaLeft is what must remain of a session for roles to be assumed with it.
	mfaLeft = 2 * time.Minute

	// mfaTries is how many codes are tried before a person has to look. The first
	// may be one of a clock that is wrong, which its refusal has told us.
	mfaTries = 3

	// beginLimit is for codes that need nobody, with a wait for the next one.
	beginLimit = 2 * time.Minute

	// promptedCodeAge is how long AWS takes a code that was typed: its own 30 s, and
	// those before and after.
	promptedCodeAge = 90 * time.Second
)

func (m MFA) automatic() bool { return len(m.Command) > 0 || m.TOTPFile != "" }

// authenticator is the state of a source's MFA, guarded by Source.retrieving.
type authenticator struct {
	session      aws.Credentials
	sessionKey   string // whose session that is: device and access key
	fresh        bool   // nobody has got it yet
	promptedCode string // a code that was typed, and not used because of the network
	promptedAt   time.Time
	refused      int // codes in a row
}

// checkMFA checks at the start what would only be missed when it is needed.
func (s *Source) checkMFA(f *resolved) error {
	m := s.spec.MFA
	switch {
	case f.mfa == "" && (m.automatic() || m.Session > 0):
		return refresh.Permanentf("name it: --mfa-serial arn:aws:iam::123456789012:mfa/NAME",
			"no MFA device is named, and the profile has no role_arn with an mfa_serial")
	case f.mfa == "":
		return nil
	case m.TOTPFile != "":
		_, err := s.pool.attempts.totp(m.TOTPFile)
		return err
	case !m.automatic() && s.spec.Prompt == nil && s.sharing == nil:
		return noCode(f)
	}
	return nil
}

func noCode(f *resolved) error {
	return refresh.Permanentf("pass --mfa-command COMMAND or --mfa-totp-file FILE, or start it in a terminal",
		"an MFA code of %s is needed, and there is no terminal to ask for it", f.mfa)
}

// Authenticate begins the MFA session that the source needs, if it needs one, and runs a
// program that may ask for something on the terminal, if there is one. Call it before
// Retrieve, where no time limit is running: the code is asked for through
// Spec.Prompt, printed by MFA.Command, or made (RFC 6238) of the secret in
// MFA.TOTPFile, base32 or an otpauth:// URI in a file that no one else may read. A
// code that any process of this user has used is not used again; the next one is
// awaited.
//
// It returns errors that are *refresh.Error and Permanent, or that of ctx. What a
// retry may cure (the network) is left to Retrieve, which uses the same code.
func (s *Source) Authenticate(ctx context.Context) error {
	if len(s.fallbacks) > 0 {
		return s.authenticateAll(ctx)
	}
	return s.authenticateOne(ctx)
}

func (s *Source) authenticateOne(ctx context.Context) error {
	f, ctx := s.current(), s.web.in(ctx)
	s.retrieving.Lock()
	defer s.retrieving.Unlock()
	if s.sharing != nil && (f.mfa == "" || s.spec.MFA.automatic() || s.spec.Prompt == nil) && s.cached(ctx, f) {
		return nil // nobody needs to be asked now
	}
	if f.mfa == "" {
		return s.runProgramEarly(ctx, f)
	}
	device := "authenticate " + f.mfa + " " + keyOf(f.baseKey...)
	done, err := s.pool.attempts.turn(ctx, device)
	if err != nil {
		return s.explain(ctx, f, err)
	}
	defer done()
	if err := s.pool.attempts.failure(device); err != nil {
		return s.explain(ctx, f, err) // a person was asked on behalf of another source
	}
	said := ""
	for try := 1; ; try++ {
		s.web.asked("")
		err := s.startSession(ctx, f, said)
		var known *refresh.Error
		switch {
		case err == nil:
			s.mfa.fresh = true
			return nil
		case ctx.Err() != nil:
			return s.explain(ctx, f, err)
		case errors.Is(err, errCode) && errors.As(err, &known):
			if try < mfaTries {
				said = strings.TrimSuffix(known.Error(), ".") + ". "
				continue
			}
			known.Permanent = true
		}
		e := s.explain(ctx, f, err)
		if errors.As(e, &known) && known.Permanent {
			s.pool.attempts.fail(device, err)
			return e
		}
		return nil
	}
}

// runProgramEarly runs the program that the base needs, if it can have the terminal: no
// time limit is running yet. What it gives is for the first Retrieve, and so is a
// failure that a retry may cure.
func (s *Source) runProgramEarly(ctx context.Context, f *resolved) error {
	if !s.needsProgram(f) || !s.hasTerminal() {
		return nil
	}
	s.web.asked("")
	_, err := s.shared(ctx, f, func(ctx context.Context) (issue, error) {
		if s.sharing != nil {
			return s.steps(ctx, f) // all of it, for the others that wait
		}
		return s.retrieveBase(ctx, f)
	})
	if err == nil {
		return nil
	}
	err = s.explain(ctx, f, err)
	var known *refresh.Error
	if ctx.Err() != nil || errors.As(err, &known) && known.Permanent {
		return err
	}
	return nil
}

func (s *Source) startSession(ctx context.Context, f *resolved, said string) error {
	if s.spec.MFA.automatic() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, beginLimit)
		defer cancel()
	}
	got, err := s.retrieveBase(ctx, f)
	if err != nil {
		return err
	}
	base := got.Credentials
	return s.obtainSession(ctx, f, base, func(ctx context.Context) error {
		if !s.spec.MFA.automatic() {
			if err := s.promptCode(ctx, f.mfa, said); err != nil {
				return err
			}
		}
		return s.newSession(ctx, f, base)
	})
}

// obtainSession takes a session that another source has begun with the same device and keys,
// or has one begun. One at a time does so, lest a person is asked twice. Each session goes through here.
func (s *Source) obtainSession(ctx context.Context, f *resolved, base aws.Credentials, begin func(context.Context) error) error {
	done, err := s.pool.attempts.turn(ctx, mfaSessionKey(f, base))
	if err != nil {
		return err
	}
	defer done()
	if s.adoptSession(f, base) {
		return nil
	}
	return s.sharedSession(ctx, f, base, begin)
}

// promptCode has a person type a code.
func (s *Source) promptCode(ctx context.Context, serial, said string) error {
	for range mfaTries {
		answer, err := s.spec.Prompt(ctx, said+"MFA code for "+serial+": ")
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return refresh.Permanentf(promptHint, "MFA code: %v", deepest(err))
		}
		if code := strings.ReplaceAll(strings.TrimSpace(answer), " ", ""); len(code) == 6 && lastCode([]byte(code)) == code {
			s.mfa.promptedCode, s.mfa.promptedAt = code, time.Now()
			return nil
		}
		said = "A code has six digits. "
	}
	return refresh.Permanentf(promptHint, "MFA code: no six digits were typed")
}

// authenticate exchanges the keys of a user for a session of theirs with MFA. One
// code serves all roles that are assumed from it, until it expires.
func (s *Source) authenticate(ctx context.Context, f *resolved, base aws.Credentials) (aws.Credentials, error) {
	m := &s.mfa
	if m.sessionKey == mfaSessionKey(f, base) {
		left := m.session.Expires.Sub(s.serverTime())
		// Without roles it is itself what is kept fresh.
		if (m.fresh || len(f.roles) > 0) && left > mfaLeft {
			m.fresh = false
			return m.session, nil
		}
	}
	err := s.obtainSession(ctx, f, base, func(ctx context.Context) error { return s.newSession(ctx, f, base) })
	if err != nil {
		return aws.Credentials{}, err
	}
	return m.session, nil
}

func (s *Source) newSession(ctx context.Context, f *resolved, base aws.Credentials) error {
	if !base.HasKeys() {
		return errEmpty
	}
	if base.SessionToken != "" {
		return refresh.Permanentf("leave MFA out, or take the keys of a user for the source: AWS gives no such session to a role or another session",
			"an MFA session can only be started with the long-term keys of a user, and these are temporary")
	}
	used, err := openUsedCodes(ctx, s.vars().user(), f.mfa)
	if err != nil {
		return err
	}
	defer used.close()
	code, err := s.code(ctx, f, used)
	if err != nil {
		return err
	}
	session, err := s.getSessionToken(ctx, f, base, code)
	refused := errors.Is(err, errCode)
	if err == nil || refused {
		// Only an answer uses a code up. One that was lost on the way will be
		// refused the next time, which is then an answer.
		s.mfa.promptedCode = ""
		used.markUsed(code, s.serverTime())
	}
	if err != nil {
		if s.mfa.refused++; !refused {
			s.mfa.refused = 0
		}
		var known *refresh.Error
		if refused && s.mfa.refused >= mfaTries && errors.As(err, &known) {
			known.Permanent = true
		}
		return err
	}
	s.storeSession(session, mfaSessionKey(f, base))
	s.mfa.fresh, s.mfa.refused = false, 0
	s.pool.attempts.keep(s.mfa.sessionKey, session)
	return nil
}

// mfaSessionKey says whose session it is that a device makes of keys.
func mfaSessionKey(f *resolved, base aws.Credentials) string { return f.mfa + " " + base.AccessKeyID }

// adoptSession takes the session that another of several sources has begun with the same
// device and keys, and says whether there is one. Without roles the session itself
// is what is kept fresh, so that each must have its own.
func (s *Source) adoptSession(f *resolved, base aws.Credentials) bool {
	of := mfaSessionKey(f, base)
	session, ok := s.pool.attempts.session(of)
	if !ok || len(f.roles) == 0 || session.Expires.Sub(s.serverTime()) <= mfaLeft {
		return false
	}
	s.storeSession(session, of)
	return true
}

// storeSession keeps a session. The expiry of one that a person began is reported ahead.
func (s *Source) storeSession(session aws.Credentials, of string) {
	s.mfa.session, s.mfa.sessionKey = session, of
	if !s.spec.MFA.automatic() {
		s.mu.Lock()
		s.promptedExpiry = session.Expires
		s.mu.Unlock()
	}
}

// getSessionToken is the call of STS.
func (s *Source) getSessionToken(ctx context.Context, f *resolved, base aws.Credentials, code string) (aws.Credentials, error) {
	lifetime := cmp.Or(s.spec.MFA.Session, mfaSession)
	call := &callError{step: "MFA session with " + f.mfa, secrets: []string{base.SecretAccessKey, code}}
	out, err := f.client.GetSessionToken(ctx, &sts.GetSessionTokenInput{
		SerialNumber: aws.String(f.mfa), TokenCode: aws.String(code), DurationSeconds: aws.Int32(int32(lifetime / time.Second)),
	}, regionFor(f.mfa), func(o *sts.Options) { o.Credentials = credentials.StaticCredentialsProvider{Value: base} })
	if err != nil {
		call.err = s.refusedCode(err)
		return aws.Credentials{}, call
	}
	got, err := fromSTS(out.Credentials, nil, "GetSessionToken")
	if err != nil {
		call.err = err
		return aws.Credentials{}, call
	}
	return got.Credentials, nil
}

// errCode is in the error of a code that was refused: another one may do.
var errCode = errors.New("another code may work")

func codeError(hint, text string) *refresh.Error {
	return &refresh.Error{Err: fmt.Errorf("%s%.0w", text, errCode), Hint: hint}
}

// refusedCode tells what AWS says of the code and the device from everything else.
func (s *Source) refusedCode(err error) error {
	r, ok := refusalIn(err)
	switch {
	case !ok:
		return err
	case strings.Contains(r.message, "invalid MFA one time pass code"):
		hint := "does the command print the code of this device?"
		switch m := s.spec.MFA; {
		case m.TOTPFile != "":
			hint = "is that the secret of this device?"
		case !m.automatic():
			hint = "type the code that the device shows now"
		}
		if skew := skewHint(s.web.skew()); skew != "" && s.spec.MFA.TOTPFile == "" {
			hint = skew + ", if the codes are made here"
		}
		return r.in(codeError(hint, r.String()))
	case strings.Contains(r.message, "MultiFactorAuthentication"):
		return r.in(refresh.Permanentf("the device must be one of the user whose keys these are: `aws iam list-mfa-devices` shows them", "%s", r))
	case strings.Contains(r.message, "durationSeconds"), strings.Contains(r.message, "DurationSeconds"):
		return r.in(refresh.Permanentf("--mfa-session takes 15m to 36h, at most 1h with the keys of the account's root user", "%s", r))
	}
	return err
}
