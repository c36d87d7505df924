package run

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/supervisor/sdnotify"
	"brs-exec.example/brs-exec/supervisor/stage"
)

// systemd tells the service manager what the log tells people. It is told
// nothing if the command speaks for itself (--notify-child).
type systemd struct {
	*sdnotify.Notifier
	log   *slog.Logger
	many  func() bool                 // several profiles
	alive func(context.Context) error // the engine
}

func tellSystemd(childTalks bool, log *slog.Logger, ps *profiles, alive func(context.Context) error) (part Part, err error) {
	if childTalks {
		return part, nil
	}
	to, err := sdnotify.New(stage.PID())
	if to == nil {
		return part, err
	}
	d := &systemd{Notifier: to, log: log, many: func() bool { return len(ps.all()) > 1 }, alive: alive}
	part = Part{Name: "the notifications to systemd", Engine: d.event, Child: d.child}
	if to.WatchdogInterval() > 0 {
		part.Run = d.watchdog
	}
	return part, nil
}

// event follows the engine.
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
		d.status(e, fmt.Sprintf("failed refreshes: %d, next %s; credentials expire %s", e.Attempt, clock(e.Next), clock(e.Expires)))
	case refresh.Expired:
		d.status(e, "credentials have expired")
	}
}

func (d *systemd) fine(e refresh.Event) {
	d.status(e, "credentials expire "+clock(e.Expires)+", next refresh "+clock(e.Next))
}

// status sets the line of `systemctl status`: of several profiles, what happened last.
func (d *systemd) status(e refresh.Event, line string) {
	if d.many() {
		line = e.Profile + ": " + line
	}
	d.say(d.Status(line))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05 -07:00")
}

// child follows the command.
func (d *systemd) child(e supervisor.Event, _ bool) {
	switch {
	case e.Kind == supervisor.Started:
		d.say(d.Ready())
	case e.Kind == supervisor.Ended && !e.Again:
		d.say(d.Stopping())
	}
}

// watchdog tells systemd that brs-exec is alive, as long as the engine is.
func (d *systemd) watchdog(ctx context.Context) error {
	every := d.WatchdogInterval()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, every)
		if d.alive(limited) == nil {
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
		d.log.Warn(err.Error())
	}
}
