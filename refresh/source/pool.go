package source

import (
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
}

// NewPool makes a pool for many sources.
func NewPool() *Pool {
	p := newPool()
	p.one = false
	return p
}

func newPool() *Pool {
	return &Pool{attempts: newAttempts(), one: true, clients: map[string]*clients{}, commons: map[string]*common{}}
}

// make makes a source that has not read the configuration.
func (p *Pool) make(s Spec) *Source {
	p.mu.Lock()
	if p.reach == nil {
		p.reach, p.watcher.limits = newReach(s.limits, !p.one), s.limits
	}
	web := &web{reach: p.reach}
	p.mu.Unlock()
	src := &Source{spec: s, pool: p, web: web, noted: map[string]bool{}}
	src.dir, _ = os.Getwd() // one that is gone has no relative paths in it
	src.newSharing()
	return src
}

// sharedClients are those of that key; the first source that needs them makes them.
func (p *Pool) sharedClients(key string, make func(key string) (*clients, error)) (*clients, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[key]; c != nil {
		return c, nil
	}
	c, err := make(key)
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
