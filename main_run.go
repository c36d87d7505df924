package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/urfave/cli/v2"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
	"brs-exec/writer"
	"brs-exec/writer/endpoint"
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
	stopping  bool            // by us; of the supervisor's goroutine
	profile   string          // that the command finds the credentials under
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
	if r := pl.OnRefresh; r.Act == plan.Exec {
		if _, err := exec.LookPath(r.Argv[0]); err != nil && !errors.Is(err, exec.ErrDot) {
			return nil, from.explain(&plan.Error{Flag: "on-refresh", Text: fmt.Sprintf("runs %q: %v", r.Argv[0], reason(err))})
		}
	}
	if len(pl.Source.Roles) > 0 || pl.Source.RolesAnywhere != nil {
		pl.Source.Names = names(p.argv)
	}
	pl.Source.Stderr = p.stderr
	if p.signals == nil {
		p.signals = supervisor.Hold()
	}
	if pl.Subreaper {
		if err := p.signals.Subreap(); err != nil {
			return nil, err
		}
	}
	return &session{program: p, plan: pl, log: log}, nil
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
		exit.Raise()
	}
	return exit.Code, err
}

// files makes the run directory and what the command is to find in it.
func (s *session) files(src *source.Source) (*writer.Private, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	o := writer.Options{
		Profile: src.Profile(), As: s.plan.As, Set: setName, Mode: s.plan.Deliver.Files, Region: src.Region(),
		Executable: self, KeepIMDS: s.plan.KeepIMDS,
	}
	o.ConfigFile, o.CredentialsFile = sharedFiles()
	files, err := writer.NewPrivate(o)
	if err != nil {
		return nil, err
	}
	for _, note := range files.Notes() {
		s.log.Warn(note)
	}
	return files, nil
}

// setName is what the one set of credentials of a session is called between
// the engine and its deliveries.
const setName = "command"

// sharedFiles are the user's own, found as the SDKs find them.
func sharedFiles() (config, credentials string) {
	home, _ := os.UserHomeDir()
	find := func(variable, name string) string {
		switch path := os.Getenv(variable); {
		case path != "":
			return path
		case home != "":
			return filepath.Join(home, ".aws", name)
		}
		return ""
	}
	return find("AWS_CONFIG_FILE", "config"), find("AWS_SHARED_CREDENTIALS_FILE", "credentials")
}

// deliver opens the channels beside the files, and supervises.
func (s *session) deliver(ctx context.Context, src *source.Source, files *writer.Private) (supervisor.Exit, error) {
	deliveries, region := []refresh.Delivery{files}, src.Region()
	var more []string
	if s.plan.Deliver.Endpoint {
		o := endpoint.Options{Profile: setName}
		if s.plan.Deliver.Files == writer.Auto { // JavaScript's SDK warns at each fetch if it has both and no profile
			o.TokenFile = filepath.Join(files.Dir(), "token")
		}
		server, err := endpoint.Listen(o)
		if err != nil {
			return supervisor.Exit{}, err
		}
		deliveries, s.services, more = append(deliveries, server), append(s.services, server.Run), server.Env()
	}
	if s.plan.Deliver.IMDS {
		server, err := endpoint.ListenIMDS(endpoint.IMDSOptions{Profile: setName, Region: region})
		if err != nil {
			return supervisor.Exit{}, err
		}
		deliveries, s.services = append(deliveries, server), append(s.services, server.Run)
		more = append(server.Env(), "AWS_EC2_METADATA_DISABLED=false")
	}
	if s.plan.Shared.Path != "" {
		shared, err := s.shared(src)
		if err != nil {
			return supervisor.Exit{}, err
		}
		deliveries, s.services = append(deliveries, shared), append(s.services, shared.Run)
		defer func() {
			if err := shared.Close(); err != nil {
				s.log.Warn("the credentials file is not as it should be left", "err", err)
			}
		}()
	}
	var keys variables
	if s.plan.Deliver.Env {
		deliveries = append(deliveries, &keys)
	}
	s.environ = func() []string {
		env, _ := files.Env(os.Environ(), slices.Concat(more, keys.env(), lateRegion(src, region))...)
		return env
	}
	_, scrubbed := files.Env(os.Environ(), more...)
	s.log.Info("source", "from", src.Describe(), "dir", files.Dir())
	if len(scrubbed) > 0 {
		s.log.Info("taken out of the command's environment", "names", strings.Join(scrubbed, " "))
	}
	s.profile = files.Profile()
	return s.supervise(ctx, src, deliveries)
}

