package refresh

import "time"

const (
	// minMargin is the life that must be left where sessions allow it: boto3
	// starts to refresh at 15 minutes left and raises under 10, s3fs asks at 20,
	// the CRT reads again every 15.
	minMargin = 30 * time.Minute

	// shortLife is the life under which half of it no longer covers all of them.
	shortLife = 40 * time.Minute

	// A set that is due but did not change is asked for again after a tenth of
	// the margin, within these.
	minReask, maxReask = time.Second, time.Minute

	// staticReask is for sets that do not expire.
	staticReask = time.Hour

	// minLife is what a schedule can keep up with. Sets that live shorter are
	// asked for at the pace of minReask, whatever becomes of them.
	minLife = time.Second

	// minWait is the floor of every wait that chance makes short.
	minWait = 100 * time.Millisecond

	// Transient failures: STS and the metadata services recover in seconds.
	minBackoff, maxBackoff = time.Second, time.Minute

	// Permanent ones wait for a person, or for IAM to become consistent.
	minSlowBackoff, maxSlowBackoff = time.Minute, 5 * time.Minute

	// While the set that is held comes to its end, no wait is longer than a third of
	// what is left, so that several tries come before the end. These are the floors.
	lastTries                      = 3
	minLastBackoff, minLastSlowOne = time.Second, 5 * time.Second

	// Deliveries are local and cheap to try, and a full disk is often emptied.
	maxDeliveryBackoff = 15 * time.Second
)

// Policy says when to ask a source. It is pure: time and chance are arguments.
type Policy struct {
	// Before is how long before its expiry a set is replaced, at most half of its
	// life. 0 means min(life/2, max(30m, life/4)).
	Before time.Duration
}

// Margin returns how long before its expiry a set that lives for life is
// replaced at the latest, as long as the source answers.
func (p Policy) Margin(life time.Duration) time.Duration {
	switch {
	case life <= 0:
		return 0
	case p.Before > 0:
		return min(p.Before, life/2)
	}
	return min(life/2, max(minMargin, life/4))
}

// outcome is what the next wait of a profile depends on.
type outcome struct {
	expires   time.Time     // of the set that is held, on the local clock; zero: none, or it does not expire
	life      time.Duration // what it had left when it was first seen
	failures  int           // in a row, of the same class; 0: the source answered
	permanent bool          // the class
}

// hurry shortens a wait while the end of what is held comes near. One that would
// be shorter than floor is left alone: so close to the end a try is no use.
func (o outcome) hurry(now time.Time, wait, floor time.Duration) time.Duration {
	left := o.expires.Sub(now)
	if o.expires.IsZero() || left <= floor {
		return wait
	}
	return min(wait, max(left/lastTries, floor))
}

// next returns when to ask again, always after now. After a success that is
// expiry − margin − jitter, never later than expiry − margin; if that is over,
// the set is one that the source would not replace yet. rnd is in [0, 1).
func (p Policy) next(now time.Time, o outcome, rnd float64) time.Time {
	m := p.Margin(o.life)
	switch {
	case o.failures > 0 && o.permanent:
		return now.Add(slowBackoff(o.failures, o.hurry(now, maxSlowBackoff, minLastSlowOne), rnd))
	case o.failures > 0:
		return now.Add(backoff(o.failures, o.hurry(now, p.maxBackoff(o.life), minLastBackoff), rnd))
	case o.expires.IsZero():
		return now.Add(staticReask - scale(staticReask/10, rnd))
	}
	deadline := o.expires.Add(-m)
	if o.life < minLife || !deadline.After(now) {
		return now.Add(o.hurry(now, p.reask(o.life, rnd), minReask))
	}
	// Earlier only, so that many profiles that started together part ways; at
	// most half of the time that there is, for margins of nearly a whole life.
	jitter := scale(min(m/10, (o.life-m)/2), rnd)
	// A set that was asked for early and did not change gets no second jitter.
	if early := deadline.Add(-jitter); early.After(now.Add(p.reask(o.life, 0))) {
		return early
	}
	return deadline
}

// reask returns the wait for another set than one that should be replaced by now.
func (p Policy) reask(life time.Duration, rnd float64) time.Duration {
	w := min(max(p.Margin(life)/10, minReask), maxReask)
	return max(w-scale(w/10, rnd), minReask)
}

// maxBackoff keeps the wait within the margin, so that an outage that ends is
// noticed before sessions of seconds do.
func (p Policy) maxBackoff(life time.Duration) time.Duration {
	if life <= 0 {
		return maxBackoff
	}
	return min(max(p.Margin(life), minBackoff), maxBackoff)
}

// backoff doubles from minBackoff to limit, with full jitter: profiles that fail
// together must not come back together.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
func backoff(failures int, limit time.Duration, rnd float64) time.Duration {
	return minWait + scale(double(minBackoff, limit, failures)-minWait, rnd)
}

// slowBackoff doubles from one minute to limit, with jitter in the upper half.
func slowBackoff(failures int, limit time.Duration, rnd float64) time.Duration {
	d := double(minSlowBackoff, limit, failures)
	return d/2 + scale(d/2, rnd)
}

func double(d, limit time.Duration, n int) time.Duration {
	for ; n > 1 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}

func scale(d time.Duration, rnd float64) time.Duration {
	return time.Duration(float64(d) * rnd)
}
