package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// makeDir makes a directory in the home of the neighbour, that is the neighbour's.
func (n *neighbour) makeDir(name string) string {
	n.t.Helper()
	dir := n.path(name)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, n.uid, n.uid)); err != nil {
		n.t.Fatal(err)
	}
	return dir
}

// link makes a symbolic link of the neighbour's in the home.
func (n *neighbour) link(to, name string) {
	n.t.Helper()
	if err := errors.Join(os.Symlink(to, n.path(name)), os.Lchown(n.path(name), n.uid, n.uid)); err != nil {
		n.t.Fatal(err)
	}
}

// keep runs the shell script while root keeps [app] of the file at path.
func (w *world) keep(path, script string) *process {
	w.t.Helper()
	return w.brsExec("--role-arn", roleARN, "--credentials-file", path, "--credentials-file-profile", "app", "--", "sh", "-c", script)
}

// TestCredentialsFileOfAnother: root keeps a section in another user's directory,
// as in a volume that is shared with another container.
func TestCredentialsFileOfAnother(t *testing.T) {
	t.Parallel()
	_, mallory := neighbours(t)
	w := newWorld(t, time.Hour)
	dir := mallory.makeDir(".aws")
	path := filepath.Join(dir, "credentials")
	w.env["FILE"] = path
	p := w.keep(path, `stat -c %u:%a "$FILE"; grep -c aws_session_token "$FILE"`)
	if code := p.exit(); code != 0 || p.stdout.String() != fmt.Sprintf("%d:600\n1\n", mallory.uid) {
		t.Errorf("exit code %d, printed %q: %s", code, p.stdout.String(), p.stderr.String())
	}
	if left := w.tree(dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestCredentialsFileForeignLinks: root follows no link of another user's to what
// is not that user's.
func TestCredentialsFileForeignLinks(t *testing.T) {
	t.Parallel()
	_, mallory := neighbours(t)
	for _, tt := range []struct{ name, link, to, path string }{
		{"to a name that is free", ".aws/credentials", "nologin", ".aws/credentials"},
		{"to a file", ".aws/credentials", "x.service", ".aws/credentials"},
		{"to a directory", ".aws", ".", ".aws/credentials"},
		{"in a directory that all can write to", ".aws/credentials", "open/credentials", ".aws/credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, time.Hour)
			for dir := w.dir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
				os.Chmod(dir, 0o755)
			}
			root := w.path("root")
			for _, err := range []error{
				os.Mkdir(root, 0o755), os.Mkdir(filepath.Join(root, "open"), 0o777), os.Chmod(filepath.Join(root, "open"), 0o777),
				os.WriteFile(filepath.Join(root, "x.service"), []byte("[Unit]\n"), 0o644),
				os.WriteFile(filepath.Join(root, "credentials"), []byte("[root]\n"), 0o600),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			os.RemoveAll(mallory.path(".aws"))
			if strings.Contains(tt.link, "/") {
				mallory.makeDir(".aws")
			}
			mallory.link(filepath.Join(root, tt.to), tt.link)
			p := w.keep(mallory.path(tt.path), "echo started")
			if code := p.exit(); code != 125 || p.stdout.String() != "" {
				t.Errorf("exit code %d, printed %q, want it refused before the start", code, p.stdout.String())
			}
			if text := p.stderr.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "--credentials-file "+mallory.path(tt.path)+": ") || strings.Contains(text, "  ") ||
				!strings.Contains(text, "not followed") || !strings.Contains(text, "brs-exec: hint: ") {
				t.Errorf("said:\n%s", text)
			}
			if got := w.tree(root); len(got) != 3 {
				t.Errorf("root's directory has %q", got)
			}
			if got := w.read("root/x.service"); got != "[Unit]\n" {
				t.Errorf("root's file was written to: %q", got)
			}
		})
	}
}

// TestCredentialsFileExchanged: a user exchanges the directory with a link to
// root's own again and again, while root reads and writes in it.
func TestCredentialsFileExchanged(t *testing.T) {
	t.Parallel()
	_, mallory := neighbours(t)
	w := newWorld(t, time.Hour)
	mallory.makeDir(".aws")
	mallory.write(".aws/credentials", "[app]\n[other]\ncredential_process = evil\n", 0o666)
	root := w.path("root")
	const own = "[default]\nregion = x\n"
	if err := errors.Join(os.Mkdir(root, 0o700), os.WriteFile(filepath.Join(root, "credentials"), []byte(own), 0o600)); err != nil {
		t.Fatal(err)
	}
	mallory.link(root, "link")
	stop := make(chan struct{})
	stopped := make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				stopped <- n
				return
			default:
			}
			unix.Renameat2(unix.AT_FDCWD, mallory.path(".aws"), unix.AT_FDCWD, mallory.path("link"), unix.RENAME_EXCHANGE)
		}
	}()
	kept := 0
	for range 8 {
		p := w.keep(mallory.path(".aws/credentials"), "exit 0")
		if p.exit() == 0 {
			kept++
		}
		if got := w.tree(root); len(got) != 1 {
			t.Fatalf("root's directory has %q", got)
		}
		info, err := os.Stat(filepath.Join(root, "credentials"))
		if got := w.read("root/credentials"); err != nil || got != own || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Fatalf("root's file is %q, %v, %v", got, info, err)
		}
	}
	close(stop)
	t.Logf("%d exchanges, %d of 8 runs kept the file", <-stopped, kept)
}

