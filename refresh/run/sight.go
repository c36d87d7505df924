package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/events"
	"brs-exec.example/brs-exec/refresh/metrics"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer/sign"
	"brs-exec.example/brs-exec/writer/stale"
)

// notice is what a run has found out beside the events of engine and command.
type notice struct {
	kind    noticeKind
	profile string
	stale   stale.Alarm   // clientStale
	source  source.Expiry // sourceEnding
	request sign.Request  // requestSigned
}

// noticeKind is what a notice is about.
type noticeKind int

const (
	clientStale   noticeKind = iota // a client seems to hold credentials that it does not replace
	clientFresh                     // it has read newer ones after all
	sourceEnding                    // the source is about to expire
	requestSigned                   // the listener of --deliver sign has done with a request
)

// sight is how others see a run: metrics and events, as far as they were asked for.
type sight struct {
	log     *slog.Logger
	tally   tally
	metrics *metrics.Metrics
	server  *metrics.Server
	file    *metrics.File
	events  *events.Events
	alive   atomic.Pointer[func(context.Context) error]
	closed  sync.Once
}

// openSight opens what was asked for. version is that of brs-exec.
func openSight(o Options, ps *profiles) (_ *sight, err error) {
	s := &sight{log: o.Log, tally: tally{begun: time.Now()}}
	want := o.Plan.Sight
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if want.Events != nil {
		s.events, err = events.Open(events.Options{To: *want.Events, Run: nameOf(o.Plan), Notify: eventsNotice(o.Log, want.Events.String())})
		if err != nil {
			return nil, want.EventsError(err)
		}
	}
	if want.Listen.Network == "" && want.MetricsFile == "" {
		return s, nil
	}
	s.metrics = metrics.New(metrics.Options{Name: nameOf(o.Plan), Version: o.Version(), Profiles: ps.names(), Require: o.Plan.Require, Keep: o.Plan.Keep != nil})
	if want.Listen.Network != "" {
		if s.server, err = metrics.Listen(want.Listen, s.metrics, s.engineAlive); err != nil {
			return nil, want.ListenError(err)
		}
		o.Log.Info("listening", "address", want.Listen.String())
	}
	o.Signals.AtEnd(s.close) // a socket file
	if want.MetricsFile != "" {
		if s.file, err = metrics.CreateFile(want.MetricsFile, s.metrics); err != nil {
			return nil, want.MetricsFileError(err)
		}
	}
	return s, nil
}

func (ps *profiles) names() (names []string) {
	for _, p := range ps.all() {
		names = append(names, p.Name)
	}
	return names
}

// eventsNotice logs that events cannot be written, and that they can again.
func eventsNotice(log *slog.Logger, to string) func(error) {
	return func(err error) {
		if err != nil {
			log.Warn("events cannot be written; up to 1000 are kept, and that is tried again", "to", to, "err", err)
			return
		}
		log.Info("events are written again", "to", to)
	}
}

// engineAlive asks the engine, which may not be there yet.
func (s *sight) engineAlive(ctx context.Context) error {
	if alive := s.alive.Load(); alive != nil {
		return (*alive)(ctx)
	}
	return errors.New("not started yet")
}

// parts lists what follows the events. alive asks the engine.
func (s *sight) parts(alive func(context.Context) error) (list []Part) {
	s.alive.Store(&alive)
	list = append(list, s.tally.part())
	if m := s.metrics; m != nil {
		list = append(list, Part{
			Name: "the metrics", Engine: func(e refresh.Event, _ bool) { m.Engine(e) }, Child: func(e supervisor.Event, _ bool) { m.Child(e) },
			notice: func(n notice) {
				switch n.kind {
				case clientStale:
					m.Stale(n.profile)
				case requestSigned:
					m.Request(n.request.Service, n.request.Status)
				}
			},
		})
	}
	if s.server != nil {
		list = append(list, Part{Name: "the server of --listen", Run: s.server.Run})
	}
	if s.file != nil {
		list = append(list, Part{Name: "the file of --metrics-file", Run: s.file.Run})
	}
	if e := s.events; e != nil {
		list = append(list, Part{
			Name: "the events", Run: e.Run, Engine: func(ev refresh.Event, _ bool) { e.Engine(ev) }, Child: func(ev supervisor.Event, _ bool) { e.Child(ev) },
			notice: func(n notice) {
				switch n.kind {
				case clientStale:
					e.Stale(n.profile, string(n.stale.Delivery), n.stale.KeyID, n.stale.Read, n.stale.Expires)
				case clientFresh:
					e.NotStale(n.profile)
				case sourceEnding:
					e.SourceEnding(n.profile, n.source.What, n.source.Hint, n.source.At)
				case requestSigned:
					r := n.request
					e.Request(events.Request{
						Time: r.Time, Took: r.Took, Via: r.Way, Profile: r.Profile, Service: r.Service, Region: r.Region, Operation: r.Operation,
						Host: r.Host, Method: r.Method, Status: r.Status, Sent: r.Sent, Received: r.Received, Refused: r.Refused,
					})
				}
			},
		})
	}
	return list
}

