package shared

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/pathsafe"
	"brs-exec.example/brs-exec/writer/replace"
)

// Open looks at the file and makes sure that no other brs-exec keeps the
// same section of it. It changes nothing, but for what a writer that was killed
// left undone, and makes the file's directory if that is missing, as the AWS CLI
// does it. It fails if the file cannot be parsed, with the file and the line, and
// if keys would be lost that nobody can make again. ctx bounds the wait for the
// locks of other processes. The caller must Close it.
func Open(ctx context.Context, opt Options) (*File, error) {
	s, path, err := prepare(opt)
	if err != nil {
		return nil, err
	}
	if s.target.DirUID == nil {
		if err := s.makeDir(); err != nil {
			return nil, err
		}
	}
	var f *ini.File
	var was *replace.Content
	err = s.target.At(func(p *replace.Location) (err error) {
		f, was, err = s.begin(ctx, p)
		return err
	})
	if err != nil {
		s.release(true)
		return nil, err
	}
	s.noteSettings(path, f, was)
	return s, nil
}

// Preview finds out what Open would say of the file, and changes and
// locks nothing. The notes are those of [File.Notes].
func Preview(opt Options) (notes []string, err error) {
	s, path, err := prepare(opt)
	if err != nil {
		return nil, err
	}
	if s.target.DirUID == nil {
		return nil, s.mayMakeDir()
	}
	var f *ini.File
	var was *replace.Content
	err = s.target.At(func(p *replace.Location) error {
		if was, err = p.Read(); err != nil {
			return err
		}
		if err := p.MayReplace(was); err != nil {
			return err
		}
		f, err = s.look(was)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, p := range s.profiles {
		if err := s.guard(p, f, credentials{}); err != nil {
			return nil, err
		}
	}
	s.noteSettings(path, f, was)
	return s.notes, nil
}

// prepare is what needs no look into the file. path is where it leads to.
func prepare(opt Options) (s *File, path string, err error) {
	s = &File{opt: opt, moved: make(chan struct{}, 1), seed: maphash.MakeSeed()}
	if s.opt.Perm == 0 {
		s.opt.Perm = pathsafe.FileMode
	}
	if s.opt.settle == 0 {
		s.opt.settle, s.opt.every = settleTime, pollEvery
	}
	s.target = replace.Target{Path: opt.Path, Perm: s.opt.Perm, Owner: opt.Owner, BackupDir: opt.BackupDir, Rename: opt.rename}
	switch w, err := pathsafe.Resolve(opt.Path); {
	case err == nil:
		path, s.target.DirUID = w.Path, &w.UID
	case exists(filepath.Dir(opt.Path)):
		return nil, "", err
	default: // the directory has still to be made
		if w, err = pathsafe.Resolve(filepath.Dir(opt.Path)); err != nil {
			return nil, "", err
		}
		path = filepath.Join(w.Path, filepath.Base(opt.Path))
	}
	s.path = path
	if err := s.addProfiles(path); err != nil {
		return nil, "", err
	}
	return s, path, s.checkSource(s.profiles)
}

// makeDir makes the directory of the file.
func (s *File) makeDir() error {
	if err := replace.MakeDir(filepath.Dir(s.opt.Path)); err != nil {
		return err
	}
	w, err := pathsafe.Resolve(s.opt.Path)
	if err == nil {
		s.target.DirUID = &w.UID
	}
	return err
}

// mayMakeDir says why makeDir would fail.
func (s *File) mayMakeDir() error {
	return replace.Target{Path: filepath.Dir(s.opt.Path)}.At(func(p *replace.Location) error {
		return p.MayReplace(nil)
	})
}

// begin takes the claims, tidies up after writers that were killed, and looks
// at the file.
func (s *File) begin(ctx context.Context, p *replace.Location) (*ini.File, *replace.Content, error) {
	if err := s.claimAll(ctx, p); err != nil {
		return nil, nil, err
	}
	if err := p.Recover(ctx); err != nil {
		return nil, nil, err
	}
	was, err := p.Read()
	if err != nil {
		return nil, nil, err
	}
	f, err := s.look(was)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range s.profiles {
		p.inherit(f, s.stale)
		if err := s.guard(p, f, credentials{}); err != nil {
			return nil, nil, err
		}
	}
	if err := s.claim.write(filelock.Me()); err != nil {
		return nil, nil, err
	}
	err = s.claims.removeStale(s.stale, s.names())
	s.stale = nil
	return f, was, err
}

func (s *File) look(was *replace.Content) (*ini.File, error) {
	if was == nil {
		return ini.Parse(s.opt.Path, nil)
	}
	return ini.Parse(s.opt.Path, was.Data)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *File) addProfiles(path string) (err error) {
	s.inConfig = filepath.Base(path) == "config" || s.opt.ConfigFile != "" && sameFile(path, s.opt.ConfigFile)
	if s.profiles, err = s.newProfiles(s.opt.Sections); err == nil && len(s.profiles) == 0 {
		return errors.New("internal error: no section to keep")
	}
	return err
}

// newProfiles are those of the options' Sections, by name.
func (s *File) newProfiles(sections map[string]string) (list []*profile, err error) {
	seen := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(sections)) {
		name := sections[from]
		if err := ini.CheckProfile(name); err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("profile %q: given twice for one section", name)
		}
		seen[name] = true
		list = append(list, &profile{section: newSection(name, s.inConfig), from: from, record: &record{section: name, prints: [2]string{noPrint, noPrint}}})
	}
	return list, nil
}

