package run

import (
	"context"
	"fmt"
	"time"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/writer"
	"brs-exec/writer/endpoint"
	"brs-exec/writer/stale"
)

// starting is how far from the reading of the config file another one is still
// that of an SDK that starts.
const starting = 5 * time.Second

// keepFiles looks after the run directory, and begins with what others have left
// once the command is started: that can wait.
func (s *session) keepFiles(files *writer.Private) {
	s.serve("the care of the run directory", func(ctx context.Context) error {
		select {
		case <-s.begun:
		case <-ctx.Done():
			select {
			case <-s.begun: // and over
			default:
				return nil
			}
		}
		files.Sweep()
		return files.Keep(ctx)
	})
}

// vanished says what became of a run directory that something took away.
func (s *session) vanished(note string, err error) {
	if err != nil {
		s.log.Error(note, "err", err)
		return
	}
	s.log.Warn(note)
}

// watchReaders looks out for a command that holds a set and does not come back
// for newer ones to any of the deliveries, as --on-stale asks. It returns what
// has to be told of each set besides these.
func (s *session) watchReaders(files *writer.Private, deliveries []refresh.Delivery) []refresh.Delivery {
	if s.plan.OnStale.Act == plan.None || s.plan.Deliver.Env { // variables are no matter of reading
		return nil
	}
	reads := map[stale.Channel]func() stale.Read{}
	for _, d := range deliveries {
		switch d := d.(type) {
		case *endpoint.Server:
			reads[stale.Endpoint] = func() stale.Read { return socketRead(files, d.LastRead(setName)) }
		case *endpoint.IMDS:
			reads[stale.IMDS] = func() stale.Read { return socketRead(files, d.LastRead(setName)) }
		}
	}
	reads[stale.Process] = func() stale.Read {
		last := files.LastReads()
		return fileRead(last, last.State)
	}
	reads[stale.File] = func() stale.Read {
		last := files.LastReads()
		r := fileRead(last, last.Credentials)
		if r.Start && s.plan.Deliver.Files != writer.File {
			return stale.Read{} // for its profile, not for keys
		}
		return r
	}
	s.readers = stale.New(stale.Options{Set: setName, Reads: reads, Notify: s.stale, Cleared: func() {
		s.log.Warn("the command has come back for newer credentials after all: it holds no copy")
	}})
	s.serve("the watch for stale readers", s.readers.Run)
	return []refresh.Delivery{s.readers}
}

func fileRead(last writer.Reads, r writer.Read) stale.Read {
	return stale.Read{KeyID: r.KeyID, At: r.At, Start: near(last.Config.At, r.At)}
}

func socketRead(files *writer.Private, r endpoint.Read) stale.Read {
	return stale.Read{KeyID: r.KeyID, At: r.At, Start: near(files.LastReads().Config.At, r.At)}
}

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= starting }

// tellReaders passes on what the engine says about the sets.
func (s *session) tellReaders(kind refresh.Kind) {
	switch {
	case s.readers == nil:
	case kind == refresh.Refreshed:
		s.readers.Refreshed()
	case kind == refresh.ClockStep:
		s.readers.Look()
	}
}

// stale says that the command seems to hold a set that is about to end, and does
// what --on-stale asks for.
func (s *session) stale(a stale.Alarm) {
	s.record.stale()
	ends, hint := "ends", "a command that has no need of AWS at the moment asks again when it has; if it has copied the keys, it will be refused: consider --deliver file if it can read them again, else --on-refresh restart"
	if !a.Ends.After(time.Now()) {
		ends = "ended"
	}
	if a.Channel == stale.File {
		hint = "if the command still uses AWS, it does not read the file again: consider --deliver auto, or --on-refresh restart"
	}
	s.log.Warn(fmt.Sprintf("no one has read the credentials since %s; the set they hold %s %s",
		a.Read.Local().Format(time.TimeOnly), ends, a.Ends.Local().Format(time.TimeOnly)), "read-by", a.Channel, "hint", hint)
	var err error
	switch r := s.plan.OnStale; r.Act {
	case plan.Signal:
		err = s.child.Signal(r.Signal, r.Force)
	case plan.Restart:
		err = s.child.Restart()
	}
	if err != nil {
		s.log.Warn("nothing done about it", "err", err)
	}
}
