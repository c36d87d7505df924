package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/urfave/cli/v2"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
	"brs-exec/writer/stale"
)

// session is one command and the credentials that are kept fresh for it.
type session struct {
	*program
	plan     *plan.Plan
	log      *slog.Logger
	watch    func(refresh.Event)           // besides the log; for the demo
	services []func(context.Context) error // run as long as the command; for the demo
	after    func(code int)                // told the exit code, before it is passed on; for the demo

	child     *supervisor.Supervisor
	end       context.CancelCauseFunc
	delivered bool            // the first set; of the engine's goroutine
	environ   func() []string // of the command, once there are credentials
	systemd   *systemd
	started   atomic.Bool  // the command; it has been given our working directory
	stopping  bool         // by us; of the supervisor's goroutine
	dir       string       // where we were started
	profile   string       // that the command finds the credentials under
	readers   *stale.Watch // nil: not watched
	record    *recorder
	ending    *ending
	hooks     sync.WaitGroup
	hookTurn  sync.Mutex // one at a time
}

// errExpired is why a command is stopped by --on-expiry=stop.
var errExpired = errors.New("the credentials have ended")

// session reads the settings of c, whatever they come from.
func (p *program) session(c *cli.Context) (*session, error) {
	from, err := settle(c)
	if err != nil {
		return nil, err
	}
	log, err := logger(p.stderr, c.String("log-level"), c.String("log-format"), c.Bool("quiet"))
	if err != nil {
		return nil, from.explain(err)
	}
	pl, err := plan.New(c, p.argv)
	if err != nil {
		return nil, from.explain(err)
	}
	if err := cmp.Or(findHook("on-refresh", pl.OnRefresh), findHook("on-source-ending", pl.OnSourceEnding)); err != nil {
		return nil, from.explain(err)
	}
	pl.Source.Names = names(p.argv)
	pl.Source.Stderr, pl.Source.Prompt = p.stderr, prompt()
	if p.signals == nil {
		p.signals = supervisor.Hold()
	}
	if pl.Subreaper {
		if err := p.signals.Subreap(); err != nil {
			return nil, err
		}
	}
	if pl.Lock != "" {
		if p.lock, err = supervisor.Lock(pl.Lock); err != nil {
			return nil, err
		}
	}
	return &session{program: p, plan: pl, log: log}, nil
}

// findHook complains about a hook that is not there, as long as someone reads it.
func findHook(flag string, r plan.Reaction) error {
	if r.Act != plan.Exec {
		return nil
	}
	if _, err := exec.LookPath(r.Argv[0]); err != nil && !errors.Is(err, exec.ErrDot) {
		return &plan.Error{Flag: flag, Text: fmt.Sprintf("runs %q: %v", r.Argv[0], reason(err))}
	}
	return nil
}

// reason takes off an error of LookPath what it says besides.
func reason(err error) error {
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err
}

// names are what a session name template can say about this run.
func names(argv []string) source.Names {
	n := source.Names{Command: "brs-exec", PID: os.Getpid(), User: os.Getenv("USER")}
	if len(argv) > 0 {
		n.Command = filepath.Base(argv[0])
	}
	n.Host, _ = os.Hostname()
	if n.User == "" {
		if u, err := user.Current(); err == nil {
			n.User = u.Username
		}
	}
	return n
}

// run keeps credentials fresh until the command has ended, and returns its exit code.
func (s *session) run() (int, error) {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	s.end = end
	src, err := source.New(ctx, s.plan.Source)
	if err != nil {
		return 0, err
	}
	if code, err := s.begin(src); code != 0 || err != nil {
		return code, err
	}
	files, err := s.files(src)
	if err != nil {
		return 0, err
	}
	exit, err := s.deliver(ctx, src, files)
	if closed := files.Close(); closed != nil {
		s.log.Warn("the run directory stays behind", "err", closed)
	}
	if s.after != nil && err == nil {
		s.after(exit.Code)
	}
	switch {
	case err == nil && errors.Is(exit.Cause, errExpired):
		return exitExpired, nil
	case err != nil && exit.Code > exitFailed: // the command cannot be run, or is not there
		s.complain(err)
		return exit.Code, nil
	case err == nil:
		s.flush()
		exit.Raise()
	}
	return exit.Code, err
}

