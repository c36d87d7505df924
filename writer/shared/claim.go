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
	"slices"
	"strings"
	"time"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/replace"
)

// A claim is the file that says which sections of a shared file this process keeps,
// and what stood in them before. It is locked as long as the process
// lives, so it tells the truth however that ends; and it stays behind if the
// process is killed, so that the next one knows whose keys it finds and what
// to put back in the end.
//
// Its lines are the process; the names of the sections; for each of them the
// fingerprints of the credentials that are in the file and of those that are just
// being written, which are of a fixed size and written in place; and for each, once
// it is written to, what stood there.
type claim struct {
	file    *os.File
	dir     *os.Root // and the name in it
	name    string
	records []*record
	size    int64
	noted   bool // prints that may not be on disk yet
}

// A record is what a claim says of a section.
type record struct {
	section   string
	prints    [2]string
	snapshot  *snapshot
	inherited bool // snapshot is that of a process that was killed

	claim *claim
	at    int64 // of prints in the claim
}

// snapshotLine is the line of a snapshot.
type snapshotLine struct {
	Section string
	Before  *snapshot
}

const (
	printLen    = 32 // hexadecimal digits
	processLine = 48
)

var noPrint = strings.Repeat("-", printLen)

// copies returns records for another claim.
func copies(records []*record) (list []*record) {
	for _, r := range records {
		one := *r
		list = append(list, &one)
	}
	return list
}

// claimPatience is how long a lock is waited for whose holder is not to be
// seen: one that looks for stale claims has it for a moment, one in another
// process id namespace keeps it.
const claimPatience = time.Second

// A heldError says who keeps a section.
type heldError struct {
	section string
	pid     int
}

func (e *heldError) Error() string {
	if e.pid == 0 {
		return "another brs-exec keeps it"
	}
	return fmt.Sprintf("another brs-exec keeps it: process %d", e.pid)
}

// claims are where claims on a file are made.
type claims struct {
	dir    *os.Root
	prefix string // of their names
	uid    int
	as     func(func() error) error // calls with the rights to change what is there
}

// claimPrefix begins the names of the claims on the file at path; it tells files of the
// same name apart, as a directory for claims may be that of several.
func claimPrefix(path string) string {
	sum := sha256.Sum256([]byte(path))
	return replace.BesidePrefix(filepath.Base(path)) + "claim-" + hex.EncodeToString(sum[:4]) + "-"
}

// sectionTag is what the name of a claim says of its sections, for users who may not
// read it: a hash if there is one alone.
func sectionTag(sections ...string) string {
	if len(sections) != 1 {
		return "several"
	}
	sum := sha256.Sum256([]byte(sections[0]))
	return hex.EncodeToString(sum[:4])
}

// concerns tells whether the claim of this name may be on one of the sections.
func (cs *claims) concerns(name string, sections []string) bool {
	tag, _, ok := strings.Cut(strings.TrimPrefix(name, cs.prefix), "-")
	return !ok || tag == sectionTag() || slices.ContainsFunc(sections, func(s string) bool { return tag == sectionTag(s) })
}

// stale returns the claims of processes that were killed on one of the sections, and
// locks them. Those that have nothing to put back it removes, whatever their sections.
// A *heldError says that a process that lives has one of the sections. The caller has
// the lock of the file, so that no other process makes a claim meanwhile.
func (cs *claims) stale(ctx context.Context, sections []string) (stale []*claim, err error) {
	defer func() {
		if err != nil {
			closeAll(stale)
		}
	}()
	names, err := pathsafe.Names(cs.dir)
	for _, name := range names {
		if !strings.HasPrefix(name, cs.prefix) {
			continue
		}
		c, err := cs.open(ctx, name, sections)
		if err != nil {
			return stale, err
		}
		if c != nil {
			stale = append(stale, c)
		}
	}
	return stale, err
}