// TestCredentialsFilePlanted: in a directory that all users can write to, mallory
// puts what she likes beside alice's file.
func TestCredentialsFilePlanted(t *testing.T) {
	t.Parallel()
	const mine, evil = "[app]\nregion = aaaa\n", "[app]\ncredential_process = evil\nx=z\n"
	old, next := evil, mine+strings.Repeat("\n", len(evil)-len(mine))
	mixture := next[:len(next)-1] + old[len(old)-1:]
	for _, tt := range []struct {
		name    string
		plant   func(backup, claim string) error
		refused string
	}{
		{"a backup", func(backup, _ string) error {
			sum := sha256.Sum256([]byte(old))
			return errors.Join(os.WriteFile(backup+".backup", []byte(old), 0o644),
				os.WriteFile(backup+".next", append([]byte(hex.EncodeToString(sum[:])), mine...), 0o644))
		}, ""},
		{"a pipe as a backup", func(backup, _ string) error {
			return errors.Join(unix.Mkfifo(backup+".backup", 0o666), os.WriteFile(backup+".next", nil, 0o666))
		}, ""},
		{"a device without an end as a backup", func(backup, _ string) error {
			return errors.Join(os.Symlink("/dev/zero", backup+".backup"), os.WriteFile(backup+".next", nil, 0o666))
		}, ""},
		{"a pipe as a claim", func(_, claim string) error { return unix.Mkfifo(claim, 0o666) }, "remove it"},
		{"a device as a claim", func(_, claim string) error { return os.Symlink("/dev/zero", claim) }, "remove it"},
		{"a file as a claim", func(_, claim string) error { return os.WriteFile(claim, nil, 0o600) }, "remove it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alice, mallory := neighbours(t)
			w := alice.world(time.Hour)
			dir := filepath.Join(filepath.Dir(alice.home), "open")
			if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777|fs.ModeSticky)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "shared")
			if err := errors.Join(os.WriteFile(path, []byte(mixture), 0o644), os.Chown(path, alice.uid, alice.uid)); err != nil {
				t.Fatal(err)
			}
			hash := sha256.Sum256([]byte(path))
			before := w.tree(dir)
			err := tt.plant(filepath.Join(dir, ".shared.brs-exec-"+hex.EncodeToString(hash[:4])+"0123456789abcdef"),
				filepath.Join(dir, ".shared.brs-exec-claim-"+hex.EncodeToString(hash[:4])+"-0123456789abcdef"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range w.tree(dir) {
				if !strings.Contains(strings.Join(before, "\n"), name) {
					if err := os.Lchown(filepath.Join(dir, name), mallory.uid, mallory.uid); err != nil {
						t.Fatal(err)
					}
				}
			}
			// Bounded, so that a device without an end costs this process alone.
			p := w.start("sh", "-c", `ulimit -v 8388608; exec "$0" "$@"`, brsExec(t), "--role-arn", roleARN,
				"--credentials-file", path, "--credentials-file-profile", "app", "--", "sh", "-c", "exit 7")
			code := p.exit()
			switch {
			case tt.refused == "" && code != 7:
				t.Errorf("exit code %d: %s", code, p.stderr.String())
			case tt.refused != "" && (code != 125 || !strings.Contains(p.stderr.String(), tt.refused)):
				t.Errorf("exit code %d, want it refused: %s", code, p.stderr.String())
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != mixture {
				t.Errorf("alice's file is %q, %v", got, err)
			}
		})
	}
}

// TestCredentialsFileOfStranger: in a directory that all users can write to, mallory
// has made the file already, and would read the keys in it.
func TestCredentialsFileOfStranger(t *testing.T) {
	t.Parallel()
	for _, root := range []bool{true, false} {
		alice, mallory := neighbours(t)
		dir := filepath.Join(filepath.Dir(alice.home), "open")
		if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777|fs.ModeSticky)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "shared")
		if err := errors.Join(os.WriteFile(path, []byte("[app]\n"), 0o666), os.Chmod(path, 0o666), os.Chown(path, mallory.uid, mallory.uid)); err != nil {
			t.Fatal(err)
		}
		w := alice.world(time.Hour)
		if root {
			w = newWorld(t, time.Hour)
		}
		p := w.keep(path, "echo started")
		if code := p.exit(); code != 125 || p.stdout.String() != "" {
			t.Errorf("exit code %d, printed %q, want it refused before the start", code, p.stdout.String())
		}
		hint := fmt.Sprintf("--file-owner %d", mallory.uid)
		if text := p.stderr.String(); !strings.Contains(text, "--credentials-file "+path+": it is user") || !strings.Contains(text, hint) {
			t.Errorf("said:\n%s", text)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "[app]\n" {
			t.Errorf("the file is %q, %v", got, err)
		}
	}
}

// TestCredentialsFileTidy: another process has the file locked when the command
// has ended. Tidying up does not wait for it as long as a person's patience ends,
// and a signal makes an end of it.
func TestCredentialsFileTidy(t *testing.T) {
	t.Parallel()
	for _, signal := range []bool{false, true} {
		w := newWorld(t, time.Hour)
		path := w.write("shared", "")
		p := w.keep(path, "echo up; read -r _; exit 7")
		eventually(t, patience, "the start", func() bool { return len(p.stdout.lines()) > 0 })
		lock, err := os.OpenFile(w.path(".shared.brs-exec-lock"), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		p.stdin.Close()
		if signal {
			p.signal(syscall.SIGTERM) // to the command, or to what waits
		}
		code := p.exit()
		if text := p.stderr.String(); !signal && code != 7 || !strings.Contains(text, "could not be put back") ||
			!strings.Contains(text, context.DeadlineExceeded.Error()) && !strings.Contains(text, "interrupted") {
			t.Errorf("exit code %d: %s", code, text)
		}
		lock.Close()
		// The next one knows what to put back.
		if code := w.keep(path, "exit 0").exit(); code != 0 || w.read("shared") != "" {
			t.Errorf("exit code %d, left %q", code, w.read("shared"))
		}
	}
}
