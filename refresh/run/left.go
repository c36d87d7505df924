package run

import (
	"context"
	"log/slog"
	"os"
	"time"

	"brs-exec.example/brs-exec/supervisor"
)

const (
	leftPatience = 100 * time.Millisecond // for what ends a moment after the command, as the tee of a shell does
	leftNamed    = 3                      // of the processes that are left, by name
)

// leftBehind says by name what the command has left running on credentials that
// end with it.
type leftBehind struct {
	log   *slog.Logger
	first int       // pid of the command; of the supervisor's goroutine
	began time.Time // when it was started
}

func (l *leftBehind) part() Part {
	return Part{Name: "the search for what the command leaves running", Child: func(e supervisor.Event, first bool) {
		if first && e.Kind == supervisor.Started {
			l.first, l.began = e.PID, time.Now()
		}
	}}
}

// say is called once the command has ended.
func (l *leftBehind) say(ctx context.Context, users func(first int, ago time.Duration) []string) {
	if l.first == 0 || !l.log.Enabled(ctx, slog.LevelWarn) {
		return
	}
	look := func() []string { return users(max(l.first, os.Getpid()), time.Since(l.began)) }
	left := look()
	for over := time.Now().Add(leftPatience); len(left) > 0 && time.Now().Before(over); left = look() {
		<-time.After(leftPatience / 10)
	}
	if len(left) == 0 {
		return
	}
	l.log.Warn("the command has ended; what it leaves running gets no more credentials",
		"processes", left[:min(len(left), leftNamed)], "count", len(left), "hint", "--wait-for-descendants stays until they have ended")
}
