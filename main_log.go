package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
)

// logger is what brs-exec says beside its errors. Text lines begin like these,
// so that they can be told from the command's own.
func logger(w io.Writer, level, format string, quiet bool) (*slog.Logger, error) {
	var min slog.Level
	if err := min.UnmarshalText([]byte(level)); err != nil {
		return nil, &plan.Error{Flag: "log-level", Text: fmt.Sprintf("%q: no such level", level), Hint: "one of debug, info, warn, error"}
	}
	if quiet {
		min = max(min, slog.LevelError)
	}
	options := &slog.HandlerOptions{Level: min, ReplaceAttr: shorten}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(prefixed{w}, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, &plan.Error{Flag: "log-format", Text: fmt.Sprintf("%q: no such format", format), Hint: "text or json"}
}

// shorten writes times and durations to the second: nothing here is more exact.
func shorten(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value; v.Kind() {
	case slog.KindTime:
		a.Value = slog.StringValue(v.Time().Format(time.RFC3339))
	case slog.KindDuration:
		a.Value = slog.StringValue(v.Duration().Round(time.Second).String())
	}
	return a
}

// prefixed puts the program's name before each line. The handler writes a line
// at a time, and so does this.
type prefixed struct{ w io.Writer }

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte("brs-exec: "), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// report logs an event of the engine. What needs a person is an error, what a
// person may want to change a warning, and the daily round is information. So
// is a start that does not succeed at once: its end is an error of its own.
func report(log *slog.Logger, e refresh.Event, started bool) {
	level, message := slog.LevelInfo, e.Kind.String()
	switch e.Kind {
	case refresh.Unchanged:
		level = slog.LevelDebug
	case refresh.Refreshed:
		message = "credentials refreshed"
	case refresh.Failed:
		if !started {
			message = "no credentials yet"
			break
		}
		level, message = slog.LevelWarn, "refresh failed; the credentials at hand stay"
		if e.Permanent && e.First {
			level, message = slog.LevelError, "refresh refused; the credentials at hand stay, but only a person can change this"
		}
	case refresh.DeliveryFailed:
		level, message = slog.LevelError, "credentials could not be written; what is there stays"
	case refresh.Expired:
		level, message = slog.LevelError, "credentials have ended, and there are no newer ones"
	case refresh.Short:
		level, message = slog.LevelWarn, "sessions are shorter than the 40 minutes that all clients can work with"
	case refresh.Static:
		level, message = slog.LevelWarn, "credentials without an expiry cannot be refreshed"
	case refresh.Skewed:
		level, message = slog.LevelWarn, "the local clock differs from the server's"
	case refresh.ClockStep:
		message = "the clock has jumped"
	}
	attrs := e.LogValue().Group()
	if e.Profile != "" {
		attrs = attrs[1:] // a session has one set, and its name is ours
	}
	var source *refresh.Error
	if errors.As(e.Err, &source) && source.Hint != "" && level == slog.LevelError {
		attrs = append(attrs, slog.String("hint", source.Hint))
	}
	log.LogAttrs(context.Background(), level, message, attrs...)
}
