package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// burstSignal is a real-time signal, of which the kernel keeps each one that is
// sent; of the others it keeps one at a time.
const burstSignal = syscall.Signal(45)

// count is to be started with burstSignal blocked. It prints "ready PID", takes as
// many of them as its argument says, and prints how many more there are when a line
// of input comes.
func count(args []string) {
	runtime.LockOSThread()
	var set unix.Sigset_t
	const bits = int(unsafe.Sizeof(set.Val[0])) * 8
	set.Val[int(burstSignal-1)/bits] = 1 << (int(burstSignal-1) % bits)
	take := func(wait unix.Timespec) bool {
		_, _, errno := unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&wait)), 8, 0, 0)
		return errno == 0
	}
	fmt.Println("ready", os.Getpid())
	n, _ := strconv.Atoi(args[0])
	for range n {
		if !take(unix.NsecToTimespec(int64(patience))) {
			fmt.Println("one is missing")
			return
		}
	}
	fmt.Println("all")
	os.Stdin.Read(make([]byte, 1))
	more := 0
	for take(unix.Timespec{}) {
		more++
	}
	fmt.Println(more, "more")
}

// TestSuperviseBursts: as many as were sent, one at a time and all at once.
func TestSuperviseBursts(t *testing.T) {
	t.Parallel()
	const sent = 200
	t.Run("one after the other", func(t *testing.T) {
		t.Parallel()
		p := run(t, plainCommand(t, quietly(t, played(t, "report")...)...))
		p.ready()
		for range sent {
			p.signal(unix.SIGUSR1)
			p.expect("SIGUSR1")
		}
		p.signal(unix.SIGUSR2)
		p.expect("SIGUSR2")
		p.ends("exit 7")
	})
	t.Run("all at once", func(t *testing.T) {
		t.Parallel()
		argv := append(append(played(t, "exec", "block:"+strconv.Itoa(int(burstSignal))), "--"), played(t, "count", strconv.Itoa(sent))...)
		p := run(t, plainCommand(t, quietly(t, argv...)...))
		p.ready()
		for range sent {
			p.signal(burstSignal)
		}
		p.expect("all")
		p.stdin.Close()
		p.expect("0 more")
		p.ends("exit 0")
	})
}

// TestSuperviseSudo: on either side of it, with the terminal that it makes of its
// own (use_pty) and with ours.
func TestSuperviseSudo(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("sudo", "-n", "true").CombinedOutput(); err != nil {
		t.Skipf("sudo without a password: %v: %s", err, out)
	}
	for _, line := range []string{"$W sudo -n -E $R", "sudo -n -E $W $R"} {
		s := shell(t)
		s.typed(line + "\n")
		pid := s.pid()
		for range 3 {
			s.typed("\x03")
			s.expect("SIGINT\r\n")
			s.typed("\x1c")
			s.expect("SIGQUIT\r\n")
		}
		unix.Kill(pid, unix.SIGUSR2)
		before := s.expect("SIGUSR2\r\n")
		if more := strings.Fields(strings.NewReplacer("^C", "", `^\`, "").Replace(before)); len(more) > 0 {
			t.Errorf("%s: the command saw also %v", line, more)
		}
		s.expect("PROMPT> ")
		s.do("echo code $?", "code 7\r\n")
	}
	// Stopped and continued as one job.
	for _, line := range []string{"$W sudo -n -E $T", "sudo -n -E $W $T"} {
		s := shell(t)
		s.typed(line + "\n")
		pid := s.pid()
		s.typed("\x1a")
		s.expect("Stopped")
		s.expect("PROMPT> ")
		until(t, "it is stopped", func() bool { return stopped(pid) })
		s.typed("fg\n")
		s.expect("SIGCONT\r\n")
		s.typed("\x03")
		s.expect("SIGINT\r\n")
		unix.Kill(pid, unix.SIGUSR2)
		s.expect("SIGUSR2\r\n")
		s.expect("PROMPT> ")
		s.do("echo code $?", "code 7\r\n")
	}
}

// TestSuperviseCron: no terminal, a session of its own, standard input from
// nowhere, and next to no environment; not a byte of output but the command's.
func TestSuperviseCron(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	keys := filepath.Join(home, "keys")
	if err := os.WriteFile(keys, []byte("[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-a-secret-of-anything\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		env  []string
	}{
		{"cron's", []string{"HOME=" + home, "LOGNAME=root", "PATH=/usr/bin:/bin", "SHELL=/bin/sh"}},
		{"none", []string{"TMPDIR=" + home}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			script := `for name in AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE; do eval "test -s \"\$$name\"" || echo no $name; done; exit 3`
			cmd := exec.Command(brsExec(t), "--quiet", "--from-file", keys, "--lock", filepath.Join(home, tt.name), "--", "/bin/sh", "-c", script)
			cmd.Env, cmd.Dir = append(tt.env, "AWS_EC2_METADATA_DISABLED=true"), home
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			out, err := cmd.CombinedOutput()
			if len(out) > 0 || cmd.ProcessState.ExitCode() != 3 {
				t.Errorf("printed %q, %v, want nothing and exit code 3", out, err)
			}
		})
	}
}
