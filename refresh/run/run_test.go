package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/shared"
)

// The tests of a run have a source and a command of their own, and mostly run in
// virtual time.

// TestPartFails: a part that fails or panics is named once and started again;
// the command runs on.
func TestPartFails(t *testing.T) {
	tests := []struct {
		name string
		fail func() error
		want string
	}{
		{"error", func() error { return errors.New("accept: no buffer space") }, `err="accept: no buffer space"`},
		{"panic", func() error { panic("verysecret") }, "panic in brs-exec.example/brs-exec/refresh/run.TestPartFails"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				r.child.life, r.child.code = 10*time.Minute, 7
				calls := 0
				r.Parts = []Part{{Name: "the endpoint", Run: func(ctx context.Context) error {
					if calls++; calls < 4 {
						return tt.fail()
					}
					<-ctx.Done()
					return nil
				}}}
				exit, err := r.run()
				if err != nil || exit.Code != 7 || exit.Stopped {
					t.Errorf("the run ended with code %d, stopped %v, error %v; want the command's 7", exit.Code, exit.Stopped, err)
				}
				if calls != 4 {
					t.Errorf("the part was started %d times, want 4", calls)
				}
				if got := r.lines("the endpoint"); len(got) != 1 || !strings.Contains(got[0], "level=ERROR") || !strings.Contains(got[0], tt.want) {
					t.Errorf("the log has %q, want one error with %s", got, tt.want)
				}
				if strings.Contains(r.log.String(), "verysecret") {
					t.Error("the value of the panic is in the log")
				}
			})
		})
	}
}

// TestPartPanics: whoever panics at an event keeps nobody else from it, nor
// the command from running.
func TestPartPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{OnRefresh: plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}}}})
		r.child.life = 70 * time.Minute
		var last control.Profile
		r.child.looks = func([]string) string { last = r.profile(); return "" }
		r.Parts = []Part{{Name: "the broken one", Engine: func(refresh.Event, bool) { panic("verysecret") }}}
		exit, err := r.run()
		if err != nil || exit.Code != 0 {
			t.Fatalf("code %d, %v", exit.Code, err)
		}
		want := []string{"start ", "signal 1 false", "signal 1 false", "end "}
		if diff := cmp.Diff(want, r.child.seen()); diff != "" {
			t.Errorf("the command (-want +got):\n%s", diff)
		}
		if got := r.lines("the broken one"); len(got) != 1 || !strings.Contains(got[0], "panic in brs-exec.example/brs-exec/refresh/run.TestPartPanics") {
			t.Errorf("the log has %q, want one line that says where", got)
		}
		if last.Refreshed != 2 {
			t.Errorf("the record counts %d refreshes, want 2", last.Refreshed)
		}
	})
}

// brokenLog panics at one message.
type brokenLog struct {
	slog.Handler
	at string
}

func (b brokenLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == b.at {
		panic("verysecret")
	}
	return b.Handler.Handle(ctx, r)
}

// TestPartPanicsAtChild: the same holds for what happens to the command.
func TestPartPanicsAtChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{})
		r.child.life, r.child.code = 10*time.Minute, 7
		r.Log = slog.New(brokenLog{r.Log.Handler(), "the command is started"})
		if exit, err := r.run(); err != nil || exit.Code != 7 {
			t.Errorf("code %d, %v; want the command's 7", exit.Code, err)
		}
		if got := r.lines("part=\"the log\""); len(got) != 1 {
			t.Errorf("the log has %q, want one line", got)
		}
	})
}

// TestSourceExpiryPanics: nor does the look at the source's own expiry.
func TestSourceExpiryPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{})
		r.child.life = 10 * time.Minute
		r.source.expiry = func() (source.Expiry, bool) { panic("half a cache") }
		if exit, err := r.run(); err != nil || exit.Code != 0 || exit.Stopped {
			t.Errorf("code %d, stopped %v, %v", exit.Code, exit.Stopped, err)
		}
		if got := r.lines("the watch for the expiry of the source"); len(got) != 1 {
			t.Errorf("the log has %q, want one line", got)
		}
	})
}

