package refresh

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// maxSkew is what is not worth an event: servers allow five minutes and more,
	// and every client keeps a margin.
	maxSkew = time.Minute

	// sameSkew is the change of a skew that is not worth another event.
	sameSkew = 30 * time.Second

	// skewNoise is what a skew moves by itself: a Date header counts in seconds,
	// and the response was on its way.
	skewNoise = 2 * time.Second

	// startRetry bounds the waits while the first credentials are missing: somebody is
	// watching, and StartTimeout is near. With many profiles that fail it is more, or a fleet
	// that starts would keep STS refusing.
	startRetry, maxStartRetry = 5 * time.Second, 20 * time.Second

	retrieveGrace = 5 * time.Second // the answer to the renewal of a login is better awaited

	// issueTime is what credentials that were requested for a minute, or an hour, may have
	// lost of that until they are here.
	issueTime = 5 * time.Second
)

// retrieveResult is what a call of a source's Retrieve has come to. It does not know the
// local clock: creds.Expires is the source's.
type retrieveResult struct {
	feed     *feed
	creds    aws.Credentials
	skew     time.Duration
	issued   bool          // the lifetime of the credentials begins now
	whole    time.Duration // that lifetime, if it began before; 0 if that is not known
	identity identity
	took     time.Duration
	retry    bool // the call before had failed
	err      error
}

// retrieveDue retrieves for as many profiles as there are workers free.
func (s *schedule) retrieveDue(ctx context.Context) {
	for p, retry := s.take(); p != nil; p, retry = s.take() {
		f, limit, skew := p.feed, s.callLimit(p), p.skew
		ctx := p.callContext(ctx)
		s.calls.Go(func() {
			begin := time.Now()
			r := f.retrieve(ctx, limit, s.changes, skew)
			r.took, r.retry = time.Since(begin), retry
			s.retrieved <- r
		})
	}
}

// enqueue has p wait for a worker.
func (s *schedule) enqueue(p *profile) {
	if s.busy+len(s.queue)+len(s.retries) == 0 {
		s.burst = s.mono
	}
	s.turn++
	p.retrieving, p.queued, p.urgent, p.turn = true, true, p.urgency(), s.turn
	if p.failures > 0 {
		heap.Push(&s.retries, p)
	} else {
		heap.Push(&s.queue, p)
	}
}

// take takes the profile out of the queues whose call begins now, nil if there is none or
// no worker is free. Those that failed at the last call get no more than half of the workers:
// sources that hang, each until its limit, must not keep the others waiting.
func (s *schedule) take() (p *profile, retry bool) {
	if s.busy >= s.opts.Workers {
		return nil, false
	}
	q := &s.queue
	if len(s.retries) > 0 && s.retrying < max(1, s.opts.Workers/2) && (len(s.queue) == 0 || s.retries[0].before(s.queue[0])) {
		q, retry = &s.retries, true
		s.retrying++
	}
	if len(*q) == 0 {
		return nil, false
	}
	p = heap.Pop(q).(*profile)
	s.busy++
	p.queued, p.astray = false, p.early || len(p.waiting) > 0 || s.wall.Sub(p.due) > maxBackoff
	p.early = false
	p.changedMeanwhile = false // this call sees what was changed until now
	p.advance(requested, calling)
	return p, retry
}

// callLimit is how long a retrieve call of p that begins now may take.
func (s *schedule) callLimit(p *profile) time.Duration {
	limit := s.opts.RetrieveTimeout
	if s.ready == nil {
		return limit
	}
	if p.current == nil && p.failures == 0 {
		s.startBy = s.mono.Add(s.opts.StartTimeout) // its turn begins now
	}
	// So that a source that hangs says where, before StartTimeout.
	return min(limit, s.startBy.Sub(s.mono))
}

