package plan

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"brs-exec.example/brs-exec/refresh/events"
	"brs-exec.example/brs-exec/refresh/metrics"
)

var (
	sightFlags = &group{about: "How others see the run"}

	flagListen      = sightFlags.text("listen", "ADDRESS", "answer /healthz, /readyz and /metrics at this address: 127.0.0.1:PORT or unix:PATH; see docs/monitoring.md")
	flagMetricsFile = sightFlags.text("metrics-file", "FILE", "keep the metrics in this file, too: *.prom, for node_exporter's textfile collector")
	flagEvents      = sightFlags.text("events", "FILE", "write each event as a line of JSON: to a file, fd:N or unix:PATH; see docs/events.md")
)

// Sight is how others see the run.
type Sight struct {
	Listen      metrics.Address // its Network is empty for none
	MetricsFile string          // absolute; empty for none
	Events      *events.Target  // nil for none
}

func (p *Plan) sight(v *Settings) (err error) {
	s := &p.Sight
	if at := flagListen.of(v); at != "" {
		if s.Listen, err = address(at); err != nil {
			return err
		}
	}
	if path := flagMetricsFile.of(v); path != "" {
		if s.MetricsFile, err = filepath.Abs(path); err != nil {
			return wrong(flagMetricsFile, "", "%q: %v", path, err)
		}
		if filepath.Ext(path) != ".prom" {
			return wrong(flagMetricsFile, "the textfile collector reads no others", "%q: its name does not end in .prom", path)
		}
	}
	if to := flagEvents.of(v); to != "" {
		s.Events, err = target(to)
	}
	return err
}

// address reads where to listen: nobody but this machine may ask.
func address(s string) (a metrics.Address, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		a = metrics.Address{Network: "unix"}
		a.Address, err = socketPath(flagListen, path)
		return a, err
	}
	host, port, err := net.SplitHostPort(s)
	if _, number := strconv.ParseUint(port, 10, 16); err != nil || number != nil {
		hint := "write it as 127.0.0.1:9090, localhost:9090, [::1]:9090 or unix:/run/job.sock"
		return a, wrong(flagListen, hint, "%q: not HOST:PORT or unix:PATH", s)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
		hint := "who asks there learns of profiles and roles: listen on 127.0.0.1:" + port + " or unix:PATH; for a probe of Kubernetes exec: brs-exec status --ready"
		return a, wrong(flagListen, hint, "%q: others than this machine could ask there", s)
	}
	return metrics.Address{Network: "tcp", Address: net.JoinHostPort(host, port)}, nil
}

// maxSocketPath is what fits into a sockaddr_un on all systems.
const maxSocketPath = 103

// socketPath makes the path of a socket absolute.
func socketPath(flag setting, path string) (string, error) {
	abs, err := filepath.Abs(path)
	switch {
	case path == "":
		return "", wrong(flag, "write it as unix:/run/job.sock", "unix: names no path")
	case err != nil:
		return "", wrong(flag, "", "%q: %v", path, err)
	case len(abs) > maxSocketPath:
		return "", wrong(flag, "a shorter one", "%q: a socket's path has at most %d bytes", abs, maxSocketPath)
	}
	return abs, nil
}

// target reads where events go.
func target(s string) (*events.Target, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path, err := socketPath(flagEvents, path)
		return &events.Target{Socket: path}, err
	}
	if number, ok := strings.CutPrefix(s, "fd:"); ok {
		fd, err := strconv.ParseUint(number, 10, 16)
		if err != nil || fd < 1 {
			return nil, wrong(flagEvents, "open it in the shell, as in: brs-exec --events fd:3 … 3>events.jsonl", "%q: not the number of a descriptor that can be written to", s)
		}
		return &events.Target{FD: int(fd)}, nil
	}
	switch s { // a file of that name, and a file that cannot be opened, are not what was meant
	case "-", "/dev/stdout":
		return nil, wrong(flagEvents, "write fd:1 for the standard output, fd:2 for standard error", "%q: not a file", s)
	case "/dev/stderr":
		return nil, wrong(flagEvents, "write fd:2", "%q: not a file", s)
	}
	path, err := filepath.Abs(s)
	if err != nil {
		return nil, wrong(flagEvents, "", "%q: %v", s, err)
	}
	return &events.Target{File: path}, nil
}

// ListenError, MetricsFileError and EventsError make errors of what cannot be opened.
func (s Sight) ListenError(err error) error {
	return wrong(flagListen, sightHint(s.Listen.Address, err), "%s: %v", s.Listen, err)
}

// MetricsFileError is as [Sight.ListenError].
func (s Sight) MetricsFileError(err error) error {
	return wrong(flagMetricsFile, sightHint(s.MetricsFile, err), "%s: %v", s.MetricsFile, err)
}

// EventsError is as [Sight.ListenError].
func (s Sight) EventsError(err error) error {
	return wrong(flagEvents, sightHint(s.Events.File, err), "%s: %v", s.Events, err)
}

// sightHint says what a person can do about what cannot be opened.
func sightHint(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "mkdir -p " + filepath.Dir(path)
	case errors.Is(err, fs.ErrPermission):
		return "name one in a directory that this user can write to"
	case errors.Is(err, syscall.EADDRINUSE):
		return "another port: another program has this one"
	}
	return ""
}

// Check says what of it cannot be opened. Nothing is made, but a port is taken for a moment.
func (s Sight) Check() (wrong []error) {
	if s.Events != nil {
		if err := s.Events.Check(); err != nil {
			wrong = append(wrong, s.EventsError(err))
		}
	}
	if s.Listen.Network != "" {
		if err := metrics.Check(s.Listen); err != nil {
			wrong = append(wrong, s.ListenError(err))
		}
	}
	if s.MetricsFile != "" {
		if err := metrics.CheckFile(s.MetricsFile); err != nil {
			wrong = append(wrong, s.MetricsFileError(err))
		}
	}
	return wrong
}
