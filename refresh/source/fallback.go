package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// newFallbacks makes the sources of Spec.Else, with what they have in common.
func (s *Source) newFallbacks(ctx context.Context) error {
	for _, e := range s.spec.Else {
		e.Names, e.Stderr, e.Prompt, e.Share, e.Say, e.limits, e.env = s.spec.Names, s.spec.Stderr, s.spec.Prompt, s.spec.Share, s.spec.Say, s.spec.limits, s.spec.env
		other, err := s.pool.New(ctx, e)
		if err != nil {
			return err
		}
		s.fallbacks = append(s.fallbacks, other)
	}
	return nil
}

// sources are the sources in the order in which they are tried.
func (s *Source) sources() []*Source { return append([]*Source{s}, s.fallbacks...) }

// activeSource is the source that gave the last credentials.
func (s *Source) activeSource() *Source {
	if i := s.active.Load(); i > 0 {
		return s.fallbacks[i-1]
	}
	return s
}

// retrieveFallback tries one source after the other for credentials that have not expired.
func (s *Source) retrieveFallback(ctx context.Context) (aws.Credentials, error) {
	var failed []*refresh.Error
	all := s.sources()
	for i, src := range all {
		c, ok := s.takeProbed(i)
		var err error
		if !ok {
			c, err = src.retrieveWithin(ctx, len(all)-i)
		}
		if err == nil {
			s.noteSwitch(i, failed)
			return c, nil
		}
		var e *refresh.Error
		if !errors.As(err, &e) {
			return c, err
		}
		failed = append(failed, e)
		if ctx.Err() != nil {
			break // as it says itself
		}
	}
	return aws.Credentials{}, joinErrors(failed)
}

// Origin is what can be said of keys beside the keys.
type Origin struct {
	Environment bool // they are variables that somebody has exported
	LongTerm    bool // they are configured, and of no session
	Command     bool // a command printed them
	Fallback    bool // they are not from the first source, and that one is tried again
}

// Origin returns that of the last credentials.
func (s *Source) Origin() Origin {
	u := s.activeSource()
	u.mu.Lock()
	defer u.mu.Unlock()
	direct := len(u.resolved.roles) == 0 && u.resolved.mfa == ""
	return Origin{
		Environment: direct && u.resolved.from(aws.CredentialSourceEnvVars),
		LongTerm:    direct && u.resolved.keys != nil && !u.resolved.keys.Session,
		Command:     direct && (len(u.spec.Command) > 0 || u.resolved.from(aws.CredentialSourceProcess)),
		Fallback:    u != s,
	}
}

// StartTimeout is how long the first credentials should be waited for: longer than a program
// may take that has to be run for it.
func (s *Source) StartTimeout() time.Duration {
	const usual, more = 30 * time.Second, 10 * time.Second
	for _, src := range s.sources() {
		src.mu.Lock()
		runs := len(src.spec.Command) > 0 || len(src.spec.WebIdentity.Command) > 0 || src.resolved.from(aws.CredentialSourceProcess)
		src.mu.Unlock()
		if runs {
			return max(usual, cmp.Or(src.spec.CommandTimeout, commandTimeout)+more)
		}
	}
	return usual
}

// Issued reports whether the last credentials were issued when they were retrieved, as
// those of a role are: others would not last longer.
func (s *Source) Issued() bool {
	u := s.activeSource()
	u.mu.Lock()
	defer u.mu.Unlock()
	return (len(u.resolved.roles) > 0 || u.resolved.tokenRole != "" || u.pair != nil) && !u.sharing.tookOthers()
}

// retrieveWithin retrieves with a fair share of the time that there is: one that hangs must
// not leave the ones after it without any.
func (s *Source) retrieveWithin(ctx context.Context, left int) (aws.Credentials, error) {
	if end, ok := ctx.Deadline(); ok {
		share, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
		ctx = share
	}
	c, err := s.retrieveOne(ctx)
	if err == nil && c.CanExpire && !c.Expires.After(s.serverTime()) {
		return aws.Credentials{}, &refresh.Error{Err: fmt.Errorf("%s: gives credentials that expired at %s", s.describe(), formatTime(s.toLocalClock(c.Expires)))}
	}
	return c, err
}

// joinErrors is what several sources said: permanent only if each of them is.
func joinErrors(failed []*refresh.Error) error {
	e := &refresh.Error{Permanent: true}
	var texts []string
	for _, f := range failed {
		texts = append(texts, f.Error())
		e.Permanent = e.Permanent && f.Permanent
		if e.Hint == "" {
			e.Hint = f.Hint
		}
		e.RequestID = cmp.Or(e.RequestID, f.RequestID)
	}
	e.Err = errors.New(strings.Join(texts, "; "))
	if cause := failed[len(failed)-1].Err; errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		e.Err = fmt.Errorf("%s%w", strings.TrimSuffix(e.Err.Error(), cause.Error()), cause)
	}
	return e
}

