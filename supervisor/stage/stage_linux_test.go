package stage

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// pipe returns the reading end of a pipe with text in it, which is inherited.
func pipe(t *testing.T, text string) int {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if _, err := unix.Write(fds[1], []byte(text)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]) })
	return fds[0]
}

// TestRole: a role that was offered is taken, and none that somebody else has put
// into the environment.
func TestRole(t *testing.T) {
	me := strconv.Itoa(os.Getpid()) + " "
	file, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tests := []struct {
		name  string
		value string
		role  string
	}{
		{"by ourselves", strconv.Itoa(pipe(t, me+asWorker)), asWorker},
		{"by our parent", strconv.Itoa(pipe(t, strconv.Itoa(os.Getppid())+" "+asListener+"/a b")), asListener + "/a b"},
		{"by another process", strconv.Itoa(pipe(t, "1000000000 "+asWorker)), ""},
		{"by nobody", strconv.Itoa(pipe(t, asWorker)), ""},
		{"empty pipe", strconv.Itoa(pipe(t, "")), ""},
		{"file", strconv.Itoa(int(file.Fd())), ""},
		{"closed", "987654", ""},
		{"standard input", "0", ""},
		{"no number", "x", ""},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(marker, tt.value)
			role, from := takeRole()
			if role != tt.role || (role != "") != (from != 0) {
				t.Errorf("role %q from %d, want %q", role, from, tt.role)
			}
			if value, ok := os.LookupEnv(marker); ok {
				t.Errorf("the marker is still there: %q", value)
			}
		})
	}
	if role, from := takeRole(); role != "" || from != 0 {
		t.Errorf("unmarked: role %q from %d", role, from)
	}
}

func TestOfferRole(t *testing.T) {
	entry, _, err := offerRole(asSubreaper + "15,1,") // closed by takeRole
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(entry, "=")
	t.Setenv(name, value)
	if role, from := takeRole(); role != asSubreaper+"15,1," || from != os.Getpid() {
		t.Errorf("role %q from %d", role, from)
	}
	fd, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("whoever took the role keeps its pipe: %v", err)
	}
	entry, release, err := offerRole(asWorker)
	if err != nil {
		t.Fatal(err)
	}
	release()
	t.Setenv(name, strings.TrimPrefix(entry, marker+"="))
	if role, _ := takeRole(); role != "" {
		t.Errorf("role %q of a pipe that is closed", role)
	}
}

func TestListenCommand(t *testing.T) {
	me := "LISTEN_PID=" + strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		name string
		env  []string
		want bool
	}{
		{"for us", []string{"A=1", me, "LISTEN_FDS=1"}, true},
		{"for another", []string{"LISTEN_PID=1000000000"}, false},
		{"no number", []string{"LISTEN_PID=x"}, false},
		{"none", []string{"A=1"}, false},
		{"no variables", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			paths, env, release, ok := ListenCommand("/bin/server", tt.env)
			if ok != tt.want {
				t.Fatalf("ok = %v, want %v", ok, tt.want)
			}
			if !ok {
				return
			}
			defer release()
			if len(paths) == 0 || len(env) != len(tt.env)+1 {
				t.Fatalf("paths %q, environment %q", paths, env)
			}
			if diff := cmp.Diff(tt.env, env[:len(tt.env)]); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			name, value, _ := strings.Cut(env[len(env)-1], "=")
			t.Setenv(name, value)
			if role, _ := takeRole(); role != asListener+"/bin/server" {
				t.Errorf("role %q", role)
			}
		})
	}
}

// TestOwnPaths: the first is the one by which we were executed.
func TestOwnPaths(t *testing.T) {
	for _, path := range []string{executedAs(), "/proc/self/exe"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if us, err := os.Stat(os.Args[0]); err != nil || !os.SameFile(us, info) {
			t.Errorf("%s is not this program: %v", path, err)
		}
	}
	if got := ownPaths(); got[0] != executedAs() {
		t.Errorf("paths = %q", got)
	}
}

