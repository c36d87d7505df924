package source

import (
	"fmt"
	"os"
	"sync"
)

// Pool is what the sources of one process have in common: the clients that AWS is asked
// with, what the configuration files say, the sessions that were begun with MFA. Sources
// of one pool may be used at the same time.
type Pool struct {
	attempts *attempts
	watcher  watcher
	one      bool // of New, for one source: what it has read is not kept for others

	mu      sync.Mutex // guards what follows
	reach   *reach
	clients map[string]*clients // by their keys
	commons map[string]*common  // by their keys
	files   *awsFiles           // as they were last read
	stamp   string              // configFingerprint at that time
	noted   map[string]int      // how many sources have had a note
}

// NewPool makes a pool for many sources.
func NewPool() *Pool {
	p := newPool()
	p.one = false
	return p
}

func newPool() *Pool {
	return &Pool{attempts: newAttempts(), one: true, clients: map[string]*clients{}, commons: map[string]*common{}, noted: map[string]int{}}
}

// make makes a source that has not read the configuration.
func (p *Pool) make(s Spec) *Source {
	p.mu.Lock()
	if p.reach == nil {
		p.reach, p.watcher.limits = newReach(s.limits, !p.one), s.limits
	}
	web := &web{reach: p.reach}
	p.mu.Unlock()
	src := &Source{spec: s, pool: p, web: web}
	src.dir, _ = os.Getwd() // one that is gone has no relative paths in it
	src.newSharing()
	return src
}

// sharedClients are those of that key; the first source that needs them makes them.
func (p *Pool) sharedClients(key string, make func() (*clients, error)) (*clients, error) {
	if p.one {
		return make()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[key]; c != nil {
		return c, nil
	}
	c, err := make()
	if err == nil {
		p.clients[key] = c
	}
	return c, err
}

// sharedFiles are the configuration files, read again only after a change.
func (p *Pool) sharedFiles(s *Source) (*awsFiles, error) {
	if p.one {
		return readShared(s.vars())
	}
	stamp := s.configFingerprint()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files != nil && p.stamp == stamp {
		return p.files, nil
	}
	files, err := readShared(s.vars())
	if err == nil {
		p.files, p.stamp = files, stamp
	}
	return files, err
}

// firstToNote counts one more source that a note is true of, and says whether it is the first.
func (p *Pool) firstToNote(line string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted[line]++
	return p.one || p.noted[line] == 1
}

// alsoOf says of how many others than the first a note is true.
func (p *Pool) alsoOf(line string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch n := p.noted[line] - 1; {
	case p.one || n < 1:
		return ""
	case n == 1:
		return " (so it is for one more profile)"
	default:
		return fmt.Sprintf(" (so it is for %d more profiles)", n)
	}
}

// forgetNote lets a note be made again.
func (p *Pool) forgetNote(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.noted, line)
}
