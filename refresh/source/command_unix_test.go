//go:build unix

package source

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// gone checks that the process whose id is in the file has ended. One that never
// came to write it has been killed before.
func gone(t *testing.T, pidFile string) {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		return
	}
	eventually(t, "the command's child is killed", func() bool {
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid)
	})
}

// zombie says whether a process has ended and only waits to be reaped, which where
// no init does that is the end of it.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	var id int
	var name, state string
	fmt.Sscan(string(stat), &id, &name, &state)
	return state == "Z"
}

// Nor does one that has the terminal, where our standard error goes elsewhere.
func TestChatterLimitAtTheTerminal(t *testing.T) {
	t.Parallel()
	isolate(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	tty := &terminal{File: null}
	if tty.errors() {
		t.Skip("standard error is a terminal: go test ./… has it otherwise")
	}
	var stderr bytes.Buffer
	argv := helperCommand("chatter")
	c := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	tty.lendTo(c, &stderr)
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if n := stderr.Len(); n < stderrLimit || n > stderrLimit+10 {
		t.Errorf("%d bytes were passed on", n)
	}
}
