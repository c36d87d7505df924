package run

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"brs-exec/refresh"
	"brs-exec/supervisor"
)

// Part works beside the command, or follows what happens, or both. What fails or
// panics in it costs what it does, and never the command; nor does it keep other parts
// from an event. The order of the parts is of no importance to any of them. Each of
// the functions may be nil.
type Part struct {
	Name string // for people: what there is not while it fails

	// Run works as long as the command lives. It returns when ctx ends, or with nil
	// when there is nothing more to do. It may be called again after an error or a
	// panic.
	Run func(ctx context.Context) error

	// Engine is called in the engine's goroutine. first tells whether this is before
	// the first credentials are delivered, or about them.
	Engine func(e refresh.Event, first bool)

	// Child is called in the supervisor's goroutine. first tells whether this is
	// before the first start of the command, or about it.
	Child func(e supervisor.Event, first bool)
}

// parts are all those of a run.
type parts struct {
	log       *slog.Logger
	guard     *guard
	list      []Part // set before the first event
	delivered bool   // the first credentials; of the engine's goroutine
	started   bool   // the command; of the supervisor's goroutine
}

func (p *parts) engine(e refresh.Event) {
	first := !p.delivered
	p.delivered = p.delivered || e.Kind == refresh.Refreshed
	for _, part := range p.list {
		if part.Engine != nil {
			p.guard.do(part.Name, func() { part.Engine(e, first) })
		}
	}
}

func (p *parts) child(e supervisor.Event) {
	first := !p.started
	p.started = p.started || e.Kind == supervisor.Started
	for _, part := range p.list {
		if part.Child != nil {
			p.guard.do(part.Name, func() { part.Child(e, first) })
		}
	}
}

// run runs all of them in goroutines of work.
func (p *parts) run(ctx context.Context, work *sync.WaitGroup) {
	for _, part := range p.list {
		if part.Run != nil {
			work.Go(func() { p.keep(ctx, part) })
		}
	}
}

// keep runs a part as long as the command lives.
func (p *parts) keep(ctx context.Context, part Part) {
	keep(ctx, part.Run, func(err error, again time.Duration, news bool) {
		level := slog.LevelDebug
		if news {
			level = slog.LevelError
		}
		p.log.Log(ctx, level, "a part of brs-exec has failed; the command goes on, and the part is started again",
			"part", part.Name, "err", err, "after", again)
	})
}

const (
	// A part that fails is started again after a second, then after twice that,
	// up to a minute.
	minPause, maxPause = time.Second, time.Minute

	// steady is how long a part has to work for its next failure to be news.
	steady = 5 * time.Minute
)

// keep calls run until ctx ends or there is nothing more to do. After each failure it
// waits, calls failed and calls run again. news is true for the first failure, and
// for one after run has worked for minutes.
func keep(ctx context.Context, run func(context.Context) error, failed func(err error, again time.Duration, news bool)) {
	pause := time.Duration(0)
	for {
		began := time.Now()
		err := refresh.Protect(func() error { return run(ctx) })
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Since(began) >= steady {
			pause = 0
		}
		news := pause == 0
		pause = min(max(2*pause, minPause), maxPause)
		// Many runs of one machine may have lost the same thing.
		again := pause - time.Duration(rand.Float64()*float64(pause/4))
		failed(err, again, news)
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// guard calls what must not end the process by a panic. Its zero value is ready,
// and says nothing. Its methods may be called from several goroutines.
type guard struct {
	// tell, if not nil, is told of the first panic of each name. The error says
	// where it was.
	tell func(name string, err error)

	mu   sync.Mutex
	told map[string]bool
}

// do calls f.
func (g *guard) do(name string, f func()) {
	err := refresh.Protect(func() error { f(); return nil })
	if err == nil || !g.first(name) || g.tell == nil {
		return
	}
	g.tell(name, err)
}

func (g *guard) first(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told[name] {
		return false
	}
	if g.told == nil {
		g.told = map[string]bool{}
	}
	g.told[name] = true
	return true
}