// TestEnginePanics: even a bug in the engine leaves the command its credentials, and
// another engine takes over.
func TestEnginePanics(t *testing.T) {
	for _, start := range []bool{false, true} {
		t.Run(fmt.Sprint("start=", start), func(t *testing.T) { enginePanics(t, start) })
	}
}

func enginePanics(t *testing.T, start bool) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		p := &parts{log: slog.New(slog.NewTextHandler(&log, nil))}
		refreshed := 0
		o := refresh.Options{
			Profiles: []refresh.Profile{{Name: "prod", Source: &fakeSource{}}}, Deliveries: []refresh.Delivery{&variables{}},
			Notify: func(e refresh.Event) { // without the guard that a run has
				if e.Kind != refresh.Refreshed {
					return
				}
				if refreshed++; refreshed == 2 {
					panic("a bug")
				}
			},
		}
		e := newEngine(o)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
		defer cancel()
		if start {
			e.start(ctx)
		}
		alive := make(chan error, 1)
		time.AfterFunc(3*time.Hour, func() { alive <- e.alive(ctx) })
		if err := e.run(ctx, p.keep); err != nil {
			t.Errorf("the run was ended: %v", err)
		}
		if err := <-alive; err != nil {
			t.Errorf("after the panic it is not alive: %v", err)
		}
		if got := strings.Count(log.String(), "the refreshing of credentials"); got != 1 || refreshed < 6 {
			t.Errorf("%d failures and %d refreshes, want one, and more after it", got, refreshed)
		}
		// Before the first credentials there is no job to go on.
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		o.Notify = func(refresh.Event) { panic("a bug") }
		if e = newEngine(o); start {
			e.start(ctx)
		}
		if err := e.run(ctx, p.keep); err == nil || !strings.Contains(err.Error(), "panic in") {
			t.Errorf("a start that panics ends with %v", err)
		}
	})
}

// TestOrderOfParts: none of them counts on another one having been told.
func TestOrderOfParts(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		t.Run(fmt.Sprint("reverse=", reverse), func(t *testing.T) {
			told := listenNotify(t)
			f := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{OnRefresh: plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}}}})
			t.Setenv("NOTIFY_SOCKET", told.path)
			r := f.open(t)
			if reverse {
				slices.Reverse(r.parts.list)
			}
			refreshed := refresh.Event{Kind: refresh.Refreshed, Profile: "brs-exec", KeyID: "ASIA0000000000000001", Expires: time.Now().Add(time.Hour)}
			r.parts.engine(refreshed)
			r.parts.engine(refreshed)
			r.parts.engine(refresh.Event{Kind: refresh.Failed, Profile: "brs-exec", Err: errors.New("x"), Attempt: 1})
			if got := f.profile(); got.Refreshed != 1 || got.Failed != 1 {
				t.Errorf("the record has %d refreshes and %d failures, want 1 and 1", got.Refreshed, got.Failed)
			}
			if diff := cmp.Diff([]string{"signal 1 false"}, f.child.seen()); diff != "" {
				t.Errorf("the command (-want +got):\n%s", diff)
			}
			want := []string{"STATUS", "RELOADING", "READY", "STATUS", "STATUS"}
			if diff := cmp.Diff(want, told.names(t, len(want))); diff != "" {
				t.Errorf("systemd (-want +got):\n%s", diff)
			}
			if got := f.lines("refresh failed; the command keeps its credentials"); len(got) != 1 {
				t.Errorf("the log has %q", got)
			}
		})
	}
}

