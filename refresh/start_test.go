package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	gocmp "github.com/google/go-cmp/cmp"
)

// apiError stands for what the SDK returns.
type apiError struct{ code string }

func (e *apiError) Error() string { return "api error " + e.code }

// TestStart gives what Run returns, and when, if the first credentials can't be had.
func TestStart(t *testing.T) {
	denied := fmt.Errorf("assume role: %w", &Error{Err: &apiError{"AccessDenied"}, Permanent: true, Hint: "ask an admin"})
	throttled := &Error{Err: &apiError{"Throttling"}, Hint: "wait"}
	always := func(err error) func(int) error { return func(int) error { return err } }
	tests := []struct {
		name    string
		source  issuer
		minTTL  time.Duration
		deliver func(ctx context.Context, call int) error
		want    []string // parts of the error; none: Run goes on
		is      error
		hint    string // that of the *Error in it
		after   time.Duration
		asked   int // at least
	}{
		{
			name: "denied", source: issuer{fail: always(denied)},
			want: []string{`assume role: api error AccessDenied`}, hint: "ask an admin", asked: 1,
		},
		{
			name: "throttled for ever", source: issuer{fail: always(throttled)},
			want: []string{`no credentials within 30s: api error Throttling`}, hint: "wait", after: 30 * time.Second, asked: 8,
		},
		{
			name: "throttled, then denied", source: issuer{fail: func(call int) error {
				if call < 3 {
					return throttled
				}
				return denied
			}},
			want: []string{`assume role: api error AccessDenied`}, hint: "ask an admin", asked: 3,
		},
		{
			name: "throttled, then good", source: issuer{fail: func(call int) error {
				if call < 5 {
					return throttled
				}
				return nil
			}},
			asked: 5,
		},
		{
			name: "hangs", source: issuer{hang: func(ctx context.Context, _ int) { <-ctx.Done() }},
			want: []string{"within 30s: context deadline exceeded"}, is: context.DeadlineExceeded, after: 30 * time.Second, asked: 1,
		},
		{
			name: "hangs and is deaf", source: issuer{hang: func(context.Context, int) { time.Sleep(10 * time.Minute) }},
			want: []string{"within 30s: source does not return"}, is: context.DeadlineExceeded, after: 30*time.Second + retrieveGrace, asked: 1,
		},
		{
			name: "throttled, then hangs", source: issuer{hang: func(ctx context.Context, call int) {
				if call > 1 {
					<-ctx.Done()
				}
			}, fail: always(throttled)},
			want: []string{"within 30s: api error Throttling"}, hint: "wait", after: 30 * time.Second, asked: 2,
		},
		{
			name: "over", source: issuer{life: -2 * time.Hour},
			want: []string{"source gave credentials that expired at " + time.Date(1999, 12, 31, 22, 0, 0, 0, time.UTC).Local().Format(time.RFC3339) + ", 2h0m0s ago"},
			hint: "see whether the source caches what it gives, and whether this machine's clock is right", asked: 1,
		},
		{
			name:   "nothing",
			source: issuer{edit: func(int, aws.Credentials) aws.Credentials { return aws.Credentials{} }},
			want:   []string{`source gave no keys`}, asked: 1,
		},
		{
			name: "always too little left", source: issuer{life: 10 * time.Minute}, minTTL: 15 * time.Minute,
			want:  []string{`no credentials within 30s: credentials have 10m0s left, less than the minimum of 15m0s`},
			hint:  minTTLHint,
			after: 30 * time.Second, asked: 6,
		},
		{
			name: "too little left at first", minTTL: 15 * time.Minute,
			source: issuer{edit: func(call int, c aws.Credentials) aws.Credentials {
				if call < 3 {
					c.Expires = c.Expires.Add(-50 * time.Minute)
				}
				return c
			}},
			asked: 3,
		},
		{name: "just enough left", source: issuer{life: 15 * time.Minute}, minTTL: 15 * time.Minute, asked: 1},
		{
			name:    "disk full",
			deliver: func(context.Context, int) error { return &fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC} },
			want:    []string{"deliver credentials: write /x: "}, is: syscall.ENOSPC, asked: 1,
		},
		{
			name:    "no permission",
			deliver: func(context.Context, int) error { return &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES} },
			want:    []string{"deliver credentials: open /x: "}, is: fs.ErrPermission, asked: 1,
		},
		{
			name:    "read-only",
			deliver: func(context.Context, int) error { return &fs.PathError{Op: "open", Path: "/x", Err: syscall.EROFS} },
			want:    []string{"deliver credentials: open /x: "}, is: syscall.EROFS, asked: 1,
		},
		{
			name:    "delivery panics",
			deliver: func(context.Context, int) error { panic("x") },
			want:    []string{"deliver credentials: internal error: panic in brs-exec.example/brs-exec/refresh.TestStart"}, hint: "this is a bug, please report it", asked: 1,
		},
		{
			name:    "delivery fails for ever",
			deliver: func(context.Context, int) error { return errTransient },
			want:    []string{"deliver credentials: not done within 30s: connection refused"}, is: errTransient, after: 30 * time.Second, asked: 1,
		},
		{
			name: "delivery fails at first",
			deliver: func(_ context.Context, call int) error {
				if call < 4 {
					return errTransient
				}
				return nil
			},
			asked: 1,
		},
		{
			name:    "delivery hangs",
			deliver: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() },
			want:    []string{"deliver credentials: not done within 30s: no answer"}, after: 30 * time.Second, asked: 1,
		},
	}
	for _, tt := range tests {
		test := func(start bool) func(t *testing.T, w *world) {
			return func(t *testing.T, w *world) {
				i := tt.source
				if i.life == 0 {
					i.life = time.Hour
				}
				i.world = w
				begin := time.Now()
				r := launchIn(t, w, Options{Profiles: one(&i), Deliveries: []Delivery{&shelf{deliver: tt.deliver}}, MinTTL: tt.minTTL}, start)
				if tt.want == nil {
					pass(29 * time.Second)
					if !r.isReady() {
						t.Error("not ready")
					}
				} else {
					checkError(t, r.wait(), tt.want, tt.is, tt.hint)
					if r.isReady() {
						t.Error("ready")
					}
					// Backoff before a permanent failure takes its time.
					if took := time.Since(begin); took < tt.after || took > tt.after+4*time.Second || (tt.asked == 1 && took != tt.after) {
						t.Errorf("Run returned after %v, want %v", took, tt.after)
					}
				}
				if got := i.asked(); got < tt.asked || got > 2*tt.asked*tt.asked+20 || (tt.asked == 1 && got != 1) {
					t.Errorf("asked %d times, want %d", got, tt.asked)
				}
				r.cancel()
				pass(time.Hour) // so that the deaf ones end
			}
		}
		t.Run(tt.name, func(t *testing.T) { bubble(t, test(false)) })
		if !strings.Contains(tt.name, "hangs") { // which is not for Start
			t.Run(tt.name+", by Start", func(t *testing.T) { bubble(t, test(true)) })
		}
	}
}