// sameFile tells whether two paths lead to one file.
func sameFile(a, b string) bool {
	pa, err1 := pathsafe.Resolve(a)
	pb, err2 := pathsafe.Resolve(b)
	if err1 == nil && err2 == nil && pa.Path == pb.Path {
		return true
	}
	ia, err1 := os.Stat(a)
	ib, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(ia, ib)
}

// names are those of the sections.
func (s *File) names() []string { return namesOf(s.profiles) }

func namesOf(profiles []*profile) (names []string) {
	for _, p := range profiles {
		names = append(names, p.name)
	}
	return names
}

// claimAll claims the sections, in a directory of ours if nothing can be made beside
// the file.
func (s *File) claimAll(ctx context.Context, p *replace.Location) error {
	unlock, err := p.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err = s.claimIn(p, p.Beside()); err != nil {
		return err
	}
	err = s.makeClaim(ctx)
	if err != nil && (errors.Is(err, fs.ErrPermission) || replace.CannotRename(err)) && s.spare == "" && s.target.BackupDir == "" && p.UID == os.Geteuid() {
		if err := s.useSpare(p); err != nil {
			return fmt.Errorf("claim section [%s] of %s: %w", strings.Join(s.names(), "], ["), s.opt.Path, err)
		}
		err = s.makeClaim(ctx)
	}
	return s.claimError(err, s.profiles)
}

// claimError says which section could not be claimed.
func (s *File) claimError(err error, of []*profile) error {
	if err == nil {
		return nil
	}
	section := strings.Join(namesOf(of), "], [")
	var held *heldError
	if errors.As(err, &held) {
		section = held.section
	}
	return fmt.Errorf("section [%s] of %s: %w", section, s.opt.Path, err)
}

func (s *File) makeClaim(ctx context.Context) (err error) {
	closeAll(s.stale)
	if s.stale, err = s.claims.stale(ctx, s.names()); err != nil {
		return err
	}
	var records []*record
	for _, p := range s.profiles {
		records = append(records, p.record)
	}
	s.claim, err = s.claims.create(filelock.Me(), records)
	return err
}

// claimIn has claims made in the directory, with the rights that we have now.
func (s *File) claimIn(p *replace.Location, dir *os.Root) error {
	own, err := dir.OpenRoot(".")
	if err != nil {
		return err
	}
	s.claims = &claims{dir: own, prefix: claimPrefix(p.Path), uid: p.UID, as: p.As}
	return nil
}

// useSpare has all that goes beside the file be in a directory of ours.
func (s *File) useSpare(p *replace.Location) (err error) {
	if s.spare, err = s.spareDir(); err != nil {
		return err
	}
	if err := p.UseSpare(s.spare); err != nil {
		return err
	}
	s.target.BackupDir = s.spare
	s.claims.dir.Close()
	return s.claimIn(p, p.Beside())
}

func (s *File) spareDir() (string, error) {
	if s.opt.BackupDir != "" {
		return s.opt.BackupDir, nil
	}
	return spareDir(os.Getenv)
}

// inherit takes over what killed processes have left of the section: what stood there
// before only if the keys in the file are still the ones that one of them wrote.
func (p *profile) inherit(f *ini.File, stale []*claim) {
	held := p.held(f)
	for _, c := range stale {
		for _, r := range c.records {
			if r.section != p.name {
				continue
			}
			wrote := slices.ContainsFunc(held, func(s *ini.Section) bool {
				fp, _ := fingerprintIn(s)
				return r.ours(fp)
			})
			if wrote && !p.inherited {
				p.prints, p.record.snapshot, p.inherited = r.prints, r.snapshot, r.snapshot != nil
			}
		}
	}
}

// A keysError means that writing would lose keys that nobody can make again.
type keysError struct{ section, file string }

func (e *keysError) Error() string {
	return fmt.Sprintf("section [%s] of %s holds long-term keys, which would be lost: name another section, or have it restored at exit", e.section, e.file)
}

// guard refuses to overwrite long-term keys that are not ours, unless they are
// restored in the end.
func (s *File) guard(p *profile, f *ini.File, creds credentials) error {
	refused := &keysError{section: p.name, file: s.opt.Path}
	if b := p.record.snapshot; p.inherited && s.opt.AtExit != Restore {
		for _, section := range b.parse(f) {
			if _, longTerm := fingerprintIn(section); longTerm {
				return refused
			}
		}
	}
	for _, section := range p.held(f) {
		fp, longTerm := fingerprintIn(section)
		if !longTerm || p.ours(fp) || fp == fingerprintOf(creds) {
			continue
		}
		if s.opt.AtExit != Restore || p.record.snapshot != nil && !p.record.snapshot.has(f, fp) {
			return refused
		}
	}
	return nil
}
