package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source/cache"
)

// Share says that processes of one user with the same source are to ask once for all. The
// zero value is that each asks for itself.
type Share struct {
	On     bool
	Dir    string         // where the entries are; "" is the default of [cache.Open]
	Policy refresh.Policy // by which credentials of others are fresh, and no longer
	MinTTL time.Duration  // what must remain of those to start with
}

const (
	// askLimit is how long another process may ask before it is taken to hang, and
	// programLimit the same if it has to run a program. Where there is less time, it is half
	// of that.
	askLimit, programLimit = 20 * time.Second, 30 * time.Second

	// codeLimit is how long a process that can ask nobody waits for one that asks a person
	// for a code.
	codeLimit = 2 * time.Minute

	// sessionWorth is what must remain of the MFA session of another process for a
	// person not to be asked for one of more use.
	sessionWorth = time.Hour
)

// sharing is a Source's part in the cache of its user.
type sharing struct {
	cache   *cache.Cache
	session cache.Key // of the MFA session that another process has begun; guarded by Source.retrieving

	mu    sync.Mutex // guards what follows
	key   cache.Key  // of the last credentials
	last  cache.Set
	taken bool // they were another process's
}

// newSharing opens the cache. Where there is none, each process asks for itself.
func (s *Source) newSharing() {
	if !s.spec.Share.On {
		return
	}
	c, err := cache.Open(s.spec.Share.Dir)
	if err != nil {
		s.notShared(err)
		return
	}
	for _, why := range c.Passed {
		s.note("credentials are shared in %s, because %s", c.Dir(), why)
	}
	if s.spec.limits.pollOnly {
		c.InVirtualTime()
	}
	s.sharing = &sharing{cache: c}
}

// notShared says, once for each reason, that this process asks for itself.
func (s *Source) notShared(why error) {
	s.note("credentials are not shared with other processes: %v", why)
}

// Lifetime returns the time from issue to expiry of the last credentials if another process
// has retrieved them, else 0.
func (s *Source) Lifetime() time.Duration { return s.activeSource().sharing.lifetime() }

func (h *sharing) lifetime() time.Duration {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.taken {
		return 0
	}
	return h.last.Lifetime
}

// tookOthers tells whether the last credentials were retrieved by another process.
func (h *sharing) tookOthers() bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken
}

// watchShared has changed called when another process has retrieved newer credentials of any of
// the sources.
func (s *Source) watchShared(changed func()) (stop func()) {
	var stops []func()
	for _, src := range s.sources() {
		if src.sharing != nil {
			stops = append(stops, src.sharing.watch(changed))
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// watch has changed called when another process has retrieved newer credentials.
func (h *sharing) watch(changed func()) (stop func()) {
	return h.cache.Watch(
		func() cache.Key {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.key
		},
		func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.key == "" {
				return
			}
			if set, err := h.cache.Get(h.key); err == nil && set.ID != h.last.ID && set.Expires.After(h.last.Expires) {
				changed()
			}
		})
}

// shared gives the credentials that another process has retrieved and that are not due by
// the policy, or has this one retrieve them in its turn, for all.
func (s *Source) shared(ctx context.Context, f *resolved, retrieve func(context.Context) (issue, error)) (issue, error) {
	key := s.shareKey(ctx, f)
	if key == "" {
		return retrieve(ctx)
	}
	h := s.sharing
	var since time.Time // what is from before does not do
	if refresh.IsAnew(ctx) {
		since = now()
	}
	var found cache.Set
	ready := func() bool {
		set, ok := s.freshSet(key)
		if ok = ok && !set.Retrieved.Before(since); ok {
			found = set
		}
		return ok
	}
	t, err := h.cache.Turn(ctx, key, cache.Waiting{Ready: ready, Patience: s.patience(ctx, f)})
	switch {
	case err != nil && ctx.Err() != nil:
		return issue{}, transientf("", "another process retrieves the same credentials: %w", ctx.Err())
	case err != nil:
		s.notShared(err)
		return retrieve(ctx)
	case t == nil:
		s.takeSet(f, key, found)
		return issueOf(found), nil
	}
	defer t.Done()
	got, err := retrieve(ctx)
	if err == nil {
		s.putSet(f, t, key, got)
	} else {
		s.forgetSession(f, err)
	}
	return got, err
}

// patience is how long another process may have its turn.
func (s *Source) patience(ctx context.Context, f *resolved) time.Duration {
	limit := askLimit
	switch {
	case s.needsProgram(f) && s.hasTerminal():
		limit = attendedTimeout // it may ask on the same terminal
	case s.needsProgram(f):
		limit = programLimit
	}
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/2)
	}
	return limit
}

// freshSet is the entry of a key, if it will do: it is not due by the policy, and more
// remains of it than the start asks for. The one that we have is no answer to a question
// that comes when it is due, which may be a tenth of the margin earlier.
func (s *Source) freshSet(key cache.Key) (cache.Set, bool) {
	set, err := s.sharing.cache.Get(key)
	if err != nil {
		if !errors.Is(err, cache.ErrNone) {
			s.note("shared credentials are not used: %v", err)
		}
		return set, false
	}
	h := s.sharing
	h.mu.Lock()
	defer h.mu.Unlock()
	left, margin := set.Left(now()), s.spec.Share.Policy.Margin(set.Lifetime)
	switch {
	case set.AccessKeyID == "" || left <= margin:
		return set, false
	case h.key != key || h.last.ID == "":
		return set, left >= s.spec.Share.MinTTL
	case set.ID == h.last.ID:
		return set, left > margin+margin/10
	}
	return set, set.Expires.After(h.last.Expires)
}

