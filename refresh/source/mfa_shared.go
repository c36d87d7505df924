package source

import (
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// codes is what several sources that are tried in order have in common: a code
// that was used for one of them serves all that begin with the same keys, a
// secret that can be read only once is there for all, and none has the terminal once
// one of them has given a set.
type codes struct {
	mu       sync.Mutex // guards what follows
	over     bool       // the command may have been started
	sessions map[string]aws.Credentials
	secrets  map[string]*totp
}

func newCodes() *codes {
	return &codes{sessions: map[string]aws.Credentials{}, secrets: map[string]*totp{}}
}

// session is the last one that was begun for of; see keptAs.
func (c *codes) session(of string) (aws.Credentials, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.sessions[of]
	return s, ok
}

// end ends the time in which the terminal is ours.
func (c *codes) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}

func (c *codes) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

func (c *codes) keep(of string, session aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[of] = session
}

// totp opens a secret, or gives the one that was read from a pipe.
func (c *codes) totp(path string) (*totp, error) {
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
