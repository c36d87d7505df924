package refresh

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestSuspend: the machine sleeps past the expiry of some credentials, and up to the margin of
// another. The monotonic clock has seen nothing.
func TestSuspend(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: []Profile{
			{"hour", &issuer{world: w, life: time.Hour}},
			{"half day", &issuer{world: w, life: 12 * time.Hour}},
		}})
		pass(time.Minute)
		long := s.get("half day")
		w.suspend(3 * time.Hour)
		pass(maxSleep)
		if left := s.get("hour").Expires.Sub(w.local()); left < 59*time.Minute {
			t.Errorf("%v left %v after the machine woke, want new credentials", left, maxSleep)
		}
		if s.get("half day") != long {
			t.Error("credentials that had hours left were refreshed")
		}
		if es := r.seen(ClockStep); len(es) != 1 || es[0].Step != 3*time.Hour {
			t.Errorf("events %v, want one step of 3h", es)
		}
		r.count(Expired, 0) // it was over before anyone could see it
		w.suspend(8 * time.Hour)
		pass(maxSleep)
		if s.get("half day") == long {
			t.Error("credentials that came into their margin while the machine slept were not refreshed")
		}
		r.count(ClockStep, 2)
	})
}

// TestSuspendOffline: the machine wakes without a network.
func TestSuspendOffline(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{}
		i := &issuer{world: w, life: time.Hour, latency: time.Second, fail: func(call int) error {
			if call > 1 && call < 5 {
				return errTransient
			}
			return nil
		}}
		r := launch(t, w, Options{Profiles: one(i), Deliveries: []Delivery{s}})
		pass(time.Second + 2*maxSleep)
		w.suspend(3 * time.Hour)
		pass(NextBeat(maxSleep) - 10*time.Millisecond) // until it looks at the clock
		r.count(Expired, 0)
		pass(500 * time.Millisecond)
		r.count(Expired, 0) // its question is open
		pass(time.Second)
		r.count(Expired, 1)
		pass(20 * time.Second)
		r.count(Expired, 1)
		if es := r.seen(Refreshed); len(es) != 2 || es[1].Attempt != 3 {
			t.Errorf("events %v, want a recovery after 3 failures", es)
		}
	})
}

// TestSuspendHidden: a clock that was far ahead is set right after a suspend that
// is shorter, so that all there is to see is a step back.
func TestSuspendHidden(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.set(3 * time.Hour)
		i := &issuer{world: w, life: 12 * time.Hour, skewed: true}
		s := &shelf{}
		r := launch(t, w, Options{Profiles: one(i), Deliveries: []Delivery{s}})
		pass(time.Minute)
		w.suspend(2 * time.Hour)
		w.set(-3 * time.Hour)
		pass(maxSleep)
		if es := r.seen(ClockStep); len(es) != 1 || es[0].Step != -time.Hour {
			t.Fatalf("events %v, want one step of -1h", es)
		}
		pass(maxPoll)
		if got := i.asked(); got != 2 {
			t.Errorf("asked %d times, want once more within a minute", got)
		}
		if left := s.get("a").Expires.Sub(w.local()); left > 12*time.Hour || left < 12*time.Hour-maxPoll-maxSleep {
			t.Errorf("readers see %v left, want 12 hours", left)
		}
	})
}

