package run

import (
	"context"
	"log/slog"
	"os"
	"time"

	"brs-exec/supervisor"
)

const (
	leftPatience = 100 * time.Millisecond // for what ends a moment after the command, as the tee of a shell does
	leftNamed    = 3                      // of the processes that are left, by name
)

// leftBehind says by name what the command has left running on credentials that
// end with it.
type leftBehind struct {
	log   *slog.Logger
	first int // pid of the command; of the supervisor's goroutine
}

func (l *leftBehind) part() Part {
	return Part{Name: "the look for what the command leaves behind", Child: func(e supervisor.Event, first bool) {
		if first && e.Kind == supervisor.Started {
			l.first = e.PID
		}
	}}
}

// say is called once the command has ended.
func (l *leftBehind) say(ctx context.Context, users func(above int) []string) {
	if l.first == 0 || !l.log.Enabled(ctx, slog.LevelWarn) {
		return
	}
	// The command's processes have higher ids than the command. Where the ids have
	// wrapped around since, a process with a lower one is only not named.
	above := max(l.first, os.Getpid())
	left := users(above)
	for over := time.Now().Add(leftPatience); len(left) > 0 && time.Now().Before(over); left = users(above) {
		<-time.After(leftPatience / 10)
	}
	if len(left) == 0 {
		return
	}
	l.log.Warn("the command has ended, and with it the credentials of what it leaves behind",
		"processes", left[:min(len(left), leftNamed)], "count", len(left), "hint", "--wait-for-descendants stays until they have ended")
}
