package refresh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

// TestSameCredentials is a source that does not rotate: it gives the same credentials until they
// expire, and beyond.
func TestSameCredentials(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		end := w.true().Add(6 * time.Hour) // margin 90 minutes
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{
			world: w, edit: func(_ int, c aws.Credentials) aws.Credentials {
				c.AccessKeyID, c.SessionToken, c.Expires = "ASIASAMESAMESAMESAME", "t", end
				return c
			},
		})})
		pass(6*time.Hour - time.Second)
		r.count(Expired, 0)
		pass(time.Second)
		r.count(Expired, 1)
		pass(2 * time.Hour)
		r.count(Expired, 1)
		r.count(Refreshed, 1)
		r.count(Failed, 0)
		// Once, then each minute for 90 minutes and two hours, up to 10 % earlier, and
		// ten times more in the last minutes.
		if got := int(w.asked.Load()); got < 210 || got > 210*112/100+12 {
			t.Errorf("asked %d times, want 221 and up to a tenth more", got)
		}
		if got := s.calls(); len(got) != 1 {
			t.Errorf("delivered %d times, want once", len(got))
		}
		for i, e := range r.seen(Unchanged) {
			if e.Time.Before(end.Add(-90 * time.Minute)) {
				if e.Next.After(end.Add(-90 * time.Minute)) {
					t.Errorf("answer %d, before the deadline, is asked again after it, at %v", i, e.Next)
				}
				continue
			}
			least := 54 * time.Second
			if left := end.Sub(e.Time); left > 0 {
				least = min(least, max(left/lastTries, minPoll))
			}
			if wait := e.Next.Sub(e.Time); wait < least || wait > time.Minute {
				t.Fatalf("answer %d is asked again after %v, want 54s to 1m", i, wait)
			}
		}
	})
}

// TestExtended: the same keys with a later expiry are new credentials, since clients have
// to learn of the end.
func TestExtended(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{
			world: w, life: time.Hour, edit: func(_ int, c aws.Credentials) aws.Credentials {
				c.AccessKeyID, c.SessionToken = "ASIASAMESAMESAMESAME", "t"
				return c
			},
		})})
		pass(2 * time.Hour)
		if left := s.get("a").Expires.Sub(w.local()); left < 29*time.Minute {
			t.Errorf("readers see %v left", left)
		}
		r.count(Unchanged, 0)
		r.count(Expired, 0)
	})
}

// TestOtherToken: the same keys with another token are new credentials.
func TestOtherToken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		end := w.true().Add(time.Hour)
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{
			world: w, edit: func(call int, c aws.Credentials) aws.Credentials {
				c.AccessKeyID, c.SessionToken, c.Expires = "ASIASAMESAMESAMESAME", fmt.Sprint("t", min(call, 2)), end
				return c
			},
		})})
		pass(40 * time.Minute)
		r.count(Refreshed, 2)
		if got := s.get("a").SessionToken; got != "t2" {
			t.Errorf("delivered the token %q, want t2", got)
		}
	})
}

// TestSameSetAfterFailures: any answer ends a streak.
func TestSameSetAfterFailures(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		end := w.true().Add(time.Hour)
		r := launch(t, w, Options{Deliveries: []Delivery{&shelf{}}, Profiles: one(&issuer{
			world: w, life: time.Hour,
			fail: func(call int) error {
				switch call {
				case 2, 3, 4, 6:
					return errTransient
				}
				return nil
			},
			edit: func(_ int, c aws.Credentials) aws.Credentials {
				c.AccessKeyID, c.SessionToken, c.Expires = "ASIASAMESAMESAMESAME", "t", end
				return c
			},
		})})
		pass(40 * time.Minute)
		var got []string
		for _, e := range append(r.seen(Failed), r.seen(Unchanged)[:3]...) {
			got = append(got, fmt.Sprint(e.Kind, e.Attempt))
		}
		want := []string{"refresh failed 1", "refresh failed 2", "refresh failed 3", "refresh failed 1", "unchanged 3", "unchanged 1", "unchanged 0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

// TestRotationLate is the metadata services' way: the same credentials until shortly
// before its end, then another.
func TestRotationLate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		begin := w.true()
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{
			world: w, edit: func(_ int, c aws.Credentials) aws.Credentials {
				k := w.true().Sub(begin) / (350 * time.Minute) // six hours, ten minutes before the end
				c.AccessKeyID, c.SessionToken = fmt.Sprintf("ASIASAMESAMESAME%04d", k), "t"
				c.Expires = begin.Add(k*350*time.Minute + 6*time.Hour)
				return c
			},
		})})
		for range 24 * 60 {
			pass(time.Minute)
			if left := s.get("a").Expires.Sub(w.local()); left < 9*time.Minute {
				t.Fatalf("holds credentials with %v left, want those of the source within a minute", left)
			}
		}
		r.count(Expired, 0)
		r.count(Failed, 0)
		r.count(Refreshed, 5)
	})
}

