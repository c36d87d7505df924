package writer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A claim is the file that says that a section of a shared file is kept by this
// process, and what stood there before. It is locked as long as the process
// lives, so it tells the truth however that ends; and it stays behind if the
// process is killed, so that the next one knows whose keys it finds and what
// to put back in the end.
//
// The first three lines have a fixed size and are written in place: the
// fingerprints of the set that is in the file and of the one that is just being
// written, and the process. What follows is a before, written once.
type claim struct {
	file      *os.File
	prints    [2]string
	before    *before
	inherited bool // before is that of a process that was killed
}

const (
	printLine   = 33 // 32 hexadecimal digits and a line end
	processLine = 48
	claimHead   = 2*printLine + processLine
)

// claimPatience is how long a lock is waited for whose holder is not to be
// seen: one that looks for stale claims has it for a moment, one in another
// process id namespace keeps it.
const claimPatience = time.Second

// A heldError says who keeps a section.
type heldError struct{ pid int }

func (e *heldError) Error() string {
	if e.pid == 0 {
		return "another brs-exec keeps it"
	}
	return fmt.Sprintf("another brs-exec keeps it: process %d", e.pid)
}

// claimName returns the name of the claim on a section of the file at path.
func claimName(path, section string) string {
	sum := sha256.Sum256([]byte(path + "\x00" + section))
	return besidePrefix(path) + "claim-" + hex.EncodeToString(sum[:8])
}

// takeClaim takes the claim of this name; it does not wait. A *heldError says
// that another process has it.
func takeClaim(name string) (*claim, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
		if err != nil {
			if info, serr := os.Lstat(name); serr == nil && !(info.Mode().IsRegular() && ours(info)) {
				return nil, fmt.Errorf("%s is another user's; remove it if none of their brs-exec runs", name)
			}
			return nil, err
		}
		c := &claim{file: f}
		if err := c.lock(); err != nil {
			f.Close()
			return nil, err
		}
		// The one before us may have removed it after we opened it.
		if !stillThere(f, name) {
			f.Close()
			continue
		}
		if err := c.begin(); err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return c, nil
	}
}

func (c *claim) lock() error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || !ours(info) {
		return fmt.Errorf("%s is not ours", c.file.Name())
	}
	for until := time.Now().Add(claimPatience); ; time.Sleep(10 * time.Millisecond) {
		err := tryLock(c.file)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errLocked) && !errors.Is(err, errNoLocks):
			return fmt.Errorf("lock %s: %w", c.file.Name(), err)
		}
		head := make([]byte, claimHead)
		n, _ := c.file.ReadAt(head, 0)
		var pid, start int
		if n == claimHead {
			fmt.Sscanf(string(head[2*printLine:]), "%d %d", &pid, &start)
		}
		lives := pid != 0 && alive(pid, start)
		switch {
		case lives:
			return &heldError{pid}
		case errors.Is(err, errNoLocks): // then the process is the only witness
			return nil
		case time.Now().After(until):
			return &heldError{}
		}
	}
}

// begin reads what a process that was killed has left, and writes who we are.
func (c *claim) begin() error {
	data, err := readAll(c.file)
	if err != nil {
		return err
	}
	c.prints = [2]string{strings.Repeat("-", printLine-1), strings.Repeat("-", printLine-1)}
	if len(data) >= claimHead {
		c.prints = [2]string{string(data[:printLine-1]), string(data[printLine : 2*printLine-1])}
		var b before
		if json.Unmarshal(data[claimHead:], &b) == nil {
			c.before, c.inherited = &b, true
		}
	}
	pid := os.Getpid()
	head := c.prints[0] + "\n" + c.prints[1] + "\n" + fmt.Sprintf("%-*s\n", processLine-1, fmt.Sprintf("%d %d", pid, startTime(pid)))
	_, err = c.file.WriteAt([]byte(head), 0)
	return err
}

// ours tells whether a set is one that this process wrote or the one before it.
func (c *claim) ours(fp string) bool { return fp != "" && (fp == c.prints[0] || fp == c.prints[1]) }

// forget drops what a process before has left.
func (c *claim) forget() error {
	c.before, c.inherited = nil, false
	return c.file.Truncate(claimHead)
}

// remember writes what stood in the section, before it is changed.
func (c *claim) remember(b *before) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if _, err := c.file.WriteAt(text, claimHead); err != nil {
		return err
	}
	if err := c.file.Sync(); err != nil {
		return err
	}
	c.before = b
	return nil
}

// writing notes that a set is about to be written, wrote that it is.
func (c *claim) writing(fp string) error { return c.note(1, fp) }
func (c *claim) wrote(fp string) error   { return c.note(0, fp) }

func (c *claim) note(i int, fp string) error {
	if c.prints[i] == fp {
		return nil
	}
	if _, err := c.file.WriteAt([]byte(fp), int64(i*printLine)); err != nil {
		return err
	}
	c.prints[i] = fp
	return nil
}

// release gives the claim up, and removes it unless keep.
func (c *claim) release(keep bool) error {
	if keep {
		return c.file.Close()
	}
	removeSentinel(c.file.Name()) // while it is locked
	err := c.file.Close()
	if runtime.GOOS == "windows" { // not while it is open; and then not if another one has it open
		os.Remove(c.file.Name())
	}
	return err
}

// sweepClaims removes the claims of processes that were killed and left nothing
// to put back.
func sweepClaims(path, dir string) {
	names, _ := readNames(dir)
	for _, name := range names {
		if !strings.HasPrefix(name, besidePrefix(path)+"claim-") {
			continue
		}
		name = filepath.Join(dir, name)
		f, err := os.OpenFile(name, os.O_RDWR|noFollow, 0)
		if err != nil {
			continue
		}
		if info, err := f.Stat(); err == nil && info.Size() == claimHead && tryLock(f) == nil && stillThere(f, name) {
			removeSentinel(name)
		}
		f.Close()
	}
}
