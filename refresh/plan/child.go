package plan

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"brs-exec.example/brs-exec/supervisor"
)

// child reads how the command is supervised.
func (p *Plan) child(v *Settings) (err error) {
	c := &p.Child
	c.SignalGroup, c.WaitOrphans = flagSignalGroup.of(v), flagWaitForDescendants.of(v)
	p.Subreaper = flagSubreaper.of(v) || c.WaitOrphans
	p.Lock, p.NotifyChild = flagLock.of(v), flagNotifyChild.of(v)
	if c.StopTimeout, err = duration(v, flagStopTimeout); err != nil {
		return err
	}
	if c.StopOrphans, err = duration(v, flagStopOrphans); err != nil {
		return err
	}
	for _, s := range []struct {
		flag textFlag
		into *syscall.Signal
	}{{flagStopSignal, &c.StopSignal}, {flagPdeathsig, &c.Pdeathsig}} {
		if *s.into, err = signalOf(v, s.flag); err != nil {
			return err
		}
	}
	if err := p.rewrite(v); err != nil {
		return err
	}
	if err := p.restart(v); err != nil {
		return err
	}
	c.Once = c.Restart.Policy == supervisor.RestartNever && !slices.ContainsFunc(p.Profiles, Profile.restarts)
	if p.Deliver.Env && p.Profiles[0].OnRefresh.Act != Restart {
		return wrong(flagDeliver, "add --on-refresh restart; or, with --deliver sign, the command needs no restart", "env: variables cannot be changed in a command that runs")
	}
	return nil
}

func signalOf(v *Settings, flag textFlag) (syscall.Signal, error) {
	s := flag.of(v)
	if s == "" {
		return 0, nil
	}
	sig, err := supervisor.ParseSignal(s)
	if err != nil {
		return 0, wrong(flag, "a name or number as kill takes it: TERM, INT, QUIT", "%q: no such signal", s)
	}
	return sig, nil
}

// rewrite reads FROM:TO, where TO may be empty or 0: such a signal is dropped.
func (p *Plan) rewrite(v *Settings) error {
	for _, s := range flagRewriteSignal.of(v) {
		from, to, ok := strings.Cut(s, ":")
		old, err := supervisor.ParseSignal(from)
		var sig syscall.Signal
		if err == nil && to != "" && to != "0" {
			sig, err = supervisor.ParseSignal(to)
		}
		if !ok || err != nil {
			return wrong(flagRewriteSignal, "write it as TERM:QUIT, or TERM:0 to drop it", "%q: not SIGNAL:SIGNAL", s)
		}
		if p.Child.Rewrite == nil {
			p.Child.Rewrite = map[syscall.Signal]syscall.Signal{}
		}
		p.Child.Rewrite[old] = sig
	}
	return nil
}

func (p *Plan) restart(v *Settings) (err error) {
	r := &p.Child.Restart
	switch s := flagRestart.of(v); s {
	case "", "never":
	case "on-failure":
		r.Policy = supervisor.RestartOnFailure
	case "always":
		r.Policy = supervisor.RestartAlways
	default:
		return wrong(flagRestart, flagRestart.oneOf(), "%q: no such policy", s)
	}
	if s := flagRestartMax.of(v); s != "" {
		if r.Max, err = strconv.Atoi(s); err != nil || r.Max < 1 {
			return wrong(flagRestartMax, "a number of restarts, from 1 on", "%q: not a number of restarts", s)
		}
		if r.Policy == supervisor.RestartNever {
			return wrong(flagRestartMax, "add --restart on-failure", "needs --restart")
		}
	}
	return nil
}
