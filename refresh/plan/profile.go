package plan

import (
	"io"
	"reflect"
	"strconv"

	"brs-exec.example/brs-exec/refresh/source"
)

// Profile is one set of credentials of a run: where it comes from, the name that it has in
// every delivery, and what follows its events.
//
// Its name is made of letters, digits and _-.@+:/ and begins with a letter, a digit or _.
type Profile struct {
	Name   string // "" in a run without a list
	Source source.Spec

	OnRefresh, OnExpiry, OnStale, OnSourceEnding Reaction

	Where string // file:line of its entry in the list; "" in a run without one
}

// SameSource tells whether two profiles ask the same for their credentials: the source of
// one can serve the other.
func (p Profile) SameSource(other Profile) bool {
	a, b := p.Source, other.Source
	a.Prompt, b.Prompt = nil, nil // functions are never equal
	return reflect.DeepEqual(a, b)
}

// same tells whether nothing but its place makes a difference between two profiles.
func (p Profile) same(other Profile) bool {
	reactions := func(p Profile) []Reaction { return []Reaction{p.OnRefresh, p.OnExpiry, p.OnStale, p.OnSourceEnding} }
	return p.Name == other.Name && reflect.DeepEqual(reactions(p), reactions(other)) && p.SameSource(other)
}

// restarts tells whether a reaction starts the command again.
func (p Profile) restarts() bool {
	return p.OnRefresh.Act == Restart || p.OnExpiry.Act == Restart || p.OnStale.Act == Restart
}

// profiles reads what is to be kept fresh.
func (p *Plan) profiles(v *Settings) error {
	if v.list != nil {
		return p.listed(v)
	}
	p.Profiles = make([]Profile, 1)
	return p.Profiles[0].read(v, p)
}

// read reads what is of one profile.
func (p *Profile) read(v *Settings, of *Plan) error {
	if err := p.source(v); err != nil {
		return err
	}
	if err := p.reactions(v); err != nil {
		return err
	}
	return of.lifetimes(v)
}

const maxConcurrency = 1000

// many reads what is about many profiles, and refuses what is about a single one.
func (p *Plan) many(v *Settings) (err error) {
	switch how := flagRequire.of(v); how {
	case "", "all":
	case "any":
		p.Require = 1
	default:
		p.Require, err = strconv.Atoi(how)
		if err != nil || p.Require < 1 {
			return wrong(flagRequire, "all, any, or a number of profiles, from 1 on", "%q: not how many profiles", how)
		}
		if known := len(p.Profiles); p.Require > known {
			return wrong(flagRequire, "a number that can be reached, or all", "%s: more than the profiles that there are (%d)", how, known)
		}
	}
	if s := flagConcurrency.of(v); s != "" {
		if p.Concurrency, err = strconv.Atoi(s); err != nil || p.Concurrency < 1 || p.Concurrency > maxConcurrency {
			return wrong(flagConcurrency, "STS takes some hundred requests a second from an account", "%q: not a number from 1 to %d", s, maxConcurrency)
		}
	}
	if v.list == nil || v.list.one {
		return nil
	}
	if flag := v.first(flagAsProfile, flagCredentialsFileProfile); flag != nil {
		return wrong(flag, "they have the names that the list gives them", "is of one profile, and there is a list of them at %s", v.list.where)
	}
	if d := flagDeliver.of(v); d == "imds" || d == "env" {
		return wrong(flagDeliver, "auto, process, file and endpoint have a name for each", "%s has room for one profile, and there is a list of them at %s", d, v.list.where)
	}
	return nil
}

// With gives all sources, also of profiles that come later, what only the process knows:
// the values of session name templates, where programs write what is no credentials, and
// how a person is asked for a code.
func (p *Plan) With(names source.Names, stderr io.Writer, prompt source.Prompt) {
	with := func(one *Profile) {
		s := &one.Source
		s.Names, s.Stderr, s.Prompt = names, stderr, prompt
		if one.Name != "" {
			s.Names.Profile = one.Name
		}
	}
	for i := range p.Profiles {
		with(&p.Profiles[i])
	}
	if p.List != nil {
		p.List.maker.with, p.List.stderr = with, stderr
	}
}
