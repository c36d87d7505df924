package filelock

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestHolder(t *testing.T) {
	t.Parallel()
	for _, text := range []string{Me(), Me() + "\n", Me() + "        \nmore"} {
		if pid, lives := Holder([]byte(text)); pid != os.Getpid() || !lives || PID([]byte(text)) != pid {
			t.Errorf("Holder(%q) = %d, %v, want %d, true", text, pid, lives, os.Getpid())
		}
	}
	for _, text := range []string{"", "0 0", "12", "x 1"} {
		if pid, lives := Holder([]byte(text)); pid != 0 || lives || PID([]byte(text)) != 0 {
			t.Errorf("Holder(%q) = %d, %v, want none", text, pid, lives)
		}
	}
}

func TestAlive(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), waitVariable+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid, start := cmd.Process.Pid, startTime(cmd.Process.Pid)
	text := []byte(fmt.Sprint(pid, start))
	if holder, lives := Holder(text); holder != pid || !lives {
		t.Error("a running process is dead")
	}
	if start != 0 && alive(pid, start+1) {
		t.Error("a process that started later is the same")
	}
	in.Close()
	if awaitZombie(pid) && alive(pid, start) {
		t.Error("one that only waits to be reaped lives")
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, lives := Holder(text); lives {
		t.Error("a process that has ended lives")
	}
}

// waitVariable makes the test binary a process that waits for the end of its
// standard input.
const waitVariable = "BRS_FILELOCK_TEST_WAIT"

func TestMain(m *testing.M) {
	if os.Getenv(waitVariable) != "" {
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}
