package run

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	burstShown   = 10          // lines of one message, before the others are only counted
	burstQuiet   = time.Second // without another one a burst is over
	burstLongest = 30 * time.Second

	// Of warnings and errors: in an outage another profile comes due each second or so, and
	// all of them tell the same.
	troubleQuiet   = 20 * time.Second
	troubleLongest = 5 * time.Minute
)

// bursts keep a log readable where a thousand profiles tell the same: some lines of a
// burst are shown, and the others counted in a line at its end.
type bursts struct {
	log *slog.Logger

	mu sync.Mutex
	of map[string]*burst // by message
}

type burst struct {
	level slog.Level
	began time.Time
	shown int
	more  int // that were not shown
	timer *time.Timer
}

// admit tells whether a line is to be shown, if so many of its message are.
func (b *bursts) admit(level slog.Level, message string, shown int) bool {
	quiet, longest := burstQuiet, burstLongest
	if level > slog.LevelInfo {
		quiet, longest = troubleQuiet, troubleLongest
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.of[message]
	if one == nil {
		if b.of == nil {
			b.of = map[string]*burst{}
		}
		one = &burst{level: level, began: time.Now()}
		one.timer = time.AfterFunc(quiet, func() { b.end(message, one) })
		b.of[message] = one
	} else {
		one.timer.Reset(min(quiet, longest-time.Since(one.began)))
	}
	if one.shown < shown {
		one.shown++
		return true
	}
	one.more++
	return false
}

// end logs how many were not shown.
func (b *bursts) end(message string, one *burst) {
	b.mu.Lock()
	current := b.of[message] == one
	if current {
		delete(b.of, message)
	}
	b.mu.Unlock()
	switch {
	case !current || one.more == 0:
	case one.shown == 0:
		b.log.Log(context.Background(), one.level, message, "profiles", one.more)
	default:
		b.log.Log(context.Background(), one.level, message, "more-profiles", one.more)
	}
}

// endAll ends what goes on.
func (b *bursts) endAll() {
	b.mu.Lock()
	all := maps.Clone(b.of)
	b.mu.Unlock()
	for _, message := range slices.Sorted(maps.Keys(all)) {
		all[message].timer.Stop()
		b.end(message, all[message])
	}
}
