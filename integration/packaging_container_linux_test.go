package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildStatic compiles brs-exec and the Go client without a C library, as an image has
// none, and returns the directory that they are in.
var buildStatic = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "static")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir, module, module+"/integration/clients/gov2")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return dir, nil
})

func static(t *testing.T) string {
	t.Helper()
	dir, err := buildStatic()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestInstallInImage: in a root with nothing but the binary, not even /proc, a user without
// privileges brings it into a volume, and what is there runs.
func TestInstallInImage(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, for a root directory of its own")
	}
	w := newWorld(t, time.Hour)
	root, volume := w.path("root"), w.path("root/shared")
	for _, err := range []error{os.Mkdir(root, 0o755), os.Mkdir(volume, 0o755), os.Chmod(volume, 0o777), os.Link(filepath.Join(static(t), "brs-exec"), filepath.Join(root, "brs-exec"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.env = map[string]string{}
	for _, argv := range [][]string{{"/brs-exec", "install", "/shared"}, {"/shared/brs-exec", "install", "/shared"}, {"/shared/brs-exec", "version"}} {
		p := w.start("chroot", append([]string{"--userspec=65532:65532", "--groups=65532", root}, argv...)...)
		if code := p.exit(); code != 0 || p.stderr.String() != "" {
			t.Fatalf("%q: exit code %d: %s", argv, code, p.stderr.String())
		}
	}
	info, err := os.Stat(filepath.Join(volume, "brs-exec"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o755 || st.Uid != 65532 {
		t.Errorf("%v of user %d, want 0755 of 65532", info.Mode(), st.Uid)
	}
	if left := w.tree(volume); len(left) != 1 {
		t.Errorf("%q, want the copy alone", left)
	}
}

// TestInstallWhereItCannot: one line says what is in the way, and nothing is left of the
// attempt.
func TestInstallWhereItCannot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ mount, want string }{
		"full":      {"size=1m", "install to /mnt: no space left on device\nbrs-exec: hint: the copy is as large as the program"},
		"read only": {"ro", "install to /mnt: read-only file system\nbrs-exec: hint: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			argv := inMounts(t, `mount -t tmpfs -o `+test.mount+` none /mnt; "$@"; code=$?; ls -A /mnt >"$LEFT"; exit $code`)
			w.env["LEFT"] = w.path("left")
			p := w.start(argv[0], append(argv[1:], brsExec(t), "install", "/mnt")...)
			if code := p.exit(); code != 125 || !strings.HasPrefix(p.stderr.String(), "brs-exec: error: "+test.want) {
				t.Errorf("exit code %d: %s", code, p.stderr.String())
			}
			w.checkComplaint(p)
			if left, err := os.ReadFile(w.path("left")); len(left) > 0 || err != nil {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

// TestInstallOverRunning: the program takes its own place while it runs.
func TestInstallOverRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	for _, program := range []string{brsExec(t), w.path("tmp/brs-exec")} {
		p := w.start(program, "install", w.path("tmp"))
		if code := p.exit(); code != 0 {
			t.Fatalf("%s: exit code %d: %s", program, code, p.stderr.String())
		}
	}
	p := w.start(w.path("tmp/brs-exec"), "--role-arn", roleARN, "--", w.path("tmp/brs-exec"), "install", w.path("tmp"))
	if code := p.exit(); code != 0 || p.stdout.String() != "installed "+w.path("tmp/brs-exec")+"\n" {
		t.Errorf("exit code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
}

// TestInstallForAnotherUser: what root puts into another user's directory is that user's,
// as are the files of --credentials-file; and a link of that user's leads root nowhere.
func TestInstallForAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, to write where another user does")
	}
	const uid = 54324
	w := newWorld(t, time.Hour)
	theirs, ours := w.path("theirs"), w.path("ours")
	for _, err := range []error{os.Mkdir(theirs, 0o755), os.Mkdir(ours, 0o755), os.Symlink(ours, filepath.Join(theirs, "link")),
		os.Lchown(filepath.Join(theirs, "link"), uid, uid), os.Chown(theirs, uid, uid)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p := w.brsExec("install", filepath.Join(theirs, "link"))
	if code := p.exit(); code != 125 || !strings.Contains(p.stderr.String(), "is a symbolic link of user 54324's") {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	if left := w.tree(ours); len(left) > 0 {
		t.Errorf("%q, want nothing", left)
	}
	p = w.brsExec("install", theirs)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	info, err := os.Stat(filepath.Join(theirs, "brs-exec"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o755 || st.Uid != uid || st.Gid != uid {
		t.Errorf("%v of user %d and group %d, want 0755 of %d", info.Mode(), st.Uid, st.Gid, uid)
	}
}