// takeSet takes what another process has retrieved.
func (s *Source) takeSet(f *resolved, key cache.Key, set cache.Set) {
	s.web.adoptSkew(set.Skew)
	h := s.sharing
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.key != key || h.last.ID != set.ID {
		h.taken = true
	}
	h.key, h.last = key, set
}

func issueOf(set cache.Set) issue {
	return issue{aws.Credentials{
		AccessKeyID: set.AccessKeyID, SecretAccessKey: set.SecretAccessKey, SessionToken: set.SessionToken,
		AccountID: set.AccountID, Source: set.Source, CanExpire: true, Expires: set.Expires,
	}, set.Identity, set.Session}
}

func (s *Source) setOf(got issue) cache.Set {
	c := got.Credentials
	skew := s.web.skew()
	if !c.CanExpire && s.spec.AssumeLifetime > 0 {
		c.CanExpire, c.Expires = true, s.serverTime().Add(s.spec.AssumeLifetime)
	}
	set := cache.Set{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		AccountID: c.AccountID, Source: c.Source, Skew: skew, Identity: got.arn, Session: got.session,
	}
	if c.CanExpire {
		set.Expires = c.Expires.Round(0)
		set.Lifetime = set.Left(now())
	}
	return set
}

// putSet shares what this process has retrieved, unless it is of no use to others.
func (s *Source) putSet(f *resolved, t *cache.Turn, key cache.Key, got issue) {
	set := s.setOf(got)
	h := s.sharing
	h.mu.Lock() // so that our own entry is no news
	defer h.mu.Unlock()
	if set.Lifetime > 0 && f.checkCredentials(got.Credentials) == nil {
		var err error
		if set, err = t.Put(set); err != nil {
			s.notShared(err)
		}
	}
	h.key, h.last, h.taken = key, set, false
}

// cached tells whether a start needs to ask nobody.
func (s *Source) cached(ctx context.Context, f *resolved) bool {
	key := s.shareKey(ctx, f)
	if key == "" {
		return false
	}
	_, ok := s.freshSet(key)
	return ok
}

// adoptShared takes the MFA session that another process has begun, and says whether there
// is one of which enough is left.
func (s *Source) adoptShared(f *resolved, base aws.Credentials) bool {
	if s.sharing == nil {
		return false
	}
	key := s.sessionKey(f, base)
	set, err := s.sharing.cache.Get(key)
	if err != nil {
		return false
	}
	enough := mfaLeft
	if !s.spec.MFA.automatic() && s.spec.Prompt != nil && !s.succeeded {
		enough = min(sessionWorth, set.Lifetime/2)
	}
	if len(f.roles) == 0 { // it is itself what is kept fresh
		enough = s.spec.Share.Policy.Margin(set.Lifetime)
		if set.AccessKeyID == s.mfa.session.AccessKeyID {
			return false
		}
	}
	if set.Left(now()) <= enough {
		return false
	}
	s.web.adoptSkew(set.Skew)
	s.storeSession(issueOf(set).Credentials, mfaSessionKey(f, base))
	s.sharing.session = key
	return true
}

// sharedSession takes the MFA session of another process, waits for one that is about to
// begin it, or has it begun in the turn of this one, for all.
func (s *Source) sharedSession(ctx context.Context, f *resolved, base aws.Credentials, begin func(context.Context) error) error {
	if s.sharing == nil {
		return begin(ctx)
	}
	key := s.sessionKey(f, base)
	w := cache.Waiting{
		Ready: func() bool { return s.adoptShared(f, base) },
		Held:  func(pid int) { s.say("waiting for the MFA code of %s that process %d asks for", f.mfa, pid) },
	}
	switch automatic := s.spec.MFA.automatic(); {
	case automatic:
		w.Held, w.Patience = nil, beginLimit
	case s.spec.Prompt != nil && !s.pool.attempts.hasStarted():
		// Two must not ask at one terminal. A person can see to the one that does.
		w.Patience = math.MaxInt64
	default:
		if w.Patience = codeLimit; s.sharing.cache.Await(ctx, key, w) {
			return nil
		}
		if s.spec.Prompt == nil {
			return noCode(f)
		}
		return begin(ctx) // which says why not
	}
	t, err := s.sharing.cache.Turn(ctx, key, w)
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		s.notShared(err)
		return begin(ctx)
	case t == nil:
		return nil
	}
	defer t.Done()
	if err := begin(ctx); err != nil {
		return err
	}
	if _, err := t.Put(s.setOf(issue{Credentials: s.mfa.session})); err != nil {
		s.notShared(err)
	}
	return nil
}

// forgetSession has nobody begin with an MFA session that AWS does not take any more.
func (s *Source) forgetSession(f *resolved, err error) {
	r, _ := refusalIn(err)
	if f.mfa == "" || !slices.Contains([]string{"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"}, r.code) {
		return
	}
	if h := s.sharing; h.session != "" {
		h.cache.Forget(h.session)
		s.mfa.session, s.mfa.sessionKey, h.session = aws.Credentials{}, "", ""
	}
}

// say tells a person at once what is waited for.
func (s *Source) say(format string, args ...any) {
	if s.spec.Say != nil {
		s.spec.Say(fmt.Sprintf(format, args...))
	}
}