// TestClockSet sets the wall clock while the servers' clocks go on, with sources
// that measure the difference, and with sources that don't.
func TestClockSet(t *testing.T) {
	for _, step := range []time.Duration{-5 * time.Hour, -10 * time.Minute, -6 * time.Second, 6 * time.Second, 10 * time.Minute, 5 * time.Hour} {
		for _, skewed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v measured %v", step, skewed), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					const n = 20
					i := &issuer{world: w, life: time.Hour, skewed: skewed}
					profiles := one(i)
					for k := range n {
						profiles = append(profiles, Profile{fmt.Sprint(k), &issuer{world: w, life: time.Hour, skewed: skewed}})
					}
					s := &shelf{}
					r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{s}})
					pass(20 * time.Minute)
					before := s.get("a")
					w.set(step)
					pass(maxSleep)

					es := r.seen(ClockStep)
					if len(es) != 1 || es[0].Step != step {
						t.Fatalf("events %v, want one step of %v", es, step)
					}
					// 20½ of 60 minutes have gone by.
					after := s.get("a")
					left := after.Expires.Sub(w.local())
					switch {
					case step < 0:
						if after.AccessKeyID != before.AccessKeyID {
							t.Error("credentials that had not expired were refreshed")
						}
						if want := 39*time.Minute + 30*time.Second; left != want {
							t.Errorf("readers see %v left, want %v", left, want)
						}
					case step < 9*time.Minute:
						if after != before {
							t.Error("a small step forward changed what is delivered")
						}
					case !skewed && step > time.Hour:
						// Nobody can tell what the source gives from expired credentials.
						if len(r.seen(Failed)) == 0 || len(r.seen(Expired)) != n+1 {
							t.Error("credentials that have expired by the local clock are no failure")
						}
					case after.AccessKeyID == before.AccessKeyID:
						t.Errorf("readers see %v left after a step forward, and it was not refreshed", left)
					}

					// While the servers answer, the servers' time that is left is never
					// less than the margin.
					for range 300 {
						pass(30 * time.Second)
						c := s.get("a")
						lastIssue := w.true().Sub(c.Expires.Add(-time.Hour).Add(-w.local().Sub(w.true())))
						if !skewed && step > 0 {
							continue // the local clock is ahead: credentials look older than they are, or expired
						}
						if !skewed && c.AccessKeyID != before.AccessKeyID {
							continue // behind, without a measure: nobody can know
						}
						if lastIssue > 30*time.Minute+time.Second {
							t.Fatalf("holds credentials issued %v ago, want 30m at most", lastIssue)
						}
					}
					wantSkewed := 0
					if skewed && step.Abs() > maxSkew {
						wantSkewed = 1
					}
					r.count(Skewed, wantSkewed)
					r.count(ClockStep, 1)
				})
			})
		}
	}
}

// TestClockSetWhileAsked: the answer comes from after the step, so it must not be
// moved along with what was there before.
func TestClockSetWhileAsked(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				const latency = 20 * time.Second
				s := &shelf{}
				r := launch(t, w, Options{Profiles: one(&issuer{world: w, life: time.Hour, latency: latency, skewed: true}), Deliveries: []Delivery{s}})
				for len(r.seen(Refreshed)) < 1 || w.now.Load() == 0 {
					pass(time.Second)
				}
				w.set(step)
				pass(latency)
				r.count(Refreshed, 2)
				r.count(ClockStep, 1)
				if left := s.get("a").Expires.Sub(w.local()); left < time.Hour-2*time.Second || left > time.Hour {
					t.Errorf("readers see %v left of new credentials, want an hour", left)
				}
				pass(25 * time.Minute)
				r.count(Refreshed, 2)
				pass(6 * time.Minute)
				r.count(Refreshed, 3)
			})
		})
	}
}

// TestSlew: a clock that is being adjusted is not a clock that was set.
func TestSlew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := launch(t, w, Options{Profiles: one(&issuer{world: w, life: time.Hour}), Deliveries: []Delivery{&shelf{}}})
		for range 120 {
			pass(time.Second)
			w.set(-80 * time.Millisecond) // chrony's fastest
		}
		r.count(ClockStep, 0)
	})
}

