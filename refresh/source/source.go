// Package source says from where credentials come: each Source is one
// aws.CredentialsProvider built from what was given on the command line.
//
// The base is what the AWS CLI's chain finds (environment, profiles, SSO, web
// identity, containers, instance roles; chain.go), a command (command.go), a file
// (file.go), a token of an identity provider (webidentity.go) or a certificate
// (iot.go, rolesanywhere.go). With a user's keys an MFA session can be begun (mfa.go).
// On top of that, any number of roles is assumed (assume.go). Several such ways can
// be tried in order (fallback.go).
//
// A Source answers from no cache: the caller decides when new credentials are due, and
// the SDK's cache would hand out the old ones. It leaves nothing awake between
// two calls: no goroutine but that of Watch (watch.go), no idle connection. Its errors are
// *refresh.Error, one line each, and hold no part of a credential (errors.go).
package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec/refresh"
)

// Source is one aws.CredentialsProvider for what a Spec says. Its methods may
// be called from several goroutines; retrievals queue.
type Source struct {
	spec Spec
	web  *web

	retrieving      sync.Mutex // held for the whole of a Retrieve
	mfa             authenticator
	succeeded       bool            // an earlier one succeeded; guarded by retrieving
	mayHavePrompted bool            // a program that may have asked a person was run; guarded by retrieving
	unusedBase      aws.Credentials // of such a one, until they have served; guarded by retrieving
	unusedBaseOf    *resolved
	pair            *keyPair // of IoT and RolesAnywhere, else nil; guarded by retrieving

	dir             string        // working directory when it was made
	lastFingerprint string        // fingerprint at that time
	failing         atomic.Bool   // the last Retrieve
	failed          chan struct{} // tells Watch that it begins to fail; room for one

	fallbacks []*Source     // of Spec.Else
	active    atomic.Int32  // which of all gave the last credentials
	fellBack  chan struct{} // tells Watch that it is not the first; room for one

	mu             sync.Mutex // guards what follows
	resolved       *resolved  // what the configuration said when it was last read
	notes          []string
	probed         probed    // what a source before the one in use has given
	promptedExpiry time.Time // expiry of the MFA session that a person typed the code for, on the server's clock
	noted          map[string]bool
}

// New reads the configuration and checks what can be checked without asking
// anyone: it does not use the network and runs no command. Errors are
// *refresh.Error with Permanent set.
func New(ctx context.Context, s Spec) (*Source, error) {
	if err := s.validate(); err != nil {
		var known *refresh.Error
		if !errors.As(err, &known) {
			known = &refresh.Error{Err: err, Permanent: true}
		}
		return nil, known
	}
	if s.attempts == nil {
		s.attempts = newAttempts()
	}
	src := &Source{spec: s, web: newWeb(s.limits), noted: map[string]bool{}, failed: make(chan struct{}, 1), fellBack: make(chan struct{}, 1)}
	src.dir, _ = os.Getwd() // one that is gone has no relative paths in it
	f, err := src.resolve()
	if err != nil {
		return nil, src.explain(ctx, nil, err)
	}
	src.resolved = f
	src.lastFingerprint = src.fingerprint()
	if err := src.checkMFA(f); err != nil {
		return nil, src.explain(ctx, nil, err)
	}
	if src.pair = s.pair(); src.pair != nil {
		var known *refresh.Error
		if err := src.checkIdentity(); errors.As(err, &known) && known.Permanent {
			return nil, src.explain(ctx, nil, err)
		}
	}
	if err := src.newFallbacks(ctx); err != nil {
		return nil, err
	}
	return src, nil
}

// Retrieve retrieves credentials from the source now; nothing comes from a cache.
// Expires is what the source said, on its own clock (see [Source.Skew]).
//
// A command, and a profile's credential_process, may print the JSON of the
// credential_process protocol, of STS, SSO, a container's agent, boto3's refreshable
// credentials or HashiCorp Vault's AWS secrets engine, or lines that set the AWS
// environment variables in the language of some shell.
func (s *Source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if len(s.fallbacks) > 0 {
		return s.retrieveFallback(ctx)
	}
	return s.retrieveOne(ctx)
}

