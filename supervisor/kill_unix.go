//go:build unix

package supervisor

import (
	"golang.org/x/sys/unix"
)

// killAll ends the child by force, and with it its process group. A group that
// is ours as well can't be killed without us (and our neighbours in a pipeline),
// so there it is the child and the descendants that can be found.
func killAll(j subprocess) error {
	if j.OwnGroup() {
		return j.SignalGroup(unix.SIGKILL)
	}
	below := descendants(j.Pid(), 0) // before the child is gone and they have another parent
	err := j.Signal(unix.SIGKILL)
	for _, pid := range below {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	return err
}
