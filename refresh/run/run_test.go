package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
	"brs-exec/writer"
	"brs-exec/writer/stale"
)

// The tests of a run have a source, a command and a delivery of their own, and
// mostly run in virtual time.

// fakeSource gives sets that live for an hour.
type fakeSource struct {
	fail func(call int) error // nil: never
	life time.Duration        // 0: an hour
	end  func() (source.Ending, bool)
	slow time.Duration // each call

	mu    sync.Mutex
	calls int
}

func (f *fakeSource) Retrieve(ctx context.Context) (aws.Credentials, error) {
	f.mu.Lock()
	f.calls++
	n := f.calls
	f.mu.Unlock()
	if f.slow > 0 {
		select {
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		case <-time.After(f.slow):
		}
	}
	if f.fail != nil {
		if err := f.fail(n); err != nil {
			return aws.Credentials{}, err
		}
	}
	life := f.life
	if life == 0 {
		life = time.Hour
	}
	return aws.Credentials{
		AccessKeyID: fmt.Sprintf("ASIAFAKEFAKEFAKE%04d", n), SecretAccessKey: "verysecret", SessionToken: "tokensecret",
		CanExpire: true, Expires: time.Now().Add(life),
	}, nil
}

func (f *fakeSource) StartTimeout() time.Duration         { return 30 * time.Second }
func (f *fakeSource) Issued() bool                        { return false }
func (f *fakeSource) Origin() source.Origin               { return source.Origin{} }
func (f *fakeSource) Skew() time.Duration                 { return 0 }
func (f *fakeSource) Watch(ctx context.Context, _ func()) { <-ctx.Done() }
func (f *fakeSource) Notes() []string                     { return nil }
func (f *fakeSource) Describe() string                    { return "a fake" }

func (f *fakeSource) Ends() (source.Ending, bool) {
	if f.end == nil {
		return source.Ending{}, false
	}
	return f.end()
}

// fakeChild is a command that runs for some time, or until it is stopped.
type fakeChild struct {
	opts   supervisor.Options
	life   time.Duration // 0: until it is stopped
	code   int
	refuse error // of Signal and Restart
	again  chan struct{}

	mu  sync.Mutex
	got []string // what was done to it, and what it found at each start
}

func (f *fakeChild) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, fmt.Sprintf(format, args...))
}

func (f *fakeChild) Run(ctx context.Context, ready <-chan struct{}) (supervisor.Exit, error) {
	select {
	case <-ready:
	case <-ctx.Done():
		return supervisor.Exit{Code: 125, Stopped: true}, nil
	}
	var over <-chan time.Time
	if f.life > 0 {
		over = time.After(f.life)
	}
	for {
		keys := slices.DeleteFunc(f.opts.Environ(), func(kv string) bool { return !strings.HasPrefix(kv, "AWS_ACCESS_KEY_ID=") })
		f.note("start %s", strings.Join(keys, " "))
		f.opts.Notify(supervisor.Event{Kind: supervisor.Started, PID: 4711})
		select {
		case <-f.again:
			f.opts.Notify(supervisor.Event{Kind: supervisor.Stopping, PID: 4711})
			f.opts.Notify(supervisor.Event{Kind: supervisor.Ended, PID: 4711, Again: true})
			continue
		case <-ctx.Done():
			f.note("stop")
		case <-over:
		}
		exit := supervisor.Exit{Code: f.code, Stopped: ctx.Err() != nil}
		f.opts.Notify(supervisor.Event{Kind: supervisor.Ended, PID: 4711, Exit: exit})
		return exit, nil
	}
}

func (f *fakeChild) Signal(sig syscall.Signal, force bool) error {
	f.note("signal %d %v", int(sig), force)
	return f.refuse
}

func (f *fakeChild) Restart() error {
	f.note("restart")
	if f.refuse == nil {
		f.again <- struct{}{}
	}
	return f.refuse
}

