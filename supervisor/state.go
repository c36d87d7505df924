package supervisor

import (
	"fmt"
	"time"
)

// state is that of the one child.
type state int

const (
	waiting   state = iota // nothing started yet: not ready
	running                // the child runs
	suspended              // the child is stopped by a signal (Ctrl-Z)
	stopping               // we sent the stop signal, the grace period runs
	killing                // the grace period is over, we sent SIGKILL
	backoff                // the child ended and will be started again
	done                   // the child ended for good, or there never was one
)

func (s state) String() string {
	return [...]string{"waiting", "running", "suspended", "stopping", "killing", "backoff", "done"}[s]
}

// child is the state machine of the package comment. It has one method per event; each
// checks that the event is possible, and moves to the next state. It does
// nothing itself: what has to be done is what the method returns. It is not safe
// for concurrent use.
type child struct {
	state   state
	again   bool // to be started again once it has ended: a restart was asked for
	final   bool // not to be started again whatever the policy says
	stopped bool // we were asked to end it for good
	restart Restart
	streak  int       // restarts by the policy since the last good run
	started time.Time // the last time; zero: never
}

func (c *child) impossible(event string) error {
	return fmt.Errorf("internal error: %s in state %s", event, c.state)
}

// start is the event that the child was started.
func (c *child) start(now time.Time) error {
	if c.state != waiting && c.state != backoff {
		return c.impossible("start")
	}
	c.state, c.again, c.started = running, false, now
	return nil
}

// abandon is the event that there will be no child (again): it could not be
// started, or the end came while there was none.
func (c *child) abandon() error {
	if c.state != waiting && c.state != backoff {
		return c.impossible("abandon")
	}
	c.state, c.final = done, true
	return nil
}

// wasStarted reports whether there ever was a child.
func (c *child) wasStarted() bool { return !c.started.IsZero() }

// suspend is the event that a signal stopped the child. A child that is being
// stopped by us may well be suspended too; the grace period goes on.
func (c *child) suspend() error {
	switch c.state {
	case running, suspended:
		c.state = suspended
	case stopping, killing:
	default:
		return c.impossible("suspend")
	}
	return nil
}

// resume is the event that a suspended child goes on.
func (c *child) resume() error {
	switch c.state {
	case running, suspended:
		c.state = running
	case stopping, killing:
	default:
		return c.impossible("resume")
	}
	return nil
}

// stop is the event that we want the child to end; with again set it is to be
// started anew after that. It reports whether the stop signal has to be sent (and
// the grace period started): not if that was done already.
func (c *child) stop(again bool) (send bool, err error) {
	switch c.state {
	case running, suspended:
		c.state, c.again = stopping, again
		c.final = c.final || !again
		return true, nil
	case stopping, killing:
		c.final = c.final || !again
		return false, nil
	case waiting, backoff, done:
	}
	return false, c.impossible("stop")
}

// markFinal is the event that someone else told the child to end (TERM or INT was
// forwarded, or typed). We don't press it, but it won't be started again.
func (c *child) markFinal() { c.final = true }

// graceElapsed is the event that the child did not end in time, or that someone
// lost patience.
func (c *child) graceElapsed() error {
	if c.state != stopping {
		return c.impossible("end of the grace period")
	}
	c.state = killing
	return nil
}

// exit is the event that the child ended. It reports whether the child is to be
// started again, and after how long.
func (c *child) exit(now time.Time, failed bool) (again bool, after time.Duration, err error) {
	switch c.state {
	case running, suspended, stopping, killing:
	default:
		return false, 0, c.impossible("exit")
	}
	c.state = done
	if c.final {
		return false, 0, nil
	}
	if c.again {
		c.state = backoff
		return true, 0, nil
	}
	after, c.streak, again = c.restart.next(c.streak, now.Sub(c.started), failed)
	if again {
		c.state = backoff
	}
	return again, after, nil
}
