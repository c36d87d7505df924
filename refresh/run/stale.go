package run

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/stale"
)

// watchStale watches for a command that holds credentials and reads newer ones from none
// of the deliveries. The watch is nil if --on-stale does not ask for it.
func watchStale(p *plan.Plan, d *deliveries, react *staleReaction) (*stale.Watch, Part) {
	asks := func(p *profile) bool { return p.OnStale.Act != plan.None }
	if p.Deliver.Env || p.Deliver.Sign || p.List == nil && !slices.ContainsFunc(d.profiles.all(), asks) { // variables are no matter of reading, and local keys do not expire
		return nil, Part{}
	}
	w := stale.New(staleOptions(p, d, react))
	return w, Part{
		Name: "the watch for stale clients",
		Run:  w.Run,
		Late: true,
		Engine: func(e refresh.Event, _ bool) {
			switch e.Kind {
			case refresh.Refreshed:
				w.Refreshed(e.Profile)
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

// reads are the last readings by each of the deliveries.
func (d *deliveries) reads() map[stale.Delivery]func(profile string) process.Read {
	files := d.files
	reads := map[stale.Delivery]func(profile string) process.Read{
		stale.Process: func(profile string) process.Read { return files.LastReads(profile).State },
		stale.File:    func(profile string) process.Read { return files.LastReads(profile).Credentials },
	}
	for _, one := range d.list {
		if one.read != nil {
			reads[one.by] = one.read
		}
	}
	return reads
}

// staleOptions say by which of the deliveries a client may have read the credentials.
func staleOptions(p *plan.Plan, d *deliveries, react *staleReaction) stale.Options {
	return stale.Options{
		Watched: func(profile string) bool {
			of := d.profiles.get(profile)
			return of != nil && of.OnStale.Act != plan.None
		},
		Reads:         d.reads(),
		Started:       d.files.LastStart,
		KeysInProfile: p.Deliver.Files == writer.File,
		Notify:        react.alarm,
		Cleared:       react.cleared,
	}
}

// staleReaction does what --on-stale asks for.
type staleReaction struct {
	profiles *profiles
	child    child
	parts    *parts
}

func (s *staleReaction) cleared(profile string) {
	s.parts.notice(notice{kind: clientFresh, profile: profile})
	s.profiles.logOf(profile).Warn("a client has read newer credentials after all: it holds no copy")
}

// alarm says that the command seems to hold credentials that are about to expire.
func (s *staleReaction) alarm(a stale.Alarm) {
	of := s.profiles.get(a.Profile)
	if of == nil { // it was taken out of the list
		return
	}
	log := s.profiles.logOf(a.Profile)
	s.parts.notice(notice{kind: clientStale, profile: a.Profile, stale: a})
	expires, hint := "expire", "a command that has no need of AWS at the moment retrieves newer ones when it has; if it has copied the keys, it will be refused: consider --deliver file if it can read them again, else --deliver sign, or --on-refresh restart"
	if !a.Expires.After(time.Now()) {
		expires = "expired"
	}
	if a.Delivery == stale.File {
		hint = "if the command still uses AWS, it does not read the file again: consider --deliver auto, --deliver sign, or --on-refresh restart"
	}
	level := slog.LevelWarn
	if len(s.profiles.all()) > burstShown && !s.profiles.bursts.admit(level, "no client has read newer credentials in time", burstShown) {
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, fmt.Sprintf("no client has read the credentials since %s; those it has %s %s",
		a.Read.Local().Format(time.TimeOnly), expires, a.Expires.Local().Format(time.TimeOnly)), "read-by", a.Delivery, "hint", hint)
	var err error
	switch of.OnStale.Act {
	case plan.Signal:
		err = s.child.Signal(of.OnStale.Signal, of.OnStale.Force)
	case plan.Restart:
		err = s.child.Restart()
	}
	if err != nil {
		log.Warn("nothing done about it", "err", err)
	}
}
