package stage

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// A stage has given its environment to the worker and has no use for it: keys may be
// in it that the command is not to have. It erases what the kernel shows of it in
// /proc/PID/environ, and the copies that Go has made of that. One that could not do
// so stays closed to other processes (job.Hide). The others are open again, because
// programs in a container may be set up to write to /proc/1/fd/2.

// forget erases the copies.
func forget() {
	for _, entry := range syscall.Environ() {
		clear(unsafe.Slice(unsafe.StringData(entry), len(entry))) // on the heap, and nobody else's
	}
	os.Clearenv()
}

// eraseShown overwrites what the kernel shows as the environment. It must come before
// job.Hide, after which /proc/self is root's.
func eraseShown() error {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	// proc_pid_stat(5): env_start and env_end are the fields 50 and 51; what stands
	// behind the command's name begins with the third.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 49 {
		return errors.New("no address of the environment")
	}
	begin, err := strconv.ParseInt(string(fields[47]), 10, 64)
	if err != nil {
		return err
	}
	end, err := strconv.ParseInt(string(fields[48]), 10, 64)
	if err != nil {
		return err
	}
	if begin == 0 || end < begin || end-begin > 8<<20 { // the kernel's limit is 6 MiB
		return errors.New("no address of the environment")
	}
	// Through a descriptor, so that a wrong address is an error and no crash.
	memory, err := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	_, err = memory.WriteAt(make([]byte, end-begin), begin)
	return err
}