// TestNoStart: without credentials to start with the error is the engine's own,
// whatever the supervisor makes of it.
func TestNoStart(t *testing.T) {
	denied := &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask an admin"}
	tests := []struct {
		name    string
		instant bool
		fail    error
		want    string
		took    time.Duration
	}{
		{"at once", false, denied, "AccessDenied", 0},
		{"after the timeout", false, errors.New("connection refused"), "no credentials within 30s: connection refused", 30 * time.Second},
		{"at hand, at once", true, denied, "AccessDenied", 0},
		{"at hand, after the timeout", true, errors.New("half written"), "no credentials within 30s: half written", 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				r.source.instant, r.source.fail = tt.instant, func(int) error { return tt.fail }
				began := time.Now()
				exit, err := r.run()
				if err == nil || err.Error() != tt.want || exit.Code != 125 {
					t.Errorf("code %d, error %v; want 125, %s", exit.Code, err, tt.want)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if got := r.child.seen(); len(got) != 0 {
					t.Errorf("the command was touched: %q", got)
				}
			})
		})
	}
}

// TestInstant: with credentials that are at hand nothing is begun before the command is
// started, and what has time is not begun for one that ends at once.
func TestInstant(t *testing.T) {
	for _, tt := range []struct {
		name    string
		instant bool
		life    time.Duration
		fails   bool // the first time
		want    []string
	}{
		{"at hand", true, time.Minute, false, []string{"start ASIAFAKEFAKEFAKE0001", "soon", "late", "end ASIAFAKEFAKEFAKE0001"}},
		{"at hand, and a command that ends at once", true, beginAfter / 2, false, []string{"start ASIAFAKEFAKEFAKE0001", "end ASIAFAKEFAKEFAKE0001"}},
		{"at hand, and a command that ends in the moment of the beginning", true, beginAfter, false, nil},
		{"at hand, and a command that ends soon", true, lateAfter / 2, false, []string{"start ASIAFAKEFAKEFAKE0001", "soon", "end ASIAFAKEFAKEFAKE0001"}},
		{"at hand, in the end", true, time.Minute, true, []string{"soon", "start ASIAFAKEFAKEFAKE0002", "end ASIAFAKEFAKEFAKE0002"}},
		{"not at hand", false, time.Minute, false, []string{"soon", "start ASIAFAKEFAKEFAKE0001", "late", "end ASIAFAKEFAKEFAKE0001"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				r.source.instant, r.child.life = tt.instant, tt.life
				r.source.fail = func(call int) error {
					if tt.fails && call == 1 {
						return errors.New("half written")
					}
					return nil
				}
				r.child.looks = func(env []string) string { return value(env, "AWS_ACCESS_KEY_ID") }
				for name, late := range map[string]bool{"soon": false, "late": true} {
					if late && tt.fails {
						continue // before the start or after it, as chance has the retry
					}
					r.Parts = append(r.Parts, Part{Name: name, Late: late, Run: func(ctx context.Context) error {
						r.child.note("%s", name)
						<-ctx.Done()
						return nil
					}})
				}
				if !tt.instant || tt.fails {
					r.source.slow = time.Nanosecond // after the parts, which are begun in no order
				}
				if _, err := r.run(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, r.child.seen()); diff != "" && tt.want != nil {
					t.Errorf("what happened (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestNotOpened: what cannot be opened is said before anything else is done, and
// leaves nothing behind.
func TestNotOpened(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		do   func(r *fakeRun)
		want string
	}{
		{"the source", func(r *fakeRun) {
			r.openSource = func(context.Context, plan.Profile) (credentialSource, error) { return nil, broken }
		}, "broken"},
		{"the start of a session", func(r *fakeRun) { r.source.begin = broken }, "broken"},
		{"the file of --credentials-file", func(r *fakeRun) {
			r.Plan.Shared = plan.Shared{Path: filepath.Join(os.Getenv("HOME"), "gone", "gone", "credentials"), Section: "default"}
		}, "--credentials-file "},
		{"the supervisor", func(r *fakeRun) {
			r.newChild = func(supervisor.Options, *supervisor.Signals) (child, error) { return nil, broken }
		}, "broken"},
		{"systemd's socket", func(r *fakeRun) { os.Setenv("NOTIFY_SOCKET", "relative") }, "relative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newFakeRun(t, plan.Plan{})
			tt.do(r)
			if _, err := r.run(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the run ends with %v, want an error with %q", err, tt.want)
			}
			if got := r.child.seen(); len(got) != 0 {
				t.Errorf("the command was touched: %q", got)
			}
			nothingLeft(t)
		})
	}
}

func nothingLeft(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "brs-exec*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestSignOfLife: a person at a terminal is told, once, what takes so long.
func TestSignOfLife(t *testing.T) {
	for _, tt := range []struct {
		name     string
		attended bool
		slow     time.Duration
		want     string
	}{
		{"slow", true, 20 * time.Second, "a fake"},
		{"quick", true, time.Second, ""},
		{"nobody is there", false, 20 * time.Second, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				said := ""
				if tt.attended {
					r.Waiting = func(source string) { said += source }
				}
				r.source.slow, r.child.life = tt.slow, time.Hour
				if _, err := r.run(); err != nil {
					t.Fatal(err)
				}
				if said != tt.want {
					t.Errorf("a person is told %q, want %q", said, tt.want)
				}
			})
		})
	}
}

// TestDeliveries: what the command finds of each delivery, at its start and in the
// end, and what is left of it.
func TestDeliveries(t *testing.T) {
	const name = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	tests := []struct {
		name    string
		deliver plan.Delivery
		has     []string // variables
		not     []string
		file    string // in the directory of the run
		text    string // of that
	}{
		{"auto", plan.Delivery{Files: writer.Auto, Endpoint: true}, []string{name, "AWS_CONFIG_FILE", "AWS_PROFILE"}, []string{"AWS_ACCESS_KEY_ID"}, "config", "credential_process"},
		{"file", plan.Delivery{Files: writer.File}, []string{"AWS_SHARED_CREDENTIALS_FILE"}, []string{name}, "credentials", "ASIAFAKEFAKEFAKE0001"},
		{"endpoint", plan.Delivery{Files: writer.Endpoint, Endpoint: true}, []string{name}, []string{"AWS_PROFILE"}, "", ""},
		{"imds", plan.Delivery{Files: writer.Endpoint, IMDS: true, V1: true}, []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT"}, []string{name}, "", ""},
		{"env", plan.Delivery{Files: writer.Endpoint, Env: true}, []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}, []string{name}, "", ""},
	}
	for i, tt := range append(tests, tests...) {
		t.Run(tt.name, func(t *testing.T) {
			r := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{OnStale: plan.Reaction{Act: plan.Warn}}}, Deliver: tt.deliver})
			r.source.instant = i < len(tests)
			r.source.region, r.source.noticed = "eu-west-1", []string{"a note of the source"}
			r.child.life, r.child.code = 1, 5
			r.child.looks = func(env []string) string {
				for _, name := range append(tt.has, "AWS_REGION") {
					if value(env, name) == "" {
						t.Errorf("the command finds no %s", name)
					}
				}
				for _, name := range tt.not {
					if value(env, name) != "" {
						t.Errorf("the command finds %s", name)
					}
				}
				if tt.file == "" {
					return ""
				}
				dir := filepath.Dir(value(env, "AWS_CONFIG_FILE"))
				text, err := os.ReadFile(filepath.Join(dir, tt.file))
				if err != nil || !strings.Contains(string(text), tt.text) {
					t.Errorf("%s has no %s; %v", tt.file, tt.text, err)
				}
				return ""
			}
			exit, err := r.run()
			if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
				t.Skip(err)
			}
			if err != nil || exit.Code != 5 {
				t.Errorf("code %d, %v; want the command's 5", exit.Code, err)
			}
			if got := r.child.seen(); len(got) != 2 {
				t.Errorf("the command: %q, want one start and one end", got)
			}
			if got := r.lines("level=WARN"); len(got) != 1 || !strings.Contains(got[0], "a note of the source") {
				t.Errorf("the log warns %q, want the source's note alone", got)
			}
			nothingLeft(t)
		})
	}
}

