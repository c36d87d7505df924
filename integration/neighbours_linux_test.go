package integration

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A neighbour is a user of this machine, for tests of what users can do to each
// other. It is in no list of users: its number is all that the kernel asks for.
type neighbour struct {
	t    *testing.T
	uid  int
	home string // 0755, so that others can reach what they may
}

var neighbourhood atomic.Int64

// neighbours are two users whom no other test knows, and of whom nothing is left
// when the test ends. Tests of them need root.
func neighbours(t *testing.T) (alice, mallory *neighbour) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, to be two other users")
	}
	return newNeighbour(t, "alice"), newNeighbour(t, "mallory")
}

func newNeighbour(t *testing.T, name string) *neighbour {
	t.Helper()
	street, err := os.MkdirTemp("", "brs-exec-test-")
	if err != nil {
		t.Fatal(err)
	}
	n := &neighbour{t: t, uid: 20_000_000 + os.Getpid()%1_000_000*100 + int(neighbourhood.Add(1)), home: filepath.Join(street, name)}
	t.Cleanup(func() {
		os.RemoveAll(street)
		for _, dir := range []string{"/dev/shm", "/tmp"} {
			left, _ := filepath.Glob(filepath.Join(dir, "brs-exec-"+strconv.Itoa(n.uid)+"*"))
			for _, path := range left {
				os.RemoveAll(path)
			}
		}
	})
	for _, err := range []error{os.Chmod(street, 0o755), os.Mkdir(n.home, 0o755), os.Chown(n.home, n.uid, n.uid)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// path names a file in the home.
func (n *neighbour) path(name string) string { return filepath.Join(n.home, name) }

// write makes a file of this user in the home, and returns its path.
func (n *neighbour) write(name, content string, mode fs.FileMode) string {
	n.t.Helper()
	path := n.path(name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		n.t.Fatal(err)
	}
	for _, err := range []error{os.Chown(path, n.uid, n.uid), os.Chmod(path, mode)} {
		if err != nil {
			n.t.Fatal(err)
		}
	}
	return path
}

// attributes start a process as this user, in no other group.
func (n *neighbour) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: uint32(n.uid), Gid: uint32(n.uid)}}
}

// command is one that this user runs, at home.
func (n *neighbour) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(n.t.Context(), name, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + n.home, "LC_ALL=C.UTF-8"}
	cmd.Dir, cmd.SysProcAttr = n.home, n.attributes()
	return cmd
}

// sh runs a script with "$@" as this user, and returns all that it printed. An
// error is for the caller to judge: an attack is expected to fail.
func (n *neighbour) sh(script string, args ...string) (string, error) {
	out, err := n.command("sh", append([]string{"-c", script, "sh"}, args...)...).CombinedOutput()
	return string(out), err
}

// world is one in this user's home, in which brs-exec and all else is started as
// this user, without a runtime directory, as from cron or by sudo -u.
func (n *neighbour) world(life time.Duration) *world {
	n.t.Helper()
	w := worldIn(n.t, n.home, life)
	w.user, w.env["PATH"] = n, "/usr/bin:/bin:/usr/sbin:/sbin"
	w.unset("XDG_RUNTIME_DIR", "TMPDIR", "GOCOVERDIR")
	w.env["HOME"] = n.home
	n.own()
	return w
}

// own makes all that is in the home this user's.
func (n *neighbour) own() {
	n.t.Helper()
	err := filepath.WalkDir(n.home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, n.uid, n.uid)
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// TestNeighbours holds the two against what the tests take for granted.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	alice, mallory := neighbours(t)
	alice.write("diary", "x", 0o600)
	if out, err := mallory.sh(`cat "$1"`, alice.path("diary")); err == nil {
		t.Errorf("mallory reads alice's diary: %s", out)
	}
	w := alice.world(time.Hour)
	p := w.brsExec("--role-arn", roleARN, "--", "sh", "-c", `id -u; grep -c aws_session_token "$AWS_SHARED_CREDENTIALS_FILE"`)
	if code := p.exit(); code != 0 || p.stdout.String() != strconv.Itoa(alice.uid)+"\n1\n" {
		t.Errorf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
}
