package cli

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
)

// inNewYork makes New York's winter the local zone of a test.
func inNewYork(t *testing.T) {
	was := time.Local
	time.Local = time.FixedZone("EST", -5*60*60)
	t.Cleanup(func() { time.Local = was })
}

// TestOneZone: whatever a person reads is in the local zone, and no more exact than
// they need.
func TestOneZone(t *testing.T) {
	inNewYork(t)
	at := time.Date(2026, 3, 1, 12, 30, 0, 999, time.UTC)
	logged := func(asJSON bool) string {
		var b bytes.Buffer
		logger(&b, plan.Output{JSON: asJSON}).Info("x", "at", at, "long", 59*time.Minute+59*time.Second, "short", 90*time.Second+time.Millisecond)
		return b.String()
	}
	var told bytes.Buffer
	(&narrator{w: &told}).event(refresh.Event{Kind: refresh.Refreshed, KeyID: "ASIA0000000000000001", Expires: at, Next: at})
	for _, tt := range []struct {
		name, got string
		want      []string
	}{
		{"text", logged(false), []string{"brs-exec: time=", "-05:00 level=INFO msg=x at=2026-03-01T07:30:00-05:00 long=1h0m0s short=1m30s\n"}},
		{"json", logged(true), []string{`-05:00","level":"INFO","msg":"x","at":"2026-03-01T07:30:00-05:00","long":"1h0m0s","short":"1m30s"}`}},
		{"demo", told.String(), []string{"expires 07:30:00, next refresh 07:30:00"}},
	} {
		for _, part := range tt.want {
			if !strings.Contains(tt.got, part) {
				t.Errorf("%s: %q lacks %q", tt.name, tt.got, part)
			}
		}
	}
}

// TestJournal: the journal gets a priority before each line, and no time of ours.
func TestJournal(t *testing.T) {
	inNewYork(t)
	for _, tt := range []struct {
		json bool
		want string
	}{
		{false, `<7>brs-exec: level=DEBUG msg=d a=1 g.x=1
<6>brs-exec: level=INFO msg=i a=1 g.x=2026-03-01T07:30:00-05:00
<4>brs-exec: level=WARN msg=w a=1 g.time=1
<3>brs-exec: level=ERROR msg=e a=1
<3>brs-exec: error: --x is wrong
<3>brs-exec: hint: --y
`},
		{true, `<7>{"time":TIME,"level":"DEBUG","msg":"d","a":1,"g":{"x":1}}
<6>{"time":TIME,"level":"INFO","msg":"i","a":1,"g":{"x":"2026-03-01T07:30:00-05:00"}}
<4>{"time":TIME,"level":"WARN","msg":"w","a":1,"g":{"time":1}}
<3>{"time":TIME,"level":"ERROR","msg":"e","a":1}
<3>{"time":TIME,"level":"ERROR","msg":"--x is wrong","exit-code":125,"hint":"--y"}
`},
	} {
		var b bytes.Buffer
		p := &program{stderr: &b, journal: true, asJSON: tt.json}
		log := p.logger(plan.Output{Level: slog.LevelDebug, JSON: tt.json}).With("a", 1).WithGroup("g")
		log.Debug("d", "x", 1)
		log.Info("i", "x", time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC))
		log.Warn("w", "time", 1)
		log.Error("e")
		p.printError(&plan.Error{Flag: "x", Text: "is wrong", Hint: "--y"}, exitFailed)
		got := regexp.MustCompile(`"time":"[^"]*"`).ReplaceAllString(b.String(), `"time":TIME`)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("json %v (-want +got):\n%s", tt.json, diff)
		}
	}
}
