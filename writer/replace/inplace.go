package replace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// overwrite changes the content of the file from old to content without giving
// it a new inode.
//
// Whatever the moment, what is in the file is as close to one of the two as can
// be: the file is first made long enough by blank lines, which shows whether
// the disk has room while the old content is whole; then everything is written
// by one call, a shorter content filled up by blank lines; then the file is
// cut. If that fails the old content is put back.
func (p *Location) overwrite(ctx context.Context, old, content []byte) (err error) {
	f, _, err := pathsafe.OpenRegular(p.dir, p.name, os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	// The inode stays, so here the file itself can be locked: of a file that is
	// mounted into several containers it is all that they have in common.
	unlock, err := lockOpen(ctx, f)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := pathsafe.ReadAll(f)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, old) {
		return pathsafe.ErrRaced
	}
	dir, backup := p.Beside(), p.newBackup()
	defer dir.Remove(nextOf(backup)) // after the backup: without it a backup is left to people
	if err := writeNew(dir, nextOf(backup), nextFile(old, content)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := writeNew(dir, backup, old); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := fill(f, old, content); err != nil {
		if rerr := restore(f, old); rerr != nil {
			return fmt.Errorf("%w, and putting the old content back failed too: %w; it is in %s", err, rerr, filepath.Join(dir.Name(), backup))
		}
		dir.Remove(backup)
		return err
	}
	return dir.Remove(backup)
}

func fill(f *os.File, old, content []byte) error {
	if grow := len(content) - len(old); grow > 0 {
		if _, err := f.WriteAt(bytes.Repeat([]byte("\n"), grow), int64(len(old))); err != nil {
			return err
		}
		if err := f.Sync(); err != nil { // some file systems find out only here
			return err
		}
	}
	padded := content
	if len(content) < len(old) {
		padded = append(bytes.Clone(content), bytes.Repeat([]byte("\n"), len(old)-len(content))...)
	}
	if _, err := f.WriteAt(padded, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(content))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	got, err := pathsafe.ReadAll(f)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, content) {
		return errors.New("reading it back gave something else")
	}
	return nil
}

func restore(f *os.File, old []byte) error {
	if _, err := f.WriteAt(old, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(old))); err != nil {
		return err
	}
	return f.Sync()
}

// newBackup returns the name for a new backup of the file.
func (p *Location) newBackup() string { return p.backupPrefix() + pathsafe.RandomName() + backupSuffix }

// writeNew writes content to a new file that only its owner can read.
func writeNew(dir *os.Root, name string, content []byte) (err error) {
	f, err := pathsafe.CreateOwn(dir, name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			dir.Remove(name)
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
