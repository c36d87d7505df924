package run

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
)

// logNotes logs what the source finds out.
func logNotes(ps *profiles) Part {
	return Part{Name: "the source's notes", Engine: func(e refresh.Event, _ bool) {
		if p := ps.get(e.Profile); p != nil {
			ps.say(slog.LevelWarn, p.Name, p.src.Notes())
		}
	}}
}

// warnOfRestarts is about a list whose refreshes would each start the command again: of
// hundreds of profiles some are refreshed every few minutes.
func warnOfRestarts(ps *profiles, log *slog.Logger) {
	n := 0
	for _, p := range ps.all() {
		if p.OnRefresh.Act == plan.Restart {
			n++
		}
	}
	if n > 1 {
		log.Warn("each refresh of each of these profiles starts the command again", "profiles", n, "hint", "on-refresh: restart in one entry of the list is for its profiles alone")
	}
}

// logEngine logs what the engine does. started is closed when the command has.
func logEngine(ps *profiles, log *slog.Logger, started <-chan struct{}) Part {
	r := &reporter{log: log, origin: ps.origin, many: func() int { return len(ps.all()) }, started: started, bursts: &ps.bursts}
	return Part{Name: "the log", Engine: r.event}
}

// logChild logs what happens to the command besides its one start and end.
func logChild(log *slog.Logger) Part {
	stopping := false // by us
	return Part{Name: "the log", Child: func(e supervisor.Event, _ bool) {
		switch {
		case e.Kind == supervisor.Stopping:
			stopping = true
		case e.Kind == supervisor.Ended && e.Again && !stopping:
			log.Warn("the command has ended and is started again", "how", e.Exit.String(), "after", e.After)
		case e.Kind == supervisor.Killed:
			log.Warn("the command did not stop in time and was killed", "pid", e.PID)
		case e.Kind == supervisor.Refused:
			log.Warn("the command may not be sent signals, and goes on without them", "signal", supervisor.SignalName(e.Signal), "pid", e.PID, "err", e.Err)
		case e.Kind == supervisor.Unkillable:
			log.Error("the command did not stop in time and may not be killed: waiting for its end", "pid", e.PID, "err", e.Err)
		case e.PID == 0: // there is no command: it is keep
		case e.Kind == supervisor.Started:
			stopping = false
			log.Info("the command is started", "pid", e.PID)
		}
	}}
}

// reporter logs what the engine does.
type reporter struct {
	log     *slog.Logger
	origin  func(profile string) source.Origin
	many    func() int // how many profiles there are by now
	started <-chan struct{}
	bursts  *bursts

	of        map[string]*reported // by profile
	unwritten bool                 // a delivery failed, and nothing was delivered since
}

// reported is what was logged last of a profile, so that it is logged when this no longer
// holds.
type reported struct{ failed, expired bool }

// event logs an event. What only a person can change is logged as an error; what a person
// may want to change, and that a failure is over, as a warning; what is expected, as
// information. A start that does not succeed at once is information as well: if it
// fails in the end, brs-exec ends with an error of its own.
//
// Of many profiles each line names its own, and a burst of lines is cut short.
func (r *reporter) event(e refresh.Event, first bool) {
	level, message := r.message(e, first)
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	attrs := e.LogValue().Group()
	n := r.many()
	if e.Profile != "" && n < 2 {
		attrs = attrs[1:] // the one that there is
	}
	if hint := refresh.HintOf(e.Err); hint != "" && (level == slog.LevelError || level == slog.LevelWarn && e.Attempt == 1) {
		attrs = append(attrs, slog.String("hint", hint))
	}
	if e.Kind == refresh.Static {
		attrs = slices.DeleteFunc(attrs, func(a slog.Attr) bool { return a.Key == "next" })
	}
	if e.Profile != "" && n > burstShown {
		shown := burstShown
		if e.Kind == refresh.Refreshed && level == slog.LevelInfo && first {
			shown = 0 // one line is enough to say that all is well
		}
		if !r.bursts.admit(level, message, shown) {
			level = slog.LevelDebug
		}
	}
	r.log.LogAttrs(context.Background(), level, message, attrs...)
}

