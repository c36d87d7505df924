package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Others are processes that this program has not started: those of a neighbour that has to
// learn of something. The zero value is none.
type Others struct {
	// PIDFile is a file that begins with the number of the process.
	PIDFile string
	// Name is that of the program: what the process is called (proc(5), comm), or the last
	// component of how it was started. Of processes of that name which have
	// started each other it is the first that is meant, as of a server and its workers.
	Name string
}

var (
	errNobody  = errors.New("no such process runs")
	errOurself = errors.New("that is this brs-exec")
	errInit    = errors.New("process 1 is never signalled by a file: name it, or is the file from another process id namespace?")
)

// Signal sends sig to each of them that has installed a handler for it, or to all
// if evenIfUnhandled is set. The errors are those of [Supervisor.Signal], and say
// why a file is not believed: it is somebody else's than ours, root's or the
// process's, or older than the process, whose number was another's before. Linux only.
//
// Anybody can call a program as a neighbour is called. So it is no error that another user's
// process may not be signalled, if one of the name was.
func (o Others) Signal(sig syscall.Signal, evenIfUnhandled bool) error {
	return o.Round()(sig, evenIfUnhandled)
}

// Round returns a [Others.Signal] that may be called again after an error: a process that has got
// the signal does not get it once more because another one has not.
func (o Others) Round() func(sig syscall.Signal, evenIfUnhandled bool) error {
	done := map[identity]bool{}
	return func(sig syscall.Signal, evenIfUnhandled bool) error {
		found, err := o.find()
		if err != nil {
			return fmt.Errorf("signal %s: %w", SignalName(sig), err)
		}
		var errs, foreign []error
		for _, p := range found {
			is := p.is()
			if !done[is] {
				switch err := p.signal(sig, evenIfUnhandled); {
				case err == nil:
					done[is] = true
				case errors.Is(err, fs.ErrPermission):
					foreign = append(foreign, fmt.Errorf("signal %s to pid %d: %w", SignalName(sig), p.pid, err))
				default:
					errs = append(errs, fmt.Errorf("signal %s to pid %d: %w", SignalName(sig), p.pid, err))
				}
			}
			p.close()
		}
		if len(done) == 0 {
			errs = append(errs, foreign...)
		}
		return errors.Join(errs...)
	}
}

// identity is that of a process that was found, and of no other one that gets its number.
type identity struct {
	pid   int
	start string // as the kernel counts; "" if that is not known
}
