package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// File is a file for node_exporter's textfile collector. It stays after the end, so
// that a run is seen that was too short for a scrape.
type File struct {
	path    string
	metrics *Metrics
}

// mark is the first line, by which a file is known as one of ours.
const mark = "# Written by brs-exec for node_exporter's textfile collector.\n"

const (
	fileMode = 0o644 // who collects is another user

	// A burst of events is one write. The next one comes so much later that a day of
	// a thousand profiles is not gigabytes; a collector looks each 15 to 60 seconds.
	gather       = time.Second
	pause        = 10 * time.Second
	pauseProfile = 50 * time.Millisecond // for each

	endTime = 2 * time.Second // for the last write, to a file system that may have gone
)

// CreateFile writes the file for the first time. One that is there and not ours is an
// error, and left alone. path is absolute.
func CreateFile(path string, m *Metrics) (*File, error) {
	f := &File{path: path, metrics: m}
	return f, f.write()
}

// Run writes the file after events, until ctx ends.
func (f *File) Run(ctx context.Context) error {
	wait := gather
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.metrics.changed:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if err := f.write(); err != nil {
			f.metrics.change()() // to be written still
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		f.metrics.mu.Lock()
		wait = pause + time.Duration(len(f.metrics.profiles))*pauseProfile
		f.metrics.mu.Unlock()
	}
}

// Close writes what there is to tell at the end, see [Metrics.End].
func (f *File) Close() error {
	done := make(chan error, 1)
	go func() { done <- refresh.Protect(f.write) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		return nil
	case <-time.After(endTime):
		return fmt.Errorf("write %s: not done within %v", f.path, endTime)
	}
}

// CheckFile says why [CreateFile] would fail, and makes nothing.
func CheckFile(path string) error {
	dir, _, err := locate(path)
	if err == nil {
		dir.Close()
	}
	return err
}

// locate finds the directory of the file, and makes sure that it may be replaced there.
func locate(path string) (dir *os.Root, name string, err error) {
	place, dir, err := pathsafe.Open(path)
	if err != nil {
		return nil, "", pathsafe.Reason(err)
	}
	name = filepath.Base(place.Path)
	if err = ours(dir, name); err == nil {
		err = pathsafe.MayMake(dir)
	}
	if err != nil {
		dir.Close()
		return nil, "", pathsafe.Reason(err)
	}
	return dir, name, nil
}

// write replaces the file in one step.
func (f *File) write() error {
	dir, name, err := locate(f.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	temp := "." + name + "." + strconv.Itoa(os.Getpid()) // not .prom, which is what the collector reads
	if err := dir.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pathsafe.Reason(err)
	}
	text := append([]byte(mark), f.metrics.Text()...)
	return pathsafe.Reason(pathsafe.Put(dir, temp, name, text, func(f *os.File) error { return f.Chmod(fileMode) }))
}

// ours returns why a file may not be replaced, nil if it may or is not there.
func ours(dir *os.Root, name string) error {
	f, info, err := pathsafe.OpenRegular(dir, name, os.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer f.Close()
	head := make([]byte, len(mark))
	n, _ := f.Read(head)
	if info.Size() > 0 && !bytes.Equal(head[:n], []byte(mark)) {
		return errors.New("there is a file of that name that brs-exec has not written")
	}
	return nil
}