// TestSkew: the local clock is wrong from the start. Sets are scheduled on the
// server's clock, and readers see the end on theirs.
func TestSkew(t *testing.T) {
	for _, skew := range []time.Duration{-3 * time.Hour, -59 * time.Second, 59 * time.Second, 5 * time.Minute, 3 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.set(skew)
				ps := one(&issuer{world: w, life: time.Hour, skewed: true})
				ps = append(ps, Profile{"b", &issuer{world: w, life: time.Hour, skewed: true}})
				s := &shelf{}
				r := launch(t, w, Options{Profiles: ps, Deliveries: []Delivery{s}})
				pass(time.Minute)
				first := s.get("a")
				if left := first.Expires.Sub(w.local()); left != 59*time.Minute {
					t.Errorf("readers see %v left after a minute, want 59m", left)
				}
				pass(25 * time.Minute)
				if s.get("a") != first {
					t.Error("refreshed before its time")
				}
				pass(4*time.Minute + time.Second)
				if s.get("a").AccessKeyID == first.AccessKeyID {
					t.Error("not refreshed after 30 minutes")
				}
				pass(3 * time.Hour)
				es := r.seen(Skewed)
				if skew.Abs() <= maxSkew {
					r.count(Skewed, 0)
					return
				}
				if len(es) != 1 || es[0].Skew != skew {
					t.Fatalf("events %v, want one for both profiles, of %v", es, skew)
				}
				w.set(-skew) // somebody sets it right
				pass(time.Hour)
				if es = r.seen(Skewed); len(es) != 2 || es[1].Skew != 0 {
					t.Errorf("events %v, want another of 0", es)
				}
				r.count(Expired, 0)
			})
		})
	}
}

// TestSameCredentialsAfterStep: the credentials from before a step back come again, from a source
// that does not measure the clock: what it says of the end is still not so.
func TestSameCredentialsAfterStep(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		end := w.true().Add(time.Hour)
		s := &shelf{}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{
			world: w, edit: func(_ int, c aws.Credentials) aws.Credentials {
				c.AccessKeyID, c.SessionToken, c.Expires = "ASIASAMESAMESAMESAME", "t", end
				return c
			},
		})})
		pass(20 * time.Minute)
		w.set(-2 * time.Hour)
		pass(20 * time.Minute)
		if len(r.seen(Unchanged)) == 0 {
			t.Error("not asked in the margin")
		}
		if left := s.get("a").Expires.Sub(w.local()); left != 20*time.Minute {
			t.Errorf("readers see %v left, want 20m", left)
		}
		pass(20*time.Minute + time.Second)
		r.count(Expired, 1)
	})
}

// TestStepUndelivered: nothing can be had or delivered after a step back, and the
// end of what is held is noticed when it comes.
func TestStepUndelivered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		after := func(call int) error {
			if call > 1 {
				return errTransient
			}
			return nil
		}
		s := &shelf{deliver: func(_ context.Context, call int) error { return after(call) }}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{world: w, life: time.Hour, fail: after})})
		pass(20 * time.Minute)
		w.set(-2 * time.Hour)
		pass(39 * time.Minute)
		r.count(Expired, 0)
		pass(time.Minute + time.Second)
		r.count(Expired, 1)
	})
}

// TestStepBackAfterExpiry: the clock is set back in the moment for which the report of an
// expiry waits, and nothing comes of the retrieve and deliver calls that are under way.
func TestStepBackAfterExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		hang := func(ctx context.Context, call int) {
			if call > 1 {
				<-ctx.Done()
			}
		}
		s := &shelf{deliver: func(ctx context.Context, call int) error {
			hang(ctx, call)
			return ctx.Err()
		}}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{world: w, life: time.Minute, hang: hang})})
		pass(time.Minute + expiryGrace/2)
		r.count(Expired, 0)
		w.set(-time.Hour)
		pass(expiryGrace)
		r.count(Expired, 1)
	})
}

// TestSuspendUndelivered: the machine wakes, the source answers, but the new credentials
// can't be delivered.
func TestSuspendUndelivered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &shelf{deliver: func(_ context.Context, call int) error {
			if call > 1 {
				time.Sleep(time.Second)
				return errTransient
			}
			return nil
		}}
		r := launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(&issuer{world: w, life: time.Hour})})
		pass(2 * maxSleep)
		w.suspend(3 * time.Hour)
		pass(NextBeat(maxSleep) + time.Second/2)
		if len(s.calls()) != 2 {
			t.Fatalf("%d deliveries, want the second to be open", len(s.calls()))
		}
		r.count(Expired, 0)
		pass(time.Second)
		r.count(Expired, 1)
	})
}