// retrieveOne retrieves from this source alone.
func (s *Source) retrieveOne(ctx context.Context) (_ aws.Credentials, err error) {
	s.retrieving.Lock()
	defer s.retrieving.Unlock()
	defer func() { s.noteOutcome(err) }()
	s.web.asked("")
	f := s.resolveAgain(ctx)
	creds, err := s.retrieve(ctx, f)
	if err != nil {
		return aws.Credentials{}, s.explain(ctx, f, err)
	}
	if !creds.HasKeys() {
		return aws.Credentials{}, s.explain(ctx, f, errEmpty)
	}
	if creds.Source == ec2rolecreds.ProviderName && f.metadata != nil && f.metadata.endless {
		creds.CanExpire = false
	}
	if err := f.checkCredentials(creds); err != nil {
		return aws.Credentials{}, s.explain(ctx, f, err)
	}
	s.checkDate(f, creds)
	if err := s.checkExpired(f, creds); err != nil && !s.succeeded {
		return aws.Credentials{}, s.explain(ctx, f, err)
	}
	s.succeeded = true
	s.unusedBase = aws.Credentials{}
	s.spec.attempts.markStarted()
	if !creds.CanExpire && s.spec.AssumeLifetime > 0 {
		// On the server's clock, as any other expiry.
		creds.CanExpire = true
		creds.Expires = s.serverTime().Add(s.spec.AssumeLifetime)
	}
	return creds, nil
}

// checkCredentials says why credentials are of no use to anyone.
func (f *resolved) checkCredentials(c aws.Credentials) error {
	switch {
	case tokenless(c):
		hint := "keys that begin with ASIA are of no use without it"
		if f.from(aws.CredentialSourceEnvVars) {
			hint += ": set AWS_SESSION_TOKEN as well"
		} else if f.from(aws.CredentialSourceProfile) {
			hint += ": put aws_session_token beside them"
		}
		return refresh.Permanentf(hint, "gives %v", errTokenless)
	case c.CanExpire && (c.Expires.Year() < 1970 || c.Expires.Year() > 9999):
		return transientf("", "gives credentials whose expiry is no time")
	}
	return nil
}

// checkExpired is for expired credentials that something else keeps: the next may be
// on their way. At the start that is no reason to give up; later the engine compares them
// with what it has. After keys in the environment there are no next ones.
func (s *Source) checkExpired(f *resolved, c aws.Credentials) error {
	exported := f.keys != nil && f.from(aws.CredentialSourceEnvVars) && len(f.roles) == 0 && f.mfa == "" // STS knows better
	if !c.CanExpire || c.Expires.After(s.serverTime()) || s.spec.File == "" && !exported && !f.from(aws.CredentialSourceIMDS, aws.CredentialSourceHTTP) {
		return nil
	}
	e := transientf("see whether what keeps them still runs, and whether this machine's clock is right", "gives credentials that expired at %s", formatTime(s.toLocalClock(c.Expires)))
	if exported {
		e.Permanent, e.Hint = true, "export new ones, or unset AWS_ACCESS_KEY_ID and AWS_CREDENTIAL_EXPIRATION, so that a profile counts"
	}
	return e
}

// maxSession is the longest that AWS gives: GetSessionToken.
const maxSession = 36 * time.Hour

// checkDate forgets a Date header that cannot be right: by that the credentials would last
// longer than any do, or have expired, and by our own clock their lifetime is an ordinary
// one. On a machine whose own clock is that far off it is the other way round.
func (s *Source) checkDate(f *resolved, c aws.Credentials) {
	limit := maxSession
	for i := range f.roles {
		limit = max(limit, 2*f.roles[i].Duration)
	}
	skew := s.web.skew()
	plausible := func(d time.Duration) bool { return d > 0 && d <= limit }
	if left := c.Expires.Sub(time.Now().Round(0)); c.CanExpire && skew.Abs() > limit && plausible(left) && !plausible(left+skew) {
		s.note("the Date%s is %s off, which no credentials last: this machine's clock counts", s.fromServer(), skew.Abs().Round(time.Hour))
		s.web.disbelieve()
	}
}

