// Package sdnotify tells systemd about our state, in the protocol of sd_notify(3).
package sdnotify

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notifier tells systemd. A nil Notifier tells nobody, and its methods do nothing.
//
// Under a stage (package stage) we are not the main process of the unit,
// which then needs NotifyAccess=all.
type Notifier struct {
	socket   string
	watchdog time.Duration
}

// New returns a notifier for NOTIFY_SOCKET, nil without one. stage is the pid of the
// stage that systemd takes for us, 0 without one. The error is about an address that
// is of no kind that we know.
func New(stage int) (*Notifier, error) {
	socket := os.Getenv("NOTIFY_SOCKET")
	switch {
	case socket == "":
		return nil, nil
	case socket[0] != '/' && socket[0] != '@':
		return nil, fmt.Errorf("NOTIFY_SOCKET %q: neither a path nor an abstract socket", socket)
	}
	n := &Notifier{socket: socket}
	pid, err := strconv.Atoi(os.Getenv("WATCHDOG_PID"))
	if err != nil || pid == os.Getpid() || stage != 0 && pid == stage {
		if usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			n.watchdog = time.Duration(usec) * time.Microsecond
		}
	}
	return n, nil
}

// WatchdogInterval is how often [Notifier.Watchdog] has to be called: half of
// what systemd waits for; 0 if it does not wait.
func (n *Notifier) WatchdogInterval() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog / 2
}

// Ready says that the command runs, or that reloading has finished.
func (n *Notifier) Ready() error { return n.send("READY=1") }

// Reloading tells that something is being renewed; Ready ends it.
func (n *Notifier) Reloading() error {
	usec, err := monotonic()
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return n.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(usec, 10))
}

// Stopping says that brs-exec is stopping.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Status sets the line that systemctl status shows.
func (n *Notifier) Status(line string) error {
	return n.send("STATUS=" + strings.ReplaceAll(line, "\n", " "))
}

// Watchdog tells that we are alive.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

// send never blocks: if systemd does not read, that is an error.
func (n *Notifier) send(state string) error {
	if n == nil {
		return nil
	}
	if err := sendDatagram(n.socket, []byte(state)); err != nil {
		return fmt.Errorf("notify systemd at %s: %w", n.socket, err)
	}
	return nil
}

// Env returns the child's part of env in talking to systemd: nothing, or
// with toChild set the socket and the watchdog (without WATCHDOG_PID, which is
// ours).
func Env(env []string, toChild bool) []string {
	var out []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "WATCHDOG_PID":
			continue
		case "NOTIFY_SOCKET", "WATCHDOG_USEC":
			if !toChild {
				continue
			}
		}
		out = append(out, e)
	}
	return out
}
