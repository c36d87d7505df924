package run

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer"
)

// fakeSource gives credentials that live for an hour.
type fakeSource struct {
	fail    func(call int) error // nil: never
	life    time.Duration        // 0: an hour
	expiry  func() (source.Expiry, bool)
	slow    time.Duration // each call
	begin   error
	region  string
	instant bool
	noticed []string        // Notes
	left    <-chan struct{} // what LeaveDir was told

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

func (f *fakeSource) Authenticate(context.Context) error { return f.begin }
func (f *fakeSource) LeaveDir(started <-chan struct{})   { f.left = started }
func (f *fakeSource) StartTimeout() time.Duration        { return 30 * time.Second }
func (f *fakeSource) Instant() bool                      { return f.instant }
func (f *fakeSource) Issued() bool                       { return false }
func (f *fakeSource) Origin() source.Origin              { return source.Origin{} }
func (f *fakeSource) Skew() time.Duration                { return 0 }
func (f *fakeSource) Watch(func()) (stop func())         { return func() {} }
func (f *fakeSource) Describe() string                   { return "a fake" }
func (f *fakeSource) Profile() string                    { return "" }

func (f *fakeSource) Region() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == 0 { // as on an instance, which is asked for it
		return ""
	}
	return f.region
}

func (f *fakeSource) Notes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	notes := f.noticed
	f.noticed = nil
	return notes
}

func (f *fakeSource) Expiry() (source.Expiry, bool) {
	if f.expiry == nil {
		return source.Expiry{}, false
	}
	return f.expiry()
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

// fakeChild is a command that runs for some time, or until it is stopped.
type fakeChild struct {
	opts   supervisor.Options
	life   time.Duration // 0: until it is stopped
	code   int
	refuse error // of Signal and Restart
	again  chan struct{}
	stop   chan struct{}             // ends it
	itself bool                      // it ends by itself in the moment when it is to be stopped
	looks  func(env []string) string // at each start, and before the end; nil: for the key in the environment

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
		if f.looks != nil {
			f.note("start %s", f.looks(f.opts.Environ()))
		} else {
			f.note("start")
		}
		f.opts.Notify(supervisor.Event{Kind: supervisor.Started, PID: 4711})
		select {
		case <-f.again:
			f.opts.Notify(supervisor.Event{Kind: supervisor.Stopping, PID: 4711})
			f.opts.Notify(supervisor.Event{Kind: supervisor.Ended, PID: 4711, Again: true})
			continue
		case <-ctx.Done():
			f.note("stop")
		case <-over:
		case <-f.stop:
		}
		if f.looks != nil {
			f.note("end %s", f.looks(f.opts.Environ()))
		}
		exit := supervisor.Exit{Code: f.code, Stopped: ctx.Err() != nil && !f.itself}
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

// value is that of a variable in an environment, "" without it.
func value(env []string, name string) string {
	for _, kv := range env {
		if rest, ok := strings.CutPrefix(kv, name+"="); ok {
			return rest
		}
	}
	return ""
}

// fakeRun is a run whose source, command and log are the test's. Its one delivery
// are variables, unless the plan says otherwise: these work in virtual time.
type fakeRun struct {
	control control.Options // of its control socket
	Options
	source *fakeSource
	child  *fakeChild
	log    *syncBuffer
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

func newFakeRun(t *testing.T, pl plan.Plan) *fakeRun {
	t.Helper()
	clean(t)
	pl.Argv = []string{"job"}
	if pl.Profiles == nil {
		pl.Profiles = []plan.Profile{{}}
	}
	if pl.Deliver == (plan.Delivery{}) {
		pl.Deliver = plan.Delivery{Files: writer.Endpoint, Env: true}
	}
	r := &fakeRun{source: &fakeSource{}, child: &fakeChild{again: make(chan struct{}, 1)}, log: &syncBuffer{}}
	r.Options = Options{
		Plan: &pl, Log: slog.New(slog.NewTextHandler(r.log, nil)), Signals: &supervisor.Signals{},
		openSource: func(context.Context, plan.Profile) (credentialSource, error) { return r.source, nil },
		serveControl: func(o control.Options) func(context.Context) error { // a socket would keep the virtual clock from going
			r.control = o
			return func(context.Context) error { return nil }
		},
		newChild: func(o supervisor.Options, _ *supervisor.Signals) (child, error) {
			r.child.opts = o
			return r.child, nil
		},
	}
	return r
}

// run runs it until the command ends.
func (r *fakeRun) run() (supervisor.Exit, error) { return Run(r.Options) }

// open puts it together, and starts nothing.
func (r *fakeRun) open(t *testing.T) *running {
	t.Helper()
	p := &parts{log: r.Log}
	ps, err := openProfiles(t.Context(), r.Options)
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDeliveries(t.Context(), r.Options, p, ps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	_, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	running, err := newRunning(t.Context(), end, r.Options, p, ps, d, &sight{log: r.Log})
	if err != nil {
		t.Fatal(err)
	}
	return running
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

// recorded is what `brs-exec status` would be told of this run now.
func (r *fakeRun) recorded() control.Record { return r.control.Status(context.Background()) }

// profile is that of the run's one profile.
func (r *fakeRun) profile() control.Profile { return r.recorded().Profiles[0] }

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
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
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