// TestSkewNoise: a second more or less is no reason to deliver credentials again.
func TestSkewNoise(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		end := w.true().Add(time.Hour)
		i := &issuer{world: w}
		i.edit = func(call int, c aws.Credentials) aws.Credentials {
			c.AccessKeyID, c.SessionToken, c.Expires = "ASIASAMESAMESAMESAME", "t", end
			i.skew = time.Duration(1+call%2) * time.Second
			return c
		}
		s := &shelf{}
		launch(t, w, Options{Deliveries: []Delivery{s}, Profiles: one(i)})
		pass(50 * time.Minute)
		if got := s.calls(); i.asked() < 10 || len(got) != 1 {
			t.Errorf("%d deliveries of %d answers, want one", len(got), i.asked())
		}
	})
}

// TestSkewMeasuredLater: the same credentials come again, with another measure of the
// clock. That is no refresh, but readers must see the right end.
func TestSkewMeasuredLater(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.set(10 * time.Minute)
		end := w.true().Add(time.Hour)
		i := &issuer{world: w, latency: 0}
		i.edit = func(n int, c aws.Credentials) aws.Credentials {
			c.AccessKeyID, c.SessionToken, c.Expires = "ASIASAMESAMESAMESAME", "t", end
			if n >= 2 {
				i.skew = 10 * time.Minute
			}
			return c
		}
		s := &shelf{}
		r := launch(t, w, Options{Profiles: one(i), Deliveries: []Delivery{s}})
		pass(time.Minute)
		if got := s.get("a").Expires; !got.Equal(end) {
			t.Fatalf("expires %v, want %v", got, end)
		}
		pass(40 * time.Minute)
		if got, want := s.get("a").Expires, end.Add(10*time.Minute); !got.Equal(want) {
			t.Errorf("expires %v once the clock was measured, want %v", got, want)
		}
		r.count(Refreshed, 1)
		if got := len(s.calls()); got != 2 {
			t.Errorf("%d deliveries, want 2", got)
		}
	})
}

// TestExpiredOnTime: a source or a delivery that hangs does not put off the word
// that credentials have expired.
func TestExpiredOnTime(t *testing.T) {
	hangs := func(from int) func(context.Context, int) {
		return func(ctx context.Context, call int) {
			if call >= from {
				<-ctx.Done()
			}
		}
	}
	tests := []struct {
		name    string
		source  issuer
		deliver func(ctx context.Context, call int) error
		suspend time.Duration // after ten seconds
		late    time.Duration // at most
	}{
		{"first question hangs", issuer{life: time.Minute, hang: hangs(2)}, nil, 0, time.Second},
		{"deaf", issuer{life: time.Minute, hang: func(_ context.Context, call int) {
			if call == 2 {
				time.Sleep(10 * time.Minute)
			}
		}}, nil, 0, time.Second},
		{"hangs after failures", issuer{life: 10 * time.Minute, hang: hangs(4), fail: func(call int) error {
			if call > 1 {
				return errTransient
			}
			return nil
		}}, nil, 0, time.Second},
		{"delivery hangs", issuer{life: time.Minute}, func(ctx context.Context, call int) error {
			if call > 1 {
				<-ctx.Done()
			}
			return ctx.Err()
		}, 0, time.Second},
		{"a suspend, and no network", issuer{life: time.Hour, hang: hangs(2)}, nil, 2 * time.Hour, maxSleep + stepGrace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				tt.source.world = w
				r := launch(t, w, Options{Profiles: one(&tt.source), Deliveries: []Delivery{&shelf{deliver: tt.deliver}}})
				pass(10 * time.Second)
				end := r.seen(Refreshed)[0].Expires
				woke := w.local()
				if tt.suspend > 0 {
					w.suspend(tt.suspend)
					woke = w.local()
				}
				pass(15 * time.Minute)
				got := r.seen(Expired)
				if len(got) != 1 {
					t.Fatalf("%d events, want one", len(got))
				}
				due := end
				if woke.After(due) {
					due = woke
				}
				if late := got[0].Time.Sub(due); late < 0 || late > tt.late {
					t.Errorf("told %v after the end, want at most %v", late, tt.late)
				}
			})
		})
	}
}
