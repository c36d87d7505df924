//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// apartMode is the argument by which this program measures in namespaces of its own.
const apartMode = "apart-in"

// errNotApart: the system gives no namespaces.
var errNotApart = errors.New("no namespaces")

// apart runs this program once more, in namespaces where no other run is to be seen: the
// directories that brs-exec looks through are empty, and the network is loopback alone.
func apart(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, programsIn(dir).self, append([]string{apartMode, dir}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.SysProcAttr = namespaces(syscall.CLONE_NEWNS | syscall.CLONE_NEWNET)
	if err := cmd.Start(); err != nil {
		return errNotApart
	}
	if err := cmd.Wait(); err != nil {
		return errors.New("failed, see above")
	}
	return nil
}

// namespaces are those of a child. Without root they are in a namespace of users, in which
// this user is root.
func namespaces(flags uintptr) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	if uid := os.Geteuid(); uid != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

func runApart(ctx context.Context, dir string, args []string) error {
	o, err := flags(args)
	if err != nil {
		return err
	}
	if err := emptyBases(); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := nameSTS(dir); err != nil {
		return err
	}
	return run(ctx, dir, o, true)
}

// emptyBases mounts a file system in memory over each directory that run directories can
// be in.
func emptyBases() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for dir, mode := range map[string]string{"/run": "0755", "/dev/shm": "1777", "/tmp": "1777"} {
		if err := unix.Mount("none", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode="+mode); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("have a loopback interface: %w", err)
	}
	return nil
}

// findRunDir makes a directory for run directories, where there are no namespaces: in
// memory if there is a place, for its cost is not to be that of a disk.
func (b *bench) findRunDir() error {
	for _, in := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm", b.dir} {
		if in == "" {
			continue
		}
		dir, err := os.MkdirTemp(in, "brs-exec-bench-")
		if err != nil {
			continue
		}
		b.runDir = dir
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err == nil && st.Type == unix.TMPFS_MAGIC {
			fmt.Println("run directories are in memory")
		} else {
			fmt.Println("run directories are on a disk: they cost more than where there is a tmpfs")
		}
		return nil
	}
	return fmt.Errorf("no place for run directories, not even %s", filepath.Clean(b.dir))
}
