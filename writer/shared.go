package writer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/writer/process"
)

// AtExit says what becomes of the keys in a shared file in the end.
type AtExit int

const (
	// Leave leaves the last set, which goes on living until it ends.
	Leave AtExit = iota
	// Remove takes the keys out, and the section with them if it was not there
	// before.
	Remove
	// Restore puts back what stood in the section before, to the byte.
	Restore
)

// SharedOptions says which file a Shared keeps sections of. Path and Sections
// are required; the zero value of all else is usable.
type SharedOptions struct {
	// Path names the file. It need not exist; nor does its directory, but its
	// parent.
	Path string
	// Sections are the profiles to write, by the name under which Deliver is
	// given the set for each; "" takes the only set there is.
	Sections map[string]string
	// AtExit says what Close does with the keys.
	AtExit AtExit
	// Perm and Owner are those of a file that does not exist yet: 0 means
	// 0600, nil ours. One that is there keeps what it has.
	Perm  fs.FileMode
	Owner *Owner
	// BackupDir is for what goes beside the file where its directory cannot be
	// written to. "" means a directory of the user's own: $XDG_STATE_HOME/brs-exec,
	// ~/.local/state/brs-exec, or one beside the run directories.
	BackupDir string
	// ConfigFile is the user's AWS config file. If it is Path, its spelling of
	// section names is used; else what it says of the profiles is looked at for
	// Notes. "" is no file.
	ConfigFile string
	// SourceFiles and SourceProfile are what the sets are made from. A section
	// that one is made from is refused: the next would be made from our own.
	SourceFiles   []string
	SourceProfile string
	// Notify is told what happens later that the user may want to know, a line
	// each. It is called with locks held and must not call back.
	Notify func(note string)

	settle, every time.Duration // shorter, in tests
	noEvents      error         // why there are none, in tests
	rename        func(from, to string) error
}

// Shared keeps profiles in a file that the user and other programs write to as
// well. It changes the bytes of its keys and no others.
type Shared struct {
	opt      SharedOptions
	target   Target
	profiles []*sharedProfile // by name
	spare    string           // "" if all that goes beside the file can be there
	notes    []string

	mu      sync.Mutex
	wrote   bool  // the file has held sets of ours
	inPlace bool  // the last write was
	mended  bool  // the sets were put back once already
	failed  bool  // the last Deliver did, and will come again
	looked  int   // how often the file was compared with the sets
	told    error // what was told last that does not get better by itself
}

type sharedProfile struct {
	sharedSection
	from  string // the set's name
	claim *claim
	set   process.Set // to be in the file; zero until there is one
}

// NewShared looks at the file and makes sure that no other brs-exec keeps the
// same section of it; it does not wait for one. It changes nothing, but for
// what a writer that was killed left half-way. It fails if the file cannot be parsed, with the file and the line, and if keys
// would be lost that nobody can make again. The caller must Close it.
func NewShared(opt SharedOptions) (*Shared, error) {
	s := &Shared{opt: opt}
	if s.opt.Perm == 0 {
		s.opt.Perm = fileMode
	}
	if s.opt.settle == 0 {
		s.opt.settle, s.opt.every = settleTime, pollEvery
	}
	s.target = Target{Path: opt.Path, Perm: s.opt.Perm, Owner: opt.Owner, BackupDir: opt.BackupDir, rename: opt.rename}
	path, err := s.find()
	if err != nil {
		return nil, fmt.Errorf("shared file: %w", err)
	}
	if err := s.addProfiles(path); err != nil {
		return nil, err
	}
	if err := s.checkSource(path); err != nil {
		return nil, err
	}
	if err := s.begin(path); err != nil {
		s.release(nil)
		return nil, err
	}
	return s, nil
}

// find returns where the path leads. The directory is made if it is missing, as
// the AWS CLI does it.
func (s *Shared) find() (path string, err error) {
	if dir := filepath.Dir(s.opt.Path); !exists(dir) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", err
		}
	}
	if path, err = resolve(s.opt.Path); err != nil {
		return "", err
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file (%s)", path, info.Mode().Type())
	}
	return path, nil
}

