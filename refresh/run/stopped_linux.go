package run

import (
	"bytes"
	"os"
	"strconv"
)

// isStopped tells whether a signal has stopped a process (state T of proc(5)'s stat).
func isStopped(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	rest := data[bytes.LastIndexByte(data, ')')+1:] // the name before it may hold anything
	return err == nil && len(rest) > 1 && rest[1] == 'T'
}
