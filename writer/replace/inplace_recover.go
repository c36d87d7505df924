package replace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// While a file is written in place its old and its new content are beside it,
// in two files whose names differ in their ends; the one with the new content is
// the first to be made and the last to go. A writer that is killed leaves both, and
// from them the next one can tell whether the file is a mixture.
const (
	backupSuffix = ".backup"
	nextSuffix   = ".next"
)

// backupPrefix begins the names of a file's backups; it tells files of the same
// name apart, as a directory for backups may be that of several.
func (p *Location) backupPrefix() string {
	sum := sha256.Sum256([]byte(p.Path))
	return BesidePrefix(p.name) + hex.EncodeToString(sum[:4])
}

// nextFile is the content of the second file: a hash of the old content, by
// which a backup that is not complete is known, and the new content.
func nextFile(old, content []byte) []byte {
	sum := sha256.Sum256(old)
	return append(hex.AppendEncode(nil, sum[:]), content...)
}

func nextOf(backup string) string { return strings.TrimSuffix(backup, backupSuffix) + nextSuffix }

// recoverInPlace puts the old content back where a writer was killed in the middle
// of writing the file in place. The caller holds the lock. A file that someone
// has changed since is left alone, and so is its backup. Of files that another
// user could have made nothing is believed.
func (p *Location) recoverInPlace(ctx context.Context) error {
	dir := p.Beside()
	names, _ := pathsafe.Names(dir)
	for _, next := range names {
		if !strings.HasPrefix(next, p.backupPrefix()) || !strings.HasSuffix(next, nextSuffix) {
			continue
		}
		backup := strings.TrimSuffix(next, nextSuffix) + backupSuffix
		keep, err := p.recoverFrom(ctx, backup, next)
		var foreign *pathsafe.NotOwnError
		switch {
		case errors.As(err, &foreign), errors.Is(err, pathsafe.ErrRaced):
			continue
		case err != nil:
			return fmt.Errorf("recover from %s: %w", filepath.Join(dir.Name(), backup), err)
		}
		if !keep {
			dir.Remove(backup)
		}
		dir.Remove(next)
	}
	return nil
}

func (p *Location) recoverFrom(ctx context.Context, backup, next string) (keep bool, err error) {
	old, err := p.readOwn(backup)
	if errors.Is(err, fs.ErrNotExist) { // it was done, but for the removal
		return false, nil
	}
	if err != nil {
		return true, err
	}
	content, err := p.readOwn(next)
	if err != nil {
		return true, err
	}
	content, ok := bytes.CutPrefix(content, nextFile(old, nil))
	if !ok { // killed before it began
		return false, nil
	}
	f, _, err := pathsafe.OpenRegular(p.dir, p.name, os.O_RDWR)
	if err != nil {
		return true, err
	}
	defer f.Close()
	unlock, err := lockOpen(ctx, f)
	if err != nil {
		return true, err
	}
	defer unlock()
	now, err := pathsafe.ReadAll(f)
	switch {
	case err != nil:
		return true, err
	case bytes.Equal(now, old), bytes.Equal(now, content):
		return false, nil
	case !isMixture(now, old, content):
		return true, nil
	}
	return false, restore(f, old)
}

// readOwn reads a file beside ours.
func (p *Location) readOwn(name string) ([]byte, error) {
	f, err := pathsafe.OpenOwn(p.Beside(), name, os.O_RDONLY, p.UID)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return pathsafe.ReadAll(f)
}

// isMixture tells whether fill, or the restore after it, can have left now on
// the way from old to content or back.
func isMixture(now, old, content []byte) bool {
	if rest, ok := bytes.CutPrefix(now, old); ok && len(bytes.Trim(rest, "\n")) == 0 {
		return len(now) <= max(len(old), len(content))
	}
	n := max(len(old), len(content))
	if len(now) != n {
		return false
	}
	pad := func(b []byte) []byte { return append(bytes.Clone(b), bytes.Repeat([]byte("\n"), n-len(b))...) }
	a, b := pad(content), pad(old)
	return samePrefix(now, a)+sameSuffix(now, b) >= n || samePrefix(now, b)+sameSuffix(now, a) >= n
}

func samePrefix(a, b []byte) (n int) {
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}

func sameSuffix(a, b []byte) (n int) {
	for n < len(a) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}
