//go:build unix

package job

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// Job is a started child. It is not safe for concurrent use.
type Job struct {
	pid      int
	group    int       // the child's process group
	ownGroup bool      // group is the child's alone
	tty      *terminal // nil: no controlling terminal
	orphan   bool      // nobody is there who would continue us if we stopped
	follow   bool      // Spec.Follower
	stop     func()    // Spec.Stop
}

// Start starts the child. Descriptors 0, 1, 2 and all others that are not
// close-on-exec are the child's as they are ours. The error is that of execve.
func Start(s Spec) (*Job, error) {
	j := &Job{tty: openTerminal(), orphan: orphaned(), follow: s.Follower, stop: s.Stop}
	sys := &syscall.SysProcAttr{}
	foreground := (s.Group || !s.Share) && j.tty != nil && j.tty.foreground() == unix.Getpgrp() && alone()
	j.ownGroup = foreground || s.Group
	switch {
	case foreground:
		sys.Setpgid, sys.Foreground, sys.Ctty = true, true, j.tty.fd
	case s.Group:
		sys.Setpgid = true
	}
	setPdeathsig(sys, s.Pdeathsig)
	pid, err := syscall.ForkExec(s.Path, s.Argv, &syscall.ProcAttr{Env: s.Env, Files: []uintptr{0, 1, 2}, Sys: sys})
	if err != nil {
		if foreground { // the child may have taken the terminal before its exec failed
			j.tty.setForeground(unix.Getpgrp())
		}
		j.tty.close()
		return nil, err
	}
	j.pid, j.group = pid, unix.Getpgrp()
	if j.ownGroup {
		j.group = pid
	}
	return j, nil
}

// Pid returns the child's process id.
func (j *Job) Pid() int { return j.pid }

// OwnGroup reports whether the child leads a process group of its own.
func (j *Job) OwnGroup() bool { return j.ownGroup }

// Terminal reports whether there is a controlling terminal.
func (j *Job) Terminal() bool { return j.tty != nil }

// Signal sends sig to the child alone.
func (j *Job) Signal(sig syscall.Signal) error { return unix.Kill(j.pid, sig) }

// SignalGroup sends sig to the child's process group; if that is ours as well,
// to the child alone.
func (j *Job) SignalGroup(sig syscall.Signal) error {
	if j.ownGroup {
		return unix.Kill(-j.group, sig)
	}
	return j.Signal(sig)
}

// Forward passes a signal on that was caught by us, in most cases as the same
// signal: to the child, or with group set to its group, unless the child has had
// it already.
func (j *Job) Forward(sig siginfo.Info, as syscall.Signal, group bool) error {
	switch {
	case !j.ownGroup && j.reachedGroup(sig):
		return nil
	case as == unix.SIGCONT:
		j.giveForeground()
		return j.SignalGroup(unix.SIGCONT)
	}
	j.giveForeground()
	if group {
		return j.SignalGroup(as)
	}
	return j.Signal(as)
}

// reachedGroup reports whether sig, caught by us, went to the whole group that the child
// shares with us.
func (j *Job) reachedGroup(sig siginfo.Info) bool {
	if j.tty == nil {
		return false
	}
	switch sig.Signal {
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH, unix.SIGHUP:
		switch sig.Origin {
		case siginfo.Kernel:
			return true // the terminal's
		case siginfo.Unknown:
			return sig.Signal != unix.SIGHUP && j.tty.foreground() == unix.Getpgrp()
		}
		// vim and others stop their whole group, as the terminal would.
		return sig.Signal == unix.SIGTSTP && groupIs(sig.PID, j.group)
	case unix.SIGCONT:
		switch sig.Origin {
		case siginfo.Kernel: // to an orphaned group, after HUP
			return true
		case siginfo.Unknown:
			return j.tty.foreground() == unix.Getpgrp()
		}
		// A shell, the leader of its session, continues a job as a group.
		sid, err := unix.Getsid(0)
		return err == nil && sig.PID == sid
	}
	return false
}

func groupIs(pid, group int) bool {
	pgrp, err := unix.Getpgid(pid)
	return err == nil && pgrp == group
}

// giveForeground gives the terminal to the child's group if ours has it. It reports
// whether it did.
//
// A shell that brings a running job to the foreground tells nobody, so this is
// tried whenever something happens that hints at it.
func (j *Job) giveForeground() bool {
	if !j.ownGroup || j.tty == nil || j.tty.foreground() != unix.Getpgrp() {
		return false
	}
	j.tty.setForeground(j.group)
	return true
}

// Suspended tells the job that its child was stopped by sig. If that happened
// at a terminal we stop as well, so that whoever waits for us sees it, and
// Suspended returns when we are continued.
//
// Where nobody waits for stopped processes (our process group is orphaned, as
// that of a session leader is), the kernel would not have let SIGTSTP stop the
// bare command, so the child is continued at once.
func (j *Job) Suspended(sig syscall.Signal) error {
	if j.tty == nil {
		return nil
	}
	if j.orphan {
		if j.ownGroup && (sig == unix.SIGTSTP || j.follow) {
			return unix.Kill(-j.group, unix.SIGCONT)
		}
		return nil
	}
	if (sig == unix.SIGTTIN || sig == unix.SIGTTOU) && j.giveForeground() {
		return unix.Kill(-j.group, unix.SIGCONT) // it only wanted the terminal
	}
	if j.ownGroup && j.tty.foreground() == j.group {
		j.tty.setForeground(unix.Getpgrp())
	}
	j.stop()
	return nil
}

// Ended tells the job that its child is gone: the terminal is taken back if the
// child's group still has it.
func (j *Job) Ended() {
	if j.ownGroup && j.tty != nil && j.tty.foreground() == j.group {
		j.tty.setForeground(unix.Getpgrp())
	}
	j.tty.close()
	j.tty = nil
}

// orphaned reports whether our process group has no member whose parent is in
// another group of the same session. We can only go by our own parent; a
// parent in our group (a script) is taken to have such a parent itself.
func orphaned() bool {
	ppid := os.Getppid()
	if ppid == 0 {
		return true
	}
	mine, err := unix.Getsid(0)
	if err != nil {
		return true
	}
	theirs, err := unix.Getsid(ppid)
	return err != nil || theirs != mine
}
