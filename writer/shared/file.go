// Package shared delivers credentials to profiles in a file that the user and other
// programs write to as well, such as ~/.aws/credentials: their keys and no other byte
// of it change, and in the end what stood there is back.
package shared

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/replace"
)

// AtExit says what becomes of the keys in a shared file in the end.
type AtExit int

const (
	// Leave leaves the last credentials, which work until they expire.
	Leave AtExit = iota
	// Remove takes the keys out, and the section with them if it was not there
	// before.
	Remove
	// Restore puts back what stood in the section before, to the byte.
	Restore
)

// Options says which file to keep sections of. Path and Sections
// are required; the zero value of all else is usable.
type Options struct {
	// Path names the file. It need not exist; nor does its directory, but its
	// parent.
	Path string
	// Sections are the profiles to write, by the name under which Deliver is
	// given the credentials for each.
	Sections map[string]string
	// AtExit says what Close does with the keys.
	AtExit AtExit
	// Perm and Owner are those of a file that does not exist yet: 0 means
	// 0600, nil ours. One that is there keeps what it has.
	Perm  fs.FileMode
	Owner *replace.Owner
	// BackupDir is for what goes beside the file where its directory cannot be
	// written to. "" means a directory of the user's own: $XDG_STATE_HOME/brs-exec,
	// ~/.local/state/brs-exec, or one beside the run directories.
	BackupDir string
	// ConfigFile is the user's AWS config file. If it is Path, its spelling of
	// section names is used; else what it says of the profiles is looked at for
	// Notes. "" is no file.
	ConfigFile string
	// SourceFiles and SourceProfiles are what the credentials are made from. A section
	// that some are made from is refused: the next would be made from our own.
	SourceFiles    []string
	SourceProfiles []string // "" is default
	// Notify is called with what happens later that the user may want to know, a line
	// each. Locks are held meanwhile: it must not call back.
	Notify func(note string)

	settle, every time.Duration // shorter, in tests
	noEvents      error         // why there are none, in tests
	rename        func(from, to string) error
}

// File keeps profiles in a file that the user and other programs write to as
// well. It changes the bytes of its keys and no others.
type File struct {
	opt      Options
	path     string // that the file had when it was opened
	inConfig bool   // it is a config file
	target   replace.Target
	profiles []*profile // by name
	claims   *claims
	claim    *claim
	stale    []*claim // of processes that were killed, until our own has what they know
	spare    string   // "" if all that goes beside the file can be there
	notes    []string

	moved chan struct{} // has one when the file is to be watched in another way

	mu         sync.Mutex
	wrote      bool // the file has held credentials of ours
	inPlace    bool // the last write was
	reconciled bool // the keys were put back once already
	failed     bool // the last Deliver did, and will come again
	noFile     bool // there was no file before
	looked     int  // how often Run had a look at the file
	seed       maphash.Seed
	known      bool   // what is known of the file: it is as we wrote it last
	seen       uint64 // if this is its hash
	told       error  // the last notice of what does not get better by itself
}

type profile struct {
	section
	from string // the credentials' name
	*record
	creds credentials // to be in the file; zero until there are some, and when they were taken away
	dirty bool        // they were not written yet
}

// Notes returns what the user may want to know about the file, a line each.
func (s *File) Notes() []string { return slices.Clone(s.notes) }

func (s *File) notify(format string, args ...any) {
	if s.opt.Notify != nil {
		s.opt.Notify(fmt.Sprintf(format, args...))
	}
}

// tell is notify for an error that may come again and again.
func (s *File) tell(format string, err error) {
	if s.told == nil || s.told.Error() != err.Error() {
		s.told = err
		s.notify(format, err)
	}
}

