package stage

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/job"
	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// The roles.
const (
	asWorker    = "worker"
	asSubreaper = "subreaper:" // and signals that came before, each with a comma
	asListener  = "listen:"    // and the path of the command
)

// stagePID is the pid of the stage whose worker this process is; 0: of none.
var stagePID int

// PID returns the pid of our stage, our parent, which adopts what the command
// leaves behind. It is 0 if there is none, or none any more: whose child we are
// once a stage is gone is none of our business.
func PID() int {
	if os.Getppid() != stagePID {
		return 0
	}
	return stagePID
}

func init() {
	role, from := takeRole()
	switch {
	case role == asWorker:
		stagePID = from
	case strings.HasPrefix(role, asListener):
		becomeListener(strings.TrimPrefix(role, asListener))
	case strings.HasPrefix(role, asSubreaper):
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			fail("become a subreaper: " + err.Error())
		}
		run(strings.Split(strings.TrimPrefix(role, asSubreaper), ","))
	case os.Getpid() == 1:
		run(nil)
	}
}

// run is the stage. It does not return. The worker gets the pending signals first.
func run(pending []string) {
	stream, ignored, err := hold()
	if err != nil {
		fail(err.Error())
	}
	erased := eraseEnviron()
	show := job.Hide() // before there is a command that could look
	j, env, err := startWorker(stream)
	if err != nil {
		fail("start the worker: " + err.Error())
	}
	if forget(env) && erased == nil {
		show()
	}
	for _, sig := range ignored { // the worker ignores them, too, unless it changed its mind
		if err := stream.Catch(sig); err != nil {
			fail(err.Error())
		}
	}
	for _, number := range pending {
		if sig, err := strconv.Atoi(number); err == nil {
			_ = j.Signal(syscall.Signal(sig))
		}
	}
	job.Detach(job.Inherited())
	Shrink()
	for {
		for sig, ok := stream.Take(); ok; sig, ok = stream.Take() {
			if sig.Signal != unix.SIGCHLD {
				_ = j.Forward(sig, sig.Signal, false) // fails only if the worker has just ended
			}
			reap(j) // at any signal: where many come at once, SIGCHLD may be lost
		}
		if err := stream.Wait(); err != nil {
			fail(err.Error())
		}
	}
}

// hold catches everything that is to be forwarded, and SIGCHLD. What was ignored
// when we were started stays so for the worker.
func hold() (stream *siginfo.Stream, ignored []syscall.Signal, err error) {
	if stream, err = siginfo.Open(); err != nil {
		return nil, nil, err
	}
	for _, sig := range siginfo.Catchable() {
		if siginfo.IgnoredAtStart(sig) {
			siginfo.Ignore(sig)
			ignored = append(ignored, sig)
		} else if err = stream.Catch(sig); err != nil {
			return nil, nil, err
		}
	}
	return stream, ignored, stream.Catch(unix.SIGCHLD)
}

// reap waits for every child that has ended; for the worker it does what the
// worker did.
func reap(j *job.Job) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG|unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR || err == nil && pid > 0 && pid != j.Pid():
			continue
		case err != nil || pid == 0:
			return
		case status.Stopped():
			_ = j.Suspended(status.StopSignal())
		default:
			j.Ended()
			end(status)
		}
	}
}

func end(status unix.WaitStatus) {
	if !status.Signaled() {
		os.Exit(status.ExitStatus())
	}
	siginfo.Die(status.Signal()) // returns if we are PID 1
	os.Exit(128 + int(status.Signal()))
}

// fail ends a stage that can't do its work, with brs-exec's own exit code.
func fail(why string) {
	os.Stderr.WriteString("brs-exec: error: " + why + "\n")
	os.Exit(125)
}