// open opens a claim and locks it. nil is one that is of no interest here.
func (cs *claims) open(ctx context.Context, name string, sections []string) (*claim, error) {
	f, err := pathsafe.OpenOwn(cs.dir, name, os.O_RDWR, cs.uid)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, pathsafe.ErrRaced): // removed since
		return nil, nil
	case errors.As(err, new(*pathsafe.NotOwnError)) && !cs.concerns(name, sections):
		return nil, nil
	case errors.As(err, new(*pathsafe.NotOwnError)):
		return nil, fmt.Errorf("%w; remove it if no brs-exec of that user runs", err)
	case err != nil:
		return nil, err
	}
	c := &claim{file: f, dir: cs.dir, name: name}
	mine, err := c.look(ctx, sections)
	if mine && err == nil {
		return c, nil
	}
	f.Close()
	return nil, err
}

// look reads the claim. It tells whether it is one on one of the sections and locked
// now, and removes it if it is nobody's and has nothing to put back.
func (c *claim) look(ctx context.Context, sections []string) (mine bool, err error) {
	if err := c.read(); err != nil {
		return false, err
	}
	for _, r := range c.records {
		if !slices.Contains(sections, r.section) {
			continue
		}
		if err := c.lock(ctx, r.section); err != nil || !c.isNamed() { // its process has ended meanwhile
			return false, err
		}
		return true, c.read() // what is true since it is locked
	}
	if filelock.Try(c.file) == nil && c.read() == nil && !c.restores() { // as it is since it is locked
		c.remove()
	}
	return false, nil
}

func (c *claim) read() error {
	data, err := pathsafe.ReadAll(c.file)
	if err == nil && len(data) > 0 && !c.parse(data) {
		err = errors.New("is not a claim of brs-exec: remove it")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(c.dir.Name(), c.name), err)
	}
	return nil
}

// lock locks the claim of a process that was killed.
func (c *claim) lock(ctx context.Context, section string) error {
	err := filelock.Try(c.file)
	if errors.Is(err, filelock.ErrLocked) || errors.Is(err, filelock.ErrNoLocks) {
		if pid := c.holder(); pid != 0 {
			return &heldError{section, pid}
		}
		wait, cancel := context.WithTimeout(ctx, claimPatience)
		defer cancel()
		err = filelock.Take(wait, c.file) // without locks nil: then only the process tells whether the run lives
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, filelock.ErrLocked) && ctx.Err() == nil:
		return &heldError{section, c.holder()}
	}
	return fmt.Errorf("%s: %w", filepath.Join(c.dir.Name(), c.name), err)
}

// holder returns the process that the claim names, 0 if it is not to be seen.
func (c *claim) holder() int {
	head := make([]byte, processLine)
	if n, _ := c.file.ReadAt(head, 0); n == processLine {
		if pid, lives := filelock.Holder(head); lives {
			return pid
		}
	}
	return 0
}

// parse reads what a claim says, and tells whether it is one.
func (c *claim) parse(data []byte) bool {
	lines := bytes.Split(data, []byte("\n"))
	var sections []string
	if len(lines) < 3 || len(lines[0]) != processLine-1 || json.Unmarshal(lines[1], &sections) != nil || len(lines) < 3+len(sections) {
		return false
	}
	c.records = nil
	for i, section := range sections {
		first, second, _ := strings.Cut(string(lines[2+i]), " ")
		if !isPrint(first) || !isPrint(second) {
			return false
		}
		c.records = append(c.records, &record{section: section, prints: [2]string{first, second}})
	}
	for _, text := range lines[2+len(sections):] {
		var l snapshotLine // of one that is not complete nothing was written to the section yet
		if json.Unmarshal(text, &l) == nil {
			for _, r := range c.records {
				if r.section == l.Section {
					r.snapshot = l.Before
				}
			}
		}
	}
	return true
}

func isPrint(text string) bool {
	return text == noPrint || len(text) == printLen && strings.Trim(text, "0123456789abcdef") == ""
}

// create makes a claim with the records, and locks it.
func (cs *claims) create(holder string, records []*record) (*claim, error) {
	c := &claim{dir: cs.dir, records: records}
	c.name = cs.prefix + sectionTag(c.sections()...) + "-" + pathsafe.RandomName()
	f, err := pathsafe.CreateOwn(cs.dir, c.name)
	if err != nil {
		return nil, err
	}
	c.file = f
	if err = filelock.Try(f); errors.Is(err, filelock.ErrNoLocks) {
		err = nil
	}
	if err == nil && !c.isNamed() { // taken for one that a process has left before it wrote to it
		err = pathsafe.ErrRaced
	}
	if err == nil {
		err = c.write(holder)
	}
	if err != nil {
		c.release(false)
		return nil, err
	}
	return c, nil
}

