package supervisor

import (
	"errors"
	"io/fs"
	"os/exec"
	"strconv"
	"syscall"

	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// Exit codes of brs-exec itself, the ones that env, nohup and timeout use.
const (
	exitFailed        = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

// Exit is how the child ended, or why there never was one.
type Exit struct {
	// Code is what the caller has to exit with: the child's own exit code,
	// 128+n if it died of signal n, 126 if it could not be executed, 127 if it
	// was not found.
	Code int

	// Signal is the signal that the child died of (or that ended the wait for
	// credentials before there was a child), 0 if none. The caller has to die of
	// it, too: see Raise.
	Signal syscall.Signal

	// Stopped tells that Run's context was cancelled before the child ended, or while
	// there was none: Code is 125 then if there never was one.
	Stopped bool
}

// String says how the child ended: "exit status 3", "signal TERM".
func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal " + SignalName(e.Signal)
	}
	return "exit status " + strconv.Itoa(e.Code)
}

// Raise makes this process die of e.Signal, without a core dump: the child has
// left its own. A shell then ends its loop at Ctrl-C as it would have without us.
// Raise returns if there is no such signal, or if we can't die of it because we
// are PID 1: then exit with e.Code.
func (e Exit) Raise() {
	if e.Signal != 0 {
		siginfo.Die(e.Signal)
	}
}

func signalled(sig syscall.Signal) Exit { return Exit{Code: 128 + int(sig), Signal: sig} }

// startExit maps an error of execve as env(1) does.
func startExit(err error) Exit {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) { // the latter on Windows
		return Exit{Code: exitNotFound}
	}
	return Exit{Code: exitNotExecutable}
}
