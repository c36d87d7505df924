package writer

import (
	"brs-exec/writer/process"
)

// Read is another name, until no other room uses it.
type Read = process.Read

// Reads are the last readings of the files in the run directory, whoever it was:
// an SDK, a shell, a person.
type Reads struct {
	// State was read by a credential_process, for an SDK that asks.
	State Read
	// Credentials was read by a program that takes the keys from it or, as each
	// of them does, by an SDK that loads its profile.
	Credentials Read
	// Config was read by an SDK that was starting.
	Config Read
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
			p.reads[name] = Read{KeyID: p.last.AccessKeyID, At: at}
		}
	}
}
