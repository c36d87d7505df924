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
	// Not os.ReadFile, which makes 10 system calls of it: each run reads its own at the start.
	fd, err := syscall.Open("/proc/"+strconv.Itoa(pid)+"/stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer syscall.Close(fd)
	data := make([]byte, 1024) // it has a name of at most 15 bytes, and some 50 numbers
	n, err := syscall.Read(fd, data)
	if err != nil {
		return 0, 0, err
	}
	// The name, field 2, is in parentheses and may hold anything, these too.
	data = data[:n]
	i := 2
	for field := range bytes.FieldsSeq(data[bytes.LastIndexByte(data, ')')+1:]) {
		switch i++; {
		case i == 3 && len(field) == 1:
			state = field[0]
		case i == 3:
			return 0, 0, errFormat
		case i == 22:
			start, err = strconv.Atoi(string(field))
			return state, start, err
		}
	}
	return 0, 0, errFormat
}

var errFormat = errors.New("unknown format")