// begin takes the claims, tidies up after writers that were killed, and looks
// at the file.
func (s *Shared) begin(path string) error {
	if err := s.claimAll(path); err != nil {
		return err
	}
	if err := s.target.tidy(path); err != nil {
		return fmt.Errorf("shared file %s: %w", path, err)
	}
	data, info, err := readRegular(path)
	if err != nil {
		return fmt.Errorf("shared file: %w", err)
	}
	f, err := parseINI(s.opt.Path, data)
	if err != nil {
		return fmt.Errorf("shared file: %w", err)
	}
	for _, p := range s.profiles {
		if err := p.inherit(f); err != nil {
			return err
		}
		if err := s.guard(p, f, process.Set{}); err != nil {
			return err
		}
	}
	s.noteSettings(path, f, info != nil)
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Shared) addProfiles(path string) error {
	inConfig := filepath.Base(path) == "config" || s.opt.ConfigFile != "" && sameFile(path, s.opt.ConfigFile)
	for _, from := range slices.Sorted(maps.Keys(s.opt.Sections)) {
		name := s.opt.Sections[from]
		if err := checkProfileName(name); err != nil {
			return err
		}
		if slices.ContainsFunc(s.profiles, func(p *sharedProfile) bool { return p.name == name }) {
			return fmt.Errorf("profile %q: two sets of credentials for one section", name)
		}
		s.profiles = append(s.profiles, &sharedProfile{sharedSection: newSharedSection(name, inConfig), from: from})
	}
	if len(s.profiles) == 0 {
		return errors.New("internal error: no section to keep")
	}
	return nil
}

func sameFile(a, b string) bool {
	ra, err1 := resolve(a)
	rb, err2 := resolve(b)
	if err1 == nil && err2 == nil && ra == rb {
		return true
	}
	ia, err1 := os.Stat(a)
	ib, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(ia, ib)
}

// claimAll takes the claims, in a directory of ours if none can be made beside
// the file.
func (s *Shared) claimAll(path string) error {
	dir := filepath.Dir(path)
	for _, p := range s.profiles {
		c, err := takeClaim(filepath.Join(dir, claimName(path, p.name)))
		if err != nil && (errors.Is(err, fs.ErrPermission) || cannotRename(err)) && s.spare == "" {
			if s.spare, err = s.spareDir(); err != nil {
				return fmt.Errorf("claim section [%s] of %s: %w", p.name, s.opt.Path, err)
			}
			s.target.BackupDir, dir = s.spare, s.spare
			c, err = takeClaim(filepath.Join(dir, claimName(path, p.name)))
		}
		if err != nil {
			return fmt.Errorf("section [%s] of %s: %w", p.name, s.opt.Path, err)
		}
		p.claim = c
	}
	sweepClaims(path, dir)
	return nil
}

func (s *Shared) spareDir() (string, error) {
	if s.opt.BackupDir != "" {
		return s.opt.BackupDir, nil
	}
	return spareDir(os.Getenv)
}

// inherit keeps what a killed process has left only if the keys in the file are
// still the ones that it wrote.
func (p *sharedProfile) inherit(f *iniFile) error {
	for i := range f.lines {
		if p.claim.inherited && p.holds(f, i) {
			if fp, _ := fingerprintIn(f.section(i)); p.claim.ours(fp) {
				return nil
			}
		}
	}
	return p.claim.forget()
}

// A keysError means that writing would lose keys that nobody can make again.
type keysError struct{ section, file string }

func (e *keysError) Error() string {
	return fmt.Sprintf("section [%s] of %s holds long-term keys, which would be lost: name another section, or have it restored at exit", e.section, e.file)
}

// guard refuses to overwrite keys for life that are not ours, unless they are
// restored in the end.
func (s *Shared) guard(p *sharedProfile, f *iniFile, set process.Set) error {
	refused := &keysError{section: p.name, file: s.opt.Path}
	if b := p.claim.before; b != nil && s.opt.AtExit != Restore {
		for _, section := range b.parse().sections {
			if _, longTerm := fingerprintIn(section); longTerm && !s.wrote {
				return refused
			}
		}
	}
	for i := range f.lines {
		if !p.holds(f, i) {
			continue
		}
		fp, longTerm := fingerprintIn(f.section(i))
		if !longTerm || p.claim.ours(fp) || fp == fingerprintOf(set) {
			continue
		}
		if s.opt.AtExit != Restore || p.claim.before != nil && !p.claim.before.has(fp) {
			return refused
		}
	}
	return nil
}

func (b *before) has(fp string) bool {
	return slices.ContainsFunc(b.parse().sections, func(f *iniFile) bool {
		was, _ := fingerprintIn(f)
		return was == fp
	})
}

// Notes returns what the user may want to know about the file, a line each.
func (s *Shared) Notes() []string { return slices.Clone(s.notes) }

