package sign

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
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

// bug tells of a panic, which costs the request that it came of; http.ErrAbortHandler is none. What is said of it is the
// runtime's own, since another value may hold anything.
func (l *lines) bug(v any) {
	if v == http.ErrAbortHandler {
		return
	}
	text := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		text = e.Error()
	}
	l.once("a bug of brs-exec has failed a request of the command: please report it", "panic", text, "stack", string(debug.Stack()))
}

// contained is the body of a request. It is read in a goroutine of the transport's, where a panic would end the program.
type contained struct {
	io.ReadCloser
	lines *lines
}

func (c contained) Read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.lines.bug(v)
			n, err = 0, fault("InternalFailure", "brs-exec: a bug has failed this request", http.StatusInternalServerError)
		}
	}()
	return c.ReadCloser.Read(p)
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
