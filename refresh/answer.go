package refresh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// maxSkew is what is not worth a word: servers allow five minutes and more,
	// and every reader of credentials keeps a margin.
	maxSkew = time.Minute

	// sameSkew is the change of a skew that is no news.
	sameSkew = 30 * time.Second

	// skewNoise is what a skew moves by itself: a Date header counts in seconds,
	// and the response was on its way.
	skewNoise = 2 * time.Second

	// startRetry bounds the waits while a first set is missing: somebody is
	// watching, and StartTimeout is near.
	startRetry = 5 * time.Second

	retrieveGrace = time.Second

	// issueTime is what a session that was asked for a minute, or an hour, may have
	// lost of that until we see it.
	issueTime = 5 * time.Second
)

// question is one call of a source.
type question struct {
	*call
	creds aws.Credentials
	skew  time.Duration
	fresh bool
}

type answer struct {
	profile *profile
	creds   aws.Credentials
	skew    time.Duration
	fresh   bool // the set begins its life
	err     error
}

// ask starts as many questions as there are workers free.
func (s *schedule) ask(ctx context.Context) {
	limit := s.opts.RetrieveTimeout
	if s.ready != nil {
		// So that a source that hangs says where, in time for the last word.
		limit = min(limit, s.startBy.Sub(s.mono))
	}
	for s.busy < s.opts.Workers && len(s.queue) > 0 {
		p := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.busy++
		s.calls.Go(func() { s.answers <- p.ask(ctx, limit) })
	}
}

// ask asks the source and returns when it answers, or a little after the limit.
func (p *profile) ask(ctx context.Context, limit time.Duration) answer {
	q, returned := p.asked, false
	if q == nil {
		q = &question{}
		q.call = start(ctx, limit, func(ctx context.Context) (err error) {
			q.creds, err = p.Source.Retrieve(ctx)
			if s, ok := p.Source.(Skewer); ok {
				q.skew = s.Skew()
			}
			if s, ok := p.Source.(Issuer); ok && err == nil {
				q.fresh = s.Issued()
			}
			return err
		})
		returned = q.wait(retrieveGrace)
	} else {
		returned = q.wait(0)
	}
	if !returned {
		p.asked = q
		return answer{profile: p, skew: p.skew, err: fmt.Errorf("source does not return: %w", context.DeadlineExceeded)}
	}
	p.asked = nil
	return answer{profile: p, creds: q.creds, skew: q.skew, fresh: q.fresh, err: q.err}
}

// answered takes what a source said. It returns an error that ends the start-up.
func (s *schedule) answered(a answer) (err error) {
	p, now := a.profile, s.wall
	s.busy--
	p.asking = false
	p.answered = now
	p.news()
	defer func() {
		if p.again {
			s.hasten(p)
		}
		s.reschedule(p)
	}()

	s.noteSkew(p, a.skew)
	if a.err != nil {
		return s.failed(p, a.err, now)
	}
	given := plain(a.creds)
	if p.current != nil && sameSet(given, p.given) {
		s.unchanged(p, local(given, a.skew), now)
		return nil
	}
	if !given.HasKeys() {
		return s.failed(p, &Error{Err: errors.New("source gave no keys"), Permanent: true}, now)
	}
	creds := local(given, a.skew)
	left := time.Duration(0)
	if creds.CanExpire {
		left = creds.Expires.Sub(now)
		switch {
		case left <= 0:
			return s.failed(p, &Error{
				Err: fmt.Errorf("source gave credentials that ended at %s, %v ago",
					creds.Expires.Local().Format(time.RFC3339), (-left).Round(time.Second)),
				Permanent: p.current == nil,
				Hint:      "see whether the source caches what it gives, and whether this machine's clock is right",
			}, now)
		case p.current == nil && a.fresh && left < s.opts.MinTTL-issueTime:
			return s.failed(p, &Error{
				Err:       fmt.Errorf("new sessions live %v, less than the minimum of %v", roughly(left), s.opts.MinTTL),
				Permanent: true, Hint: tooShortHint,
			}, now)
		case p.current == nil && !a.fresh && left < s.opts.MinTTL:
			s.tooShort(p, left, now)
			return nil
		}
	}
	p.given = given
	s.adopt(p, creds, left, now)
	return nil
}

// plain removes an expiry that does not count, and the monotonic reading of one
// that does.
func plain(c aws.Credentials) aws.Credentials {
	if !c.CanExpire || c.Expires.IsZero() {
		c.CanExpire, c.Expires = false, time.Time{}
	}
	c.Expires = c.Expires.Round(0)
	return c
}

// local returns the set with its expiry on the local clock.
func local(c aws.Credentials, skew time.Duration) aws.Credentials {
	if c.CanExpire {
		c.Expires = c.Expires.Add(skew)
	}
	return c
}

func sameSet(a, b aws.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SecretAccessKey == b.SecretAccessKey && a.SessionToken == b.SessionToken &&
		a.CanExpire == b.CanExpire && a.Expires.Equal(b.Expires)
}

