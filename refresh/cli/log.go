package cli

import (
	"context"
	"io"
	"log/slog"
	"time"

	"brs-exec.example/brs-exec/refresh/plan"
)

// logger is what brs-exec says beside its errors.
func logger(w io.Writer, o plan.Output) *slog.Logger { return slog.New(logHandler(w, o, "", shorten)) }

// logger logs to standard error, and to systemd's journal in the way that it likes.
func (p *program) logger(o plan.Output) *slog.Logger {
	if p.journal {
		return slog.New(newJournal(p.stderr, o))
	}
	return logger(p.stderr, o)
}

// logHandler writes lines that begin with before. Those of text then go on like errors, so
// that they can be told from the command's own.
func logHandler(w io.Writer, o plan.Output, before string, replace func([]string, slog.Attr) slog.Attr) slog.Handler {
	options := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: replace}
	if o.JSON {
		return slog.NewJSONHandler(prefixed{w, before}, options)
	}
	return slog.NewTextHandler(prefixed{w, before + "brs-exec: "}, options)
}

// The priorities of syslog(3), as the journal takes them from the beginning of a line.
const (
	journalError   = "<3>"
	journalWarning = "<4>"
	journalInfo    = "<6>"
	journalDebug   = "<7>"
)

// journal writes each line with its priority. The journal has a time of its own, so lines
// of text have none; those of JSON are for programs, and stay as they are.
type journal struct{ of [4]slog.Handler } // by priority

func newJournal(w io.Writer, o plan.Output) *journal {
	replace := shorten
	if !o.JSON {
		replace = func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return shorten(groups, a)
		}
	}
	var j journal
	for i, priority := range []string{journalError, journalWarning, journalInfo, journalDebug} {
		j.of[i] = logHandler(w, o, priority, replace)
	}
	return &j
}

func (j *journal) at(l slog.Level) slog.Handler {
	switch {
	case l >= slog.LevelError:
		return j.of[0]
	case l >= slog.LevelWarn:
		return j.of[1]
	case l >= slog.LevelInfo:
		return j.of[2]
	}
	return j.of[3]
}

// Enabled is of [slog.Handler].
func (j *journal) Enabled(ctx context.Context, l slog.Level) bool { return j.at(l).Enabled(ctx, l) }

// Handle is of [slog.Handler].
func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	return j.at(r.Level).Handle(ctx, r)
}

// WithAttrs is of [slog.Handler].
func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return j.each(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup is of [slog.Handler].
func (j *journal) WithGroup(name string) slog.Handler {
	return j.each(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (j *journal) each(f func(slog.Handler) slog.Handler) *journal {
	var other journal
	for i, h := range j.of {
		other.of[i] = f(h)
	}
	return &other
}

// shorten writes times in the local zone and to the second, and durations so too;
// long ones to the minute. Nothing here is more exact.
func shorten(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value; v.Kind() {
	case slog.KindTime:
		a.Value = slog.StringValue(v.Time().Local().Format(time.RFC3339))
	case slog.KindDuration:
		d := v.Duration().Round(time.Second)
		if d.Abs() >= 10*time.Minute {
			d = d.Round(time.Minute)
		}
		a.Value = slog.StringValue(d.String())
	}
	return a
}

// prefixed puts something before each line. The handler writes a line at a time, and so
// does this.
type prefixed struct {
	w      io.Writer
	before string
}

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.before), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