// noteSwitch notes that another source is in use than before, and why.
func (s *Source) noteSwitch(to int, failed []*refresh.Error) {
	from := int(s.active.Swap(int32(to)))
	if to > 0 {
		s.startProbes()
	}
	if from == to {
		return
	}
	line := "credentials come from " + s.activeSource().describe() + " now"
	if to > from {
		line += ", because of " + failed[len(failed)-1].Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, line)
}

// authenticateAll begins the MFA sessions of all sources, because nobody can be asked
// later. It fails if that leaves none.
func (s *Source) authenticateAll(ctx context.Context) error {
	var first error
	failed := 0
	needed := true // nothing before it may serve
	for _, src := range s.sources() {
		if !needed && src.current().mfa == "" {
			continue
		}
		err := src.authenticateOne(ctx)
		if err == nil {
			// A program that has failed may leave it to the next one.
			needed = needed && src.needsProgram(src.current()) && !src.unusedBase.HasKeys()
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		s.note("%v", err)
		if failed++; first == nil {
			first = err
		}
	}
	if failed <= len(s.fallbacks) {
		return nil
	}
	return first
}

const (
	// probePause is how long a source that has failed is left alone while another
	// one is in use, and probeLimit how long it may then take.
	probePause = 50 * time.Second
	probeLimit = 25 * time.Second

	// probedFor is how long what it gives waits for the engine, which comes at once.
	probedFor = 30 * time.Second
)

// probed is what a source gave before the engine called it.
type probed struct {
	by    *Source // nil: there is none
	creds aws.Credentials
	at    time.Time
}

// probes are for the return of a source before the one that is in use.
type probes struct {
	mu      sync.Mutex // guards what follows
	ctx     context.Context
	changed func() // nil: nobody watches
	running bool
	ended   sync.WaitGroup
}

// probeWhileFallenBack has changed called once an earlier source than the one in use works again.
func (s *Source) probeWhileFallenBack(changed func()) (stop func()) {
	if len(s.fallbacks) == 0 {
		return func() {}
	}
	p := &s.probes
	ctx, cancel := context.WithCancel(context.Background())
	p.mu.Lock()
	p.ctx, p.changed = ctx, changed
	p.mu.Unlock()
	s.startProbes()
	return func() {
		cancel()
		p.mu.Lock()
		p.changed = nil
		p.mu.Unlock()
		p.ended.Wait()
	}
}

// startProbes begins to probe, unless that is under way, or there is nothing to probe.
func (s *Source) startProbes() {
	p := &s.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running || p.changed == nil || s.active.Load() == 0 {
		return
	}
	p.running = true
	ctx, changed := p.ctx, p.changed
	p.ended.Go(func() {
		for s.fallenBack() {
			refresh.Protect(func() error { s.probeLater(ctx, changed); return nil })
			if ctx.Err() != nil {
				return
			}
		}
	})
}

// fallenBack says whether there is something to probe, and if not, that it is over.
func (s *Source) fallenBack() bool {
	s.probes.mu.Lock()
	defer s.probes.mu.Unlock()
	s.probes.running = s.active.Load() > 0
	return s.probes.running
}

// probeLater tries the sources before the one that is in use, and if one of them works
// again, has the engine retrieve from it. What is delivered stays until then: the
// one in use is left alone.
func (s *Source) probeLater(ctx context.Context, changed func()) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(probePause):
	}
	if s.probe(ctx) {
		changed()
	}
}

// probe keeps the credentials of the first source that works again, and reports whether there
// is one.
func (s *Source) probe(ctx context.Context) bool {
	defer s.enterDir()()
	for _, src := range s.sources()[:s.active.Load()] {
		within, cancel := context.WithTimeout(ctx, probeLimit)
		c, err := src.retrieveWithin(within, 1)
		cancel()
		if err == nil {
			s.mu.Lock()
			s.probed = probed{by: src, creds: c, at: time.Now()}
			s.mu.Unlock()
			return true
		}
	}
	return false
}

// takeProbed is what probe has retrieved from the source at i, once.
func (s *Source) takeProbed(i int) (aws.Credentials, bool) {
	src := s.sources()[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.probed
	if e.by != src {
		return aws.Credentials{}, false
	}
	s.probed = probed{}
	return e.creds, time.Since(e.at) < probedFor
}

// describeAll says what is in use, and what else there is.
func (s *Source) describeAll() string {
	in := s.activeSource()
	others := slices.DeleteFunc(s.sources(), func(o *Source) bool { return o == in })
	var names []string
	for _, o := range others {
		names = append(names, o.describe())
	}
	if in == s {
		return in.describe() + ", else " + strings.Join(names, ", else ")
	}
	return in.describe() + ", in place of " + s.describe()
}
