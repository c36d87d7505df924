package run

import (
	"fmt"
	"log/slog"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/supervisor"
	"brs-exec/writer"
	"brs-exec/writer/process"
	"brs-exec/writer/stale"
)

// watchStale watches for a command that holds credentials and reads newer ones from none
// of the deliveries. The watch is nil if --on-stale does not ask for it.
func watchStale(p *plan.Plan, d *deliveries, react *staleReaction) (*stale.Watch, Part) {
	if react.on.Act == plan.None || p.Deliver.Env { // variables are no matter of reading
		return nil, Part{}
	}
	w := stale.New(staleOptions(p, d, react))
	return w, Part{
		Name: "the watch for stale clients",
		Run:  w.Run,
		Engine: func(e refresh.Event, _ bool) {
			switch e.Kind {
			case refresh.Refreshed:
				w.Refreshed()
			case refresh.ClockStep:
				w.Look()
			}
		},
		Child: func(e supervisor.Event, _ bool) {
			if e.Kind == supervisor.Ended && e.Again {
				w.Restarted()
			}
		},
	}
}

// staleOptions say by which of the deliveries a client may have read the credentials.
func staleOptions(p *plan.Plan, d *deliveries, react *staleReaction) stale.Options {
	files, name := d.files, d.profiles.first().Name
	reads := map[stale.Delivery]func() process.Read{
		stale.Process: func() process.Read { return files.LastReads(name).State },
		stale.File:    func() process.Read { return files.LastReads(name).Credentials },
	}
	for _, one := range d.list {
		if one.read != nil {
			reads[one.by] = one.read
		}
	}
	return stale.Options{
		Credentials: name, Reads: reads,
		Started:       func() time.Time { return files.LastReads(name).Config.At },
		KeysInProfile: p.Deliver.Files == writer.File,
		Notify: func(a stale.Alarm) {
			d.run.notice(Notice{Kind: Stale, Profile: name, Stale: a})
			react.alarm(a)
		},
		Cleared: func() {
			d.run.notice(Notice{Kind: NotStale, Profile: name})
			react.cleared()
		},
	}
}

// staleReaction does what --on-stale asks for.
type staleReaction struct {
	on     plan.Reaction
	log    *slog.Logger
	child  child
	record *recorder
	of     string // the profile that is watched
}

func (s *staleReaction) cleared() {
	s.record.fresh(s.of)
	s.log.Warn("a client has read newer credentials after all: it holds no copy")
}

// alarm says that the command seems to hold credentials that are about to expire.
func (s *staleReaction) alarm(a stale.Alarm) {
	s.record.stale(s.of)
	expires, hint := "expire", "a command that has no need of AWS at the moment retrieves newer ones when it has; if it has copied the keys, it will be refused: consider --deliver file if it can read them again, else --on-refresh restart"
	if !a.Expires.After(time.Now()) {
		expires = "expired"
	}
	if a.Delivery == stale.File {
		hint = "if the command still uses AWS, it does not read the file again: consider --deliver auto, or --on-refresh restart"
	}
	s.log.Warn(fmt.Sprintf("no client has read the credentials since %s; those it has %s %s",
		a.Read.Local().Format(time.TimeOnly), expires, a.Expires.Local().Format(time.TimeOnly)), "read-by", a.Delivery, "hint", hint)
	var err error
	switch s.on.Act {
	case plan.Signal:
		err = s.child.Signal(s.on.Signal, s.on.Force)
	case plan.Restart:
		err = s.child.Restart()
	}
	if err != nil {
		s.log.Warn("nothing done about it", "err", err)
	}
}
