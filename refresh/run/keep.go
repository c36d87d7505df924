package run

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"brs-exec/refresh"
)

// Service is a part that works as long as the command lives.
type Service struct {
	Name string // for people: what there is not while it does not run

	// Run returns when ctx ends, or with nil when there is nothing more to do. It
	// may be called again after an error or a panic.
	Run func(ctx context.Context) error
}

const (
	// A service that fails is started again after a second, then after twice that,
	// up to a minute.
	minPause, maxPause = time.Second, time.Minute

	// steady is how long a service has to work for its next failure to be news.
	steady = 5 * time.Minute
)

// keep runs v until ctx ends or v has nothing more to do. After each failure it
// waits, calls failed and starts v again. news is true for the first failure, and
// for one after v has worked for minutes.
func keep(ctx context.Context, v Service, failed func(err error, again time.Duration, news bool)) {
	pause := time.Duration(0)
	for {
		began := time.Now()
		err := refresh.Protect(func() error { return v.Run(ctx) })
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
