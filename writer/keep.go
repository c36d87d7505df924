package writer

import (
	"context"
	"fmt"
	"time"

	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/rundir"
)

// keepEvery is how long a command may be without its files.
const keepEvery = 15 * time.Second

// Keep looks after the run directory until ctx ends, and then returns nil. A
// cleaner of temporary files, or the end of the user's last login, may take it
// away under a command that goes on; it is made again, with all that was in it.
// At first it removes what other runs that were killed have left: see [rundir.Sweep].
func (p *Private) Keep(ctx context.Context) error {
	rundir.Sweep(p.opt.Dirs)
	look := time.NewTimer(p.nextLook())
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			p.look()
			look.Reset(p.nextLook())
		}
	}
}

// nextLook is how long it is until the next look.
func (p *Private) nextLook() time.Duration {
	if p.opt.NextLook != nil {
		return p.opt.NextLook(keepEvery)
	}
	return keepEvery
}

func (p *Private) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteShared()
	if of := p.list.byDefault; of != nil {
		p.noteState(of)
	}
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
			p.tell("the command finds no newer credentials in its files; brs-exec keeps trying", err)
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
// an SDK, a shell, a person. Each has the key id that the profile had then.
type Reads struct {
	// State was read by a credential_process, for an SDK that asks.
	State process.Read
	// Credentials was read by a program that takes the keys from it or, as each
	// of them does, by an SDK that loads its profile.
	Credentials process.Read
	// Config was read by an SDK that was starting.
	Config process.Read
}

// sharedReads are the last readings of the files that all profiles are in.
type sharedReads struct{ config, credentials sharedRead }

// sharedRead was noted after so many deliveries.
type sharedRead struct {
	at    time.Time
	after int
}

// LastReads tells what the access times of the files tell of a profile, as
// [rundir.Dir.Read] does. It looks at the files of that profile.
func (p *Private) LastReads(name string) Reads {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.list.byName[name]
	if of == nil {
		return Reads{}
	}
	p.noteShared()
	p.noteState(of)
	return p.readsOf(of)
}

// LastStart tells when an SDK was starting last: when it read the config file.
func (p *Private) LastStart() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteShared()
	return p.shared.config.at
}

// readsOf adds to the readings of the profile those of the files that it shares, if
// they were of the credentials that it has now.
func (p *Private) readsOf(of *profile) Reads {
	r := of.reads
	add := func(read *process.Read, s sharedRead) {
		if !s.at.IsZero() && s.after >= of.since {
			*read = process.Read{KeyID: of.last.AccessKeyID, At: s.at}
		}
	}
	add(&r.Credentials, p.shared.credentials)
	add(&r.Config, p.shared.config)
	return r
}

// noteShared remembers who has read the files of all profiles, before that is lost
// with a file.
func (p *Private) noteShared() {
	note := func(s *sharedRead, name string) {
		if at, ok := p.dir.Read(name); ok {
			*s = sharedRead{at, p.deliveries}
		}
	}
	note(&p.shared.config, configFile)
	note(&p.shared.credentials, credentialsFile)
}

// noteState does that for the profile's state.
func (p *Private) noteState(of *profile) {
	var last time.Time
	for _, name := range p.list.states(of) {
		if at, ok := p.dir.Read(name); ok && at.After(last) {
			last = at
		}
	}
	if !last.IsZero() {
		of.reads.State = process.Read{KeyID: of.last.AccessKeyID, At: last}
	}
}