func (r *reporter) message(e refresh.Event, first bool) (level slog.Level, message string) {
	level, message = slog.LevelInfo, e.Kind.String()
	was := r.of[e.Profile]
	if was == nil {
		if r.of == nil {
			r.of = map[string]*reported{}
		}
		was = &reported{}
		r.of[e.Profile] = was
	}
	switch e.Kind {
	case refresh.Unchanged:
		if was.failed && !was.expired && !r.unwritten {
			was.failed = false
			return slog.LevelWarn, "the source works again; it has no newer credentials yet"
		}
		level = slog.LevelDebug
	case refresh.Refreshed:
		message = "credentials refreshed"
		switch {
		case first && !was.failed:
			message = "credentials obtained"
		case first:
			level, message = slog.LevelWarn, "credentials obtained at last"
		case was.failed || was.expired || r.unwritten:
			level, message = slog.LevelWarn, "credentials are refreshed again"
		}
		*was, r.unwritten = reported{}, false
	case refresh.Failed:
		return r.failed(e, first, was)
	case refresh.DeliveryFailed:
		r.unwritten = !first
		level, message = slog.LevelError, "credentials could not be delivered; the previous ones stay"
	case refresh.Expired:
		was.expired = true
		level, message = slog.LevelError, "credentials have expired, and there are no newer ones"
	case refresh.Removed:
		delete(r.of, e.Profile)
		message = "the profile is no longer kept"
	case refresh.Short:
		level, message = slog.LevelWarn, "the lifetime is shorter than the 40 minutes that all clients can work with; --duration asks for a longer one"
	case refresh.Early:
		level, message = slog.LevelWarn, "--refresh-before is longer than half the lifetime: half of it is used instead"
	case refresh.Static:
		level, message = static(e.KeyID, r.origin(e.Profile))
	case refresh.Skewed:
		level, message = slog.LevelWarn, "the local clock differs from the server's"
	case refresh.ClockStep:
		message = "the clock has jumped"
	}
	return level, message
}

// failed is about a failure of a source. Of many profiles the first one in a row is told.
func (r *reporter) failed(e refresh.Event, first bool, was *reported) (level slog.Level, message string) {
	many, refused := r.many() > 1, e.Permanent && e.First
	switch {
	case first && many && refused:
		was.failed = true
		return slog.LevelError, "no credentials yet, and no retry will help: a person must act"
	case first && !was.failed && r.goesOn():
		was.failed = true
		return slog.LevelWarn, "no credentials yet; the command has started without them"
	case first:
		return slog.LevelInfo, "no credentials yet"
	}
	was.failed = true
	switch {
	case refused:
		return slog.LevelError, "refresh refused; the command keeps its credentials, but a person must act before they expire"
	case many && e.Attempt > 1:
		return slog.LevelInfo, "refresh failed; the command keeps its credentials"
	}
	return slog.LevelWarn, "refresh failed; the command keeps its credentials"
}

// goesOn tells whether the command runs without the credentials that some profile lacks.
func (r *reporter) goesOn() bool {
	select {
	case <-r.started:
		return true
	default:
		return false
	}
}

// static is about credentials without an expiry.
func static(keyID string, from source.Origin) (level slog.Level, message string) {
	switch {
	case from.LongTerm, strings.HasPrefix(keyID, "AKIA"): // other servers than AWS's have other names
		level, message = slog.LevelInfo, "long-term keys: nothing to refresh"
	case from.Environment:
		level, message = slog.LevelInfo, "exported session credentials: nothing to refresh" // a warning was given before they were asked for
	case from.Command:
		level, message = slog.LevelWarn, "credentials without an expiry cannot be refreshed on time; add --assume-lifetime"
	default:
		level, message = slog.LevelWarn, "credentials without an expiry cannot be refreshed on time"
	}
	if from.Fallback {
		message += " (the sources before this one are tried each minute)"
	}
	return level, message
}