// shared opens the file of --credentials-file.
func (s *session) shared(src *source.Source) (*writer.Shared, error) {
	o := writer.SharedOptions{
		Path: s.plan.Shared.Path, Sections: map[string]string{setName: s.plan.Shared.Section},
		AtExit: s.plan.Shared.AtExit, Perm: s.plan.Shared.Perm, Owner: s.plan.Shared.Owner,
		Notify: func(note string) { s.log.Warn(note) },
	}
	config, credentials := sharedFiles()
	o.ConfigFile = config
	if src.Profile() != "" { // else nothing is read from these, and nothing can go round in a circle
		o.SourceFiles, o.SourceProfile = []string{config, credentials}, src.Profile()
	}
	shared, err := writer.NewShared(o)
	if err != nil {
		return nil, err
	}
	for _, note := range shared.Notes() {
		s.log.Warn(note)
	}
	return shared, nil
}

// variables is a delivery to the environment of the next start.
type variables struct {
	mu    sync.Mutex
	creds aws.Credentials
}

func (v *variables) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if creds, ok := sets[setName]; ok {
		v.creds = creds
	}
	return nil
}

// env leaves the expiry out: botocore raises an error when it has come, and by
// then the command has been started anew.
func (v *variables) env() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.creds.HasKeys() {
		return nil
	}
	env := []string{"AWS_ACCESS_KEY_ID=" + v.creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + v.creds.SecretAccessKey}
	if v.creds.SessionToken != "" {
		env = append(env, "AWS_SESSION_TOKEN="+v.creds.SessionToken)
	}
	return env
}

// lateRegion is for a region that only the instance knows, and that the files
// therefore do not have.
func lateRegion(src *source.Source, known string) []string {
	if region := src.Region(); region != known {
		return []string{"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region}
	}
	return nil
}

// supervise runs the command and, as long as it lives, the engine.
func (s *session) supervise(ctx context.Context, src *source.Source, deliveries []refresh.Delivery) (exit supervisor.Exit, err error) {
	o := s.plan.Child
	o.Argv, o.Environ, o.Notify = s.plan.Argv, s.environ, s.childEvent
	if s.child, err = supervisor.New(o, s.signals); err != nil {
		return exit, err
	}
	engine := refresh.New(refresh.Options{
		Profiles:     []refresh.Profile{{Name: setName, Source: src}},
		Deliveries:   deliveries,
		Policy:       refresh.Policy{Before: s.plan.RefreshBefore},
		MinTTL:       s.plan.MinTTL,
		StartTimeout: s.plan.StartTimeout,
		Notify:       func(e refresh.Event) { s.notify(ctx, src, e) },
	})
	var running sync.WaitGroup
	for _, service := range append(s.services, engine.Run) {
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
	if s.watch != nil {
		s.watch(e)
	}
	switch e.Kind {
	case refresh.Refreshed:
		if s.delivered { // not the set that the command starts with
			s.react(ctx, s.plan.OnRefresh, e)
		}
		s.delivered = true
	case refresh.Expired:
		s.react(ctx, s.plan.OnExpiry, e)
	}
}

// childEvent logs what happens to the command besides its one start and end.
func (s *session) childEvent(e supervisor.Event) {
	switch {
	case e.Kind == supervisor.Stopping:
		s.stopping = true
	case e.Kind == supervisor.Ended && e.Again && !s.stopping:
		s.log.Warn("the command has ended and is started again", "how", e.Exit.String(), "after", e.After)
	case e.Kind == supervisor.Killed:
		s.log.Warn("the command did not stop in time and was killed", "pid", e.PID)
	case e.Kind == supervisor.Started:
		s.stopping = false
		s.log.Info("the command is started", "pid", e.PID)
	}
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
