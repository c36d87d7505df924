package supervisor

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every event in every state: where it leads, or that it is impossible.
func TestChildStates(t *testing.T) {
	all := []state{waiting, running, suspended, stopping, killing, backoff, done}
	events := map[string]func(*child) error{
		"start":   func(c *child) error { return c.start(time.Time{}) },
		"abandon": func(c *child) error { return c.abandon() },
		"suspend": func(c *child) error { return c.suspend() },
		"resume":  func(c *child) error { return c.resume() },
		"stop":    func(c *child) error { _, err := c.stop(false); return err },
		"renew":   func(c *child) error { _, err := c.stop(true); return err },
		"grace":   func(c *child) error { return c.graceElapsed() },
		"exit":    func(c *child) error { _, _, err := c.exit(time.Time{}, false); return err },
	}
	want := map[string]string{ // waiting running suspended stopping killing backoff done
		"start":   "running - - - - running -",
		"abandon": "done - - - - done -",
		"suspend": "- suspended suspended stopping killing - -",
		"resume":  "- running running stopping killing - -",
		"stop":    "- stopping stopping stopping killing - -",
		"renew":   "- stopping stopping stopping killing - -",
		"grace":   "- - - killing - - -",
		"exit":    "- done done done done - -",
	}
	for name, event := range events {
		var got []string
		for _, from := range all {
			c := child{state: from}
			if err := event(&c); err != nil {
				if c.state != from || !strings.HasPrefix(err.Error(), "internal error: ") || !strings.HasSuffix(err.Error(), " in state "+from.String()) {
					t.Errorf("%s in %v: now %v, %v", name, from, c.state, err)
				}
				got = append(got, "-")
				continue
			}
			got = append(got, c.state.String())
		}
		if diff := cmp.Diff(want[name], strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatFollowsAnExit(t *testing.T) {
	always := Restart{Policy: RestartAlways, Delay: time.Second}
	for _, tt := range []struct {
		name    string
		restart Restart
		given   func(*child)
		failed  bool
		want    state
		after   time.Duration
	}{
		{name: "never", want: done, failed: true},
		{name: "always", restart: always, want: backoff, after: time.Second},
		{name: "always, stopped for good", restart: always, given: func(c *child) { c.stop(false) }, want: done},
		{name: "always, told to end by someone else", restart: always, given: func(c *child) { c.markFinal() }, want: done},
		{name: "never, restart asked for", given: func(c *child) { c.stop(true) }, want: backoff},
		{name: "restart asked for, then stopped for good", given: func(c *child) { c.stop(true); c.stop(false) }, want: done},
		{name: "stopped for good, then restart asked for", given: func(c *child) { c.stop(false); c.stop(true) }, want: done},
		{name: "restart asked for, did not end in time", given: func(c *child) { c.stop(true); c.graceElapsed() }, failed: true, want: backoff},
		{name: "on failure, good", restart: Restart{Policy: RestartOnFailure}, want: done},
		{name: "on failure, bad", restart: Restart{Policy: RestartOnFailure}, failed: true, want: backoff, after: defaultDelay},
	} {
		c := child{state: running, restart: tt.restart}
		if tt.given != nil {
			tt.given(&c)
		}
		again, after, err := c.exit(time.Time{}, tt.failed)
		if err != nil || c.state != tt.want || again != (tt.want == backoff) || after != tt.after {
			t.Errorf("%s: state %v, again %v after %v, %v, want %v after %v", tt.name, c.state, again, after, err, tt.want, tt.after)
		}
	}
}

func TestRestartDelays(t *testing.T) {
	r := Restart{Policy: RestartOnFailure, Max: 6, Delay: time.Second, DelayMax: 10 * time.Second, GoodRun: time.Minute}
	streak := 0
	var got []time.Duration
	for {
		after, next, again := r.next(streak, time.Second, true)
		if !again {
			break
		}
		got, streak = append(got, after), next
	}
	want := []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	if after, next, again := r.next(streak, time.Minute, true); !again || after != time.Second || next != 1 {
		t.Errorf("after a good run: %v, %d, %v, want 1s, 1, true", after, next, again)
	}
	if _, _, again := r.next(0, time.Second, false); again {
		t.Error("a success is restarted under on-failure")
	}
	if after, _, again := (Restart{Policy: RestartAlways}).next(1000, 0, false); !again || after != defaultDelayMax {
		t.Errorf("after 1000 restarts: %v, %v, want %v, true", after, again, defaultDelayMax)
	}
}