func (s *Source) retrieve(ctx context.Context, f *resolved) (aws.Credentials, error) {
	creds, err := s.retrieveBase(ctx, f)
	if err != nil {
		return creds, err
	}
	if len(f.roles) > 0 || f.mfa != "" {
		if err := cmp.Or(f.checkCredentials(creds), s.checkExpired(f, creds)); err != nil {
			return creds, err
		}
	}
	if f.mfa != "" {
		if creds, err = s.authenticate(ctx, f, creds); err != nil {
			return creds, err
		}
	}
	for i, r := range f.roles {
		if !creds.HasKeys() {
			return creds, errEmpty
		}
		if creds, err = s.assume(ctx, f, creds, r, i > 0 || f.byRole); err != nil {
			return creds, err
		}
	}
	if f.region == "" && f.metadata != nil {
		s.setRegion(f.metadata.region(ctx))
	}
	return creds, nil
}

// Region returns the region that the command should get: the one given, or
// the configuration's; with an instance role and neither, the instance's, known
// after the first Retrieve. "" if there is none. The region that only STS is
// called in does not count.
func (s *Source) Region() string {
	for _, src := range append([]*Source{s.activeSource()}, s.sources()...) {
		src.mu.Lock()
		region := src.resolved.region
		src.mu.Unlock()
		if region != "" {
			return region
		}
	}
	return ""
}

// current is what the configuration said when it was last read.
func (s *Source) current() *resolved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolved
}

func (s *Source) setRegion(r string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolved.region = r
}

// Profile returns the name of the profile that the credentials come from, "" if
// they come from elsewhere. It is that of the first source, whichever is in use:
// the command knows it by name.
func (s *Source) Profile() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolved.profile
}

// Describe returns the way that credentials take, for people: `profile "prod" →
// arn:aws:iam::123456789012:role/app`. With others to fall back to, it is that of the
// last credentials, and what else there is.
func (s *Source) Describe() string {
	if len(s.fallbacks) > 0 {
		return s.describeAll()
	}
	return s.describe()
}

func (s *Source) describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolved.describe()
}

// Notes returns what a person should know and has not been told by an earlier
// call, one line each: a duration that was cut, a variable that was ignored.
func (s *Source) Notes() []string {
	s.mu.Lock()
	n := s.notes
	s.notes = nil
	s.mu.Unlock()
	for _, other := range s.fallbacks {
		n = append(n, other.Notes()...)
	}
	return n
}

// note adds a line for Notes, once for each Source.
func (s *Source) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.noted[line] {
		s.noted[line] = true
		s.notes = append(s.notes, line)
	}
}

// resolved is what a reading of the configuration came to.
type resolved struct {
	// base retrieves the credentials that the roles are assumed from.
	base        func(context.Context) (aws.Credentials, error)
	description string                 // what base is, for people: `environment variables`
	origins     []aws.CredentialSource // how the SDK came to it; nil for a command
	byRole      bool                   // base is itself a role, so that further ones are chained
	profile     string
	region      string
	roles       []Role                // the profile's own, then those of the Spec
	mfa         string                // device that base's keys are used with, "" for none
	tokenFile   string                // of a web identity
	tokenRole   string                // ARN of the role that base assumes by a token of Spec.WebIdentity
	metadata    *metadata             // set if base uses the instance metadata service
	ssoProfile  string                // profile whose SSO session base needs
	keys        *Keys                 // that the base is, if they are at hand
	program     string                // of a credential_process
	missing     string                // what a profile must have, unless an instance's role answers
	overlooked  []string              // see Source.Overlooked
	expiry      func() (Expiry, bool) // see Source.Expiry; nil: there is none

	cfg         aws.Config // for clients; only set if the network may be used
	client      *sts.Client
	fingerprint string // of the files that were read
	secrets     []string
}

// from says whether the SDK's way to the credentials goes through any of these.
func (f *resolved) from(kinds ...aws.CredentialSource) bool {
	return f != nil && slices.ContainsFunc(f.origins, func(o aws.CredentialSource) bool {
		return slices.Contains(kinds, o)
	})
}

func (f *resolved) describe() string {
	var b strings.Builder
	b.WriteString(f.description)
	if f.tokenRole != "" {
		b.WriteString(" → " + f.tokenRole)
	}
	if f.mfa != "" {
		b.WriteString(" → MFA session with " + f.mfa)
	}
	for i := range f.roles {
		b.WriteString(" → ")
		b.WriteString(f.roles[i].ARN)
	}
	return b.String()
}

// program is a command's name for messages. Its arguments may hold secrets.
func program(argv []string) string { return filepath.Base(argv[0]) }
