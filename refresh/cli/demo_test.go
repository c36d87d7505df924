package cli

import (
	"strings"
	"testing"
	"time"

	"brs-exec/refresh/simulator"
)

// A client may fail here only because it wants a longer lifetime than 20 seconds.
func TestDemoAdvisesLongerLifetime(t *testing.T) {
	const advice = "some clients refuse a lifetime of only"
	for _, tt := range []struct {
		name  string
		life  time.Duration
		calls []simulator.Call
		want  int
	}{
		{"accepted", demoLife, []simulator.Call{{Set: 1}, {Set: 2}}, 0},
		{"refused for its rights", demoLife, []simulator.Call{{Set: 1, Refused: "AccessDenied"}}, 0},
		{"expired, again and again", demoLife, []simulator.Call{{Set: 1, Refused: "ExpiredToken"}, {Set: 1, Refused: "ExpiredTokenException"}}, 1},
		{"expired, of a longer lifetime", demoLonger, []simulator.Call{{Set: 1, Refused: "ExpiredToken"}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			show := &narrator{w: &out, calls: true, life: tt.life}
			for _, call := range tt.calls {
				show.call(call)
			}
			if got := strings.Count(out.String(), advice); got != tt.want {
				t.Errorf("advised %d times, want %d:\n%s", got, tt.want, out.String())
			}
		})
	}
}
