package shared

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"brs-exec/writer/filelock"
	"brs-exec/writer/pathsafe"
	"brs-exec/writer/replace"
)

// A claim is the file that says that a section of a shared file is kept by this
// process, and what stood there before. It is locked as long as the process
// lives, so it tells the truth however that ends; and it stays behind if the
// process is killed, so that the next one knows whose keys it finds and what
// to put back in the end.
//
// The first three lines have a fixed size and are written in place: the
// fingerprints of the credentials that are in the file and of those that are just being
// written, and the process. What follows is a snapshot, written once.
type claim struct {
	file      *os.File
	dir       *os.Root // and the name in it
	name      string
	prints    [2]string
	snapshot  *snapshot
	inherited bool // snapshot is that of a process that was killed
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

// claims are where claims are made.
type claims struct {
	dir    *os.Root
	prefix string // of their names, without the section's part
	uid    int
	as     func(func() error) error // calls with the rights to change what is there
}

// claimName returns the name of the claim on a section of the file at path.
func claimName(path, section string) string {
	sum := sha256.Sum256([]byte(path + "\x00" + section))
	return replace.BesidePrefix(filepath.Base(path)) + "claim-" + hex.EncodeToString(sum[:8])
}

// take takes the claim of this name. A *heldError says that another process has
// it.
func (cs *claims) take(ctx context.Context, name string) (*claim, error) {
	for range pathsafe.MaxRaces {
		f, err := pathsafe.CreateOwn(cs.dir, name)
		made := err == nil
		if errors.Is(err, fs.ErrExist) {
			f, err = pathsafe.OpenOwn(cs.dir, name, os.O_RDWR, cs.uid)
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, pathsafe.ErrRaced) { // removed since
			continue
		}
		var foreign *pathsafe.NotOwnError
		if errors.As(err, &foreign) {
			return nil, fmt.Errorf("%w; remove it if no brs-exec of that user runs", err)
		}
		if err != nil {
			return nil, err
		}
		c := &claim{file: f, dir: cs.dir, name: name}
		if err := c.lock(ctx); err != nil {
			f.Close()
			return nil, err
		}
		// The one before us may have removed it after we opened it.
		if !filelock.IsNamed(f, cs.dir, name) {
			f.Close()
			continue
		}
		if err := c.begin(); err != nil {
			c.release(!made)
			return nil, fmt.Errorf("%s: %w", filepath.Join(cs.dir.Name(), name), err)
		}
		return c, nil
	}
	return nil, fmt.Errorf("%s: %w", filepath.Join(cs.dir.Name(), name), pathsafe.ErrRaced)
}

func (c *claim) lock(ctx context.Context) error {
	err := filelock.Try(c.file)
	if errors.Is(err, filelock.ErrLocked) || errors.Is(err, filelock.ErrNoLocks) {
		if pid := c.holder(); pid != 0 {
			return &heldError{pid}
		}
		wait, cancel := context.WithTimeout(ctx, claimPatience)
		defer cancel()
		err = filelock.Take(wait, c.file) // without locks nil: then the process is the only witness
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, filelock.ErrLocked) && ctx.Err() == nil:
		return &heldError{c.holder()}
	}
	return fmt.Errorf("%s: %w", filepath.Join(c.dir.Name(), c.name), err)
}

// holder returns the process that the claim names, 0 if it is not to be seen.
func (c *claim) holder() int {
	head := make([]byte, claimHead)
	if n, _ := c.file.ReadAt(head, 0); n == claimHead {
		if pid, lives := filelock.Holder(head[2*printLine:]); lives {
			return pid
		}
	}
	return 0
}

// begin reads what a process that was killed has left, and writes who we are.
func (c *claim) begin() error {
	data, err := pathsafe.ReadAll(c.file)
	if err != nil {
		return err
	}
	c.prints = [2]string{noPrint, noPrint}
	if len(data) > 0 {
		if !isClaim(data) {
			return errors.New("is not a claim of brs-exec: remove it")
		}
		c.prints = [2]string{string(data[:printLine-1]), string(data[printLine : 2*printLine-1])}
		var b snapshot
		if json.Unmarshal(data[claimHead:], &b) == nil {
			c.snapshot, c.inherited = &b, true
		}
	}
	head := c.prints[0] + "\n" + c.prints[1] + "\n" + fmt.Sprintf("%-*s\n", processLine-1, filelock.Me())
	_, err = c.file.WriteAt([]byte(head), 0)
	return err
}

var noPrint = strings.Repeat("-", printLine-1)

// isClaim tells whether a file that bears the name of a claim is one.
func isClaim(data []byte) bool {
	return len(data) >= claimHead && data[printLine-1] == '\n' && data[2*printLine-1] == '\n' && data[claimHead-1] == '\n' &&
		isPrint(data[:printLine-1]) && isPrint(data[printLine:2*printLine-1])
}

func isPrint(text []byte) bool {
	return string(text) == noPrint || len(bytes.Trim(text, "0123456789abcdef")) == 0
}

// ours tells whether this process wrote the credentials, or the one before it.
func (c *claim) ours(fp string) bool { return fp != "" && (fp == c.prints[0] || fp == c.prints[1]) }

// forget drops what a process before has left.
func (c *claim) forget() error {
	c.snapshot, c.inherited = nil, false
	return c.file.Truncate(claimHead)
}

// remember writes what stood in the section, before it is changed.
func (c *claim) remember(b *snapshot) error {
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
	c.snapshot = b
	return nil
}

// writing notes that credentials are about to be written, wrote that they are.
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
	filelock.Remove(c.dir, c.name) // while it is locked
	err := c.file.Close()
	if runtime.GOOS == "windows" { // not while it is open; and then not if another one has it open
		c.dir.Remove(c.name)
	}
	return err
}

// sweep removes the claims of processes that were killed and left nothing to put
// back.
func (cs *claims) sweep() {
	names, _ := pathsafe.Names(cs.dir)
	for _, name := range names {
		if !strings.HasPrefix(name, cs.prefix) {
			continue
		}
		f, err := pathsafe.OpenOwn(cs.dir, name, os.O_RDWR, cs.uid)
		if err != nil {
			continue
		}
		head := make([]byte, claimHead+1)
		if n, _ := f.ReadAt(head, 0); n == claimHead && isClaim(head[:n]) && filelock.Try(f) == nil && filelock.IsNamed(f, cs.dir, name) {
			filelock.Remove(cs.dir, name)
		}
		f.Close()
	}
}
