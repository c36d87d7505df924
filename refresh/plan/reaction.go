package plan

import (
	"errors"
	"strings"
	"syscall"

	"brs-exec/supervisor"
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

// Reaction is what follows a refresh, an expiry, the end of a source, or a command
// that holds what it does not replace.
type Reaction struct {
	Act    Act
	Signal syscall.Signal
	Force  bool // send the signal even to a command that does not handle it
	Argv   []string
}

func (p *Plan) reactions(v *Settings) (err error) {
	if p.OnRefresh, err = onRefresh(flagOnRefresh.of(v)); err != nil {
		return err
	}
	if p.OnExpiry, err = onExpiry(flagOnExpiry.of(v)); err != nil {
		return err
	}
	if p.OnSourceEnding, err = onSourceEnding(flagOnSourceEnding.of(v)); err != nil {
		return err
	}
	p.OnStale, err = onStale(flagOnStale.of(v))
	return err
}

func onRefresh(s string) (Reaction, error) {
	const forms = "one of none, signal:HUP, signal:HUP!, restart, exec:COMMAND"
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "" || s == "none":
		return Reaction{}, nil
	case s == "restart":
		return Reaction{Act: Restart}, nil
	case kind == "signal":
		return signal(flagOnRefresh, s, rest)
	case kind == "exec":
		return hook(flagOnRefresh, s, rest)
	}
	return Reaction{}, wrong(flagOnRefresh, forms, "%q: no such reaction", s)
}

func onExpiry(s string) (Reaction, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "" || s == "keep":
		return Reaction{}, nil
	case s == "stop":
		return Reaction{Act: Stop}, nil
	case s == "restart":
		return Reaction{Act: Restart}, nil
	case kind == "signal":
		return signal(flagOnExpiry, s, rest)
	}
	return Reaction{}, wrong(flagOnExpiry, "one of keep, stop, restart, signal:TERM", "%q: no such reaction", s)
}

func onSourceEnding(s string) (Reaction, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "" || s == "none":
		return Reaction{}, nil
	case kind == "exec":
		return hook(flagOnSourceEnding, s, rest)
	}
	return Reaction{}, wrong(flagOnSourceEnding, "one of none, exec:COMMAND", "%q: no such reaction", s)
}

func onStale(s string) (Reaction, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "" || s == "warn":
		return Reaction{Act: Warn}, nil
	case s == "none":
		return Reaction{}, nil
	case s == "restart":
		return Reaction{Act: Restart}, nil
	case kind == "signal":
		return signal(flagOnStale, s, rest)
	}
	return Reaction{}, wrong(flagOnStale, "one of none, warn, restart, signal:HUP", "%q: no such reaction", s)
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
