package run

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
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
func (l *leftBehind) say(ctx context.Context, users func(above int) []string) {
	if l.first == 0 || !l.log.Enabled(ctx, slog.LevelWarn) {
		return
	}
	above := lookAbove(max(l.first, os.Getpid()), lastPID(), time.Since(l.began))
	left := users(above)
	for over := time.Now().Add(leftPatience); len(left) > 0 && time.Now().Before(over); left = users(above) {
		<-time.After(leftPatience / 10)
	}
	if len(left) == 0 {
		return
	}
	l.log.Warn("the command has ended; what it leaves running gets no more credentials",
		"processes", left[:min(len(left), leftNamed)], "count", len(left), "hint", "--wait-for-descendants stays until they have ended")
}

// lookAbove returns the id above which the processes of a command are looked for that
// was started that long ago, 0 for all. A short command's have higher ids than the
// command, which saves a look at those of the whole machine; later, or once the ids
// have wrapped around, they may have any.
func lookAbove(first, last int, ago time.Duration) int {
	if ago > time.Second || last < first {
		return 0
	}
	return first
}

// lastPID returns the id of the process that was made last, 0 if that is not known.
func lastPID() (pid int) {
	text, _ := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); len(fields) == 5 {
		pid, _ = strconv.Atoi(fields[4])
	}
	return pid
}