// retrieve calls the source, and returns when that does, or a little after the limit.
func (f *feed) retrieve(ctx context.Context, limit time.Duration, c *changes, skew time.Duration) retrieveResult {
	result, returned := f.calls.do(ctx, limit, retrieveGrace, func(ctx context.Context) retrieveResult {
		if !f.watching {
			f.watching = true
			f.watch(c)
		}
		return f.call(ctx)
	})
	if !returned {
		return retrieveResult{feed: f, skew: skew, err: fmt.Errorf("source does not return: %w", context.DeadlineExceeded)}
	}
	return result
}

// call calls the source.
func (f *feed) call(ctx context.Context) retrieveResult {
	r := retrieveResult{feed: f}
	r.err = Protect(func() (err error) {
		r.creds, err = f.source.Retrieve(ctx)
		if s, ok := f.source.(Skewer); ok {
			r.skew = s.Skew()
		}
		if s, ok := f.source.(Identifier); ok {
			r.identity.arn, r.identity.session = s.Identity()
		}
		if s, ok := f.source.(Issuer); ok && err == nil {
			r.issued = s.Issued()
		}
		if s, ok := f.source.(Lifetimer); ok && err == nil {
			r.whole = s.Lifetime()
		}
		return err
	})
	if !r.creds.CanExpire || r.creds.Expires.IsZero() {
		r.creds.CanExpire, r.creds.Expires = false, time.Time{}
	}
	r.creds.Expires = r.creds.Expires.Round(0) // without the monotonic reading
	return r
}

// handleRetrieve takes the result of a retrieve call. It returns an error that ends the
// start-up.
func (s *schedule) handleRetrieve(a retrieveResult) (err error) {
	p, now := a.feed.profile, s.wall
	s.busy--
	if a.retry {
		s.retrying--
	}
	if p.feed != a.feed {
		return nil // it was removed, or has another source by now
	}
	p.retrieving = false
	p.lastRetrieve = now
	p.recheckExpiry()
	defer func() {
		if p.changedMeanwhile {
			s.expedite(p)
		}
		s.reschedule(p)
	}()

	s.noteSkew(p, a.skew)
	if a.err != nil {
		return s.failed(a, a.err, now)
	}
	creds := a.creds
	if creds.CanExpire {
		creds.Expires = creds.Expires.Add(a.skew) // on the local clock
	}
	if creds.HasKeys() && p.current != nil && sameCredentials(a.creds, p.received) {
		s.unchanged(a, creds, now)
		return nil
	}
	if !creds.HasKeys() {
		return s.failed(a, &Error{Err: errors.New("source gave no keys"), Permanent: true}, now)
	}
	left := time.Duration(0)
	if creds.CanExpire {
		left = creds.Expires.Sub(now)
		switch {
		case left <= 0:
			return s.failed(a, &Error{
				Err: fmt.Errorf("source gave credentials that expired at %s, %v ago",
					creds.Expires.Local().Format(time.RFC3339), (-left).Round(time.Second)),
				Permanent: p.current == nil,
				Hint:      "see whether the source caches what it gives, and whether this machine's clock is right",
			}, now)
		case s.ready != nil && p.current == nil && a.issued && left < s.opts.MinTTL-issueTime:
			return s.failed(a, &Error{
				Err:       fmt.Errorf("new credentials last %v, less than the minimum of %v", roughly(left), s.opts.MinTTL),
				Permanent: true, Hint: minTTLHint,
			}, now)
		case s.ready != nil && p.current == nil && !a.issued && left < s.opts.MinTTL:
			s.belowMinTTL(a, left, now)
			return nil
		}
	}
	p.received = a.creds
	s.accept(a, creds, left, now)
	return nil
}

// mayWait is how long the delivery of what was just retrieved of p may wait for that of
// others: not beyond the deadline by which the policy wants it, and not if it comes out of
// turn.
func (s *schedule) mayWait(p *profile) time.Duration {
	if len(s.profiles) < 2 || p.held == nil || p.heldExpiry.IsZero() || p.failures > 0 || p.astray || s.ready != nil {
		return 0
	}
	m := s.opts.Policy.Margin(p.lifetime)
	return min(max(p.heldExpiry.Add(-m).Sub(s.wall), 0), gatherTime(m))
}

