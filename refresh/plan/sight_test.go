package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh/events"
	"brs-exec.example/brs-exec/refresh/metrics"
)

// TestSight: where others may see a run, and where they may not.
func TestSight(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	tcp := func(address string) Sight { return Sight{Listen: metrics.Address{Network: "tcp", Address: address}} }
	for _, tt := range []struct {
		flag, value string
		want        Sight
		wrong       string // a part of the error, "" for none
	}{
		{"listen", "127.0.0.1:9090", tcp("127.0.0.1:9090"), ""},
		{"listen", "localhost:9090", tcp("127.0.0.1:9090"), ""},
		{"listen", "127.8.9.1:0", tcp("127.8.9.1:0"), ""},
		{"listen", "[::1]:9090", tcp("[::1]:9090"), ""},
		{"listen", "[::ffff:127.0.0.1]:9090", tcp("[::ffff:127.0.0.1]:9090"), ""},
		{"listen", "unix:/run/x", Sight{Listen: metrics.Address{Network: "unix", Address: "/run/x"}}, ""},
		{"listen", "unix:x", Sight{Listen: metrics.Address{Network: "unix", Address: filepath.Join(here, "x")}}, ""},
		{"listen", ":9090", Sight{}, "others than this machine"},
		{"listen", "0.0.0.0:9090", Sight{}, "others than this machine"},
		{"listen", "[::]:9090", Sight{}, "others than this machine"},
		{"listen", "192.0.2.1:9090", Sight{}, "others than this machine"},
		{"listen", "localhost.example.com:9090", Sight{}, "others than this machine"},
		{"listen", "9090", Sight{}, "not HOST:PORT"},
		{"listen", "localhost", Sight{}, "not HOST:PORT"},
		{"listen", "localhost:", Sight{}, "not HOST:PORT"},
		{"listen", "localhost:http", Sight{}, "not HOST:PORT"},
		{"listen", "localhost:70000", Sight{}, "not HOST:PORT"},
		{"listen", "unix:", Sight{}, "names no path"},
		{"listen", "unix:/" + strings.Repeat("x", 103), Sight{}, "at most 103 bytes"},
		{"metrics-file", "/m/x.prom", Sight{MetricsFile: "/m/x.prom"}, ""},
		{"metrics-file", "x.prom", Sight{MetricsFile: filepath.Join(here, "x.prom")}, ""},
		{"metrics-file", "/etc/passwd", Sight{}, "does not end in .prom"},
		{"events", "/e", Sight{Events: &events.Target{File: "/e"}}, ""},
		{"events", "e", Sight{Events: &events.Target{File: filepath.Join(here, "e")}}, ""},
		{"events", "fd:3", Sight{Events: &events.Target{FD: 3}}, ""},
		{"events", "unix:/e", Sight{Events: &events.Target{Socket: "/e"}}, ""},
		{"events", "-", Sight{}, "not a file"},
		{"events", "/dev/stdout", Sight{}, "not a file"},
		{"events", "/dev/stderr", Sight{}, "not a file"},
		{"events", "fd:0", Sight{}, "not the number of a descriptor"},
		{"events", "fd:-1", Sight{}, "not the number of a descriptor"},
		{"events", "fd:x", Sight{}, "not the number of a descriptor"},
		{"events", "fd:99999", Sight{}, "not the number of a descriptor"},
		{"events", "unix:", Sight{}, "names no path"},
	} {
		p, err := New(values{tt.flag: {tt.value}}.settings(t), []string{"job"})
		switch {
		case tt.wrong != "":
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.HasPrefix(err.Error(), "--"+tt.flag+" ") {
				t.Errorf("--%s %s: %v, want %s", tt.flag, tt.value, err, tt.wrong)
			}
		case err != nil:
			t.Errorf("--%s %s: %v", tt.flag, tt.value, err)
		default:
			if diff := cmp.Diff(tt.want, p.Sight); diff != "" {
				t.Errorf("--%s %s (-want +got):\n%s", tt.flag, tt.value, diff)
			}
		}
	}
}
