package writer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"brs-exec/writer/process"
)

// keepEvery is how long a command may be without its files.
const keepEvery = 15 * time.Second

// Keep looks after the run directory until ctx ends, and then returns nil. A
// cleaner of temporary files, or the end of the user's last session, may take it
// away under a command that goes on; it is made again, with all that was in it.
func (p *Private) Keep(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.look()
		}
	}
}

func (p *Private) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteReads()
	_ = p.mend() // has been told
}

// mend puts back what was removed, the directory itself or a file in it, and
// tells of it, once. A file that is another one stays until the next set: the
// command may have changed its configuration.
func (p *Private) mend() error {
	if p.dir.root == nil { // closed
		return fs.ErrClosed
	}
	if p.dir.held() && len(p.missing()) == 0 {
		p.lost = false
		return nil
	}
	err := p.restore()
	if errors.Is(err, fs.ErrNotExist) { // something is about to remove it
		err = p.restore()
	}
	switch {
	case err != nil:
		err = fmt.Errorf("the run directory %s is gone and cannot be made again: %w", p.Dir(), err)
		if !p.lost {
			p.tell("the command finds no newer credentials in its files; tried again until it does", err)
		}
	default:
		p.tell(fmt.Sprintf("the run directory %s, or a file in it, was removed by something else, and was made again", p.Dir()), nil)
	}
	p.lost = err != nil
	return err
}

func (p *Private) restore() error {
	if !p.dir.held() {
		return p.dir.again(p.fill)
	}
	for _, name := range p.missing() {
		if err := p.putBack(name); err != nil {
			return err
		}
	}
	return nil
}

func (p *Private) tell(note string, err error) {
	if p.opt.Notify != nil {
		p.opt.Notify(note, err)
	}
}

// missing are the files that were written and are not there.
func (p *Private) missing() (names []string) {
	for _, name := range append(slices.Sorted(maps.Keys(p.wrote)), lockedFile) {
		if _, err := p.dir.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			names = append(names, name)
		}
	}
	return names
}

func (p *Private) putBack(name string) error {
	if content, ok := p.kept[name]; ok {
		return p.put(p.dir, name, content)
	}
	if name == lockedFile {
		p.dir.lock.Close()
		return p.dir.takeLock()
	}
	return p.putSet(p.dir, p.last)
}

// fill puts everything into a directory that is to have the path final.
func (p *Private) fill(d *runDir, final string) error {
	if err := p.setCommand(d, final); err != nil {
		return err
	}
	for name, content := range p.kept {
		if err := p.put(d, name, content); err != nil {
			return err
		}
	}
	if p.last == (process.Set{}) {
		return nil
	}
	return p.putSet(d, p.last)
}

// Adopt takes a file into Keep's care that somebody else has put into the
// directory, and that does not change.
func (p *Private) Adopt(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	content, err := p.dir.root.ReadFile(name)
	if err == nil {
		p.kept[name] = content
		p.wrote[name], err = p.dir.root.Lstat(name)
	}
	return err
}

// intact tells whether the files with the set are those that were written last.
// It does not open them, as only readers do.
func (p *Private) intact() bool {
	for _, name := range [...]string{process.StateFile, credentialsFile} {
		was := p.wrote[name]
		is, err := p.dir.root.Lstat(name)
		if err != nil || was == nil || !os.SameFile(was, is) || is.Size() != was.Size() || !is.ModTime().Equal(was.ModTime()) {
			return false
		}
	}
	return true
}
