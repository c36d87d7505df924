package endpoint

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Read tells which set a client took last, and when. The zero value means that none ever came.
type Read struct {
	KeyID string    // access key id of the set that was sent
	At    time.Time // when it was sent
	Count int       // how often this profile was fetched, all sets together
}

// board holds the current answers. Every critical section is a map access, so readers and Deliver do not wait for each other
// in any way that could be measured.
type board struct {
	format func(c aws.Credentials, now time.Time) (head []byte, err error)

	mu    sync.Mutex
	sets  map[string]*set // a *set never changes once it is in
	reads map[string]Read
}

// set is a precomputed answer.
type set struct {
	keyID     string
	accountID string
	head      []byte // the document up to the value of Expiration
	life      window
}

func newBoard(format func(aws.Credentials, time.Time) ([]byte, error)) *board {
	return &board{format: format, sets: map[string]*set{}, reads: map[string]Read{}}
}

func (b *board) deliver(sets map[string]aws.Credentials, now time.Time) error {
	fresh := make(map[string]*set, len(sets))
	for profile, c := range sets {
		if !c.HasKeys() {
			return fmt.Errorf("deliver profile %q: no keys in the set", profile)
		}
		head, err := b.format(c, now)
		if err != nil {
			return fmt.Errorf("deliver profile %q: %w", profile, err)
		}
		fresh[profile] = &set{keyID: c.AccessKeyID, accountID: c.AccountID, head: head, life: newWindow(c, now)}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for profile, s := range fresh {
		b.sets[profile] = s
	}
	return nil
}

// current returns nil for a profile that was never delivered.
func (b *board) current(profile string) *set {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sets[profile]
}

func (b *board) lastRead(profile string) Read {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads[profile]
}

func (b *board) record(profile, keyID string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads[profile] = Read{KeyID: keyID, At: at, Count: b.reads[profile].Count + 1}
}

// serve writes profile's credentials, or why there are none. A dead set is a 503: SDKs ask again after one, and every one of
// them fails on a document whose Expiration has passed.
func (b *board) serve(w http.ResponseWriter, profile string) {
	s := b.current(profile)
	if s == nil {
		refuse(w, http.StatusNotFound, "ProfileNotFound", "no credentials were delivered for this profile")
		return
	}
	now := time.Now()
	expiration, ok := s.life.reported(now)
	if !ok {
		refuse(w, http.StatusServiceUnavailable, "CredentialsExpired", "the credentials expired at "+
			s.life.end.Format(time.RFC3339)+" and have not been refreshed since")
		return
	}
	body := make([]byte, 0, len(s.head)+len(`2006-01-02T15:04:05Z"}`))
	body = append(body, s.head...)
	body = expiration.AppendFormat(body, timestamp)
	body = append(body, `"}`...)
	if writeJSON(w, http.StatusOK, body) == nil {
		b.record(profile, s.keyID, now)
	}
}
