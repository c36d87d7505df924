package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// neighbour is a process that prints what it does at HUP, once it has said that it is ready.
func neighbour(t *testing.T, program, script string) (pid int, read func() string) {
	t.Helper()
	return startNeighbour(t, exec.Command(program, "-c", script))
}

// startAs starts one of another user.
func startAs(t *testing.T, uid uint32, program, script string) (pid int) {
	t.Helper()
	shell, err := filepath.EvalSymlinks(program) // another user cannot go there
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell, "-c", script)
	cmd.Args[0], cmd.Dir = program, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	pid, _ = startNeighbour(t, cmd)
	return pid
}

func startNeighbour(t *testing.T, cmd *exec.Cmd) (pid int, read func() string) {
	t.Helper()
	in, err := cmd.StdinPipe() // its end is that of the script's read
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	read = func() string {
		buf := make([]byte, 100)
		n, _ := out.Read(buf)
		return strings.TrimSpace(string(buf[:n]))
	}
	if got := read(); got != "ready" {
		t.Fatalf("the neighbour says %q", got)
	}
	return cmd.Process.Pid, read
}

const (
	handling = `trap 'echo got it' HUP; echo ready; while :; do read x; done`
	deaf     = `echo ready; read x`
)

func TestOthersByFile(t *testing.T) {
	pid, read := neighbour(t, "sh", handling)
	later, _ := neighbour(t, "sh", deaf)
	dir := t.TempDir()
	file := func(content string) string {
		path := filepath.Join(dir, fmt.Sprint(len(content), time.Now().UnixNano()))
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file(fmt.Sprint(pid)), link); err != nil {
		t.Fatal(err)
	}
	twice := file(fmt.Sprint(pid))
	if err := os.Link(twice, filepath.Join(dir, "again")); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	open, old := file(fmt.Sprint(pid)), file(fmt.Sprint(pid))
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	if hour := time.Now().Add(-time.Hour); os.Chtimes(old, hour, hour) != nil {
		t.Fatal("cannot make a file old")
	}
	foreign, whose := file(fmt.Sprint(pid)), "" // only root can give a file away
	if os.Chown(foreign, 12345, -1) == nil {
		whose = "is user 12345's"
	}
	for _, tt := range []struct{ name, path, want string }{
		{"another user's", foreign, whose},
		{"its number", file(fmt.Sprint(pid)), ""},
		{"and more behind it, as of PostgreSQL", file(fmt.Sprintf(" %d \n/var/lib\n5432\n", pid)), ""},
		{"one that does not handle it", file(fmt.Sprint(later)), "does not handle it"},
		{"ourselves", file(fmt.Sprint(os.Getpid())), "that is this brs-exec"},
		{"process 1", file("1\n"), "process 1 is never signalled by a file"},
		{"no number", file("x"), "does not begin with the number of a process"},
		{"a group", file("-5"), "does not begin with the number of a process"},
		{"all", file("0"), "does not begin with the number of a process"},
		{"nothing", file(""), "does not begin with the number of a process"},
		{"nobody", file("4194301"), "no such process runs"},
		{"a link", link, "a symbolic link"},
		{"a pipe", pipe, "not a regular file"},
		{"a directory", dir, "not a regular file"},
		{"no file", filepath.Join(dir, "none"), "no such file"},
		{"of two names", twice, "it has 2 names"},
		{"that all can write to", open, "every user can write to it"},
		{"from before it was started", old, "the number was another's then"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Others{PIDFile: tt.path}.Signal(syscall.SIGHUP, false)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if got := read(); got != "got it" {
					t.Errorf("the neighbour says %q", got)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "signal HUP") {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestOthersByName(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("nb%d", os.Getpid())
	program := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(shell, program); err != nil {
		t.Fatal(err)
	}
	if err := (Others{Name: name}).Signal(syscall.SIGHUP, false); !errors.Is(err, errNobody) {
		t.Errorf("of nobody: %v", err)
	}
	// Its worker is started by it and has its name; HUP would end that.
	_, one := neighbour(t, program, `trap 'echo got it' HUP; (trap - HUP; read y) & `+strings.TrimPrefix(handling, `trap 'echo got it' HUP; `))
	_, two := neighbour(t, program, handling)
	if err := (Others{Name: name}).Signal(syscall.SIGHUP, false); err != nil {
		t.Fatal(err)
	}
	if a, b := one(), two(); a != "got it" || b != "got it" {
		t.Errorf("the neighbours say %q, %q", a, b)
	}
}

// TestOthersNotOurselves: who bears the name itself is not meant. The test is started under a
// name that no other test has.
func TestOthersNotOurselves(t *testing.T) {
	if name := filepath.Base(os.Args[0]); strings.HasPrefix(name, "me") {
		if err := (Others{Name: name}).Signal(syscall.SIGHUP, true); !errors.Is(err, errNobody) {
			t.Errorf("of ourselves: %v", err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), fmt.Sprintf("me%d", os.Getpid()))
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-test.run", "^TestOthersNotOurselves$").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestOthersRound: who has got the signal does not get it again because another one of the name
// has not; and another user, who may call a program as he likes, keeps nobody from being content.
func TestOthersRound(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("nr%d", os.Getpid())
	program := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(shell, program); err != nil {
		t.Fatal(err)
	}
	_, ready := neighbour(t, program, `trap 'n=$((n+1)); echo "got $n"' HUP; trap 'echo "had $n"' USR1; echo ready; while :; do read x; done`)
	neighbour(t, program, deaf)
	send := Others{Name: name}.Round()
	for range 3 {
		if err := send(syscall.SIGHUP, false); !errors.Is(err, errNotHandled) {
			t.Errorf("with one that does not handle it yet: %v", err)
		}
	}
	if got := ready(); got != "got 1" {
		t.Errorf("the neighbour says %q", got)
	}
	(Others{Name: name}).Signal(syscall.SIGUSR1, false)
	if got := ready(); got != "had 1" {
		t.Errorf("after three attempts the neighbour says %q", got)
	}
}

// TestOthersOfAnother needs root, who becomes two users.
func TestOthersOfAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, to be two other users")
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("na%d", os.Getpid())
	program := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(shell, program); err != nil {
		t.Fatal(err)
	}
	const alice, mallory = 20001, 20002
	theirs := []int{startAs(t, mallory, program, handling), startAs(t, mallory, program, deaf)}
	if err := as(alice, func() error { return Others{Name: name}.Signal(syscall.SIGHUP, false) }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("of another user's alone: %v", err)
	}
	startAs(t, alice, program, handling)
	if err := as(alice, func() error { return Others{Name: name}.Signal(syscall.SIGHUP, false) }); err != nil {
		t.Errorf("with processes %v of another user's: %v", theirs, err)
	}
}

// as calls do with the rights of a user, in a thread that ends with it.
func as(uid uintptr, do func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() { // the main thread stays as it is
			err = as(uid, do)
			runtime.UnlockOSThread()
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			err = errno
			return
		}
		err = do()
	}()
	<-done
	return err
}

func FuzzReadPID(f *testing.F) {
	for _, seed := range []string{"1", "42\n", " 7 \nmore", "", "-1", "99999999999999999999", "0x10"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if pid, err := readPID(strings.NewReader(text)); err == nil && (pid < 1 || pid >= 1<<22) {
			t.Errorf("%q is process %d", text, pid)
		}
	})
}
