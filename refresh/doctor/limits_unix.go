//go:build linux || darwin || freebsd || dragonfly

package doctor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// limits are those that a Go program, or a write of a few kilobytes, fails under.
func limits() []limit {
	return []limit{
		{unix.RLIMIT_AS, 3 << 29, "ulimit -v unlimited", "the address space is limited to %d bytes (ulimit -v): brs-exec needs 1.5 GiB of it"},
		{unix.RLIMIT_NOFILE, 64, "ulimit -n 1024", "at most %d open files (ulimit -n): brs-exec needs about 30, the command gets the same limit"},
		{unix.RLIMIT_FSIZE, 1 << 16, "ulimit -f unlimited", "files of at most %d bytes (ulimit -f): the credentials may not fit"},
	}
}

type limit struct {
	what       int
	least      uint64
	hint, text string
}

// examineLimits is about what the machine lets brs-exec have.
func (d *examination) examineLimits() {
	found := len(d.findings)
	for _, l := range limits() {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.what, &now); err == nil && uint64(now.Cur) < l.least {
			d.problem("limits", l.hint, l.text, uint64(now.Cur))
		}
	}
	if left, of, ok := processesLeft("/"); ok && left < 16 {
		d.problem("limits", "docker run --pids-limit 64, TasksMax=64 in a unit", "%d more processes or threads of %d (pids.max): brs-exec needs 16", left, of)
	}
	if len(d.findings) == found {
		d.ok("limits", "address space, open files, file size and processes suffice")
	}
}

// examineDirectory is about the file system that the run directory would be on.
func (d *examination) examineDirectory(dir string) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil { // one that is still to be made
		d.ok("run directory", "made in %s", dir)
		return
	}
	free := uint64(st.Bavail) * uint64(st.Bsize) // of signed types on FreeBSD
	const needed = 1 << 20
	if free < needed {
		d.problem("run directory", "make room there, or XDG_RUNTIME_DIR=/another/directory", "%s has %s free", dir, size(free))
		return
	}
	d.ok("run directory", "made in %s (%s%s free)", dir, mountKind(&st), size(free))
}

func size(bytes uint64) string {
	const unit = 1 << 10
	if bytes < unit<<10 {
		return fmt.Sprintf("%d KiB", bytes/unit)
	}
	if bytes < unit<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d GiB", bytes>>30)
}