// TestStartThenRun: what follows is the same, whether Run or Start has made the first round.
func TestStartThenRun(t *testing.T) {
	t.Parallel()
	type told struct {
		Kind              Kind
		Profile           string
		At, Expires, Next time.Duration
		Attempt           int
	}
	tell := func(start bool) (all []told, held string) {
		synctest.Test(t, func(t *testing.T) {
			w, begin, s := new(world), time.Now(), &shelf{deliver: func(_ context.Context, call int) error {
				if call == 3 {
					return errTransient
				}
				return nil
			}}
			static := func(_ int, c aws.Credentials) aws.Credentials {
				c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.CanExpire = "AKIA", "s", "", false
				return c
			}
			flaky := func(call int) error {
				if call%3 == 1 {
					return errTransient
				}
				return nil
			}
			r := launchIn(t, w, Options{Deliveries: []Delivery{s, &shelf{}}, Require: 2, testOnlyRand: func() float64 { return 0.5 }, Profiles: []Profile{
				{"hour", &issuer{world: w, life: time.Hour}}, {"static", &issuer{world: w, edit: static}}, {"flaky", &issuer{world: w, life: 20 * time.Minute, fail: flaky}},
			}}, start)
			if !r.isReady() {
				t.Errorf("start %v: not ready", start)
			}
			pass(6 * time.Hour)
			since := func(at time.Time) time.Duration {
				if at.IsZero() {
					return 0
				}
				return at.Sub(begin.Round(0))
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			for _, e := range r.events {
				all = append(all, told{e.Kind, e.Profile, since(e.Time), since(e.Expires), since(e.Next), e.Attempt})
			}
			// Which of several sources returns first is chance.
			slices.SortStableFunc(all, func(a, b told) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Profile, b.Profile)) })
			held = s.get("hour").SessionToken + s.get("static").AccessKeyID + s.get("flaky").SessionToken
		})
		return all, held
	}
	want, wantHeld := tell(false)
	got, gotHeld := tell(true)
	if len(want) < 20 {
		t.Errorf("%d events in six hours", len(want))
	}
	if diff := gocmp.Diff(want, got); diff != "" || gotHeld != wantHeld {
		t.Errorf("with Start %q is held, without %q; events (-Run +Start then Run):\n%s", gotHeld, wantHeld, diff)
	}
}

