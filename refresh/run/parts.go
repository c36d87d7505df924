package run

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/supervisor"
)

// Part works beside the command, or follows what happens, or both. What fails or
// panics in it costs what it does, and never the command; nor does it keep other parts
// from an event. The order of the parts is of no importance to any of them. Each of
// the functions may be nil.
type Part struct {
	Name string // for people: what there is not while it fails

	// Run works as long as the command runs. It returns when ctx ends, or with nil
	// when there is nothing more to do. It may be called again after an error or a
	// panic.
	Run func(ctx context.Context) error

	// Late says that Run has time: it is called lateAfter later. Most commands have ended by
	// then, and have not waited for it.
	Late bool

	// Engine is called in the engine's goroutine. first tells whether this is before
	// the first credentials of its profile are delivered, or about them; of an event
	// that is about no single profile, whether it is before any are.
	Engine func(e refresh.Event, first bool)

	// Child is called in the supervisor's goroutine. first tells whether this is
	// before the first start of the command, or about it.
	Child func(e supervisor.Event, first bool)

	// notice is called in the goroutine of whoever has noticed something: several may at
	// the same time.
	notice func(n notice)
}

// parts are all those of a run.
type parts struct {
	log       *slog.Logger
	list      []Part          // set before the first event
	delivered map[string]bool // the first credentials, by profile; of the engine's goroutine
	started   bool            // the command; of the supervisor's goroutine
	hung      bool            // something has, after the end of the command; of the goroutine of Run

	mu   sync.Mutex
	said map[string]bool // panics, by the name of the part; guarded by mu
}

func (p *parts) engine(e refresh.Event) {
	first := !p.delivered[e.Profile]
	if e.Profile == "" {
		first = len(p.delivered) == 0
	}
	if e.Kind == refresh.Refreshed {
		if p.delivered == nil {
			p.delivered = map[string]bool{}
		}
		p.delivered[e.Profile] = true
	}
	for _, part := range p.list {
		if part.Engine != nil {
			p.do(part.Name, func() { part.Engine(e, first) })
		}
	}
}

func (p *parts) child(e supervisor.Event) {
	first := !p.started
	p.started = p.started || e.Kind == supervisor.Started
	for _, part := range p.list {
		if part.Child != nil {
			p.do(part.Name, func() { part.Child(e, first) })
		}
	}
}

func (p *parts) notice(n notice) {
	for _, part := range p.list {
		if part.notice != nil {
			p.do(part.Name, func() { part.notice(n) })
		}
	}
}

// run runs all of them in goroutines. wait returns when these have ended, after ctx has.
func (p *parts) run(ctx context.Context) (wait func()) {
	var work sync.WaitGroup
	start := func(late bool) {
		for _, part := range p.list {
			if part.Run != nil && part.Late == late {
				work.Go(func() { p.keep(ctx, part) })
			}
		}
	}
	start(false)
	work.Add(1)
	late := time.AfterFunc(lateAfter, func() {
		defer work.Done()
		start(true)
	})
	return func() {
		if late.Stop() {
			work.Done()
		}
		work.Wait()
	}
}

const (
	// lateAfter is when parts are started that have time: before the supervisor gives memory back,
	// which that would take again.
	lateAfter = 750 * time.Millisecond

	// A part that fails is started again after a second, then after twice that,
	// up to a minute.
	minPause, maxPause = time.Second, time.Minute

	// steady is how long a part has to work for its next failure to be news.
	steady = 5 * time.Minute
)

// keep runs a part until ctx ends or there is nothing more to do. After each failure it
// waits and starts it again. The log has the first failure as an error, and one after
// the part has worked for minutes; others are for debugging.
func (p *parts) keep(ctx context.Context, part Part) {
	pause := time.Duration(0)
	for {
		began := time.Now()
		err := refresh.Protect(func() error { return part.Run(ctx) })
		if err == nil || ctx.Err() != nil {
			return
		}
		level := slog.LevelDebug
		if pause == 0 || time.Since(began) >= steady {
			pause, level = 0, slog.LevelError
		}
		pause = min(max(2*pause, minPause), maxPause)
		// Many runs of one machine may have lost the same thing.
		again := pause - time.Duration(rand.Float64()*float64(pause/4))
		p.log.Log(ctx, level, "a part of brs-exec has failed; the command goes on, and the part is started again",
			"part", part.Name, "err", err, "after", again)
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// do calls f, which must not end the process by a panic. The log has the first one of
// each name, and where it was.
func (p *parts) do(name string, f func()) {
	err := refresh.Protect(func() error { f(); return nil })
	if err == nil {
		return
	}
	p.mu.Lock()
	said := p.said[name]
	if p.said == nil {
		p.said = map[string]bool{}
	}
	p.said[name] = true
	p.mu.Unlock()
	if !said {
		p.log.Error("a part of brs-exec has failed; the command goes on", "part", name, "err", err)
	}
}

// hangTime is how long a step of what is left to do may take once the command has ended.
// Whoever waits for that does not wait for what hangs, as on a file system that has gone.
const hangTime = 5 * time.Second

// slowTime is how long all of its steps may take.
const slowTime = time.Minute

// hangAgain is hangTime once something has hung: what else there is may lie in the same place.
const hangAgain = time.Second

// finish is do once the command has ended, and returns without f when that hangs. steps,
// if not nil, grows with each step of f: a thousand files on a slow disk take their time.
func (p *parts) finish(name string, f func(), steps func() uint64) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.do(name, f)
	}()
	limit := hangTime
	if p.hung {
		limit = hangAgain
	}
	if steps == nil {
		steps = func() uint64 { return 0 }
	}
	for before, begin := steps(), time.Now(); ; {
		select {
		case <-done:
			return
		case <-time.After(limit):
		}
		now := steps()
		if now == before || time.Since(begin) >= slowTime {
			break
		}
		before = now
	}
	p.hung = true
	p.log.Warn("a part of brs-exec hangs; brs-exec ends without it", "part", name)
}