// TestCredentialsFile: the user's own file has the credentials while the command
// runs, and what it had before in the end.
func TestCredentialsFile(t *testing.T) {
	r := newFakeRun(t, plan.Plan{})
	r.source.instant = true
	path := filepath.Join(t.TempDir(), "credentials")
	const before = "[other]\naws_access_key_id = theirs\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Plan.Shared = plan.Shared{Path: path, Section: "app", AtExit: shared.Restore}
	text := func([]string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	r.child.life = 1
	r.child.looks = func(env []string) string {
		if got := text(env); !strings.Contains(got, "[app]") || !strings.Contains(got, "ASIAFAKEFAKEFAKE0001") || !strings.Contains(got, "theirs") {
			t.Errorf("the file is\n%s", got)
		}
		return ""
	}
	if _, err := r.run(); err != nil {
		t.Fatal(err)
	}
	if got := text(nil); got != before {
		t.Errorf("the file is\n%s\nwant what it was before", got)
	}
}

// TestRestartedCommand finds the newest credentials.
func TestRestartedCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{OnRefresh: plan.Reaction{Act: plan.Restart}}}})
		r.child.life = 80 * time.Minute
		r.child.looks = func(env []string) string { return value(env, "AWS_ACCESS_KEY_ID") }
		if _, err := r.run(); err != nil {
			t.Fatal(err)
		}
		want := []string{"start ASIAFAKEFAKEFAKE0001", "restart", "start ASIAFAKEFAKEFAKE0002", "restart", "start ASIAFAKEFAKEFAKE0003", "end ASIAFAKEFAKEFAKE0003"}
		if diff := cmp.Diff(want, r.child.seen()); diff != "" {
			t.Errorf("the command (-want +got):\n%s", diff)
		}
	})
}

