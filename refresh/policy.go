package refresh

import (
	"math"
	"time"
)

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

	// Transient failures: STS and the metadata services recover in seconds. In a crowd of
	// profiles that fail each waits longer, up to maxPatience.
	minBackoff, maxBackoff, maxPatience = time.Second, time.Minute, 5 * time.Minute

	// clientsNeed is what must remain for clients to be content, see minMargin.
	clientsNeed = 15 * time.Minute

	// minSpread is the shortest lifetime whose first refreshes are spread: STS gives no
	// shorter sessions, so what lives shorter comes from this machine or a test.
	minSpread = 15 * time.Minute

	// maxSpread is how much earlier the first refresh of a single profile may be.
	maxSpread = 15 * time.Minute

	// maxGather bounds how long credentials of one profile wait for those of others.
	maxGather = 2 * time.Minute

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
	failing   int           // profiles of this process that fail now
	profiles  int           // of this process
	spread    int           // rounds in which the profile is still to find its phase, see Policy.early
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

// spreadRounds is in how many refreshes a profile finds its phase.
const spreadRounds = 2

// next returns when to retrieve again, always after now. After a success that is
// expiry − margin − what early says, never later than expiry − margin; if that has passed,
// the source would not replace the credentials yet. rnd is in [0, 1).
func (p Policy) next(now time.Time, o outcome, rnd float64) time.Time {
	m := p.Margin(o.lifetime)
	switch {
	case o.failures > 0 && o.permanent:
		return now.Add(slowBackoff(o.failures, o.capNearExpiry(now, maxSlowBackoff, minLastSlowOne), rnd))
	case o.failures > 0:
		n := o.crowd(now)
		return now.Add(backoff(o.failures, n, o.capNearExpiry(now, p.maxBackoff(o.lifetime, n), minLastBackoff), rnd))
	case o.expires.IsZero():
		return now.Add(staticInterval - scale(staticInterval/10, rnd))
	}
	deadline := o.expires.Add(-m)
	if o.lifetime < minLifetime || !deadline.After(now) {
		return now.Add(o.capNearExpiry(now, p.pollInterval(o.lifetime, rnd), minPoll))
	}
	// Credentials that were retrieved early and did not change get no second jitter.
	if early := deadline.Add(-p.early(o, deadline.Sub(now), rnd)); early.After(now.Add(p.pollInterval(o.lifetime, 0))) {
		return early
	}
	return deadline
}

// early returns how much earlier than the deadline, which is room away, a refresh is due.
//
// Each has a jitter of a tenth of the margin, but at most half of the time that there is,
// for margins of nearly a whole lifetime. It is small, because each refresh that is
// early makes for more of them, and so it would take a day until profiles that started in
// the same minute, on all hosts of a fleet, part ways. Therefore the first refresh is anywhere in
// the second half of the room, and the next one, with a chance of one half, as much earlier as
// it could have been: together they are anywhere in a whole round, no wait was shorter than
// half of it, and from then on each profile keeps its phase. It is at most maxSpread for a
// single profile, whose command may be restarted for it.
//
// Of several profiles each is some more early, because its delivery may wait for others.
func (p Policy) early(o outcome, room time.Duration, rnd float64) time.Duration {
	m := p.Margin(o.lifetime)
	jitter := min(m/10, (o.lifetime-m)/2)
	gather := time.Duration(0)
	if o.profiles > 1 {
		gather = min(gatherTime(m), jitter*2/3)
	}
	early := gather + scale(jitter-gather, rnd)
	if o.spread == 0 || o.lifetime < minSpread {
		return early
	}
	window := (room - gather) / 2
	if o.profiles <= 1 {
		window = min(window, max(maxSpread, jitter))
	}
	if o.spread >= spreadRounds {
		return gather + scale(window, rnd)
	}
	early = gather + scale(jitter-gather, math.Mod(2*rnd, 1)) // the same chance is used twice
	if rnd >= 0.5 {
		early += window
	}
	return early
}

// gatherTime is how long the delivery of new credentials may wait for those of other
// profiles, while what is held of the profile lasts for left.
func gatherTime(left time.Duration) time.Duration { return min(left/15, maxGather) }

// pollInterval returns the wait for other credentials than those that should be replaced
// by now.
func (p Policy) pollInterval(lifetime time.Duration, rnd float64) time.Duration {
	w := min(max(p.Margin(lifetime)/10, minPoll), maxPoll)
	return max(w-scale(w/10, rnd), minPoll)
}

// crowd is how many times longer than a single one a profile waits, because others of this
// process fail as well: the first that recovers is a sign for all. Only a tenth counts
// once clients need other credentials.
func (o outcome) crowd(now time.Time) int {
	if o.expires.Sub(now) > clientsNeed {
		return max(o.failing, 1)
	}
	return max(o.failing/10, 1)
}

// maxBackoff is the longest wait in a crowd of n. It is within the margin, so that the end of
// an outage is noticed before credentials of seconds expire.
func (p Policy) maxBackoff(lifetime time.Duration, n int) time.Duration {
	limit := min(times(maxBackoff, n), maxPatience)
	if lifetime <= 0 {
		return limit
	}
	return min(max(p.Margin(lifetime), minBackoff), limit)
}

func times(d time.Duration, n int) time.Duration { return d * time.Duration(min(max(n, 1), 1000)) }

// afterOutage returns when a profile that has failed is to be retrieved at the latest, once
// another of this process has recovered: within a minute, and later only while its clients are
// content. All hosts of a fleet notice the end of an outage at the same time.
func (p Policy) afterOutage(now time.Time, o outcome, rnd float64) time.Time {
	window := min(max((o.expires.Sub(now)-clientsNeed)/2, maxBackoff), maxPatience)
	return now.Add(minWait + scale(window-minWait, rnd))
}

// backoff doubles from minBackoff for each of a crowd of n to limit, with full jitter: profiles that
// fail together must not retry together.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
func backoff(failures, n int, limit time.Duration, rnd float64) time.Duration {
	return minWait + scale(double(times(minBackoff, n), limit, failures)-minWait, rnd)
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
