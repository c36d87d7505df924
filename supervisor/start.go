package supervisor

import (
	"errors"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/supervisor/job"
	"brs-exec.example/brs-exec/supervisor/stage"
)

// start starts the child; a non-nil exit means that this can't be done.
func (s *Supervisor) start() (*Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	env := s.opts.Environ()
	s.signals.ignoreInherited()
	err := execvp(s.opts.Argv, env, func(path string, argv []string) (err error) {
		s.job, err = s.startJob(path, argv, env)
		return err
	})
	if caught := s.signals.catchIgnored(); caught != nil && err == nil {
		err = caught
		_ = s.job.Signal(syscall.SIGKILL)
	}
	if err != nil {
		s.job = nil
		exit := startExit(err)
		return &exit, errors.Join(err, s.child.abandon())
	}
	s.wait.watch(s.job)
	s.terminal = s.job.Terminal()
	s.events = append(s.events, Event{Kind: Started, PID: s.job.Pid()})
	if s.opts.Once {
		s.signals.detach(s.opts.LeaveDir)
	}
	s.shrink.Reset(shrinkAfter)
	if err := s.child.start(time.Now()); err != nil {
		return nil, err
	}
	for _, sig := range s.held {
		s.forward(sig)
	}
	s.held = nil
	return nil, nil
}

// startJob starts the command itself, or what becomes the command once it knows
// its own pid, if the command is to take over systemd's sockets.
func (s *Supervisor) startJob(path string, argv, env []string) (p subprocess, err error) {
	spec := job.Spec{
		Path: path, Argv: argv, Env: env, Pdeathsig: s.opts.Pdeathsig, Stop: s.signals.stop,
		Group: s.opts.SignalGroup,
		Share: s.opts.Restart.Policy != RestartNever, // Ctrl-C has to end us, too
	}
	paths := []string{path}
	if through, env, release, ok := stage.ListenCommand(path, env); ok {
		defer release()
		paths, spec.Env = through, env
	}
	for _, spec.Path = range paths {
		if s.starts == nil {
			p, err = s.launch(spec)
		} else {
			started := make(chan struct{})
			s.starts <- func() {
				defer close(started)
				p, err = s.launch(spec)
			}
			<-started
		}
		if err == nil {
			return p, nil
		}
	}
	return nil, err
}