func (s *schedule) adopt(p *profile, creds aws.Credentials, left time.Duration, now time.Time) {
	s.seq++
	p.current = &version{seq: s.seq, set: s.seq, creds: creds, life: left, attempt: p.failures}
	p.life = left
	p.recovered()
	s.dueAfterSuccess(p, now)
	e := Event{Profile: p.Name, KeyID: p.current.keyID(), Expires: creds.Expires, Life: left, Next: p.due}
	say := func(k Kind, is bool, said *bool) {
		if is && !*said {
			*said = true
			e.Kind = k
			s.notify(e)
		}
	}
	say(Static, !creds.CanExpire, &p.saidStatic)
	say(Short, creds.CanExpire && left < shortLife, &p.saidShort)
	say(Early, creds.CanExpire && s.opts.Policy.Before > left/2+issueTime, &p.saidEarly)
	s.outdate()
	s.noteHeld(p)
}

// unchanged handles a set that was given before. The source may have a new
// measure of the clock.
func (s *schedule) unchanged(p *profile, creds aws.Credentials, now time.Time) {
	attempt := p.failures
	p.recovered()
	if was := p.current.creds; was.CanExpire {
		moved := creds.Expires.Sub(was.Expires)
		// Without a measure, what differs is a step back that only we know of.
		if moved.Abs() > skewNoise && (p.knowsSkew || moved < 0) {
			s.retranslate(p, creds.Expires)
		}
	}
	s.dueAfterSuccess(p, now)
	s.notify(Event{
		Kind: Unchanged, Profile: p.Name, KeyID: p.current.keyID(),
		Expires: p.current.creds.Expires, Next: p.due, Attempt: attempt,
	})
}

// retranslate has the current set delivered again with another expiry.
func (s *schedule) retranslate(p *profile, expires time.Time) {
	v := *p.current
	s.seq++
	v.seq = s.seq
	v.creds.Expires = expires
	p.current = &v
	s.outdate()
	s.noteHeld(p)
}

func (p *profile) recovered() {
	p.failures, p.streak, p.permanent, p.loud, p.lastErr = 0, 0, false, false, nil
}

func (s *schedule) dueAfterSuccess(p *profile, now time.Time) {
	p.due = s.opts.Policy.next(now, outcome{expires: p.current.creds.Expires, life: p.life}, rand.Float64())
}

const tooShortHint = "--duration asks for longer sessions; or lower --min-ttl"

// roughly is a life as it was asked for: what it lost on its way does not count.
func roughly(life time.Duration) time.Duration {
	if life >= 10*time.Minute {
		return life.Round(time.Minute)
	}
	return life.Round(time.Second)
}

// tooShort handles a first set with less life than MinTTL: another one may come.
func (s *schedule) tooShort(p *profile, left time.Duration, now time.Time) {
	err := &Error{
		Err: fmt.Errorf("credentials have %v left, less than the minimum of %v",
			left.Round(time.Second), s.opts.MinTTL),
		Hint: tooShortHint,
	}
	s.fail(p, err, now, now.Add(s.opts.Policy.reask(left, rand.Float64())))
}

// failed handles an answer that is of no use.
func (s *schedule) failed(p *profile, err error, now time.Time) error {
	permanent := isPermanent(err)
	if permanent && p.current == nil {
		return s.about(p, err)
	}
	if permanent != p.permanent {
		p.streak = 0
	}
	p.permanent = permanent
	p.streak++
	s.fail(p, err, now, s.opts.Policy.next(now, outcome{expires: p.expires(), life: p.life, failures: p.streak, permanent: permanent}, rand.Float64()))
	return nil
}

func (s *schedule) fail(p *profile, err error, now, next time.Time) {
	p.failures++
	if late := s.ready != nil && !s.mono.Before(s.startBy); !late || p.lastErr == nil || !errors.Is(err, context.DeadlineExceeded) {
		p.lastErr = err // else it is we who ended that call, and what came before says more
	}
	p.due = next
	e := Event{
		Kind: Failed, Profile: p.Name, Attempt: p.failures, Err: err,
		Permanent: p.permanent, First: p.permanent && !p.loud,
	}
	p.loud = p.loud || p.permanent
	if p.current == nil {
		if limit := now.Add(startRetry); p.due.After(limit) {
			p.due = limit
		}
	} else {
		e.KeyID, e.Expires = p.current.keyID(), p.current.creds.Expires
	}
	e.Next = p.due
	s.notify(e)
}

// expires is the end of the newest set, zero if there is none.
func (p *profile) expires() time.Time {
	if p.current == nil {
		return time.Time{}
	}
	return p.current.creds.Expires
}

func isPermanent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Permanent
}

// noteSkew tells of a skew that is large, or no longer is: once for each profile,
// and once for all that agree, since it is the local clock most of the time.
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
	s.notify(Event{Kind: Skewed, Profile: p.Name, Skew: skew})
}
