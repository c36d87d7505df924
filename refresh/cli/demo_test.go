package cli

import (
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/refresh/simulator"
)

// A client may fail here only because it wants a longer lifetime than 20 seconds.
func TestDemoAdvisesLongerLifetime(t *testing.T) {
	const advice = "some clients refuse a lifetime of only"
	for _, tt := range []struct {
		name     string
		lifetime time.Duration
		calls    []simulator.Call
		want     int
	}{
		{"accepted", demoLifetime, []simulator.Call{{Number: 1}, {Number: 2}}, 0},
		{"refused for its rights", demoLifetime, []simulator.Call{{Number: 1, Refused: "AccessDenied"}}, 0},
		{"expired, again and again", demoLifetime, []simulator.Call{{Number: 1, Refused: "ExpiredToken"}, {Number: 1, Refused: "ExpiredTokenException"}}, 1},
		{"expired, of a longer lifetime", demoLonger, []simulator.Call{{Number: 1, Refused: "ExpiredToken"}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			show := &narrator{w: &out, calls: true, lifetime: tt.lifetime}
			for _, call := range tt.calls {
				show.call(call)
			}
			if got := strings.Count(out.String(), advice); got != tt.want {
				t.Errorf("advised %d times, want %d:\n%s", got, tt.want, out.String())
			}
		})
	}
}