// TestEndOfRun: it ends when its parts and hooks have, which learn that the command has.
func TestEndOfRun(t *testing.T) {
	for _, of := range []string{"part", "hook"} {
		t.Run(of, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeRun(t, plan.Plan{})
				f.child.life = time.Minute
				r := f.open(t)
				ctx, end := context.WithCancel(t.Context())
				r.end = end
				ended := make(chan struct{})
				tidy := func() {
					<-ctx.Done()
					<-time.After(time.Second)
					close(ended)
				}
				if of == "part" {
					r.parts.list = append(r.parts.list, Part{Name: of, Run: func(context.Context) error { tidy(); return nil }})
				} else {
					r.reactions.hooks.running.Go(tidy)
				}
				if _, err := r.untilExit(ctx); err != nil || !closed(ended) {
					t.Errorf("the run ended, with %v, before its %s", err, of)
				}
				<-ended
			})
		})
	}
}

// TestHangAtEnd: what hangs once the command has ended, and does not hear of that, costs
// some seconds, and neither the exit code nor what else is to be tidied up.
func TestHangAtEnd(t *testing.T) {
	for _, what := range []string{"part", "list", "hook", "close"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeRun(t, plan.Plan{})
				f.child.life, f.child.code = time.Minute, 7
				gone := make(chan struct{}) // the file system that comes back after the test
				hang := func() { <-gone }
				switch what {
				case "part":
					f.Parts = []Part{{Name: what, Run: func(context.Context) error { hang(); return nil }}}
				case "list":
					f.watchList = func(context.Context, func([]plan.Profile, error) bool) { hang() }
				}
				r := f.open(t)
				closed := false
				d := &deliveries{run: r.parts, list: []delivery{{name: "first", close: func() { closed = true }}}}
				switch what {
				case "hook":
					r.reactions.hooks.running.Go(hang)
				case "close":
					d.list = append(d.list, delivery{name: what, close: hang})
				}
				ctx, end := context.WithCancel(t.Context())
				r.end = end
				began := time.Now()
				exit, err := r.untilExit(ctx)
				d.close()
				if took := time.Since(began) - f.child.life; err != nil || exit.Code != 7 || took != hangTime {
					t.Errorf("code %d, %v, %v after the command; want 7 after %v", exit.Code, err, took, hangTime)
				}
				if !closed {
					t.Error("what does not hang was not tidied up")
				}
				if got := f.lines("brs-exec ends without it"); len(got) != 1 {
					t.Errorf("the log has %q", got)
				}
				close(gone)
			})
		})
	}
}

