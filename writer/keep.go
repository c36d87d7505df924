package writer

import (
	"context"
	"fmt"
	"time"

	"brs-exec/writer/process"
)

// keepEvery is how long a command may be without its files.
const keepEvery = 15 * time.Second

// Keep looks after the run directory until ctx ends, and then returns nil. A
// cleaner of temporary files, or the end of the user's last login, may take it
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
	_ = p.recover() // which has passed an error to Notify
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

// Reads are the last readings of the files in the run directory, whoever it was:
// an SDK, a shell, a person.
type Reads struct {
	// State was read by a credential_process, for an SDK that asks.
	State process.Read
	// Credentials was read by a program that takes the keys from it or, as each
	// of them does, by an SDK that loads its profile.
	Credentials process.Read
	// Config was read by an SDK that was starting.
	Config process.Read
}

// LastReads tells what the access times of the files tell, as [rundir.Dir.Read] does.
func (p *Private) LastReads() Reads {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteReads()
	return Reads{State: p.reads[process.StateFile], Credentials: p.reads[credentialsFile], Config: p.reads[configFile]}
}

// noteReads remembers who has read, before that is lost with a file.
func (p *Private) noteReads() {
	for _, name := range [...]string{configFile, process.StateFile, credentialsFile} {
		if at, ok := p.dir.Read(name); ok {
			p.reads[name] = process.Read{KeyID: p.last.AccessKeyID, At: at}
		}
	}
}
