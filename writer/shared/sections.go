package shared

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/replace"
)

// SetSections has other sections be kept from now on: sections and sources are what
// Options have as Sections and SourceProfiles. Sections that were kept before are not
// disturbed, with the keys of those that are no longer it does what AtExit says, and what
// stands in new ones is remembered once something is delivered for them. It fails, and
// changes nothing, if a new section is one that Open would refuse. If keys cannot be
// taken out, their sections are kept until the next SetSections, or Close.
func (s *File) SetSections(ctx context.Context, sections map[string]string, sources []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims == nil {
		return fs.ErrClosed
	}
	wanted, err := s.newProfiles(sections)
	if err != nil {
		return err
	}
	before := s.opt.SourceProfiles
	s.opt.SourceProfiles = sources
	if err := s.checkSource(wanted); err != nil {
		s.opt.SourceProfiles = before
		return err
	}
	were := make(map[string]*profile, len(s.profiles))
	for _, p := range s.profiles {
		were[p.name] = p
	}
	var added []*profile
	from := make(map[*profile]string, len(wanted))
	for _, p := range wanted {
		if was := were[p.name]; was != nil {
			from[was] = p.from
			delete(were, p.name)
		} else {
			added = append(added, p)
		}
	}
	gone := slices.Collect(maps.Values(were))
	if err := s.claimMore(ctx, added); err != nil {
		return err
	}
	for p, name := range from {
		p.from = name
	}
	if err := s.takeAway(ctx, gone); err != nil {
		return err
	}
	s.profiles = slices.DeleteFunc(s.profiles, func(p *profile) bool { return were[p.name] != nil })
	return s.reclaim(ctx)
}

// takeAway does with the keys of profiles what AtExit says, and forgets what stood there.
func (s *File) takeAway(ctx context.Context, gone []*profile) error {
	if len(gone) == 0 {
		return nil
	}
	if s.opt.AtExit != Leave && slices.ContainsFunc(gone, func(p *profile) bool { return p.record.snapshot != nil }) {
		if err := s.takeOut(ctx, gone); err != nil {
			return err
		}
	}
	for _, p := range gone {
		p.creds, p.dirty = credentials{}, false
		p.record.snapshot, p.record.inherited = nil, false
	}
	return nil
}

// holds tells whether credentials are to be in the section.
func (p *profile) holds() bool { return p.creds != (credentials{}) }

// claimMore claims more sections, as Open does, or none of them.
func (s *File) claimMore(ctx context.Context, added []*profile) error {
	if len(added) == 0 {
		return nil
	}
	return s.locked(ctx, func(p *replace.Location) error {
		names := namesOf(added)
		stale, err := s.claims.stale(ctx, names)
		if err != nil {
			return s.claimError(err, added)
		}
		if err := s.takeOver(p, added, stale); err != nil {
			closeAll(stale)
			return err
		}
		all := slices.Concat(s.profiles, added)
		slices.SortFunc(all, func(a, b *profile) int { return strings.Compare(a.from, b.from) })
		if err := s.moveClaim(all); err != nil {
			closeAll(stale)
			return s.claimError(err, added)
		}
		s.profiles = all
		return s.claims.removeStale(stale, names)
	})
}

// takeOver finds what killed processes have left of new sections, and whether they can
// be written to.
func (s *File) takeOver(p *replace.Location, added []*profile, stale []*claim) error {
	was, err := p.Read()
	if err != nil {
		return err
	}
	f, err := s.look(was)
	if err != nil {
		return err
	}
	for _, one := range added {
		one.inherit(f, stale)
		if err := s.guard(one, f, credentials{}); err != nil {
			return err
		}
	}
	return nil
}

// reclaim claims what is kept by now, and no more.
func (s *File) reclaim(ctx context.Context) error {
	if len(s.claim.records) == len(s.profiles) {
		return nil
	}
	return s.locked(ctx, func(*replace.Location) error { return s.moveClaim(s.profiles) })
}

// moveClaim has a new claim on these profiles take the place of ours. The caller has the
// lock of the file. A process that is killed at it leaves two that say the same.
func (s *File) moveClaim(profiles []*profile) error {
	var records []*record
	for _, p := range profiles {
		records = append(records, p.record)
	}
	records = copies(records)
	c, err := s.claims.create(filelock.Me(), records)
	if err != nil {
		return err
	}
	s.claim.release(false)
	s.claim = c
	for i, p := range profiles {
		p.record = records[i]
	}
	return nil
}

// locked calls do with the lock of the file.
func (s *File) locked(ctx context.Context, do func(*replace.Location) error) error {
	return s.target.At(func(p *replace.Location) error {
		unlock, err := p.Lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		return do(p)
	})
}