// TestSlowEnd: what is slow at the end is waited for as long as it gets on, but not for ever.
func TestSlowEnd(t *testing.T) {
	const step = hangTime - time.Second
	for _, f := range []struct {
		what  string
		files int
		want  time.Duration
		left  bool
	}{
		{"a thousand files", 5, 5 * step, false},
		{"as many as it takes", 1000, slowTime, true},
	} {
		t.Run(f.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{}).open(t)
				var steps atomic.Uint64
				tidied := make(chan struct{})
				d := &deliveries{run: r.parts, list: []delivery{{name: "slow", steps: steps.Load, close: func() {
					defer close(tidied)
					for range f.files {
						time.Sleep(step)
						steps.Add(1)
					}
				}}}}
				began := time.Now()
				d.close()
				if took := time.Since(began); took != f.want || closed(tidied) == f.left {
					t.Errorf("%v, tidied up: %t; want %v, %t", took, closed(tidied), f.want, !f.left)
				}
				<-tidied
			})
		})
	}
}

// TestSightPanics: nor does a panic of those who tell how the run ended.
func TestSightPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{})
		r.child.life, r.child.code = time.Minute, 7
		handler := r.Log.Handler()
		r.Log = slog.New(panicking{handler, "exit 7 after"})
		if exit, err := r.run(); err != nil || exit.Code != 7 {
			t.Errorf("code %d, %v; want the command's 7", exit.Code, err)
		}
		if got := r.lines(`part="the tally"`); len(got) != 1 {
			t.Errorf("the log has %q, want one line", got)
		}
	})
}

// panicking panics at the messages that begin so.
type panicking struct {
	slog.Handler
	at string
}

func (p panicking) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, p.at) {
		panic("verysecret")
	}
	return p.Handler.Handle(ctx, r)
}

// TestLeaveDir: a command that is started once leaves the directory that it is started
// in to those who want to unmount it, and the source learns when.
func TestLeaveDir(t *testing.T) {
	for _, once := range []bool{false, true} {
		r := newFakeRun(t, plan.Plan{Child: supervisor.Options{Once: once}})
		r.child.life = 1
		r.child.looks = func([]string) string { return fmt.Sprint("left ", r.source.left != nil && closed(r.source.left)) }
		if _, err := r.run(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"start left false", fmt.Sprint("end left ", once)}, r.child.seen()); diff != "" || r.child.opts.LeaveDir != once {
			t.Errorf("started once %v: the supervisor leaves %v, the source (-want +got):\n%s", once, r.child.opts.LeaveDir, diff)
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestRealSource goes all the way from a source to the exit, and to credentials
// that are got once.
func TestRealSource(t *testing.T) {
	const prints = `printf '{"Version":1,"AccessKeyId":"ASIAFAKEFAKEFAKE0001","SecretAccessKey":"verysecret","SessionToken":"t","Expiration":"2100-01-01T00:00:00Z"}'`
	for _, tt := range []struct {
		name    string
		command []string
		err     string // part
	}{
		{"gives", []string{"sh", "-c", prints}, ""},
		{"is not there", []string{"/nonexistent/command"}, "no such file"},
		{"is none", []string{""}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newFakeRun(t, plan.Plan{StartTimeout: time.Second})
			r.Plan.Profiles[0].Source.Command = tt.command
			r.child.life, r.child.code = 1, 5
			r.openSource = nil
			exit, err := r.run()
			creds, errOnce := Once(r.Options)
			for _, err := range []error{err, errOnce} {
				if tt.name == "gives" && err != nil || tt.name != "gives" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("the error is %v, want one with %q", err, tt.err)
				}
			}
			if err == nil && (exit.Code != 5 || creds.AccessKeyID != "ASIAFAKEFAKEFAKE0001") {
				t.Errorf("code %d and key %s, want 5 and …0001", exit.Code, creds.AccessKeyID)
			}
			nothingLeft(t)
		})
	}
}

