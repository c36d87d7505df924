package plan

import (
	"cmp"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

var (
	errUnquoted = errors.New("a quote is not closed")
	errShell    = errors.New("no shell reads this, so | & ; < > mean nothing")
	errNoWords  = errors.New("no command in it")
)

// Act says what a [Reaction] does.
type Act int

// The acts. None and Keep are the same deed under the names that --on-refresh
// and --on-expiry have for it: nothing.
const (
	None    Act = iota
	Signal      // send Reaction.Signal to the command
	Exec        // run Reaction.Argv
	Stop        // stop the command
	Restart     // stop the command, and start it again
	Warn        // say it, which all of --on-stale but None do
)

// Reaction is what follows a refresh, an expiry, a source expiry, or a command
// that holds what it does not replace.
type Reaction struct {
	Act    Act
	Signal syscall.Signal
	Force  bool // send the signal even to a command that does not handle it
	Argv   []string
}

// reactions are the settings that ask for one.
var reactions = []struct {
	flag textFlag
	of   func(*Profile) *Reaction
}{
	{flagOnRefresh, func(p *Profile) *Reaction { return &p.OnRefresh }},
	{flagOnExpiry, func(p *Profile) *Reaction { return &p.OnExpiry }},
	{flagOnSourceEnding, func(p *Profile) *Reaction { return &p.OnSourceEnding }},
	{flagOnStale, func(p *Profile) *Reaction { return &p.OnStale }},
}

// acts are what words alone ask for.
var acts = map[string]Act{"none": None, "keep": None, "warn": Warn, "restart": Restart, "stop": Stop}

func (p *Profile) reactions(v *Settings) (err error) {
	for _, r := range reactions {
		s, into := cmp.Or(r.flag.of(v), r.flag.Default), r.of(p)
		kind, rest, colon := strings.Cut(s, ":")
		switch {
		case slices.Contains(r.flag.Values, s) && !colon:
			*into = Reaction{Act: acts[s]}
		case !colon || !slices.ContainsFunc(r.flag.Values, func(form string) bool { return strings.HasPrefix(form, kind+":") }):
			return wrong(r.flag, strings.ReplaceAll(r.flag.oneOf(), ":SIG", ":HUP"), "%q: no such reaction", s)
		case kind == "signal":
			*into, err = signal(r.flag, s, rest)
		default:
			*into, err = hook(r.flag, s, rest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FindHooks returns an error about a hook that is not there, while a person still reads it.
func (s *Settings) FindHooks(p *Plan) error {
	found := map[string]bool{}
	for _, of := range p.Profiles {
		for _, h := range []struct {
			flag textFlag
			Reaction
		}{{flagOnRefresh, of.OnRefresh}, {flagOnSourceEnding, of.OnSourceEnding}} {
			if h.Act != Exec || found[h.Argv[0]] {
				continue
			}
			if _, err := exec.LookPath(h.Argv[0]); err != nil && !errors.Is(err, exec.ErrDot) {
				err = s.explain(wrong(h.flag, "", "runs %q: %v", h.Argv[0], reason(err)))
				if of.Where != "" {
					err = placed(of.Where, err)
				}
				return err
			}
			found[h.Argv[0]] = true
		}
	}
	return nil
}

// reason takes off an error of a file, or of LookPath, what it says besides.
func reason(err error) error {
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	return pathsafe.Reason(err)
}

func hook(flag setting, s, command string) (Reaction, error) {
	words, err := splitWords(command)
	if err != nil {
		return Reaction{}, wrong(flag, `for a shell's own syntax write 'exec:sh -c "…"'`, "%q: %v", s, err)
	}
	return Reaction{Act: Exec, Argv: words}, nil
}

func signal(flag setting, s, name string) (Reaction, error) {
	name, force := strings.CutSuffix(name, "!")
	sig, err := supervisor.ParseSignal(name)
	if err != nil {
		return Reaction{}, wrong(flag, "a name or number as kill takes it: signal:HUP, signal:USR1", "%q: no such signal", s)
	}
	return Reaction{Act: Signal, Signal: sig, Force: force}, nil
}