func (c *claim) sections() (names []string) {
	for _, r := range c.records {
		names = append(names, r.section)
	}
	return names
}

// write writes the claim anew.
func (c *claim) write(holder string) error {
	text, err := json.Marshal(c.sections())
	if err != nil {
		return err
	}
	text = fmt.Appendf(nil, "%-*s\n%s\n", processLine-1, holder, text)
	for _, r := range c.records {
		r.claim, r.at = c, int64(len(text))
		text = fmt.Appendf(text, "%s %s\n", r.prints[0], r.prints[1])
	}
	for _, r := range c.records {
		if text, err = r.appendSnapshot(text); err != nil {
			return err
		}
	}
	if _, err := c.file.WriteAt(text, 0); err != nil {
		return err
	}
	c.size = int64(len(text))
	return errors.Join(c.file.Truncate(c.size), c.file.Sync())
}

func (r *record) appendSnapshot(text []byte) ([]byte, error) {
	if r.snapshot == nil {
		return text, nil
	}
	line, err := json.Marshal(snapshotLine{r.section, r.snapshot})
	return append(append(text, line...), '\n'), err
}

// remember writes what stood in sections, before they are changed. With all that was noted
// it is on disk then: the file will be, too, and the next process compares the two.
func (c *claim) remember(records []*record) (err error) {
	var text []byte
	for _, r := range records {
		if text, err = r.appendSnapshot(text); err != nil {
			return err
		}
	}
	if len(text) == 0 && !c.noted {
		return nil
	}
	if _, err := c.file.WriteAt(text, c.size); err != nil {
		return err
	}
	c.size += int64(len(text))
	if err := c.file.Sync(); err != nil {
		return err
	}
	c.noted = false
	return nil
}

// restores tells whether there is something to put back.
func (c *claim) restores() bool {
	return slices.ContainsFunc(c.records, func(r *record) bool { return r.snapshot != nil })
}

// ours tells whether this process wrote the credentials, or the one before it.
func (r *record) ours(fp string) bool { return fp != "" && slices.Contains(r.prints[:], fp) }

// writing notes that credentials are about to be written, wrote that they are.
func (r *record) writing(fp string) error { return r.note(1, fp) }
func (r *record) wrote(fp string) error   { return r.note(0, fp) }

func (r *record) note(i int, fp string) error {
	if r.prints[i] == fp {
		return nil
	}
	if _, err := r.claim.file.WriteAt([]byte(fp), r.at+int64(i*(printLen+1))); err != nil {
		return err
	}
	r.prints[i], r.claim.noted = fp, true
	return nil
}

// removeStale removes claims of processes that were killed, once their records of the
// sections are in another one. What they have to put back elsewhere goes to new ones.
func (cs *claims) removeStale(stale []*claim, sections []string) error {
	var errs []error
	for _, old := range stale {
		rest := slices.DeleteFunc(old.records, func(r *record) bool { return r.snapshot == nil || slices.Contains(sections, r.section) })
		if len(rest) > 0 {
			c, err := cs.create("0 0", rest) // nobody's
			if err != nil {
				errs = append(errs, err, old.file.Close())
				continue
			}
			c.file.Close()
		}
		errs = append(errs, old.release(false))
	}
	return errors.Join(errs...)
}

func closeAll(claims []*claim) {
	for _, c := range claims {
		c.file.Close()
	}
}

// release gives the claim up, and removes it unless keep.
func (c *claim) release(keep bool) error {
	if keep {
		return c.file.Close()
	}
	c.remove()
	err := c.file.Close()
	if runtime.GOOS == "windows" { // not while it is open; and then not if another one has it open
		c.dir.Remove(c.name)
	}
	return err
}

// remove removes the claim while it is locked.
func (c *claim) remove() {
	if c.isNamed() {
		filelock.Remove(c.dir, c.name)
	}
}

func (c *claim) isNamed() bool { return filelock.IsNamed(c.file, c.dir, c.name) }
