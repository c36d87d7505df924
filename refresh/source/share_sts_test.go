package source

import (
	"net/http"
	"sync/atomic"
	"time"
)

// counted is an STS that takes a while, and counts.
type counted struct {
	life             time.Duration
	calls, now, most atomic.Int32
	fail             atomic.Bool
}

func newCounted(life time.Duration) *counted { return &counted{life: life} }

func (c *counted) count() int { return int(c.calls.Load()) }

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	c.calls.Add(1)
	c.most.Store(max(c.most.Load(), c.now.Add(1)))
	defer c.now.Add(-1)
	time.Sleep(100 * time.Millisecond) // in virtual time
	if c.fail.Load() {
		refuse(w, http.StatusForbidden, "AccessDenied", "no")
		return
	}
	stsAnswer(w, r.Form.Get("Action"), c.life)
}
