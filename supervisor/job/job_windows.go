package job

import (
	"os"
	"syscall"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// Job is a started child. On Windows there are no process groups, no job
// control and no signals but os.Interrupt (the console tells the child of
// Ctrl-C by itself) and os.Kill: every other signal is an error.
type Job struct{ process *os.Process }

// Start starts the child with our standard input, output and error.
func Start(s Spec) (*Job, error) {
	p, err := os.StartProcess(s.Path, s.Argv, &os.ProcAttr{Env: s.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return nil, err
	}
	return &Job{p}, nil
}

// Process returns the child, for its owner to wait for.
func (j *Job) Process() *os.Process { return j.process }

// Pid returns the child's process id.
func (j *Job) Pid() int { return j.process.Pid }

// OwnGroup reports whether the child leads a process group of its own: never.
func (j *Job) OwnGroup() bool { return false }

// Terminal reports whether there is a controlling terminal: none is known.
func (j *Job) Terminal() bool { return false }

// Signal ends the child if sig is SIGKILL or SIGTERM.
func (j *Job) Signal(sig syscall.Signal) error {
	if sig == syscall.SIGKILL || sig == syscall.SIGTERM {
		return j.process.Kill()
	}
	return syscall.EWINDOWS
}

// SignalGroup is Signal.
func (j *Job) SignalGroup(sig syscall.Signal) error { return j.Signal(sig) }

// Forward does nothing for an interrupt, which the console has sent to the child
// already.
func (j *Job) Forward(sig siginfo.Info, as syscall.Signal, group bool) error {
	if sig.Signal == syscall.SIGINT {
		return nil
	}
	return j.Signal(as)
}

// Suspended does nothing: no process is stopped by a signal here.
func (j *Job) Suspended(syscall.Signal) error { return nil }

// Ended releases what is held for the child.
func (j *Job) Ended() {}