// supervise runs the command and, as long as it lives, the engine.
func (s *session) supervise(ctx context.Context, src *source.Source, deliveries []refresh.Delivery) (exit supervisor.Exit, err error) {
	o := s.plan.Child
	o.Argv, o.Environ, o.Notify = s.plan.Argv, s.environ, s.childEvent
	from, dir := refresh.Profile{Name: setName, Source: src}, s.workingDir()
	if o.LeaveDir = o.Once && dir != ""; o.LeaveDir {
		from.Source = &sourceInDir{Source: src, dir: dir, left: &s.started}
	}
	if s.systemd, err = s.newSystemd(); err != nil {
		return exit, err
	}
	if s.child, err = supervisor.New(o, s.signals); err != nil {
		return exit, err
	}
	ends := func() (source.Ending, bool) {
		end, known := src.Ends()
		s.record.ending(end, known)
		return end, known
	}
	s.ending = newEnding(ends, s.plan.EndingBefore, func(end source.Ending) { s.sourceEnds(ctx, end) })
	engine := refresh.New(refresh.Options{
		Profiles:     []refresh.Profile{from},
		Deliveries:   deliveries,
		Policy:       refresh.Policy{Before: s.plan.RefreshBefore},
		MinTTL:       s.plan.MinTTL,
		StartTimeout: s.plan.StartTimeout,
		Notify:       func(e refresh.Event) { s.notify(ctx, src, e) },
	})
	var running sync.WaitGroup
	watchdog := func(ctx context.Context) error { return s.systemd.watchdog(ctx, engine) }
	for _, service := range append(s.services, engine.Run, watchdog, s.ending.run) {
		running.Go(func() {
			if err := service(ctx); err != nil {
				s.end(err)
			}
		})
	}
	exit, err = s.child.Run(ctx, engine.Ready())
	s.end(nil)
	running.Wait()
	s.hooks.Wait()
	return exit, err
}

// notify follows an event of the engine, in whose goroutine it runs.
func (s *session) notify(ctx context.Context, src *source.Source, e refresh.Event) {
	for _, note := range src.Notes() {
		s.log.Warn(note)
	}
	report(s.log, e, s.delivered)
	s.tellReaders(e.Kind)
	s.systemd.event(e)
	if e.Kind == refresh.Refreshed {
		s.record.from(src.Describe())
	}
	s.record.engine(e, !s.delivered)
	s.ending.event(e.Kind)
	if s.watch != nil {
		s.watch(e)
	}
	switch e.Kind {
	case refresh.Refreshed:
		if s.delivered { // not the set that the command starts with
			s.react(ctx, s.plan.OnRefresh, e)
		}
		s.delivered = true
	case refresh.Failed:
		if e.Permanent && e.First && s.delivered {
			s.refused(ctx, e)
		}
	case refresh.Expired:
		s.react(ctx, s.plan.OnExpiry, e)
	}
}

// childEvent logs what happens to the command besides its one start and end.
func (s *session) childEvent(e supervisor.Event) {
	if e.Kind == supervisor.Ended && e.Again && s.readers != nil {
		s.readers.Restarted()
	}
	s.systemd.child(e)
	s.record.child(e)
	switch {
	case e.Kind == supervisor.Stopping:
		s.stopping = true
	case e.Kind == supervisor.Ended && e.Again && !s.stopping:
		s.log.Warn("the command has ended and is started again", "how", e.Exit.String(), "after", e.After)
	case e.Kind == supervisor.Killed:
		s.log.Warn("the command did not stop in time and was killed", "pid", e.PID)
	case e.Kind == supervisor.Started:
		s.stopping = false
		s.started.Store(true)
		s.log.Info("the command is started", "pid", e.PID)
	}
}

// workingDir is where the command starts, "" if that is no place to come back to.
func (s *session) workingDir() string {
	dir, err := os.Getwd()
	if err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	s.dir = dir
	return dir
}

// sourceInDir asks a source where we were started, which relative paths in
// flags, variables and profiles are about. In between we are in /, so that the
// file system of that directory can be unmounted. Nothing else here uses
// relative paths.
type sourceInDir struct {
	*source.Source
	dir  string
	left *atomic.Bool // we are in /
}

func (s *sourceInDir) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if s.left.Load() && os.Chdir(s.dir) == nil {
		defer os.Chdir("/")
	}
	return s.Source.Retrieve(ctx)
}

// react does what --on-refresh and --on-expiry ask for.
func (s *session) react(ctx context.Context, r plan.Reaction, e refresh.Event) {
	switch r.Act {
	case plan.Signal:
		if err := s.child.Signal(r.Signal, r.Force); err != nil {
			s.log.Warn("no signal sent", "reaction-to", e.Kind.String(), "err", err)
		}
	case plan.Stop:
		s.log.Error("the credentials have ended: stopping the command")
		s.end(errExpired)
	case plan.Restart:
		if err := s.child.Restart(); err != nil {
			s.log.Warn("the command cannot be started again", "err", err)
		}
	case plan.Exec:
		s.hooks.Go(func() { s.hook(ctx, r.Argv, e) })
	}
}
