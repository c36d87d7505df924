package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"brs-exec/writer/process"
)

// NewShared looks at the file and makes sure that no other brs-exec keeps the
// same section of it; it does not wait for one. It changes nothing, but for
// what a writer that was killed left half-way. It fails if the file cannot be parsed, with the file and the line, and if keys
// would be lost that nobody can make again. The caller must Close it.
func NewShared(opt SharedOptions) (*Shared, error) {
	s := &Shared{opt: opt, moved: make(chan struct{}, 1)}
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
		s.release(true)
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
	if b := p.claim.before; p.claim.inherited && s.opt.AtExit != Restore {
		for _, section := range b.parse().sections {
			if _, longTerm := fingerprintIn(section); longTerm {
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
