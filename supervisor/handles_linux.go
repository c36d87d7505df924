package supervisor

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// handles reports whether the process has a handler for sig, or has blocked it
// (to fetch it with sigwait or a signalfd), from proc(5)'s status file.
func handles(pid int, sig syscall.Signal) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	return inSet(status, "\nSigCgt:\t", sig) || inSet(status, "\nSigBlk:\t", sig) && !inSet(status, "\nSigIgn:\t", sig)
}

func inSet(status []byte, field string, sig syscall.Signal) bool {
	_, rest, ok := bytes.Cut(status, []byte(field))
	if !ok || sig < 1 {
		return false
	}
	hex, _, _ := bytes.Cut(rest, []byte("\n"))
	set, err := strconv.ParseUint(string(hex), 16, 64)
	return err == nil && set&(1<<(sig-1)) != 0
}