func (f *fakeChild) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// fakeRun is a session whose log, record and command can be looked at.
type fakeRun struct {
	*session
	source *fakeSource
	child  *fakeChild
	log    *syncBuffer
	status *syncBuffer
	cause  error // of the end, after supervised
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// lines returns those of the log with a part.
func (r *fakeRun) lines(part string) (found []string) {
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, part) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func newFakeRun(t *testing.T, pl plan.Plan) *fakeRun {
	t.Helper()
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	pl.Argv = []string{"job"}
	r := &fakeRun{
		source: &fakeSource{}, child: &fakeChild{again: make(chan struct{}, 1)}, log: &syncBuffer{}, status: &syncBuffer{},
	}
	r.session = newSession(Options{Plan: &pl, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	r.newChild = func(o supervisor.Options, _ *supervisor.Signals) (child, error) {
		r.child.opts = o
		return r.child, nil
	}
	r.environ = func() []string { return nil }
	r.record = newRecorder("job", "a fake", func(text []byte) error {
		_, err := r.status.Write(text)
		return err
	})
	r.serve("the status record", r.record.run)
	return r
}

// supervised runs it until the command ends.
func (r *fakeRun) supervised() (supervisor.Exit, error) {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	r.end = end
	var keys variables
	exit, err := r.supervise(ctx, r.source, []refresh.Delivery{&keys})
	r.cause = context.Cause(ctx)
	return exit, err
}

// last is the record as `brs-exec status` would read it at the end.
func (r *fakeRun) last(t *testing.T) (got Record) {
	t.Helper()
	lines := slices.Collect(strings.Lines(r.status.String()))
	if len(lines) == 0 {
		t.Fatal("no record was written")
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestServiceFails: a part that fails or panics is named once and started again;
// the command runs on.
func TestServiceFails(t *testing.T) {
	tests := []struct {
		name string
		fail func() error
		want string
	}{
		{"error", func() error { return errors.New("accept: no buffer space") }, `err="accept: no buffer space"`},
		{"panic", func() error { panic("verysecret") }, "panic in brs-exec/refresh/run.TestServiceFails"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				r.child.life, r.child.code = 10*time.Minute, 7
				calls := 0
				r.serve("the endpoint", func(ctx context.Context) error {
					if calls++; calls < 4 {
						return tt.fail()
					}
					<-ctx.Done()
					return nil
				})
				exit, err := r.supervised()
				if err != nil || exit.Code != 7 || exit.Stopped {
					t.Errorf("the run ended with code %d, stopped %v, error %v; want the command's 7", exit.Code, exit.Stopped, err)
				}
				if calls != 4 {
					t.Errorf("the service was started %d times, want 4", calls)
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

// TestObserverPanics: whoever panics at an event keeps nobody else from it, nor
// the command from running.
func TestObserverPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{OnRefresh: plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}})
		r.child.life = 70 * time.Minute
		r.observers = append(r.observers, Observer{"the broken one", func(refresh.Event, bool) { panic("verysecret") }})
		exit, err := r.supervised()
		if err != nil || exit.Code != 0 {
			t.Fatalf("code %d, %v", exit.Code, err)
		}
		want := []string{"start ", "signal 1 false", "signal 1 false"}
		if diff := cmp.Diff(want, r.child.seen()); diff != "" {
			t.Errorf("the command (-want +got):\n%s", diff)
		}
		if got := r.lines("the broken one"); len(got) != 1 || !strings.Contains(got[0], "panic in brs-exec/refresh/run.TestObserverPanics") {
			t.Errorf("the log has %q, want one line that says where", got)
		}
		if got := r.last(t); got.Refreshed != 2 {
			t.Errorf("the record counts %d refreshes, want 2", got.Refreshed)
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

// TestChildObserverPanics: the same holds for what happens to the command.
func TestChildObserverPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{})
		r.child.life, r.child.code = 10*time.Minute, 7
		r.session.log = slog.New(brokenLog{r.session.log.Handler(), "the command is started"})
		if exit, err := r.supervised(); err != nil || exit.Code != 7 {
			t.Errorf("code %d, %v; want the command's 7", exit.Code, err)
		}
		if got := r.lines("part=\"the log\""); len(got) != 1 {
			t.Errorf("the log has %q, want one line", got)
		}
	})
}

// TestSourceEndsPanics: nor does the look at the source's own end.
func TestSourceEndsPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{})
		r.child.life = 10 * time.Minute
		r.source.end = func() (source.Ending, bool) { panic("half a cache") }
		if exit, err := r.supervised(); err != nil || exit.Code != 0 || exit.Stopped {
			t.Errorf("code %d, stopped %v, %v", exit.Code, exit.Stopped, err)
		}
		if got := r.lines("the watch for the end of the source"); len(got) != 1 {
			t.Errorf("the log has %q, want one line", got)
		}
	})
}