func sameCredentials(a, b aws.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SecretAccessKey == b.SecretAccessKey && a.SessionToken == b.SessionToken &&
		a.CanExpire == b.CanExpire && a.Expires.Equal(b.Expires)
}

func (s *schedule) accept(a retrieveResult, creds aws.Credentials, left time.Duration, now time.Time) {
	p, whole := a.feed.profile, max(left, a.whole)
	s.seq++
	p.current = &version{
		seq: s.seq, generation: s.seq, creds: creds, lifetime: left, attempt: p.failures, took: a.took, identity: a.identity,
	}
	wait := s.mayWait(p)
	switch {
	case !a.issued: // somebody else decides when there are others
		p.spread = 0
	case p.lifetime == 0 || p.failures > 0 || p.astray:
		p.spread = spreadRounds
	}
	p.lifetime = whole
	s.recovered(p)
	s.dueAfterSuccess(p, now)
	p.spread = max(p.spread-1, 0)
	e := p.current.event(0, p)
	e.Life, e.Next = left, p.due
	say := func(k Kind, is bool, said *bool) {
		if is && !*said {
			*said = true
			e.Kind = k
			s.notify(e)
		}
	}
	say(Static, !creds.CanExpire, &p.reportedStatic)
	say(Short, creds.CanExpire && whole < shortLifetime, &p.reportedShort)
	say(Early, creds.CanExpire && s.opts.Policy.Before > whole/2+issueTime, &p.reportedEarly)
	p.wanted = p.current
	p.advance(calling, retrieved)
	s.markBehind(p, wait)
	s.noteHeld(p)
}

// unchanged handles credentials that were retrieved before. The source may have a new
// measure of the clock.
func (s *schedule) unchanged(a retrieveResult, creds aws.Credentials, now time.Time) {
	p := a.feed.profile
	attempt := p.failures
	s.recovered(p)
	if was := p.current.creds; was.CanExpire {
		moved := creds.Expires.Sub(was.Expires)
		// Without a measure, what differs is a step back that only we know of.
		if moved.Abs() > skewNoise && (p.knowsSkew || moved < 0) {
			s.retranslate(p, creds.Expires)
		}
	}
	s.dueAfterSuccess(p, now)
	e := p.current.event(Unchanged, p)
	e.Next, e.Attempt, e.Took = p.due, attempt, a.took
	s.notify(e)
	p.advance(calling, retrieved)
	if p.held != nil && p.held.generation == p.current.generation {
		s.resolve(p, retrieved, nil)
	}
}

// retranslate has the current credentials delivered again with another expiry.
func (s *schedule) retranslate(p *profile, expires time.Time) {
	v := *p.current
	s.seq++
	v.seq = s.seq
	v.creds.Expires = expires
	p.current, p.wanted = &v, &v
	s.markBehind(p, 0)
	s.noteHeld(p)
}

// recovered notes a success. If it is the end of an outage, those that share it are told.
func (s *schedule) recovered(p *profile) {
	transient := p.failures > 0 && !p.permanent
	p.recovered()
	if !transient {
		return
	}
	for _, q := range s.profiles {
		if q.failures == 0 || q.permanent || q.retrieving {
			continue
		}
		if at := s.opts.Policy.afterOutage(s.wall, s.outcome(q), s.rnd()); at.Before(q.due) {
			q.due = at
			s.reschedule(q)
		}
	}
}

func (p *profile) recovered() {
	p.failures, p.classFailures, p.permanent, p.permanentReported, p.lastErr = 0, 0, false, false, nil
}

func (s *schedule) dueAfterSuccess(p *profile, now time.Time) {
	p.due = s.opts.Policy.next(now, s.outcome(p), s.rnd())
}

