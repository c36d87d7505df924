package run

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"brs-exec/refresh"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
)

// logNotes logs what the source finds out.
func logNotes(ps *profiles) Part {
	return Part{Name: "the source's notes", Engine: func(e refresh.Event, _ bool) {
		if p := ps.get(e.Profile); p != nil {
			ps.say(slog.LevelWarn, p.Name, p.src.Notes())
		}
	}}
}

// logEngine logs what the engine does.
func logEngine(ps *profiles, log *slog.Logger) Part {
	return Part{Name: "the log", Engine: (&reporter{log: log, origin: ps.origin}).event}
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
	log    *slog.Logger
	origin func(profile string) source.Origin

	failed, expired bool // logged last, so that it is logged when this no longer holds
}

// event logs an event. What only a person can change is logged as an error; what a person
// may want to change, and that a failure is over, as a warning; what is expected, as
// information. A start that does not succeed at once is information as well: if it
// fails in the end, brs-exec ends with an error of its own.
func (r *reporter) event(e refresh.Event, first bool) {
	level, message := r.message(e, first)
	attrs := e.LogValue().Group()
	if e.Profile != "" {
		attrs = attrs[1:] // a run has one source, and its name is ours
	}
	var known *refresh.Error
	if errors.As(e.Err, &known) && known.Hint != "" && (level == slog.LevelError || level == slog.LevelWarn && e.Attempt == 1) {
		attrs = append(attrs, slog.String("hint", known.Hint))
	}
	if e.Kind == refresh.Static {
		attrs = slices.DeleteFunc(attrs, func(a slog.Attr) bool { return a.Key == "next" })
	}
	r.log.LogAttrs(context.Background(), level, message, attrs...)
}

func (r *reporter) message(e refresh.Event, first bool) (level slog.Level, message string) {
	level, message = slog.LevelInfo, e.Kind.String()
	switch e.Kind {
	case refresh.Unchanged:
		if r.failed && !r.expired {
			r.failed = false
			return slog.LevelWarn, "the source works again; it has no newer credentials yet"
		}
		level = slog.LevelDebug
	case refresh.Refreshed:
		message = "credentials refreshed"
		switch {
		case first:
			message = "credentials obtained"
		case r.failed || r.expired:
			level, message = slog.LevelWarn, "credentials are refreshed again"
		}
		r.failed, r.expired = false, false
	case refresh.Failed:
		if first {
			message = "no credentials yet"
			break
		}
		r.failed = true
		level, message = slog.LevelWarn, "refresh failed; the credentials at hand stay"
		if e.Permanent && e.First {
			level, message = slog.LevelError, "refresh refused; the credentials at hand stay, but only a person can change this"
		}
	case refresh.DeliveryFailed:
		r.expired = !first
		level, message = slog.LevelError, "credentials could not be written; what is there stays"
	case refresh.Expired:
		r.expired = true
		level, message = slog.LevelError, "credentials have expired, and there are no newer ones"
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

// static is about credentials without an expiry.
func static(keyID string, from source.Origin) (level slog.Level, message string) {
	switch {
	case from.LongTerm, strings.HasPrefix(keyID, "AKIA"): // other servers than AWS's have other names
		level, message = slog.LevelInfo, "long-term keys: nothing to refresh"
	case from.Environment:
		level, message = slog.LevelWarn, "exported session credentials: they expire, and brs-exec cannot make new ones; use --role-arn or --profile"
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
