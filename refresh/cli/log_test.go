package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
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
		{"demo", told.String(), []string{"expires at 07:30:00; next refresh at 07:30:00"}},
	} {
		for _, part := range tt.want {
			if !strings.Contains(tt.got, part) {
				t.Errorf("%s: %q lacks %q", tt.name, tt.got, part)
			}
		}
	}
}
