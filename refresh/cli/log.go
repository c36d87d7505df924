package cli

import (
	"io"
	"log/slog"
	"time"

	"brs-exec/refresh/plan"
)

// logger is what brs-exec says beside its errors. Text lines begin like these,
// so that they can be told from the command's own.
func logger(w io.Writer, o plan.Output) *slog.Logger {
	options := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: shorten}
	if o.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(prefixed{w}, options))
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

// prefixed puts the program's name before each line. The handler writes a line
// at a time, and so does this.
type prefixed struct{ w io.Writer }

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte("brs-exec: "), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
