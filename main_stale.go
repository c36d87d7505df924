package main

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

// starting is how far from the opening of the config file a reading is still one
// of an SDK that starts.
const starting = 5 * time.Second

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
	s.readers = stale.New(stale.Options{Set: setName, Reads: reads, Notify: s.stale})
	s.serve("the watch for stale readers", s.readers.Run)
	s.serve("the watch of who reads the files", func(ctx context.Context) error { return s.watchFiles(ctx, files) })
	return []refresh.Delivery{s.readers}
}

// watchAfter is how long a command has to live for its reading to be watched:
// to let go of a watch would cost a short one more time than it takes.
const watchAfter = 2 * time.Second

func (s *session) watchFiles(ctx context.Context, files *writer.Private) error {
	timer := time.NewTimer(watchAfter)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
	}
	run, err := files.WatchReads()
	if err != nil {
		s.log.Info("who reads the files cannot be seen, and so not who ceases to", "err", err)
		return nil
	}
	if err := run(ctx); err != nil {
		s.log.Warn("who reads the files cannot be seen any more", "err", err)
	}
	return nil
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
	ends, hint := "ends", "if the command still uses AWS, it has copied the keys: consider --deliver file if it can read them again, else --on-refresh restart"
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
