package cli

import (
	"fmt"
	"io"
	"log/slog"
	"time"

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