func (s *schedule) outcome(p *profile) outcome {
	return outcome{expires: p.currentExpiry(), lifetime: p.lifetime, profiles: len(s.profiles), spread: p.spread}
}

const minTTLHint = "--duration requests longer ones; or lower --min-ttl"

// roughly is a lifetime as it was requested: what it lost on its way does not count.
func roughly(lifetime time.Duration) time.Duration {
	if lifetime >= 10*time.Minute {
		return lifetime.Round(time.Minute)
	}
	return lifetime.Round(time.Second)
}

// belowMinTTL handles first credentials of which less than MinTTL remains: others may come.
func (s *schedule) belowMinTTL(a retrieveResult, left time.Duration, now time.Time) {
	err := &Error{
		Err: fmt.Errorf("credentials have %v left, less than the minimum of %v",
			left.Round(time.Second), s.opts.MinTTL),
		Hint: minTTLHint,
	}
	s.fail(a, err, now, now.Add(s.opts.Policy.pollInterval(left, s.rnd())))
}

// failed handles a result that is of no use.
func (s *schedule) failed(a retrieveResult, err error, now time.Time) error {
	p, permanent := a.feed.profile, isPermanent(err)
	if permanent != p.permanent {
		p.classFailures = 0
	}
	p.permanent = permanent
	p.classFailures++
	if permanent && s.hopeless() {
		return s.refused(p, err)
	}
	o := s.outcome(p)
	o.failures, o.permanent = p.classFailures, permanent
	o.failing = 1 + s.failing(p)
	s.fail(a, err, now, s.opts.Policy.next(now, o, s.rnd()))
	return nil
}

func (s *schedule) fail(a retrieveResult, err error, now, next time.Time) {
	p := a.feed.profile
	p.failures++
	if late := s.ready != nil && !s.mono.Before(s.startBy); !late || p.lastErr == nil || !errors.Is(err, context.DeadlineExceeded) {
		p.lastErr = err // else StartTimeout has ended that call, and the error before says more
	}
	p.due = next
	if limit := now.Add(s.startRetry()); s.ready != nil && p.current == nil && !p.permanent && p.due.After(limit) {
		p.due = limit
	}
	e := p.current.event(Failed, p)
	e.Attempt, e.Err, e.Permanent, e.First = p.failures, err, p.permanent, p.permanent && !p.permanentReported
	e.Next, e.RequestID, e.Took = p.due, requestID(err), a.took
	if p.current == nil {
		e.Identity, e.Session = a.identity.arn, a.identity.session
	}
	p.permanentReported = p.permanentReported || p.permanent
	s.notify(e)
	s.resolve(p, calling, err)
}

// failing counts the profiles other than p that fail.
func (s *schedule) failing(p *profile) int {
	return s.count(func(o *profile) bool { return o != p && o.failures > 0 })
}

// startRetry bounds the waits while the first credentials are missing.
func (s *schedule) startRetry() time.Duration {
	return max(startRetry, min(times(time.Second, s.failing(nil)), maxStartRetry))
}

func requestID(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.RequestID
	}
	return ""
}

// currentExpiry is that of the newest credentials, zero if there are none.
func (p *profile) currentExpiry() time.Time {
	if p.current == nil {
		return time.Time{}
	}
	return p.current.creds.Expires
}

func isPermanent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Permanent
}

// noteSkew reports a skew that is large, or no longer is: once for each profile,
// and once for all that agree, since the local clock is the wrong one most of the time.
func (s *schedule) noteSkew(p *profile, skew time.Duration) {
	if skew != 0 {
		p.knowsSkew = true
	}
	if (skew-p.skew).Abs() <= sameSkew || (skew.Abs() <= maxSkew && p.skew.Abs() <= maxSkew) {
		return
	}
	p.skew = skew
	if (skew - s.skew).Abs() <= sameSkew {
		return
	}
	s.skew = skew
	s.notify(Event{Kind: Skewed, Profile: p.name, Skew: skew})
}
