package sign

import (
	"net/url"
	"sync"
	"time"

	"brs-exec.example/brs-exec/writer/sign/services"
)

// clocks are those of services, which clients set theirs by. All of AWS has one; another server's says nothing of it.
type clocks struct {
	mu   sync.Mutex
	skew map[string]time.Duration // to ours, by host; those alone that are far from it
}

// maxSkew is how far our clock may be from a service's before the service's is taken.
const maxSkew = 5 * time.Minute

func clockOf(to *url.URL) string {
	if services.Ends(to.Hostname()) {
		return ""
	}
	return to.Host
}

// now is the time by the clock of a service.
func (c *clocks) now(to *url.URL) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.skew[clockOf(to)]).Round(0)
}

// set notes what time it is by the clock of a service.
func (c *clocks) set(to *url.URL, at time.Time) {
	skew := time.Until(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case skew.Abs() <= maxSkew:
		delete(c.skew, clockOf(to))
		return
	case c.skew == nil || len(c.skew) >= maxHosts:
		c.skew = map[string]time.Duration{}
	}
	c.skew[clockOf(to)] = skew
}
