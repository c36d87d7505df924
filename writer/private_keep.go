package writer

import (
	"context"
	"fmt"
	"time"
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
	_ = p.recover() // has been told
}

// recover puts back what was removed, the directory itself or a file in it, and
// tells of it, once.
func (p *Private) recover() error {
	missing, err := p.dir.Recover()
	switch {
	case missing && err != nil:
		err = fmt.Errorf("the run directory %s is gone and cannot be made again: %w", p.Dir(), err)
		if !p.lost {
			p.tell("the command finds no newer credentials in its files; tried again until it does", err)
		}
	case missing:
		p.tell(fmt.Sprintf("the run directory %s, or a file in it, was removed by something else, and was made again", p.Dir()), nil)
	}
	p.lost = missing && err != nil
	return err
}

func (p *Private) tell(note string, err error) {
	if p.opt.Notify != nil {
		p.opt.Notify(note, err)
	}
}
