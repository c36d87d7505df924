package job

import (
	"bytes"
	"os"
)

// Stat returns what stands in proc(5)'s /proc/PID/stat behind the name of the
// program, from the state (the third field) on, and nil if there is no such process.
// pid may be "self".
func Stat(pid string) [][]byte {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil
	}
	return statFields(stat)
}

// statFields parses "pid (comm) state ppid pgrp …"; comm may hold anything, ")" too.
func statFields(stat []byte) [][]byte {
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}
