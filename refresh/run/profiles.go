package run

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
)

// profile is one that a run keeps: what is wanted of it, and where its credentials come from.
type profile struct {
	plan.Profile
	src credentialSource
}

// profiles are those of a run by now. Any goroutine may ask for them.
type profiles struct {
	open func(context.Context, plan.Profile) (credentialSource, error)
	log  *slog.Logger

	bursts bursts // of lines about many of them

	mu     sync.RWMutex
	list   []*profile
	byName map[string]*profile
	said   map[string]string // what a source had to say, and the profile that it was first said of
}

// openProfiles opens the sources of all profiles. It asks nobody.
func openProfiles(ctx context.Context, o Options) (*profiles, error) {
	ps := &profiles{open: o.openSource, log: o.Log, bursts: bursts{log: o.Log}, said: map[string]string{}}
	if ps.open == nil {
		open := source.New
		if len(o.Plan.Profiles) > 1 || o.Plan.List != nil {
			open = source.NewPool().New
		}
		ps.open = func(ctx context.Context, p plan.Profile) (credentialSource, error) {
			p.Source.Say = func(line string) { o.Log.Warn(line) }
			return open(ctx, p.Source)
		}
	}
	list, err := ps.with(ctx, o.Plan.Profiles)
	if err != nil {
		return nil, err
	}
	ps.set(list)
	return ps, nil
}

// with returns what a list asks for. A source that is as it was stays the same one.
func (ps *profiles) with(ctx context.Context, wanted []plan.Profile) ([]*profile, error) {
	list := make([]*profile, 0, len(wanted))
	for _, w := range wanted {
		if err := ctx.Err(); err != nil { // of many a change takes its time, which the end does not wait for
			return nil, err
		}
		p := &profile{Profile: w}
		if was := ps.get(w.Name); was != nil && was.SameSource(w) {
			p.Name, p.src = was.Name, was.src
		} else {
			src, err := ps.open(ctx, w)
			if err != nil {
				return nil, withPlace(w, err)
			}
			p.src = src
			p.Name = cmp.Or(p.Name, commandName(src.Profile()))
			ps.sayFacts(p)
		}
		list = append(list, p)
	}
	return list, nil
}

// sayFacts logs what a person should know of a source.
func (ps *profiles) sayFacts(p *profile) {
	real, ok := p.src.(*source.Source)
	if !ok { // of a test
		return
	}
	facts := real.Facts()
	ps.say(slog.LevelInfo, p.Name, facts.Overlooked)
	ps.say(slog.LevelWarn, p.Name, facts.Plaintext)
	if keys := facts.Keys; keys != nil && keys.Exported && keys.Session {
		ps.say(slog.LevelWarn, p.Name, []string{keys.Warning() + "; use a source that makes new ones, as --profile NAME"})
	}
}

// say logs what the source of a profile has to say, and the same of no other one.
func (ps *profiles) say(level slog.Level, profile string, lines []string) {
	for _, line := range lines {
		ps.mu.Lock()
		by, said := ps.said[line]
		if !said {
			ps.said[line] = profile
		}
		ps.mu.Unlock()
		if !said || by == profile {
			ps.log.Log(context.Background(), level, line)
		}
	}
}

func (ps *profiles) set(list []*profile) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.list, ps.byName = list, make(map[string]*profile, len(list))
	for _, p := range list {
		ps.byName[p.Name] = p
	}
}

// all returns them in their order, which is not to be changed.
func (ps *profiles) all() []*profile {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return ps.list
}

// get returns the profile of a name, nil if there is none.
func (ps *profiles) get(name string) *profile {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return ps.byName[name]
}

// logOf is the log for what is about one profile, which is named if there are several.
func (ps *profiles) logOf(profile string) *slog.Logger {
	if len(ps.all()) > 1 {
		return ps.log.With("profile", profile)
	}
	return ps.log
}

// withPlace says which entry of the list an error is about.
func withPlace(p plan.Profile, err error) error {
	if p.Where == "" {
		return err
	}
	return fmt.Errorf("%s: profile %q: %w", p.Where, p.Name, err)
}

// engine lists them for the engine.
func (ps *profiles) engine() (list []refresh.Profile) {
	for _, p := range ps.all() {
		list = append(list, refresh.Profile{Name: p.Name, Source: p.src})
	}
	return list
}

// authenticate has done what may need a person, while the terminal is ours.
func (ps *profiles) authenticate(ctx context.Context) error {
	for _, p := range ps.all() {
		if err := p.src.Authenticate(ctx); err != nil {
			return withPlace(p.Profile, err)
		}
	}
	return nil
}

// instant tells whether all sources are.
func (ps *profiles) instant() bool {
	return !slices.ContainsFunc(ps.all(), func(p *profile) bool { return !p.src.Instant() })
}

// describe says for people where the credentials come from.
func (ps *profiles) describe() string {
	list := ps.all()
	if len(list) == 1 {
		return list[0].src.Describe()
	}
	return fmt.Sprintf("the sources of %d profiles", len(list))
}

// startTimeout is how long the first credentials of each should be waited for.
func (ps *profiles) startTimeout() (limit time.Duration) {
	for _, p := range ps.all() {
		limit = max(limit, p.src.StartTimeout())
	}
	return limit
}

// leaveDir tells all sources that this process is in / once left is closed.
func (ps *profiles) leaveDir(left <-chan struct{}) {
	for _, p := range ps.all() {
		p.src.LeaveDir(left)
	}
}

// checkShared returns what is wrong with the user's file before anything is started.
func (ps *profiles) checkShared(p *plan.Plan) error {
	_, err := p.CheckShared(sectionsOf(p, ps.all()))
	return err
}

// sectionsOf are the sections of the user's file for a list of profiles, and the profiles of
// the AWS configuration that their credentials come from.
func sectionsOf(p *plan.Plan, list []*profile) (sections map[string]string, from []string) {
	sections = make(map[string]string, len(list))
	for _, one := range list {
		sections[one.Name] = p.Section(one.Name)
		if of := one.src.Profile(); of != "" && !slices.Contains(from, of) {
			from = append(from, of)
		}
	}
	return sections, from
}

// origin is what can be said of the keys of a profile.
func (ps *profiles) origin(name string) source.Origin {
	if p := ps.get(name); p != nil {
		return p.src.Origin()
	}
	return source.Origin{}
}

// first is the profile that the command finds where it names none.
func (ps *profiles) first() *profile {
	list := ps.all()
	if i := slices.IndexFunc(list, func(p *profile) bool { return p.Name == "default" }); i >= 0 {
		return list[i]
	}
	return list[0]
}

// commandName is the name that the command finds the credentials of a source under, in a
// run without a list: that of the profile that they come from, but for the default one.
func commandName(of string) string {
	if of == "" || of == "default" {
		return "brs-exec"
	}
	return of
}
