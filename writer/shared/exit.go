package shared

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/ini"
)

// takeOut removes the keys of profiles or restores what was there, as configured.
func (s *File) takeOut(ctx context.Context, profiles []*profile) error {
	var left []string
	var known bool
	var seen uint64
	_, err := s.target.Replace(ctx, func(old []byte) ([]byte, error) {
		f, err := ini.Parse(s.opt.Path, old)
		if err != nil {
			return nil, err
		}
		left = s.takeOutOf(f, profiles)
		now := f.Bytes() // nil if someone has removed the file and nothing was in it
		known, seen = s.knows(old), s.hash(now)
		return now, nil
	})
	if err != nil {
		return err
	}
	s.known, s.seen = known, seen
	s.noFile = s.noFile || slices.ContainsFunc(profiles, func(p *profile) bool { return p.record.snapshot != nil && p.record.snapshot.NoFile })
	if s.noFile {
		if err := s.target.RemoveIfEmpty(ctx); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return s.saveSnapshots(left)
	}
	return nil
}

// part is a profile whose keys are taken out of a file.
type part struct {
	*profile
	sections []*ini.Section
	last     int // the place of the last one that is written to
}

// takeOutOf returns the names of the profiles that hold the keys of others now,
// but held some before.
func (s *File) takeOutOf(f *ini.File, profiles []*profile) (left []string) {
	place := make(map[*ini.Section]int, len(f.Sections))
	for i, section := range f.Sections {
		place[section] = i
	}
	var parts []part
	for _, p := range profiles {
		if p.record.snapshot == nil {
			continue
		}
		part := part{p, p.find(f), -1}
		if held := p.held(f); len(held) > 0 {
			part.last = place[held[len(held)-1]]
		}
		parts = append(parts, part)
	}
	if len(profiles) < len(s.profiles) {
		s.handEnd(f, parts, place)
	}
	// From the end up: what one added may stand on what another did.
	slices.SortStableFunc(parts, func(a, b part) int { return b.last - a.last })
	for _, p := range parts {
		b := p.record.snapshot
		if s.opt.AtExit == Remove {
			b.remove(f, p.sections, p.ours)
		} else if b.restore(f, p.sections, p.creds, p.ours) {
			left = append(left, p.name)
		}
	}
	return left
}

// handEnd has the profile that stays, and was added below one that goes, know how the
// line will end that is above it then.
func (s *File) handEnd(f *ini.File, parts []part, place map[*ini.Section]int) {
	added := make(map[*ini.Section]*profile, len(s.profiles))
	for _, p := range s.profiles {
		if p.record.snapshot == nil {
			continue
		}
		for _, section := range p.held(f) {
			if p.record.snapshot.text(section) == nil {
				added[section] = p
			}
		}
	}
	lowest := func(p part) int {
		if len(p.sections) == 0 {
			return -1
		}
		return place[p.sections[len(p.sections)-1]]
	}
	slices.SortStableFunc(parts, func(a, b part) int { return lowest(a) - lowest(b) })
	for _, p := range parts {
		i := lowest(p)
		if i < 0 || i+1 >= len(f.Sections) || added[f.Sections[i+1]] == nil {
			continue
		}
		if noEnd, half := p.record.snapshot.end(f.Sections[i]); noEnd {
			next := added[f.Sections[i+1]].record.snapshot
			next.NoEnd, next.HalfEnd = true, half
		}
	}
}

// saveSnapshots keeps what could not be put back where others' keys are now.
func (s *File) saveSnapshots(names []string) error {
	var text []byte
	for _, p := range s.profiles {
		if slices.Contains(names, p.name) {
			text = slices.Concat(text, slices.Concat(p.record.snapshot.Sections...))
		}
	}
	backup, err := s.target.SaveBackup(text)
	if err != nil {
		return fmt.Errorf("save what stood in [%s] before: %w", strings.Join(names, "], ["), err)
	}
	s.notify("[%s] of %s holds the keys of another program now and is left alone; what stood there before is in %s",
		strings.Join(names, "], ["), s.opt.Path, backup)
	return nil
}
