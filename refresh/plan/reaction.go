package plan

import (
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
	flag  textFlag
	of    func(*Profile) *Reaction
	words map[string]Act // what a word alone asks for
	kinds string         // what can stand before a colon
	forms string
}{
	{flagOnRefresh, func(p *Profile) *Reaction { return &p.OnRefresh }, map[string]Act{"": None, "none": None, "restart": Restart}, "signal exec", "none, signal:HUP, signal:HUP!, restart, exec:COMMAND"},
	{flagOnExpiry, func(p *Profile) *Reaction { return &p.OnExpiry }, map[string]Act{"": None, "keep": None, "stop": Stop, "restart": Restart}, "signal", "keep, stop, restart, signal:TERM"},
	{flagOnSourceEnding, func(p *Profile) *Reaction { return &p.OnSourceEnding }, map[string]Act{"": None, "none": None}, "exec", "none, exec:COMMAND"},
	{flagOnStale, func(p *Profile) *Reaction { return &p.OnStale }, map[string]Act{"": Warn, "warn": Warn, "none": None, "restart": Restart}, "signal", "none, warn, restart, signal:HUP"},
}

func (p *Profile) reactions(v *Settings) (err error) {
	for _, r := range reactions {
		s, into := r.flag.of(v), r.of(p)
		act, word := r.words[s]
		kind, rest, colon := strings.Cut(s, ":")
		switch {
		case word:
			*into = Reaction{Act: act}
		case !colon || !slices.Contains(strings.Fields(r.kinds), kind):
			return wrong(r.flag, "one of "+r.forms, "%q: no such reaction", s)
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