func (s *Shared) notify(format string, args ...any) {
	if s.opt.Notify != nil {
		s.opt.Notify(fmt.Sprintf(format, args...))
	}
}

// tell is notify for an error that may come again and again.
func (s *Shared) tell(format string, err error) {
	if s.told == nil || s.told.Error() != err.Error() {
		s.told = err
		s.notify(format, err)
	}
}

// Deliver writes the sets to their sections, all in one step; when it returns
// nil a reader that looks now finds them. The sets must be usable until Expires
// on the local clock. On an error the file is as it was.
func (s *Shared) Deliver(ctx context.Context, sets map[string]aws.Credentials) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ours := false
	for _, p := range s.profiles {
		creds, ok := sets[p.from]
		if !ok && p.from == "" && len(s.profiles) == 1 && len(sets) == 1 {
			for _, creds = range sets {
				ok = true
			}
		}
		if !ok {
			continue
		}
		if err := checkSet(creds); err != nil {
			return fmt.Errorf("deliver to %s: %w", s.opt.Path, err)
		}
		if set := toSet(creds, time.Time{}); set != p.set {
			p.set, s.mended, s.told = set, false, nil
		}
		ours = true
	}
	if !ours {
		return nil
	}
	err := s.write(ctx)
	s.failed = err != nil
	return err
}

// errUnsettled: the file looks as if another program were just writing it.
var errUnsettled = errors.New("is empty")

// write makes the file have all sets. A file that is empty or does not parse is
// given some time: other tools truncate it and then write.
func (s *Shared) write(ctx context.Context) error {
	until := time.Now().Add(s.opt.settle)
	for {
		last := !time.Now().Before(until)
		res, err := s.target.Replace(func(old []byte) ([]byte, error) { return s.edit(old, last) })
		if err == nil {
			return s.written(res)
		}
		if last || !errors.Is(err, errUnsettled) && !errors.As(err, new(*parseError)) {
			return err
		}
		wait := time.NewTimer(min(100*time.Millisecond, max(time.Millisecond, time.Until(until))))
		select {
		case <-ctx.Done():
			wait.Stop()
			return err
		case <-wait.C:
		}
	}
}

func (s *Shared) edit(old []byte, last bool) ([]byte, error) {
	if old != nil && len(old) == 0 && s.wrote && !last {
		return nil, errUnsettled
	}
	f, err := parseINI(s.opt.Path, old)
	if err != nil {
		return nil, err
	}
	for _, p := range s.profiles {
		if p.set == (process.Set{}) {
			continue
		}
		if err := s.guard(p, f, p.set); err != nil {
			return nil, err
		}
		if p.claim.before == nil && s.opt.AtExit != Leave {
			if err := p.claim.remember(p.sharedSection.before(f, old != nil)); err != nil {
				return nil, err
			}
		}
		if err := p.claim.writing(fingerprintOf(p.set)); err != nil {
			return nil, err
		}
		p.apply(f, p.set)
	}
	return f.bytes(), nil
}

func (s *Shared) written(res Result) error {
	s.wrote = true
	if res.Way == InPlace && !s.inPlace {
		s.notify("%s is written in place (%v): a reader in that moment may see a mixture", s.opt.Path, res.Cause)
	}
	if res.Way != Unchanged {
		s.inPlace = res.Way == InPlace
	}
	for _, p := range s.profiles {
		if p.set != (process.Set{}) {
			if err := p.claim.wrote(fingerprintOf(p.set)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close does with the keys what AtExit says, and gives the sections up. Run must
// have returned. If it fails the keys are left as they are, and the next
// NewShared for the section knows what stood there before.
func (s *Shared) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.opt.AtExit != Leave {
		if err = s.takeOut(); err != nil {
			err = fmt.Errorf("take the keys out of %s: %w", s.opt.Path, err)
		}
	}
	return errors.Join(err, s.release(err))
}

// release gives the claims up; they stay if something went wrong.
func (s *Shared) release(cause error) error {
	var errs []error
	for _, p := range s.profiles {
		if p.claim != nil {
			// One that was inherited is not ours to drop before we wrote.
			keep := p.claim.before != nil && (cause != nil || p.claim.inherited && !s.wrote)
			errs = append(errs, p.claim.release(keep))
			p.claim = nil
		}
	}
	if s.spare != "" && s.opt.BackupDir == "" {
		os.Remove(s.spare) // if nothing is in it
	}
	return errors.Join(errs...)
}
