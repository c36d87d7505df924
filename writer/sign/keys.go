package sign

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// refreshWait is how long a request waits for credentials where those that there are have expired.
	refreshWait = 10 * time.Second
	// maxKeys bounds what is remembered of issued and of learned credentials, each.
	maxKeys = 4096
)

// keys knows which credentials a request is checked and signed with.
type keys struct {
	mu      sync.Mutex
	real    map[string]aws.Credentials // by profile
	changed chan struct{}              // closed at the next delivery
	local   map[string]*local          // by profile: those without an end
	byID    map[string]*local          // by key ID: all
	issued  *list.List                 // of *local with an end, the oldest first
	learned *learned
}

// local are credentials that the command was given in place of a profile's.
type local struct {
	profile string
	aws.Credentials
}

func newKeys() *keys {
	return &keys{
		real: map[string]aws.Credentials{}, changed: make(chan struct{}),
		local: map[string]*local{}, byID: map[string]*local{}, issued: list.New(), learned: newLearned(),
	}
}

func (k *keys) deliver(sets map[string]aws.Credentials) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for profile, c := range sets {
		switch {
		case c == (aws.Credentials{}):
			delete(k.real, profile)
		case !c.HasKeys():
			errs = append(errs, fmt.Errorf("deliver profile %q: credentials without keys", profile))
		default:
			k.real[profile] = c
		}
	}
	close(k.changed)
	k.changed = make(chan struct{})
	return errors.Join(errs...)
}

func (k *keys) localOf(profile string) aws.Credentials {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.local[profile]
	if l == nil {
		l = &local{profile, aws.Credentials{AccessKeyID: keyID("AKIA"), SecretAccessKey: secret(), Source: "brs-exec"}}
		k.local[profile], k.byID[l.AccessKeyID] = l, l
	}
	return l.Credentials
}

func (k *keys) issue(profile string, life time.Duration, now time.Time) aws.Credentials {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := &local{profile, aws.Credentials{
		AccessKeyID: keyID("ASIA"), SecretAccessKey: secret(), SessionToken: "brs-exec/" + secret(), Source: "brs-exec",
		CanExpire: true, Expires: now.Add(life).UTC(),
	}}
	k.byID[l.AccessKeyID] = l
	k.issued.PushBack(l)
	if k.issued.Len() > maxKeys {
		oldest := k.issued.Remove(k.issued.Front()).(*local)
		delete(k.byID, oldest.AccessKeyID)
	}
	return l.Credentials
}

// find returns the local credentials with a key ID, nil if it is not one of ours.
func (k *keys) find(id string) *local {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byID[id]
}

// errNoCredentials says that there is nothing to sign for a profile with.
var errNoCredentials = errors.New("no credentials were delivered for this profile")

// of returns the real credentials of a profile. Where there are none that are valid it waits for the next delivery, for a while,
// and then returns what there is.
func (k *keys) of(ctx context.Context, profile string) (aws.Credentials, error) {
	timer := time.NewTimer(refreshWait)
	defer timer.Stop()
	for {
		k.mu.Lock()
		c, ok := k.real[profile]
		changed := k.changed
		k.mu.Unlock()
		if ok && !(c.CanExpire && !time.Now().Round(0).Before(c.Expires)) {
			return c, nil
		}
		select {
		case <-changed:
			continue
		case <-timer.C:
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
		if !ok {
			return aws.Credentials{}, errNoCredentials
		}
		return c, nil
	}
}

// keyID returns a key ID that people can tell from real ones: of 20 characters, as AWS's are, since some clients check that.
func keyID(prefix string) string {
	b := make([]byte, 10)
	rand.Read(b) // never fails: it ends the program rather than return weak bytes
	return prefix + "BRSEXEC" + base32.StdEncoding.EncodeToString(b)[:9]
}

// secret returns 160 random bits as 40 characters, as long as AWS's, that need quoting in no file, shell or URL.
func secret() string {
	b := make([]byte, 20)
	rand.Read(b)
	return hex.EncodeToString(b)
}
