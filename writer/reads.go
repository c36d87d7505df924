package writer

import (
	"io/fs"
	"time"

	"brs-exec/writer/process"
)

// Read is what is known about those who read one file of the run directory.
// The zero value says that nobody has.
type Read struct {
	KeyID string    // access key id of the set that the file held then; for the config file, that there was then
	At    time.Time // when
}

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

// LastReads tells what the access times of the files tell. Of several readings
// between two calls (Keep makes them, too) it is the time of the first that is
// known, since with relatime, the default, only that moves an access time
// (mount(8)).
//
// On a file system that is mounted noatime, and on anything but Linux, nobody is
// seen to read.
func (p *Private) LastReads() Reads {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteReads()
	return Reads{State: p.reads[process.StateFile], Credentials: p.reads[credentialsFile], Config: p.reads[configFile]}
}

// noteReads remembers who has read, before that is lost with a file, and makes
// the next reading show. It opens no file, as only readers do.
func (p *Private) noteReads() {
	if p.dir.root == nil { // closed
		return
	}
	for _, name := range [...]string{configFile, process.StateFile, credentialsFile} {
		info, err := p.dir.root.Lstat(name)
		if err != nil {
			continue
		}
		if at, ok := readAt(info); ok {
			p.reads[name] = Read{KeyID: p.last.AccessKeyID, At: at}
			p.dir.root.Chtimes(name, unread(info.ModTime()), time.Time{})
		}
	}
}

// unread is the access time that a file written at that time is given. A whole
// second is what every file system can store, and one that is past tells it from
// a reading in the same moment.
func unread(written time.Time) time.Time { return written.Truncate(time.Second).Add(-time.Second) }

// readAt returns when a file that was given the access time unread was read.
func readAt(info fs.FileInfo) (time.Time, bool) {
	at := accessTime(info)
	return at, !at.IsZero() && !at.Equal(unread(info.ModTime()))
}