// Deliver writes credentials, by their names, to their sections, all in one step;
// when it returns nil a client that reads the file finds them. They must be usable until
// Expires on the local clock. The zero value does with the keys of that section what
// AtExit says. On an error the file is as it was; credentials that cannot be written to
// one are an error, and keep no others back.
func (s *File) Deliver(ctx context.Context, delivered map[string]aws.Credentials) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []*profile
	var errs []error
	ours := false
	for _, p := range s.profiles {
		creds, ok := delivered[p.from]
		switch {
		case !ok:
			continue
		case creds == aws.Credentials{}:
			if p.creds != (credentials{}) {
				gone = append(gone, p)
			}
			continue
		}
		if err := ini.Check(creds); err != nil {
			errs = append(errs, fmt.Errorf("deliver to %s: %w", s.opt.Path, err))
			continue
		}
		if now := keysOf(creds); now != p.creds {
			p.creds, p.dirty, s.reconciled, s.told = now, true, false, nil
		}
		ours = true
	}
	if len(gone) > 0 {
		errs = append(errs, s.takeAway(ctx, gone))
	}
	if ours {
		err := s.write(ctx)
		s.failed = err != nil
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// hash tells what is in the file from all else that may be.
func (s *File) hash(data []byte) uint64 { return maphash.Bytes(s.seed, data) }

// knows tells whether that is the file as we wrote it, with all credentials that were
// delivered by then.
func (s *File) knows(data []byte) bool { return s.known && s.hash(data) == s.seen }

// errUnsettled: the file looks as if another program were just writing it.
var errUnsettled = errors.New("is empty")

// write makes the file have all credentials. A file that is empty or does not parse is
// given some time: other tools truncate it and then write.
func (s *File) write(ctx context.Context) error {
	until := time.Now().Add(s.opt.settle)
	for {
		last := !time.Now().Before(until)
		res, err := s.target.Replace(ctx, func(old []byte) ([]byte, error) { return s.edit(old, last) })
		if err == nil {
			return s.written(res)
		}
		if last || !errors.Is(err, errUnsettled) && !errors.As(err, new(*ini.ParseError)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(min(100*time.Millisecond, max(time.Millisecond, time.Until(until)))):
		}
	}
}

func (s *File) edit(old []byte, last bool) ([]byte, error) {
	if old != nil && len(old) == 0 && s.wrote && !last {
		return nil, errUnsettled
	}
	f, err := ini.Parse(s.opt.Path, old)
	if err != nil {
		return nil, err
	}
	var fresh []*record
	known := s.knows(old)
	for _, p := range s.profiles {
		if p.creds == (credentials{}) || known && !p.dirty {
			continue
		}
		if err := s.guard(p, f, p.creds); err != nil {
			return nil, err
		}
		if p.record.snapshot == nil && s.opt.AtExit != Leave {
			p.record.snapshot = p.takeSnapshot(f, old != nil)
			fresh = append(fresh, p.record)
		}
		if err := p.noteWritten(f); err != nil {
			return nil, err
		}
		if err := p.writing(fingerprintOf(p.creds)); err != nil {
			return nil, err
		}
		p.apply(f, p.creds)
	}
	if err := s.claim.remember(fresh); err != nil {
		for _, r := range fresh {
			r.snapshot = nil
		}
		return nil, err
	}
	now := f.Bytes()
	s.known, s.seen = false, s.hash(now) // until it is written
	return now, nil
}

// noteWritten notes that what was being written is in the file, if nobody came to that: the
// claim is about to name other credentials that are being written.
func (p *profile) noteWritten(f *ini.File) error {
	for _, section := range p.held(f) {
		if fp, _ := fingerprintIn(section); fp == p.prints[1] {
			return p.wrote(fp)
		}
	}
	return nil
}

func (s *File) written(res replace.Result) error {
	s.wrote, s.known = true, true
	if res.Way == replace.InPlace && !s.inPlace {
		s.notify("%s is written in place (%v): a client that reads it at that moment may see a mixture", s.opt.Path, res.Cause)
	}
	if inPlace := res.Way == replace.InPlace; res.Way != replace.Unchanged && inPlace != s.inPlace {
		s.inPlace = inPlace
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
	for _, p := range s.profiles {
		if p.dirty && p.creds != (credentials{}) {
			if err := p.wrote(fingerprintOf(p.creds)); err != nil {
				return err
			}
			p.dirty = false
		}
	}
	return nil
}

// Close does with the keys what AtExit says, and gives the sections up. Run must
// have returned. If it fails, as it does when ctx ends while another process has
// the file locked, the keys are left as they are, and the next Open for the
// section knows what stood there before.
func (s *File) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.opt.AtExit != Leave {
		if err = s.takeOut(ctx, s.profiles); err != nil {
			err = fmt.Errorf("take the keys out of %s: %w", s.opt.Path, err)
		}
	}
	return errors.Join(err, s.release(err != nil))
}

// release gives the claim up. With keep it stays if it knows what to put back.
func (s *File) release(keep bool) error {
	if s.claims == nil {
		return nil
	}
	err := s.claims.as(func() error {
		if s.claim == nil {
			return nil
		}
		// As long as there are stale ones, it knows nothing that they do not.
		return s.claim.release(keep && s.stale == nil && s.claim.restores())
	})
	closeAll(s.stale)
	s.claim, s.stale = nil, nil
	s.claims.dir.Close()
	s.claims = nil
	if s.spare != "" && s.opt.BackupDir == "" {
		os.Remove(s.spare) // if nothing is in it
	}
	return err
}
