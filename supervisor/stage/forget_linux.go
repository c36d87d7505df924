package stage

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"unsafe"

	"brs-exec.example/brs-exec/supervisor/job"
)

// A stage has given its environment to the worker and has no use for it: keys may be
// in it that the command is not to have. It erases what the kernel shows of it in
// /proc/PID/environ, and the copies that Go has made of that. One that could not do
// so stays closed to other processes (job.Hide). The others are open again, because
// programs in a container may be set up to write to /proc/1/fd/2.

// forget erases the copies of env, which a worker was started with: its strings, and
// what syscall.ForkExec made of them for the kernel. It reports whether it has found
// both. What is left of GODEBUG reads as nothing that Go knows.
func forget(env []string) (all bool) {
	heap := around(unsafe.StringData(env[len(env)-1]))
	// Each block ends with the marker. A block is recognised as a whole, so nothing
	// else is hit.
	tail := []byte(env[len(env)-1] + "\x00")
	for at := 0; ; {
		i := bytes.Index(heap[at:], tail)
		if i < 0 {
			break
		}
		at += i + len(tail)
		if block := blockBefore(heap[:at], env); block != nil {
			clear(block)
			all = true
		}
	}
	for _, entry := range env {
		clear(unsafe.Slice(unsafe.StringData(entry), len(entry))) // on the heap, and nobody else's
	}
	os.Clearenv()
	return all
}

// blockBefore returns what heap ends with, if that is env as execve takes it.
func blockBefore(heap []byte, env []string) []byte {
	end := len(heap)
	for _, entry := range slices.Backward(env) {
		begin := end - len(entry) - 1
		if begin < 0 || heap[end-1] != 0 || string(heap[begin:end-1]) != entry {
			return nil
		}
		end = begin
	}
	return heap[end:]
}

// around returns the mapping that p points into, nil if that is not known.
//
//go:nocheckptr
func around(p *byte) []byte {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	at := uint64(uintptr(unsafe.Pointer(p)))
	for line := range bytes.Lines(maps) {
		// c000000000-c000400000 rw-p 00000000 00:00 0
		from, rest, _ := bytes.Cut(line, []byte("-"))
		to, rights, _ := bytes.Cut(rest, []byte(" "))
		start, errStart := strconv.ParseUint(string(from), 16, 64)
		end, errEnd := strconv.ParseUint(string(to), 16, 64)
		if errStart == nil && errEnd == nil && start <= at && at < end && bytes.HasPrefix(rights, []byte("rw")) {
			return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(p), -int(at-start))), end-start)
		}
	}
	return nil
}

// eraseEnviron overwrites what the kernel shows as the environment. It must come before
// job.Hide, after which /proc/self is root's.
func eraseEnviron() error {
	// proc_pid_stat(5): env_start and env_end are the fields 50 and 51, of which the
	// first is the third.
	fields := job.Stat("self")
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