// TestOnce: each failure of a start is in the log, and what the source notes.
func TestOnce(t *testing.T) {
	down := errors.New("connection refused")
	for _, tt := range []struct {
		name  string
		fail  func(int) error
		begin error
		want  error
		log   map[string]int // lines with a part
	}{
		{"at once", nil, nil, nil, map[string]int{"level=": 1, "a note": 1}},
		{"after failures", func(call int) error {
			if call < 3 {
				return down
			}
			return nil
		}, nil, nil, map[string]int{"no credentials yet": 2, "a note": 1}},
		{"never", func(int) error { return down }, nil, down, map[string]int{"a note": 0}},
		{"no session", nil, down, down, map[string]int{"level=": 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				r.source.fail, r.source.begin, r.source.noticed = tt.fail, tt.begin, []string{"a note"}
				creds, err := Once(r.Options)
				if !errors.Is(err, tt.want) || (err == nil) != creds.HasKeys() {
					t.Errorf("the key %q and %v, want %v", creds.AccessKeyID, err, tt.want)
				}
				for part, want := range tt.log {
					if got := r.lines(part); len(got) != want {
						t.Errorf("the log has %d lines with %q, want %d:\n%s", len(got), part, want, r.log)
					}
				}
			})
		})
	}
}

// TestChildEvents: what happens to the command reaches systemd, the record and the
// log.
func TestChildEvents(t *testing.T) {
	told := listenNotify(t)
	f := newFakeRun(t, plan.Plan{})
	t.Setenv("NOTIFY_SOCKET", told.path)
	r := f.open(t)
	for _, e := range []supervisor.Event{
		{Kind: supervisor.Started, PID: 1},
		{Kind: supervisor.Ended, PID: 1, Exit: supervisor.Exit{Code: 3}, Again: true, After: time.Second},
		{Kind: supervisor.Started, PID: 2},
		{Kind: supervisor.Stopping, PID: 2},
		{Kind: supervisor.Refused, PID: 2, Err: syscall.EPERM, Signal: syscall.SIGTERM},
		{Kind: supervisor.Unkillable, PID: 2, Err: syscall.EPERM},
		{Kind: supervisor.Killed, PID: 2},
		{Kind: supervisor.Ended, PID: 2, Again: true}, // we asked for it
		{Kind: supervisor.Started, PID: 3},
		{Kind: supervisor.Ended, PID: 3},
	} {
		r.parts.child(e)
	}
	if diff := cmp.Diff([]string{"READY", "READY", "READY", "STOPPING"}, told.names(t, 4)); diff != "" {
		t.Errorf("systemd (-want +got):\n%s", diff)
	}
	if got := f.recorded(); got.Starts != 3 || got.Child != 0 || got.State != control.Ended || got.Exit != "exit status 0" {
		t.Errorf("the record has %+v, want 3 starts and the end", got)
	}
	if r.left.first != 1 {
		t.Errorf("the first start is of pid %d, want 1", r.left.first)
	}
	for part, want := range map[string]int{
		"the command is started\"": 3, "has ended and is started again": 1, "was killed": 1,
		"may not be sent signals": 1, "may not be killed": 1,
	} {
		if got := f.lines(part); len(got) != want {
			t.Errorf("the log has %d lines with %q, want %d:\n%s", len(got), part, want, f.log)
		}
	}
}