// TestEnginePanics: even a bug in the engine leaves the command its set, and
// another engine takes over.
func TestEnginePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{})
		var keys variables
		refreshed := 0
		o := refresh.Options{
			Profiles: []refresh.Profile{{Name: setName, Source: r.source}}, Deliveries: []refresh.Delivery{&keys},
			Notify: func(e refresh.Event) { // without the guard that a session has
				if e.Kind != refresh.Refreshed {
					return
				}
				if refreshed++; refreshed == 2 {
					panic("a bug")
				}
			},
		}
		first := refresh.New(o)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
		defer cancel()
		if err := r.keepFresh(ctx, o, first); err != nil {
			t.Errorf("the run was ended: %v", err)
		}
		if got := r.lines("the refreshing of credentials"); len(got) != 1 {
			t.Errorf("the log has %q, want one line", got)
		}
		if refreshed < 6 {
			t.Errorf("%d sets, want more after the panic", refreshed)
		}
		// Before the first set there is no job to go on.
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		o.Notify = func(refresh.Event) { panic("a bug") }
		if err := r.keepFresh(ctx, o, refresh.New(o)); err == nil || !strings.Contains(err.Error(), "panic in") {
			t.Errorf("a start that panics ends with %v", err)
		}
	})
}

// TestOrderOfObservers: none of them counts on another one having been told.
func TestOrderOfObservers(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		t.Run(fmt.Sprint("reverse=", reverse), func(t *testing.T) {
			told := listenNotify(t)
			r := newFakeRun(t, plan.Plan{OnRefresh: plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}})
			t.Setenv("NOTIFY_SOCKET", told.path)
			var err error
			if r.systemd, err = r.newSystemd(); err != nil {
				t.Fatal(err)
			}
			r.session.child = r.child
			r.observe(t.Context(), r.source)
			if reverse {
				slices.Reverse(r.observers)
			}
			set := refresh.Event{Kind: refresh.Refreshed, KeyID: "ASIA…0001", Expires: time.Now().Add(time.Hour)}
			r.notify(set)
			r.notify(set)
			r.notify(refresh.Event{Kind: refresh.Failed, Err: errors.New("x"), Attempt: 1})
			if got := r.record.r; got.Refreshed != 1 || got.Failed != 1 {
				t.Errorf("the record has %d refreshes and %d failures, want 1 and 1", got.Refreshed, got.Failed)
			}
			if diff := cmp.Diff([]string{"signal 1 false"}, r.child.seen()); diff != "" {
				t.Errorf("the command (-want +got):\n%s", diff)
			}
			want := []string{"STATUS", "RELOADING", "READY", "STATUS", "STATUS"}
			if diff := cmp.Diff(want, told.names(t, len(want))); diff != "" {
				t.Errorf("systemd (-want +got):\n%s", diff)
			}
			if got := r.lines("refresh failed; the credentials at hand stay"); len(got) != 1 {
				t.Errorf("the log has %q", got)
			}
		})
	}
}

// notifySocket stands for systemd.
type notifySocket struct {
	conn *net.UnixConn
	path string
}

func listenNotify(t *testing.T) *notifySocket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip("no datagram sockets here: ", err)
	}
	t.Cleanup(func() { conn.Close() })
	return &notifySocket{conn: conn, path: path}
}

// read returns n messages.
func (s *notifySocket) read(t *testing.T, n int) (got []string) {
	t.Helper()
	s.conn.SetReadDeadline(time.Now().Add(time.Minute)) // so that a test that fails ends
	b := make([]byte, 4096)
	for range n {
		k, err := s.conn.Read(b)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, string(b[:k]))
	}
	return got
}

// names returns the first word of each of n messages.
func (s *notifySocket) names(t *testing.T, n int) (got []string) {
	for _, m := range s.read(t, n) {
		name, _, _ := strings.Cut(m, "=")
		got = append(got, name)
	}
	return got
}