// TestStartWatches: a source that Start has retrieved from is let watch a moment later, or
// at once if it has failed; one that is replaced before, or a run that has ended, leaves no watch.
func TestStartWatches(t *testing.T) {
	t.Parallel()
	watches := func(s *watched) bool {
		synctest.Wait()
		return len(s.changed) > 0
	}
	for _, tt := range []struct {
		name  string
		fails bool
		after time.Duration
	}{{"at first", false, 0}, {"soon", false, watchAfter - 1}, {"later", false, watchAfter}, {"at once", true, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				src := newWatched(w, time.Hour)
				src.fail = func(call int) error {
					if tt.fails && call == 1 {
						return errTransient
					}
					return nil
				}
				r := launchIn(t, w, Options{Profiles: one(src), Deliveries: []Delivery{&shelf{}}}, true)
				pass(tt.after)
				if got, want := watches(src), tt.fails || tt.after >= watchAfter; got != want {
					t.Errorf("it watches after %v: %v, want %v", tt.after, got, want)
				}
				watching := watches(src)
				r.stop()
				select {
				case <-src.left:
					if !watching {
						t.Error("a watch was ended that had not begun")
					}
				default:
					if watching {
						t.Error("the watch was not ended")
					}
				}
			})
		})
	}
	t.Run("replaced", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			before, after := newWatched(w, time.Hour), newWatched(w, time.Hour)
			r := launchIn(t, w, Options{Profiles: one(before), Deliveries: []Delivery{&shelf{}}}, true)
			if err := r.Set(one(after)); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
			if watches(before) {
				<-before.left // it hangs if nobody ends the watch
			}
			if !watches(after) {
				t.Error("the new source does not watch")
			}
		})
	})
}

func checkError(t *testing.T, err error, parts []string, is error, hint string) {
	t.Helper()
	if err == nil {
		t.Fatal("Run = nil, want an error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("Run = %v, want %q in it", err, part)
		}
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("Run = %v, want it to be %v", err, is)
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{}
	}
	if e.Hint != hint {
		t.Errorf("Run = %v with an Error %+v, want hint %q", err, e, hint)
	}
	var api *apiError
	if strings.Contains(err.Error(), "api error") && !errors.As(err, &api) {
		t.Errorf("Run = %v without the source's own error in it", err)
	}
}

// TestStartMany: one of many keeps all from starting, and is the one named.
func TestStartMany(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var profiles []Profile
		for n := range 50 {
			i := &issuer{world: w, life: time.Hour}
			switch {
			case n == 20:
				i.fail = func(int) error { return errTransient }
			case n%10 == 3:
				i.hang = func(ctx context.Context, _ int) { <-ctx.Done() }
			}
			profiles = append(profiles, Profile{fmt.Sprint("p", n), i})
		}
		s := &shelf{}
		r := launch(t, w, Options{Profiles: profiles, Deliveries: []Delivery{s}, StartTimeout: 10 * time.Second})
		checkError(t, r.wait(), []string{`profile "p20": no credentials within 10s: connection refused (and 5 profiles more)`}, errTransient, "")
	})
}

