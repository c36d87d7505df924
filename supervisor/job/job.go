// Package job runs one child process as a job of its terminal, and lets it see
// each signal once.
//
// It is the part that the supervisor and the PID 1 stage share. It starts no
// goroutine, imports little (the stage must come up before anything large is
// initialised), and does not wait for the child: only its owner knows which
// children are whose, so the owner calls wait4 and tells the job what it saw.
//
// # Whose process group, whose terminal
//
// The child gets a process group of its own, and with it the terminal's
// foreground, only if we have a controlling terminal, our group is the
// foreground one, and we are alone in it. What is typed then reaches the child
// alone, and what is sent to us is forwarded, so each arrives once. When the
// child stops, we take the terminal back and stop too, so that the shell sees
// its job stop; when the shell continues us we hand the terminal over again and
// continue the child's group.
//
// In a pipeline, a script, the background or without a terminal the child stays
// in our group. There the terminal and the shell tell the child by themselves,
// and what comes from them is not forwarded a second time. Never is there a new
// session: ssh, sudo and gpg need /dev/tty.
package job

import "syscall"

// Spec is what to start.
type Spec struct {
	Path string   // the program, as execve takes it
	Argv []string // from argv[0] on
	Env  []string

	// Group gives the child a process group of its own even where it would
	// otherwise stay in ours (see the package comment), so that signals can be
	// sent to it as a group.
	Group bool

	// Share keeps the child in our process group in any case but that of Group,
	// so that we see what is typed, too.
	Share bool

	// Follower says that the child is one that stops only because a child of its
	// own was stopped: a worker under its stage.
	Follower bool

	// Stop stops this process until it is continued, when the child was stopped
	// at a terminal: siginfo.Stream's Stop.
	Stop func()

	// Pdeathsig, if not 0, is sent to the child by the kernel when the thread
	// that called Start ends: call it on a thread that lives as long as the
	// process. Linux only.
	Pdeathsig syscall.Signal
}
