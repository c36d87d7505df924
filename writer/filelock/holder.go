package filelock

import (
	"fmt"
	"os"
)

// Me names this process in the file whose lock it holds: "PID START", START in
// clock ticks since boot, 0 where that is unknown. It counts where a file
// system has no locks: see [Holder].
func Me() string {
	pid := os.Getpid()
	return fmt.Sprintf("%d %d", pid, startTime(pid))
}

// Holder returns the process that text, which begins with what [Me] returned there,
// names, and whether it lives. A process id is of one process id namespace, so the
// lock decides where there is one. pid is 0 if text names none.
func Holder(text []byte) (pid int, lives bool) {
	pid, start := parse(text)
	return pid, pid != 0 && alive(pid, start)
}

// PID is the first result of [Holder], which costs more.
func PID(text []byte) int {
	pid, _ := parse(text)
	return pid
}

func parse(text []byte) (pid, start int) {
	if n, _ := fmt.Sscanf(string(text), "%d %d", &pid, &start); n != 2 {
		return 0, 0
	}
	return pid, start
}
