package source

import (
	"cmp"
	"context"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// Retrieve retrieves credentials from the source now; nothing comes from a cache.
// Expires is what the source said, on its own clock (see [Source.Skew]).
//
// A command, and a profile's credential_process, may print the JSON of the
// credential_process protocol, of STS, SSO, a container's agent, boto3's refreshable
// credentials or HashiCorp Vault's AWS secrets engine, or lines that set the AWS
// environment variables in the language of some shell.
func (s *Source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	defer s.enterDir()()
	if len(s.fallbacks) > 0 {
		return s.retrieveFallback(ctx)
	}
	return s.retrieveOne(ctx)
}

// Instant tells whether Retrieve asks nobody and waits for nothing: the keys stand in the
// environment or in the shared files, which New has read.
func (s *Source) Instant() bool {
	f := s.current()
	return f.keys != nil && len(f.roles) == 0 && f.mfa == "" && len(s.fallbacks) == 0 && s.sharing == nil
}

// LeaveDir tells that this process is in / once left is closed, so that the file system of
// the working directory can be unmounted. Relative paths in flags, variables and profiles
// are about where the source was made: Retrieve then goes back there for the time that it
// takes. Call it before the first Retrieve. Nothing else in the process may use
// relative paths from then on.
func (s *Source) LeaveDir(left <-chan struct{}) {
	for _, src := range s.sources() {
		src.left = left
	}
}

// place is the working directory of the process, which all sources go back to together.
var place struct {
	sync.Mutex
	inside int // sources that need it
}

// enterDir goes back to where the source was made, if the process has left it. out tells that the
// source does not need that any more.
func (s *Source) enterDir() (out func()) {
	select {
	case <-s.left:
	default:
		return func() {}
	}
	place.Lock()
	defer place.Unlock()
	if place.inside == 0 && os.Chdir(s.dir) != nil {
		return func() {}
	}
	place.inside++
	return func() {
		place.Lock()
		defer place.Unlock()
		if place.inside--; place.inside == 0 {
			os.Chdir("/")
		}
	}
}

// retrieveOne retrieves from this source alone: the credentials of the base, with them a
// session with MFA, and then one role after the other.
func (s *Source) retrieveOne(ctx context.Context) (creds aws.Credentials, err error) {
	s.retrieving.Lock()
	defer s.retrieving.Unlock()
	ctx = s.web.in(ctx)
	s.web.asked("")
	f := s.resolveAgain(ctx)
	if !s.Instant() {
		s.markFingerprint(f)
	}
	defer func() {
		if err != nil {
			creds, err = aws.Credentials{}, s.explain(ctx, f, err)
		}
		s.noteOutcome(err)
	}()
	got, err := s.shared(ctx, f, func(ctx context.Context) (issue, error) {
		return s.steps(ctx, f)
	})
	if err != nil {
		return creds, err
	}
	creds = got.Credentials
	if f.region == "" && f.metadata != nil {
		s.setRegion(f.metadata.region(ctx))
	}
	if err := f.checkCredentials(creds); err != nil {
		return creds, err
	}
	s.checkDate(f, creds)
	if err := s.checkExpired(f, creds); err != nil && !s.succeeded {
		return creds, err
	}
	s.succeeded = true
	s.setIdentity(got)
	s.unusedBase = issue{}
	f.markServed()
	s.pool.attempts.markStarted()
	if !creds.CanExpire && s.spec.AssumeLifetime > 0 {
		// On the server's clock, as any other expiry.
		creds.CanExpire = true
		creds.Expires = s.serverTime().Add(s.spec.AssumeLifetime)
	}
	return creds, nil
}

// steps go from the base to the credentials of the last role.
func (s *Source) steps(ctx context.Context, f *resolved) (issue, error) {
	if w := s.longestCommon(f, len(f.roles)); w != nil && w.n > 0 {
		got, err := w.take(ctx, s)
		if err != nil {
			return got, err
		}
		return s.assumeAll(ctx, f, got, w.n)
	}
	got, err := s.retrieveBase(ctx, f)
	if err != nil {
		return got, err
	}
	if len(f.roles) > 0 || f.mfa != "" {
		if err := cmp.Or(f.checkCredentials(got.Credentials), s.checkExpired(f, got.Credentials)); err != nil {
			return got, err
		}
	}
	if f.mfa != "" {
		session, err := s.authenticate(ctx, f, got.Credentials)
		if err != nil {
			return got, err
		}
		got = issue{Credentials: session}
	}
	return s.assumeAll(ctx, f, got, 0)
}

// assumeAll assumes the roles from the i-th on, one from the other.
func (s *Source) assumeAll(ctx context.Context, f *resolved, got issue, from int) (_ issue, err error) {
	for i := from; i < len(f.roles); i++ {
		if got, err = s.assume(ctx, f, got.Credentials, i); err != nil {
			return got, err
		}
	}
	return got, nil
}

// resolveAgain gives what the configuration says now. Long runs outlive the keys in the
// files: who replaces them there expects that they are used.
func (s *Source) resolveAgain(ctx context.Context) *resolved {
	old := s.current()
	if old.fingerprint == s.configFingerprint() {
		return old
	}
	f, err := s.resolve()
	if err != nil {
		// Half written, or gone: what was read before may well still work.
		named := old
		if !s.pool.one {
			named = nil // it is the same for all
		}
		s.note("the AWS configuration has changed and cannot be read (%v): what was read before is still used", s.explain(ctx, named, err))
		return old
	}
	if !s.retired.Load() {
		f.ways = s.ways(f)
		s.pool.leave(old.ways)
	}
	s.mu.Lock()
	s.resolved = f
	s.mu.Unlock()
	s.pool.watcher.lookAgain() // the keys may be in a file by now
	return f
}

// retrieveBase retrieves what the roles are assumed with. What a person may have been asked for is
// not asked for again until credentials have come of it.
func (s *Source) retrieveBase(ctx context.Context, f *resolved) (issue, error) {
	if k := s.unusedBase; s.unusedBaseOf == f && k.HasKeys() && (!k.CanExpire || k.Expires.After(s.serverTime())) {
		return k, nil
	}
	if w := s.longestCommon(f, 0); w != nil {
		return w.take(ctx, s)
	}
	s.mayHavePrompted = false
	creds, err := f.base(ctx)
	if err == nil && s.mayHavePrompted {
		s.unusedBase, s.unusedBaseOf = creds, f
	}
	return creds, err
}

// checkCredentials says why credentials are of no use to anyone.
func (f *resolved) checkCredentials(c aws.Credentials) error {
	switch {
	case !c.HasKeys():
		return errEmpty
	case tokenless(c):
		hint := "keys that begin with ASIA are of no use without it"
		if f.from(aws.CredentialSourceEnvVars) {
			hint += ": set AWS_SESSION_TOKEN as well"
		} else if f.from(aws.CredentialSourceProfile) {
			hint += ": put aws_session_token beside them"
		}
		return refresh.Permanentf(hint, "gives %v", errTokenless)
	case c.CanExpire && (c.Expires.Year() < 1970 || c.Expires.Year() > 9999):
		return transientf("", "gives credentials whose expiry is not a time")
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
		s.note("the Date%s is %s off, longer than credentials last: this machine's clock is used", s.fromServer(), skew.Abs().Round(time.Hour))
		s.web.disbelieve()
	}
}
