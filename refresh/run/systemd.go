package run

import (
	"context"
	"fmt"
	"time"

	"brs-exec/refresh"
	"brs-exec/supervisor"
	"brs-exec/supervisor/sdnotify"
	"brs-exec/supervisor/stage"
)

// systemd tells the service manager what the log tells people. It is told
// nothing if the command speaks for itself (--notify-child).
type systemd struct {
	*sdnotify.Notifier
	session *session
}

func (s *session) newSystemd() (*systemd, error) {
	if s.plan.NotifyChild {
		return &systemd{session: s}, nil
	}
	n, err := sdnotify.New(stage.Adopter())
	return &systemd{Notifier: n, session: s}, err
}

// event follows the engine, in its goroutine.
func (d *systemd) event(e refresh.Event, first bool) {
	switch e.Kind {
	case refresh.Refreshed:
		if !first {
			d.say(d.Reloading())
			d.say(d.Ready())
		}
		d.fine(e)
	case refresh.Unchanged:
		if e.Attempt > 0 && e.Expires.After(time.Now()) {
			d.fine(e)
		}
	case refresh.Failed:
		d.say(d.Status(fmt.Sprintf("failed refreshes: %d, next %s; credentials end %s", e.Attempt, clock(e.Next), clock(e.Expires))))
	case refresh.Expired:
		d.say(d.Status("credentials have ended"))
	}
}

func (d *systemd) fine(e refresh.Event) {
	d.say(d.Status("credentials end " + clock(e.Expires) + ", next refresh " + clock(e.Next)))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05 -07:00")
}

// child follows the supervisor, in its goroutine.
func (d *systemd) child(e supervisor.Event) {
	switch {
	case e.Kind == supervisor.Started:
		d.say(d.Ready())
	case e.Kind == supervisor.Ended && !e.Again:
		d.say(d.Stopping())
	}
}

// watchdog tells that we are alive as long as the engine makes progress.
func (s *session) watchdog(ctx context.Context) error {
	d := s.systemd
	every := d.WatchdogInterval()
	if every == 0 {
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, every)
		if s.engine.Load().Alive(asking) == nil {
			d.say(d.Watchdog())
		}
		cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// say logs that systemd could not be told.
func (d *systemd) say(err error) {
	if err != nil {
		d.session.log.Warn(err.Error())
	}
}
