package plan

import (
	"context"
	"io"
	"reflect"

	"brs-exec/refresh/source"
)

// Profile is one set of credentials of a run: where it comes from, the name that it has in
// every delivery, and what follows its events.
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

// restarts tells whether a reaction starts the command again.
func (p Profile) restarts() bool {
	return p.OnRefresh.Act == Restart || p.OnExpiry.Act == Restart || p.OnStale.Act == Restart
}

// profiles reads what is to be kept fresh.
func (p *Plan) profiles(v *Settings) error {
	var one Profile
	if err := one.source(v); err != nil {
		return err
	}
	if err := one.reactions(v); err != nil {
		return err
	}
	p.Profiles = []Profile{one}
	return nil
}

// With gives all sources, also of profiles that come later, what only the process knows:
// the values of session name templates, where programs write what is no credentials, and
// how a person is asked for a code.
func (p *Plan) With(names source.Names, stderr io.Writer, prompt source.Prompt) {
	for i := range p.Profiles {
		s := &p.Profiles[i].Source
		s.Names, s.Stderr, s.Prompt = names, stderr, prompt
	}
}

// List is where the profiles of a run come from.
type List struct{}

// Watch calls changed with the whole list each time that it has become another one, or
// with what is wrong with it: then the list from before stays in force. It blocks until
// ctx ends.
func (l *List) Watch(ctx context.Context, changed func([]Profile, error)) { <-ctx.Done() }
