package supervisor

import (
	"errors"
	"fmt"
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
func (o Others) Signal(sig syscall.Signal, evenIfUnhandled bool) error {
	found, err := o.find()
	if err != nil {
		return fmt.Errorf("signal %s: %w", SignalName(sig), err)
	}
	var errs []error
	for _, p := range found {
		if err := p.signal(sig, evenIfUnhandled); err != nil {
			errs = append(errs, fmt.Errorf("signal %s to pid %d: %w", SignalName(sig), p.pid, err))
		}
		p.close()
	}
	return errors.Join(errs...)
}
