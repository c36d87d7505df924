package source

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// attempts is what several sources that are tried in order have in common: a code
// that was used for one of them serves all that begin with the same keys, a
// secret that can be read only once is there for all, and none has the terminal once
// one of them has given credentials.
type attempts struct {
	mu             sync.Mutex // guards what follows
	commandStarted bool       // the command may have been started
	sessions       map[string]aws.Credentials
	secrets        map[string]*totp
	failures       map[string]error
	turns          map[string]chan struct{} // room for one: who has put something in has its turn
}

func newAttempts() *attempts {
	return &attempts{sessions: map[string]aws.Credentials{}, secrets: map[string]*totp{}, turns: map[string]chan struct{}{}, failures: map[string]error{}}
}

// turn waits until no other source has its turn at what key names. done ends it.
func (c *attempts) turn(ctx context.Context, key string) (done func(), err error) {
	c.mu.Lock()
	t := c.turns[key]
	if t == nil {
		t = make(chan struct{}, 1)
		c.turns[key] = t
	}
	c.mu.Unlock()
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// session is the last one that was begun for that key; see mfaSessionKey.
func (c *attempts) session(of string) (aws.Credentials, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.sessions[of]
	return s, ok
}

// markStarted marks that the command may have the terminal from now on.
func (c *attempts) markStarted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commandStarted = true
}

func (c *attempts) hasStarted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commandStarted
}

// fail keeps an error that others would get as well.
func (c *attempts) fail(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures[key] = err
}

func (c *attempts) failure(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures[key]
}

func (c *attempts) keep(of string, session aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[of] = session
}

// totp opens a secret, or gives the one that was read from a pipe.
func (c *attempts) totp(path string) (*totp, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.secrets[path]; t != nil {
		return t, nil
	}
	t, err := openTOTP(path)
	if err == nil && t.once {
		c.secrets[path] = t
	}
	return t, err
}
