package filelock

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// startTime returns when a process was started, in clock ticks since boot
// (field 22 of proc(5)'s stat), and 0 if that cannot be known.
func startTime(pid int) int {
	_, start, _ := processStat(pid)
	return start
}

// alive tells whether the process that was started then still runs. One whose
// id went to another, and one that only waits to be reaped, do not.
func alive(pid, start int) bool {
	state, now, err := processStat(pid)
	switch {
	case err == nil:
		return state != 'Z' && state != 'X' && now == start
	case errors.Is(err, fs.ErrNotExist) && procMounted():
		return false
	}
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func procMounted() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

func processStat(pid int) (state byte, start int, err error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The name, field 2, is in parentheses and may hold anything, these too.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return 0, 0, errors.New("unknown format")
	}
	start, err = strconv.Atoi(string(fields[19]))
	return fields[0][0], start, err
}