// count has the calls of a delivery counted, if there are metrics.
func (s *sight) count(name string, d refresh.Delivery) refresh.Delivery {
	if s.metrics == nil {
		return d
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "the "), "watch of the ")
	return counted{d, name, s.metrics}
}

// counted is a delivery whose calls are counted.
type counted struct {
	refresh.Delivery
	name    string
	metrics *metrics.Metrics
}

// Deliver delivers.
func (c counted) Deliver(ctx context.Context, sets map[string]aws.Credentials) error {
	err := c.Delivery.Deliver(ctx, sets)
	c.metrics.Delivered(c.name, err)
	return err
}

// profiles says which profiles there are from now on.
func (s *sight) profiles(names []string) {
	if s.metrics != nil {
		s.metrics.SetProfiles(names)
	}
}

// end says how the run has ended, and closes everything. None of it may change that.
func (s *sight) end(p *parts, exit supervisor.Exit, err error) {
	code := exitCode(exit, err)
	p.do("the tally", func() { s.tally.say(s.log, code, exit) })
	if s.metrics != nil {
		p.do("the metrics", func() { s.metrics.End(code) })
	}
	if s.events != nil {
		p.do("the events", func() { s.events.End(code, exit, err) })
	}
	if s.file != nil {
		p.do("the file of --metrics-file", func() {
			if err := s.file.Close(); err != nil {
				s.log.Warn("the metrics have not been written", "err", err)
			}
		})
	}
	if s.server != nil || s.events != nil {
		p.finish("the end of metrics and events", s.close, nil)
	}
}

func (s *sight) close() {
	s.closed.Do(func() {
		if s.server != nil {
			s.server.Close()
		}
		if s.events != nil {
			s.events.Close()
		}
	})
}

// exitCode is what brs-exec exits with.
func exitCode(exit supervisor.Exit, err error) int {
	switch {
	case errors.Is(err, ErrExpired):
		return 124
	case err != nil:
		return max(exit.Code, 125)
	}
	return exit.Code
}

// tally counts what has happened, for the last line of a run.
type tally struct {
	begun     time.Time
	started   atomic.Bool // the command is
	refreshes int         // after the first credentials of each profile
	failures  int         // after the start: a profile that never gets credentials may have failed all the time
	expired   bool
}

func (t *tally) part() Part {
	engine := func(e refresh.Event, first bool) {
		switch e.Kind {
		case refresh.Refreshed:
			if !first {
				t.refreshes++
			}
		case refresh.Failed, refresh.DeliveryFailed:
			if t.started.Load() {
				t.failures++
			}
		case refresh.Expired:
			t.expired = true
		}
	}
	child := func(e supervisor.Event, _ bool) {
		if e.Kind == supervisor.Started {
			t.started.Store(true)
		}
	}
	return Part{Name: "the tally", Engine: engine, Child: child}
}

// say logs it: as a warning if something went wrong meanwhile.
func (t *tally) say(log *slog.Logger, code int, exit supervisor.Exit) {
	level := slog.LevelInfo
	if t.failures > 0 || t.expired {
		level = slog.LevelWarn
	}
	how := fmt.Sprintf("exit %d", code)
	if exit.Signal != 0 && code == exit.Code {
		how = exit.String()
	}
	text := fmt.Sprintf("%s after %s; %s, %s", how, longest(time.Since(t.begun)), many(t.refreshes, "refresh", "refreshes"), many(t.failures, "failure", "failures"))
	if t.expired {
		text += "; credentials had expired"
	}
	log.Log(context.Background(), level, text)
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// longest is a duration in its larger units: 12s, 3m5s, 3h12m.
func longest(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= 10*time.Minute {
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return d.String()
}
