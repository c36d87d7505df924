package refresh

import "time"

const (
	// minMargin is what must remain where lifetimes allow it: boto3 starts to refresh
	// when 15 minutes remain and raises under 10, s3fs refreshes at 20, the CRT reads
	// again every 15.
	minMargin = 30 * time.Minute

	// shortLifetime is the one of which half no longer covers all of them.
	shortLifetime = 40 * time.Minute

	// Credentials that are due but did not change are retrieved again after a tenth of
	// the margin, within these.
	minPoll, maxPoll = time.Second, time.Minute

	// staticInterval is for credentials that do not expire.
	staticInterval = time.Hour

	// minLifetime is what a schedule can keep up with. Shorter-lived credentials are
	// retrieved at the pace of minPoll, whatever becomes of them.
	minLifetime = time.Second

	// minWait is the floor of every wait that chance makes short.
	minWait = 100 * time.Millisecond

	// Transient failures: STS and the metadata services recover in seconds.
	minBackoff, maxBackoff = time.Second, time.Minute

	// Permanent ones wait for a person, or for IAM to become consistent.
	minSlowBackoff, maxSlowBackoff = time.Minute, 5 * time.Minute

	// While the credentials that are held near their expiry, no wait is longer than a third
	// of what remains, so that several retries come before it. These are the floors.
	lastTries                      = 3
	minLastBackoff, minLastSlowOne = time.Second, 5 * time.Second

	// Deliveries are local and cheap to try, and a full disk is often emptied.
	maxDeliveryBackoff = 15 * time.Second
)

// Policy says when to retrieve. It is pure: time and chance are arguments.
type Policy struct {
	// Before is how long before their expiry credentials are replaced, at most half of
	// their lifetime. 0 means min(lifetime/2, max(30m, lifetime/4)).
	Before time.Duration
}

// Margin returns how long before their expiry credentials of that lifetime are
// replaced at the latest, as long as the source gives others.
func (p Policy) Margin(lifetime time.Duration) time.Duration {
	switch {
	case lifetime <= 0:
		return 0
	case p.Before > 0:
		return min(p.Before, lifetime/2)
	}
	return min(lifetime/2, max(minMargin, lifetime/4))
}

// outcome is what the next wait of a profile depends on.
type outcome struct {
	expires   time.Time     // of what is held, on the local clock; zero: nothing is, or it does not expire
	lifetime  time.Duration // what remained when it was retrieved
	failures  int           // in a row, of the same class; 0: a success
	permanent bool          // the class
}

// capNearExpiry shortens a wait while the expiry of what is held comes near. One that
// would be shorter than floor is left alone: so close to it a retry is no use.
func (o outcome) capNearExpiry(now time.Time, wait, floor time.Duration) time.Duration {
	left := o.expires.Sub(now)
	if o.expires.IsZero() || left <= floor {
		return wait
	}
	return min(wait, max(left/lastTries, floor))
}

// next returns when to retrieve again, always after now. After a success that is
// expiry − margin − jitter, never later than expiry − margin; if that has passed, the
// source would not replace the credentials yet. rnd is in [0, 1).
func (p Policy) next(now time.Time, o outcome, rnd float64) time.Time {
	m := p.Margin(o.lifetime)
	switch {
	case o.failures > 0 && o.permanent:
		return now.Add(slowBackoff(o.failures, o.capNearExpiry(now, maxSlowBackoff, minLastSlowOne), rnd))
	case o.failures > 0:
		return now.Add(backoff(o.failures, o.capNearExpiry(now, p.maxBackoff(o.lifetime), minLastBackoff), rnd))
	case o.expires.IsZero():
		return now.Add(staticInterval - scale(staticInterval/10, rnd))
	}
	deadline := o.expires.Add(-m)
	if o.lifetime < minLifetime || !deadline.After(now) {
		return now.Add(o.capNearExpiry(now, p.pollInterval(o.lifetime, rnd), minPoll))
	}
	// Earlier only, so that many profiles that started together part ways; at
	// most half of the time that there is, for margins of nearly a whole lifetime.
	jitter := scale(min(m/10, (o.lifetime-m)/2), rnd)
	// Credentials that were retrieved early and did not change get no second jitter.
	if early := deadline.Add(-jitter); early.After(now.Add(p.pollInterval(o.lifetime, 0))) {
		return early
	}
	return deadline
}

// pollInterval returns the wait for other credentials than those that should be replaced
// by now.
func (p Policy) pollInterval(lifetime time.Duration, rnd float64) time.Duration {
	w := min(max(p.Margin(lifetime)/10, minPoll), maxPoll)
	return max(w-scale(w/10, rnd), minPoll)
}

// maxBackoff keeps the wait within the margin, so that the end of an outage is
// noticed before credentials of seconds expire.
func (p Policy) maxBackoff(lifetime time.Duration) time.Duration {
	if lifetime <= 0 {
		return maxBackoff
	}
	return min(max(p.Margin(lifetime), minBackoff), maxBackoff)
}

// backoff doubles from minBackoff to limit, with full jitter: profiles that fail
// together must not retry together.
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
