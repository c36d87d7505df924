package writer

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// takeOut removes the keys or restores what was there, as configured.
func (s *Shared) takeOut(ctx context.Context) error {
	var left []string
	_, err := s.target.Replace(ctx, func(old []byte) ([]byte, error) {
		if old == nil {
			return s.takeOutOfNothing(&left)
		}
		f, err := parseINI(s.opt.Path, old)
		if err != nil {
			return nil, err
		}
		left = s.takeOutOf(f)
		return f.bytes(), nil
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.profiles, func(p *sharedProfile) bool { return p.claim.before != nil && p.claim.before.NoFile }) {
		if err := s.target.RemoveIfEmpty(ctx); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return s.saveBefore(left)
	}
	return nil
}

// takeOutOf returns the names of the profiles that hold the keys of others now,
// but held some before.
func (s *Shared) takeOutOf(f *iniFile) (left []string) {
	// From the end up: what one added may stand on what another did.
	order := slices.Clone(s.profiles)
	slices.SortStableFunc(order, func(a, b *sharedProfile) int { return b.lastIn(f) - a.lastIn(f) })
	for _, p := range order {
		b := p.claim.before
		switch {
		case b == nil:
		case s.opt.AtExit == Remove:
			p.remove(f, b, p.claim.ours)
		case p.restore(f, b, p.set, p.claim.ours):
			left = append(left, p.name)
		}
	}
	return left
}

// lastIn returns the line index of the profile's last section, -1 without one.
func (p sharedSection) lastIn(f *iniFile) int {
	last := -1
	for i := range f.lines {
		if p.holds(f, i) {
			last = i
		}
	}
	return last
}

// takeOutOfNothing restores to a file that someone has removed: only if there
// was something in it.
func (s *Shared) takeOutOfNothing(left *[]string) ([]byte, error) {
	f := &iniFile{eol: "\n"}
	*left = s.takeOutOf(f)
	if len(f.lines) == 0 {
		return nil, nil
	}
	return f.bytes(), nil
}

// saveBefore keeps what could not be put back where others' keys are now.
func (s *Shared) saveBefore(names []string) error {
	var text []byte
	for _, p := range s.profiles {
		if slices.Contains(names, p.name) {
			text = slices.Concat(text, slices.Concat(p.claim.before.Sections...))
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