// TestChildTalks: with --notify-child systemd hears nothing of us.
func TestChildTalks(t *testing.T) {
	f := newFakeRun(t, plan.Plan{NotifyChild: true})
	t.Setenv("NOTIFY_SOCKET", "relative") // which would be refused
	f.child.life = 1
	f.child.looks = func(env []string) string { return value(env, "NOTIFY_SOCKET") }
	if _, err := f.run(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"start relative", "end relative"}, f.child.seen()); diff != "" {
		t.Errorf("the command (-want +got):\n%s", diff)
	}
}

// TestWatchdog: systemd is told that we are alive as long as the engine is.
func TestWatchdog(t *testing.T) {
	told := listenNotify(t)
	r := newFakeRun(t, plan.Plan{})
	t.Setenv("NOTIFY_SOCKET", told.path)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	ended := make(chan error, 1)
	r.child.stop = make(chan struct{})
	go func() {
		_, err := r.run()
		ended <- err
	}()
	for alive := 0; alive < 3; {
		for _, name := range told.names(t, 1) {
			if name == "WATCHDOG" {
				alive++
			}
		}
	}
	close(r.child.stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLeftBehind names what goes on without credentials, once the command has ended.
func TestLeftBehind(t *testing.T) {
	users := func(names ...string) func(int, time.Duration) []string {
		return func(int, time.Duration) []string { return names }
	}
	for _, tt := range []struct {
		name  string
		first int
		users func(int, time.Duration) []string
		want  string
	}{
		{"nothing", 4711, users(), ""},
		{"never started", 0, users("sleep"), ""},
		{"two", 4711, users("sleep", "tee"), `processes="[sleep tee]" count=2`},
		{"many", 4711, users("a", "b", "c", "d"), `processes="[a b c]" count=4`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				l := &leftBehind{log: r.Log, first: tt.first}
				l.say(t.Context(), tt.users)
				if got := r.log.String(); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
					t.Errorf("the log has %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// TestDeliveryTrouble: what the log says of a socket or a run directory that is not as
// it should be.
func TestDeliveryTrouble(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*slog.Logger)
		want string
	}{
		{"a socket that fails", func(log *slog.Logger) { socketEvent(log)(syscall.EMFILE) }, "level=ERROR msg=\"the command's requests for credentials are not answered"},
		{"a stranger's socket", func(log *slog.Logger) { socketEvent(log)(syscall.EADDRINUSE) }, "level=ERROR msg=\"another program has the port"},
		{"a socket that works again", func(log *slog.Logger) { socketEvent(log)(nil) }, "level=WARN msg=\"the command's requests for credentials are answered again"},
		{"the signing proxy's socket fails", func(log *slog.Logger) { signEvent(log)(syscall.EMFILE) }, "level=ERROR msg=\"the command's requests are not signed; brs-exec retries\""},
		{"a stranger has its port", func(log *slog.Logger) { signEvent(log)(syscall.EADDRINUSE) }, "level=ERROR msg=\"another program has the port that the command sends its requests to: do not trust"},
		{"it works again", func(log *slog.Logger) { signEvent(log)(nil) }, "level=WARN msg=\"the command's requests are signed again\""},
		{"a directory that was made again", func(log *slog.Logger) { vanished(log)("made again", nil) }, "level=WARN msg=\"made again\""},
		{"a directory that is gone", func(log *slog.Logger) { vanished(log)("gone", syscall.ENOSPC) }, "level=ERROR msg=gone err="},
		{"systemd's socket is gone", func(log *slog.Logger) { (&systemd{log: log}).say(syscall.ENOENT) }, "level=WARN msg="},
	} {
		r := newFakeRun(t, plan.Plan{})
		tt.do(r.Log)
		if got := r.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, tt.want) {
			t.Errorf("%s: the log has %q, want %q", tt.name, got, tt.want)
		}
	}
}
