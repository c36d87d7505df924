package sign

import (
	"fmt"
	"log/slog"
	"sync"
)

// maxLines bounds how many different lines are written: a client may go through many hosts.
const maxLines = 200

// lines writes each line of the log once.
type lines struct {
	log  *slog.Logger
	mu   sync.Mutex
	said map[string]bool
}

// once writes a line, unless one with this message and this first value was written before.
func (l *lines) once(message string, args ...any) {
	key := message
	if len(args) > 1 {
		key += fmt.Sprint("\x00", args[1])
	}
	l.mu.Lock()
	if l.said == nil {
		l.said = map[string]bool{}
	}
	known := l.said[key] || len(l.said) >= maxLines
	if !known {
		l.said[key] = true
	}
	l.mu.Unlock()
	if !known {
		l.log.Warn(message, args...)
	}
}