func TestStatic(t *testing.T) {
	tests := []struct {
		name string
		edit func(c *aws.Credentials)
	}{
		{"no expiry", func(c *aws.Credentials) { c.CanExpire, c.Expires = false, time.Time{} }},
		{"an expiry that does not count", func(c *aws.Credentials) { c.CanExpire = false }},
		{"zero expiry", func(c *aws.Credentials) { c.Expires = time.Time{} }},
		{"no token", func(c *aws.Credentials) { c.CanExpire, c.SessionToken = false, "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				s := &shelf{}
				r := launch(t, w, Options{Deliveries: []Delivery{s}, MinTTL: time.Hour, Profiles: one(&issuer{
					world: w, life: time.Minute, edit: func(call int, c aws.Credentials) aws.Credentials {
						c.AccessKeyID, c.SessionToken = "AKIAFIRSTFIRSTFIRST1", "t"
						if call > 10 {
							c.AccessKeyID = "AKIAOTHEROTHEROTHER2" // somebody replaced the keys
						}
						tt.edit(&c)
						return c
					},
				})})
				if !r.isReady() {
					t.Fatal("not ready")
				}
				if c := s.get("a"); c.CanExpire || !c.Expires.IsZero() {
					t.Errorf("delivered with CanExpire %v, Expires %v, want neither", c.CanExpire, c.Expires)
				}
				pass(8 * time.Hour)
				if got := w.asked.Load(); got < 9 || got > 10 {
					t.Errorf("asked %d times in 8 hours, want once an hour", got)
				}
				r.count(Refreshed, 1)
				pass(3 * time.Hour)
				r.count(Refreshed, 2)
				r.count(Static, 1)
				r.count(Expired, 0)
				r.count(Short, 0)
				r.count(Failed, 0)
			})
		})
	}
}

func TestShort(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := launch(t, w, Options{Profiles: []Profile{
			{"short", &issuer{world: w, life: 40*time.Minute - time.Second}},
			{"enough", &issuer{world: w, life: 40 * time.Minute}},
		}})
		pass(3 * time.Hour)
		es := r.seen(Short)
		if len(es) != 1 || es[0].Profile != "short" || es[0].Life != 40*time.Minute-time.Second {
			t.Errorf("events %v, want one, of short, with its life", es)
		}
	})
}

// TestPermanent: somebody's MFA session ends while it runs.
func TestPermanent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		denied := &Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "log in"}
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{world: w, life: time.Hour, fail: func(call int) error {
			switch {
			case call == 1 || call == 20:
				return nil
			case call == 2 || call == 3 || call == 10:
				return errTransient
			case call < 30:
				return fmt.Errorf("assume role: %w", denied)
			}
			return nil
		}})})
		pass(4 * time.Hour)
		firsts := 0
		for i, e := range r.seen(Failed) {
			if want := errors.Is(e.Err, denied); e.Permanent != want {
				t.Errorf("failure %d: permanent %v, want %v", i, e.Permanent, want)
			}
			if e.First {
				firsts++
				if e.Attempt != 3 && e.Attempt != 1 {
					t.Errorf("the loud failure has attempt %d, want 3 in the first streak and 1 in the second", e.Attempt)
				}
			}
			wait := e.Next.Sub(e.Time)
			least := minSlowBackoff / 2
			if left := e.Expires.Sub(e.Time); left > 0 && left < lastTries*minSlowBackoff {
				least = minLastSlowOne / 2
			}
			if e.Permanent && (wait < least || wait > maxSlowBackoff) {
				t.Errorf("failure %d is retried after %v, want %v to 5m", i, wait, least)
			}
			if !e.Permanent && wait > 2*time.Second {
				t.Errorf("transient failure %d is retried after %v, want 2s at most", i, wait)
			}
		}
		if firsts != 2 {
			t.Errorf("%d loud failures, want one for each of 2 streaks", firsts)
		}
		var attempts []int
		for _, e := range r.seen(Refreshed)[:3] {
			attempts = append(attempts, e.Attempt)
		}
		if want := []int{0, 18, 9}; fmt.Sprint(attempts) != fmt.Sprint(want) {
			t.Errorf("refreshes have attempts %v, want %v", attempts, want)
		}
	})
}

// TestTriesBeforeTheEnd: a source that works again shortly before the expiry of the
// credentials that are held is called in time.
func TestTriesBeforeTheEnd(t *testing.T) {
	denied := &Error{Err: errors.New("AccessDenied"), Permanent: true}
	for _, tt := range []struct {
		name  string
		fail  error
		left  time.Duration // of the life, when it works again
		least time.Duration // between two tries
	}{
		{"transient", errTransient, 5 * time.Second, minWait},
		{"refused", denied, 15 * time.Second, minLastSlowOne / 2},
	} {
		for _, life := range []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 12 * time.Hour} {
			t.Run(fmt.Sprint(tt.name, " ", life), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					end := w.true().Add(life)
					r := launch(t, w, Options{Deliveries: []Delivery{&shelf{}}, Profiles: one(&issuer{world: w, life: life, fail: func(call int) error {
						if call == 1 || w.true().After(end.Add(-tt.left)) {
							return nil
						}
						return tt.fail
					}})})
					pass(life)
					r.count(Expired, 0)
					r.count(Refreshed, 2)
					failed := r.seen(Failed)
					for i, e := range failed {
						if wait := e.Next.Sub(e.Time); wait < tt.least {
							t.Errorf("try %d comes %v after the one before, want at least %v", i, wait, tt.least)
						}
					}
					last := 0
					for _, e := range failed {
						if e.Time.After(end.Add(-time.Minute)) {
							last++
						}
					}
					if last < 2 || last > 60 {
						t.Errorf("%d tries failed in the last minute, want 2 to 60", last)
					}
				})
			})
		}
	}
}

