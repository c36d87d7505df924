package siginfo

import (
	"bytes"
	"os"
	"strconv"
)

// onTheWay tells whether a CONT waits for a thread of this process to take it, or a
// thread may be in a handler, which on a busy machine can be for long. False if that
// is not to be known.
func onTheWay() bool {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, thread := range threads {
		status, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/status")
		if err == nil && takes(status) { // else it has ended
			return true
		}
	}
	return false
}

// takes tells of a thread's status whether a CONT is pending for the process, or all
// signals are blocked in the thread, as they are in a handler.
func takes(status []byte) bool {
	const unblockable = 1<<(9-1) | 1<<(19-1) // KILL and STOP
	return signalSet(status, "ShdPnd:")&(1<<(sigCont-1)) != 0 || signalSet(status, "SigBlk:")|unblockable == ^uint64(0)
}

// signalSet reads one of the sets of proc_pid_status(5).
func signalSet(status []byte, name string) uint64 {
	_, after, _ := bytes.Cut(status, []byte("\n"+name))
	value, _, _ := bytes.Cut(after, []byte("\n"))
	set, _ := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
	return set
}