// TestForget: the strings are erased and the block that was made of them for the
// kernel, and nothing that is like it.
func TestForget(t *testing.T) {
	was := os.Environ()
	t.Cleanup(func() {
		for _, entry := range was {
			name, value, _ := strings.Cut(entry, "=")
			os.Setenv(name, value)
		}
	})
	const secret = "SECRET=a key that nobody is to have"
	entries := []string{"A=1", secret, "EMPTY=", marker + "=7"}
	// What is to be erased must be on the heap.
	var env []string
	for _, entry := range entries {
		env = append(env, string([]byte(entry)))
	}
	block := []byte(strings.Join(entries, "\x00") + "\x00")
	other := []byte("A=2\x00" + strings.Join(entries[1:], "\x00") + "\x00")
	same := bytes.Clone(other)
	if !forget(env) {
		t.Error("the block is not found")
	}
	if strings.Trim(strings.Join(env, ""), "\x00") != "" {
		t.Errorf("the strings are left: %q", env)
	}
	if !bytes.Equal(block, make([]byte, len(block))) {
		t.Errorf("the block is left: %q", block)
	}
	if !bytes.Equal(other, same) {
		t.Errorf("what is none of ours is erased: %q", other)
	}
	if left := os.Environ(); len(left) > 0 {
		t.Errorf("%d variables are left", len(left))
	}
}

func TestBlockBefore(t *testing.T) {
	env := []string{"A=1", "B="}
	for _, tt := range []struct{ heap, want string }{
		{"A=1\x00B=\x00", "A=1\x00B=\x00"},
		{"x\x00A=1\x00B=\x00", "A=1\x00B=\x00"},
		{"=1\x00B=\x00", ""},
		{"A=1\x00B=", ""},
		{"A=1\x01B=\x00", ""},
		{"B=\x00", ""},
	} {
		if got := blockBefore([]byte(tt.heap), env); string(got) != tt.want {
			t.Errorf("%q: %q, want %q", tt.heap, got, tt.want)
		}
	}
}

func TestAround(t *testing.T) {
	b := make([]byte, 10)
	mapping := around(&b[3])
	if mapping == nil {
		t.Fatal("not found")
	}
	first, us := uintptr(unsafe.Pointer(&mapping[0])), uintptr(unsafe.Pointer(&b[0]))
	if us < first || us+10 > first+uintptr(len(mapping)) {
		t.Errorf("%x is not within %x and %x bytes", us, first, len(mapping))
	}
	if around(nil) != nil {
		t.Error("nil is within a mapping")
	}
	if text := around(unsafe.StringData("a constant, which cannot be written to")); text != nil {
		t.Error("what is read-only is given back")
	}
}

// TestCode: only what is mapped from a file, and not writable, can be read again.
func TestCode(t *testing.T) {
	for _, tt := range []struct {
		line       string
		start, end uint64
	}{
		{"00400000-00b5a000 r-xp 00000000 fe:00 1234                             /usr/bin/brs-exec\n", 0x400000, 0xb5a000},
		{"00b5a000-00c00000 r--p 00000000 fe:00 1234                             /a b (deleted)\n", 0xb5a000, 0xc00000},
		{"00c00000-00d00000 rw-p 00000000 fe:00 1234                             /usr/bin/brs-exec\n", 0, 0},
		{"00d00000-00e00000 --xp 00000000 fe:00 1234                             /usr/bin/brs-exec\n", 0, 0},
		{"c000000000-c000400000 r--p 00000000 00:00 0\n", 0, 0},
		{"7ffc0000-7ffd0000 r-xp 00000000 00:00 0                                [vdso]\n", 0, 0},
	} {
		if start, end := code([]byte(tt.line)); start != tt.start || end != tt.end {
			t.Errorf("%q: %x-%x, want %x-%x", tt.line, start, end, tt.start, tt.end)
		}
	}
}

// TestPID: a stage that is no longer our parent is gone, and its pid may be another's.
func TestPID(t *testing.T) {
	was := stagePID
	defer func() { stagePID = was }()
	for pid, want := range map[int]int{os.Getppid(): os.Getppid(), os.Getpid(): 0, 0: 0} {
		if stagePID = pid; PID() != want {
			t.Errorf("of stage %d: %d, want %d", pid, PID(), want)
		}
	}
}
