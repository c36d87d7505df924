//go:build unix

package supervisor

import (
	"bytes"
	"os"
	"strconv"
)

// stateOf returns the state letter of proc(5), 0 if there is no such process.
func stateOf(pid int) byte {
	if f := statFields(pid); len(f) > 0 {
		return f[0][0]
	}
	return 0
}

// statFields returns the fields of /proc/PID/stat after the command's name.
func statFields(pid int) [][]byte {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}

func gonePid(pid int) bool { s := stateOf(pid); return s == 0 || s == 'Z' }