// TestWorse: what a source gives later may be of no use. The good credentials stay.
func TestWorse(t *testing.T) {
	tests := []struct {
		name string
		edit func(w *world, c *aws.Credentials)
		want string
	}{
		{"no keys", func(_ *world, c *aws.Credentials) { *c = aws.Credentials{} }, "no keys"},
		{"no secret", func(_ *world, c *aws.Credentials) { c.SecretAccessKey = "" }, "no keys"},
		{"over", func(w *world, c *aws.Credentials) { c.Expires = w.true().Add(-time.Minute) }, "expired at"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				s := &shelf{}
				r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{world: w, life: time.Hour, edit: func(call int, c aws.Credentials) aws.Credentials {
					if call > 1 {
						tt.edit(w, &c)
					}
					return c
				}})})
				pass(time.Minute)
				first := s.get("a")
				pass(2 * time.Hour)
				if s.get("a") != first {
					t.Error("the good credentials were replaced")
				}
				es := r.seen(Failed)
				if len(es) < 5 || !strings.Contains(es[0].Err.Error(), tt.want) {
					t.Errorf("events %v, want failures that say %q", es, tt.want)
				}
				if overs := tt.want == "expired at"; len(es) > 0 && es[0].Permanent == overs {
					t.Errorf("permanent is %v, but the source may soon have another", es[0].Permanent)
				}
				r.count(Expired, 1)
			})
		})
	}
}

// TestPanic: a bug in a source is a failure of that profile.
func TestPanic(t *testing.T) {
	const secret = "verysecret"
	for _, v := range []any{secret, errors.New(secret), nil} {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				fail := func(int) error {
					if v == nil {
						var none []int
						_ = none[len(secret)]
					}
					panic(v)
				}
				later := func(call int) error {
					if call == 1 {
						return nil
					}
					return fail(call)
				}
				s := &shelf{}
				r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: []Profile{
					{"a", &issuer{world: w, life: time.Hour, fail: later}}, {"b", &issuer{world: w, life: time.Hour}},
				}})
				pass(2 * time.Hour)
				es := r.seen(Failed)
				if len(es) == 0 {
					t.Fatal("no failure")
				}
				if text := es[0].Err.Error(); !strings.Contains(text, "TestPanic") || strings.Contains(text, secret) || !es[0].First {
					t.Errorf("failure %+v, want a loud one that names the place, and not the value", es[0])
				}
				if left := s.get("b").Expires.Sub(w.local()); left < 29*time.Minute {
					t.Errorf("the other profile has %v left", left)
				}
				err := launch(t, w, Options{Profiles: one(&issuer{world: w, fail: fail})}).wait()
				if err == nil || strings.Contains(err.Error(), secret) {
					t.Errorf("Run with a source that panics at the start = %v, want an error", err)
				}
			})
		})
	}
}

// TestBlackHole: a source hangs. Those that listen to their context fail after the
// limit; the others can't, but are given up on. No worker is lost.
func TestBlackHole(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprint("deaf ", deaf), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				const n = 4
				begin, release := time.Now(), make(chan struct{})
				var profiles []Profile
				for i := range n {
					profiles = append(profiles, Profile{fmt.Sprint("hangs", i), &issuer{world: w, life: time.Hour, hang: func(ctx context.Context, call int) {
						switch {
						case call == 1:
						case deaf && call == 2:
							<-release
						case !deaf && time.Since(begin) < 65*time.Minute:
							<-ctx.Done()
						}
					}}})
				}
				profiles = append(profiles, Profile{"works", &issuer{world: w, life: time.Hour}})
				s := &shelf{}
				r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{s}, Workers: 2})
				pass(65 * time.Minute)
				if left := s.get("works").Expires.Sub(w.local()); left < 25*time.Minute {
					t.Errorf("%v left of the credentials of a source that works, while others hang", left)
				}
				for _, e := range r.seen(Failed) {
					if !errors.Is(e.Err, context.DeadlineExceeded) || !strings.HasPrefix(e.Profile, "hangs") {
						t.Errorf("failure %v, want a deadline, of those that hang", e)
					}
				}
				r.count(Expired, n)
				if got, most := w.now.Load(), int64(n); deaf && got != most {
					t.Errorf("%d calls are open, want %d: one for each deaf source", got, most)
				}
				close(release)
				pass(time.Hour)
				for _, p := range profiles {
					if left := s.get(p.Name).Expires.Sub(w.local()); left < 25*time.Minute {
						t.Errorf("%s: %v left after all were mended", p.Name, left)
					}
				}
			})
		})
	}
}