// TestNoStart: without a first set the error is the engine's own, whatever the
// supervisor makes of it.
func TestNoStart(t *testing.T) {
	denied := &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask an admin"}
	tests := []struct {
		name string
		fail error
		want string
		took time.Duration
	}{
		{"at once", denied, "AccessDenied", 0},
		{"after the timeout", errors.New("connection refused"), "no credentials within 30s: connection refused", 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				r.source.fail = func(int) error { return tt.fail }
				began := time.Now()
				exit, err := r.supervised()
				if err == nil || err.Error() != tt.want || exit.Code != 125 {
					t.Errorf("code %d, error %v; want %d, %s", exit.Code, err, 125, tt.want)
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

// TestSignOfLife: a person at a terminal is told, once, what takes so long.
func TestSignOfLife(t *testing.T) {
	const line = "a fake"
	for _, tt := range []struct {
		name     string
		attended bool
		slow     time.Duration
		want     string
	}{
		{"slow", true, 20 * time.Second, line},
		{"quick", true, time.Second, ""},
		{"nobody is there", false, 20 * time.Second, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, plan.Plan{})
				var said syncBuffer
				if tt.attended {
					r.waiting = func(source string) { io.WriteString(&said, source) }
				}
				r.source.slow, r.child.life = tt.slow, time.Hour
				if _, err := r.supervised(); err != nil {
					t.Fatal(err)
				}
				if got := said.String(); got != tt.want {
					t.Errorf("a person is told %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// TestReactions does what --on-refresh and --on-expiry can ask for.
func TestReactions(t *testing.T) {
	forced := plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP, Force: true}
	tests := []struct {
		name    string
		plan    plan.Plan
		fail    func(call int) error
		refuse  error
		want    []string
		log     string // has this
		stopped bool   // because of the expiry
	}{
		{"none", plan.Plan{}, nil, nil, []string{"start "}, "", false},
		{"signal at each refresh", plan.Plan{OnRefresh: forced}, nil, nil, []string{"start ", "signal 1 true", "signal 1 true"}, "", false},
		{"signal that cannot be sent", plan.Plan{OnRefresh: forced}, nil, supervisor.ErrUnhandled,
			[]string{"start ", "signal 1 true", "signal 1 true"}, "no signal sent", false},
		{"restart", plan.Plan{OnRefresh: plan.Reaction{Act: plan.Restart}}, nil, nil,
			[]string{"start ", "restart", "start ", "restart", "start "}, "", false},
		{"restart that cannot be", plan.Plan{OnRefresh: plan.Reaction{Act: plan.Restart}}, nil, errors.New("once only"),
			[]string{"start ", "restart", "restart"}, "the command cannot be started again", false},
		{"expiry, keep", plan.Plan{}, after(1, errors.New("down")), nil, []string{"start "}, "credentials have ended", false},
		{"expiry, stop", plan.Plan{OnExpiry: plan.Reaction{Act: plan.Stop}}, after(1, errors.New("down")), nil,
			[]string{"start ", "stop"}, "the credentials have ended: stopping the command", true},
		{"expiry, signal", plan.Plan{OnExpiry: forced}, after(1, errors.New("down")), nil,
			[]string{"start ", "signal 1 true"}, "credentials have ended", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, tt.plan)
				r.source.fail, r.child.refuse, r.child.life = tt.fail, tt.refuse, 80*time.Minute
				exit, err := r.supervised()
				if err != nil || exit.Stopped != tt.stopped || errors.Is(r.cause, ErrExpired) != tt.stopped {
					t.Errorf("stopped %v, cause %v, error %v; want %v, none", exit.Stopped, r.cause, err, tt.stopped)
				}
				if diff := cmp.Diff(tt.want, r.child.seen()); diff != "" {
					t.Errorf("the command (-want +got):\n%s", diff)
				}
				if len(r.lines(tt.log)) == 0 {
					t.Errorf("the log lacks %q:\n%s", tt.log, r.log)
				}
				if tt.stopped && !strings.Contains(r.lines(tt.log)[0], "level=ERROR") {
					t.Errorf("a stop has to be said loudly: %s", r.lines(tt.log)[0])
				}
			})
		})
	}
}

// after fails each call after n.
func after(n int, err error) func(int) error {
	return func(call int) error {
		if call <= n {
			return nil
		}
		return err
	}
}

// TestHooks runs those of --on-refresh and --on-source-ending, one at a time, in
// the command's environment.
func TestHooks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hook := plan.Reaction{Act: plan.Exec, Argv: []string{"sh", "-c", `env | grep ^BRS_ | sort >>"$0"; env | grep -c ^AWS_ACCESS >>"$0"; echo said`, out}}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	denied := &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask\nan admin"}
	for _, tt := range []struct {
		name string
		do   func(r *fakeRun)
		want string
	}{
		{"refreshed", func(r *fakeRun) {
			r.reactions(t.Context(), refresh.Event{Kind: refresh.Refreshed, Expires: at}, false)
		}, "BRS_EVENT=refreshed\nBRS_EXPIRES=2026-03-01T12:00:00Z\nBRS_PROFILE=prod\n1\n"},
		{"the first set", func(r *fakeRun) {
			r.reactions(t.Context(), refresh.Event{Kind: refresh.Refreshed, Expires: at}, true)
		}, ""},
		{"source ending", func(r *fakeRun) {
			r.sourceEnds(t.Context(), source.Ending{At: at, What: "a login", Hint: "log in"})
		}, "BRS_EVENT=source-ending\nBRS_EXPIRES=2026-03-01T12:00:00Z\nBRS_HINT=log in\nBRS_PROFILE=prod\nBRS_SOURCE=a login\n0\n"},
		{"source refuses", func(r *fakeRun) {
			r.reactions(t.Context(), refresh.Event{Kind: refresh.Failed, Permanent: true, First: true, Err: denied}, false)
		}, "BRS_EVENT=source-ended\nBRS_HINT=ask an admin\nBRS_PROFILE=prod\nBRS_SOURCE=AccessDenied\n0\n"},
		{"source refuses again", func(r *fakeRun) {
			r.reactions(t.Context(), refresh.Event{Kind: refresh.Failed, Permanent: true, Err: denied}, false)
		}, ""},
		{"source fails for a while", func(r *fakeRun) {
			r.reactions(t.Context(), refresh.Event{Kind: refresh.Failed, Err: denied}, false)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(out, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r := newFakeRun(t, plan.Plan{OnRefresh: hook, OnSourceEnding: hook})
			r.profile = "prod"
			r.environ = func() []string {
				return []string{"PATH=" + os.Getenv("PATH"), "AWS_ACCESS_KEY_ID=A", "AWS_SESSION_TOKEN=t"}
			}
			tt.do(r)
			r.hooks.Wait()
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("the hook found (-want +got):\n%s", diff)
			}
			if said := r.lines("line=said"); (tt.want != "") != (len(said) == 1) {
				t.Errorf("the log has %q of the hook", said)
			}
		})
	}
	r := newFakeRun(t, plan.Plan{OnRefresh: plan.Reaction{Act: plan.Exec, Argv: []string{"sh", "-c", "exit 3"}}})
	r.reactions(t.Context(), refresh.Event{Kind: refresh.Refreshed}, false)
	r.hooks.Wait()
	if got := r.lines("hook failed"); len(got) != 1 || !strings.Contains(got[0], "exit status 3") {
		t.Errorf("the log has %q", got)
	}
	r.environ = func() []string { panic("verysecret") }
	r.reactions(t.Context(), refresh.Event{Kind: refresh.Refreshed}, false)
	r.hooks.Wait()
	if got := r.lines("part=\"a hook\""); len(got) != 1 {
		t.Errorf("the log has %q of a hook that panics", got)
	}
}

// TestStaleAlarm says that nobody comes back for newer credentials, and does what
// --on-stale asks for.
func TestStaleAlarm(t *testing.T) {
	for _, tt := range []struct {
		name   string
		on     plan.Reaction
		ends   time.Duration // from now
		by     stale.Channel
		refuse error
		want   []string
		log    []string
	}{
		{"warn", plan.Reaction{Act: plan.Warn}, time.Minute, stale.Process, nil, nil, []string{"the set they hold ends ", "--deliver file"}},
		{"ended", plan.Reaction{Act: plan.Warn}, -time.Minute, stale.File, nil, nil, []string{"the set they hold ended ", "--deliver auto"}},
		{"signal", plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}, time.Minute, stale.File, nil, []string{"signal 1 false"}, nil},
		{"restart", plan.Reaction{Act: plan.Restart}, time.Minute, stale.File, nil, []string{"restart"}, nil},
		{"refused", plan.Reaction{Act: plan.Restart}, time.Minute, stale.File, supervisor.ErrNoChild, []string{"restart"}, []string{"nothing done about it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newFakeRun(t, plan.Plan{OnStale: tt.on})
			r.session.child, r.child.refuse = r.child, tt.refuse
			r.stale(stale.Alarm{Channel: tt.by, Read: time.Now(), Ends: time.Now().Add(tt.ends)})
			if diff := cmp.Diff(tt.want, r.child.seen()); diff != "" {
				t.Errorf("the command (-want +got):\n%s", diff)
			}
			for _, part := range append(tt.log, "no one has read the credentials since") {
				if len(r.lines(part)) != 1 {
					t.Errorf("the log lacks %q:\n%s", part, r.log)
				}
			}
			if r.record.r.Stale != 1 {
				t.Errorf("the record counts %d, want 1", r.record.r.Stale)
			}
		})
	}
}

// TestChildEvents: what happens to the command reaches systemd, the record and the
// log.
func TestChildEvents(t *testing.T) {
	told := listenNotify(t)
	r := newFakeRun(t, plan.Plan{})
	t.Setenv("NOTIFY_SOCKET", told.path)
	var err error
	if r.systemd, err = r.newSystemd(); err != nil {
		t.Fatal(err)
	}
	for _, e := range []supervisor.Event{
		{Kind: supervisor.Started, PID: 1},
		{Kind: supervisor.Ended, PID: 1, Exit: supervisor.Exit{Code: 3}, Again: true, After: time.Second},
		{Kind: supervisor.Started, PID: 2},
		{Kind: supervisor.Stopping, PID: 2},
		{Kind: supervisor.Killed, PID: 2},
		{Kind: supervisor.Ended, PID: 2, Again: true}, // we asked for it
		{Kind: supervisor.Started, PID: 3},
		{Kind: supervisor.Ended, PID: 3},
	} {
		r.childEvent(e)
	}
	if diff := cmp.Diff([]string{"READY", "READY", "READY", "STOPPING"}, told.names(t, 4)); diff != "" {
		t.Errorf("systemd (-want +got):\n%s", diff)
	}
	if got := r.record.r; got.Starts != 3 || got.Child != 0 {
		t.Errorf("the record has %d starts and pid %d, want 3 and none", got.Starts, got.Child)
	}
	for part, want := range map[string]int{"the command is started\"": 3, "has ended and is started again": 1, "was killed": 1} {
		if got := r.lines(part); len(got) != want {
			t.Errorf("the log has %d lines with %q, want %d:\n%s", len(got), part, want, r.log)
		}
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
	ctx, end := context.WithCancelCause(t.Context())
	r.end = end
	go func() {
		_, err := r.supervise(ctx, r.source, []refresh.Delivery{&variables{}})
		ended <- err
	}()
	for alive := 0; alive < 3; {
		for _, name := range told.names(t, 1) {
			if name == "WATCHDOG" {
				alive++
			}
		}
	}
	end(nil)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRun goes all the way from the source to the exit, but for the command.
func TestRun(t *testing.T) {
	const prints = `printf '{"Version":1,"AccessKeyId":"ASIAFAKEFAKEFAKE0001","SecretAccessKey":"verysecret","SessionToken":"t","Expiration":"2100-01-01T00:00:00Z"}'`
	auto := plan.Delivery{Files: writer.Auto, Endpoint: true}
	tests := []struct {
		name   string
		plan   plan.Plan
		job    *fakeChild
		code   int
		err    string // part
		starts int
	}{
		{"ends", plan.Plan{Deliver: auto, Source: source.Spec{Command: []string{"sh", "-c", prints}}}, &fakeChild{life: 1, code: 5}, 5, "", 1},
		{"other deliveries", plan.Plan{Deliver: plan.Delivery{Files: writer.Endpoint, Env: true}, Source: source.Spec{Command: []string{"sh", "-c", prints}}, OnRefresh: plan.Reaction{Act: plan.Restart}},
			&fakeChild{life: 1}, 0, "", 1},
		{"refused", plan.Plan{Deliver: auto, Source: source.Spec{Command: []string{"/nonexistent/command"}}}, &fakeChild{}, 125, "no such file", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			tt.plan.Argv = []string{"job"}
			var log syncBuffer
			warnings := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})
			s := newSession(Options{Plan: &tt.plan, Log: slog.New(warnings), Signals: &supervisor.Signals{}})
			s.newChild = func(o supervisor.Options, _ *supervisor.Signals) (child, error) {
				tt.job.opts = o
				return tt.job, nil
			}
			exit, err := s.run()
			if exit.Code != tt.code || tt.err == "" && err != nil {
				t.Errorf("exit code %d, want %d; %v", exit.Code, tt.code, err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("the error is %v, want one with %q", err, tt.err)
			}
			if log.String() != "" {
				t.Errorf("the log: %s", log.String())
			}
			if got := tt.job.seen(); len(got) != tt.starts {
				t.Errorf("the command: %q, want %d starts", got, tt.starts)
			}
			left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "brs-exec*", "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

// clean takes everything out of the environment that a run would go by.
func clean(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "BRS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}