// TestStartSlow: so many that the workers need longer than one profile may take.
func TestStartSlow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var profiles []Profile
		for n := range 100 {
			profiles = append(profiles, Profile{fmt.Sprint("p", n), &issuer{world: w, life: time.Hour, latency: time.Second}})
		}
		r := launch(t, w, Options{Profiles: profiles, Workers: 2, StartTimeout: 10 * time.Second})
		pass(49 * time.Second)
		if r.isReady() {
			t.Error("ready before the last has credentials")
		}
		pass(2 * time.Second)
		if !r.isReady() {
			t.Error("not ready")
		}
	})
}

// fresh is a source that says whether it issues its credentials when it is called.
type fresh struct {
	issuer
	made bool
}

func (f *fresh) Issued() bool { return f.made }

// TestMinTTL: a source that makes its sessions when it is asked has none that live
// longer; from others a longer one may come.
func TestMinTTL(t *testing.T) {
	tests := []struct {
		name  string
		made  bool
		life  time.Duration
		want  string // "": it starts
		after time.Duration
		asked int // at most
	}{
		{"made, too short", true, time.Hour, "new credentials last 1h0m0s, less than the minimum of 2h0m0s", 0, 1},
		{"made, and a moment on its way", true, 2*time.Hour - 2*time.Second, "", 0, 1},
		{"made, much too short", true, 2*time.Hour - time.Minute, "new credentials last 1h59m0s, less", 0, 1},
		{"had before", false, time.Hour, "no credentials within 30s: credentials have 1h0m0s left", 30 * time.Second, 40},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				began := time.Now()
				r := launch(t, w, Options{
					Deliveries: []Delivery{&shelf{}}, MinTTL: 2 * time.Hour,
					Profiles: one(&fresh{issuer{world: w, life: tt.life}, tt.made}),
				})
				pass(0)
				if tt.want == "" {
					if !r.isReady() {
						t.Error("not started")
					}
				} else {
					var e *Error
					err := r.wait()
					if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &e) || e.Hint != minTTLHint {
						t.Errorf("Run = %v, want %s and a hint", err, tt.want)
					}
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("it took %v, want %v", took, tt.after)
				}
				if got := int(w.asked.Load()); got > tt.asked {
					t.Errorf("asked %d times, want %d at most", got, tt.asked)
				}
			})
		})
	}
}

// TestMinTTLIsOfTheStart: later credentials may be shorter-lived. (They are what there is.)
func TestMinTTLIsOfTheStart(t *testing.T) {
	for _, made := range []bool{true, false} {
		t.Run(fmt.Sprint("made ", made), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				r := launch(t, w, Options{
					Deliveries: []Delivery{&shelf{}}, MinTTL: 2 * time.Hour,
					Profiles: one(&fresh{issuer{world: w, life: 3 * time.Hour, edit: func(call int, c aws.Credentials) aws.Credentials {
						if call > 1 {
							c.Expires = c.Expires.Add(-2 * time.Hour)
						}
						return c
					}}, made}),
				})
				pass(8 * time.Hour)
				r.count(Failed, 0)
				r.count(Expired, 0)
				if got := len(r.seen(Refreshed)); got < 8 {
					t.Errorf("%d credentials, want one each half of an hour after the first", got)
				}
			})
		})
	}
}

// TestEarly: --refresh-before of more than half a life is cut to that half, which
// is said once.
func TestEarly(t *testing.T) {
	for _, tt := range []struct {
		before time.Duration
		want   int
	}{{0, 0}, {30 * time.Minute, 0}, {31 * time.Minute, 1}, {2 * time.Hour, 1}} {
		t.Run(fmt.Sprint(tt.before), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				r := launch(t, w, Options{
					Deliveries: []Delivery{&shelf{}}, Policy: Policy{Before: tt.before}, Profiles: one(&issuer{world: w, life: time.Hour}),
				})
				pass(10 * time.Hour)
				r.count(Early, tt.want)
				if got := w.asked.Load(); got > 24 {
					t.Errorf("asked %d times in ten hours, want at most each 27 minutes", got)
				}
				for _, e := range r.seen(Early) {
					if left := e.Expires.Sub(e.Next); left < 30*time.Minute || left > 33*time.Minute {
						t.Errorf("the next refresh is %v before the end", left)
					}
				}
			})
		})
	}
}
