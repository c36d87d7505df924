package shared

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"brs-exec/writer/ini"
)

// takeOut removes the keys or restores what was there, as configured.
func (s *File) takeOut(ctx context.Context) error {
	var left []string
	_, err := s.target.Replace(ctx, func(old []byte) ([]byte, error) {
		f, err := ini.Parse(s.opt.Path, old)
		if err != nil {
			return nil, err
		}
		left = s.takeOutOf(f)
		return f.Bytes(), nil // nil if someone has removed the file and nothing was in it
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.profiles, func(p *profile) bool { return p.record.snapshot != nil && p.record.snapshot.NoFile }) {
		if err := s.target.RemoveIfEmpty(ctx); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return s.saveSnapshots(left)
	}
	return nil
}

// takeOutOf returns the names of the profiles that hold the keys of others now,
// but held some before.
func (s *File) takeOutOf(f *ini.File) (left []string) {
	place := map[*ini.Section]int{}
	for i, section := range f.Sections {
		place[section] = i
	}
	type part struct {
		*profile
		sections []*ini.Section
		last     int // the place of the last one that is written to
	}
	var parts []part
	for _, p := range s.profiles {
		if p.record.snapshot == nil {
			continue
		}
		part := part{p, p.find(f), -1}
		if held := p.held(f); len(held) > 0 {
			part.last = place[held[len(held)-1]]
		}
		parts = append(parts, part)
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
