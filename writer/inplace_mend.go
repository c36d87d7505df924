package writer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// While a file is written in place its old and its new content are beside it,
// in two files whose names differ in their ends; the one with the new content is
// the first to be made and the last to go. A writer that is killed leaves both, and from them the next one can tell whether the file is a mixture.
const (
	backupSuffix = ".backup"
	nextSuffix   = ".next"
)

// backupPrefix begins the names of a file's backups; it tells files of the same
// name apart, as a directory for backups may be that of several.
func backupPrefix(path string) string {
	sum := sha256.Sum256([]byte(path))
	return besidePrefix(path) + hex.EncodeToString(sum[:4])
}

// nextFile is the content of the second file: a hash of the old content, by
// which a backup that is not complete is known, and the new content.
func nextFile(old, content []byte) []byte {
	sum := sha256.Sum256(old)
	return append(hex.AppendEncode(nil, sum[:]), content...)
}

func nextOf(backup string) string { return strings.TrimSuffix(backup, backupSuffix) + nextSuffix }

// mendInPlace puts the old content back where a writer was killed in the middle
// of writing the file in place. The caller holds the lock. A file that someone
// has changed since is left alone, and so is its backup.
func mendInPlace(path, backupDir string) error {
	dir := backupDir
	if dir == "" {
		dir = filepath.Dir(path)
	}
	names, _ := readNames(dir)
	for _, name := range names {
		if !strings.HasPrefix(name, backupPrefix(path)) || !strings.HasSuffix(name, nextSuffix) {
			continue
		}
		next := filepath.Join(dir, name)
		backup := strings.TrimSuffix(next, nextSuffix) + backupSuffix
		keep, err := mendFrom(path, backup, next)
		if err != nil {
			return fmt.Errorf("mend from %s: %w", backup, err)
		}
		if !keep {
			os.Remove(backup)
		}
		os.Remove(next)
	}
	return nil
}

func mendFrom(path, backup, next string) (keep bool, err error) {
	old, err := os.ReadFile(backup)
	if os.IsNotExist(err) { // it was done, but for the removal
		return false, nil
	}
	if err != nil {
		return true, err
	}
	content, err := os.ReadFile(next)
	if err != nil {
		return true, err
	}
	content, ok := bytes.CutPrefix(content, nextFile(old, nil))
	if !ok { // killed before it began
		return false, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return true, err
	}
	defer f.Close()
	unlock, err := lockFile(f)
	if err != nil {
		return true, err
	}
	defer unlock()
	now, err := readAll(f)
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
