package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"brs-exec.example/brs-exec/refresh/source/logincache"
)

// usedSteps is for how many periods before and after its own a code may still
// be taken by AWS, and with that the one that was used.
const usedSteps = 2

// usedCodes remembers the last code of a device that AWS has answered, across the
// processes of this user: it takes none twice. Who holds it is alone in asking
// for one. The file holds a time and a hash, and is of no use to anyone a minute
// later. Without a directory for it, only this process remembers.
type usedCodes struct {
	file   *os.File // nil: there is none
	serial string
	step   int64 // of the last code, in periods since 1970
	hash   string
}

// openUsedCodes waits for its turn.
func openUsedCodes(ctx context.Context, user logincache.User, serial string) (*usedCodes, error) {
	u := &usedCodes{serial: serial}
	var err error
	if u.file, err = user.Lock(ctx, "mfa-"+u.sum("")[:16]); err != nil {
		return nil, fmt.Errorf("wait for another process to use an MFA code: %w", err)
	}
	if u.file == nil {
		return u, nil
	}
	if _, err := fmt.Fscanf(u.file, "%d %64s\n", &u.step, &u.hash); err != nil {
		u.step, u.hash = 0, "" // new, or broken: the worst is one refusal
	}
	return u, nil
}

func (u *usedCodes) sum(code string) string {
	h := sha256.Sum256([]byte("brs-exec MFA\x00" + u.serial + "\x00" + code))
	return hex.EncodeToString(h[:])
}

func stepOf(t time.Time) int64 { return t.Unix() / int64(period/time.Second) }

// has says whether code is the one that was used last, and not by chance the same
// one again, a day later.
func (u *usedCodes) has(code string, now time.Time) bool {
	d := stepOf(now) - u.step
	return u.hash == u.sum(code) && -usedSteps <= d && d <= usedSteps
}

// newerUsed says whether a code of this period or of one soon after it was used: AWS
// then takes none from before.
func (u *usedCodes) newerUsed(now time.Time) bool {
	d := u.step - stepOf(now)
	return u.hash != "" && 0 <= d && d <= usedSteps
}

// markUsed remembers a code that AWS has answered.
func (u *usedCodes) markUsed(code string, now time.Time) {
	u.step, u.hash = stepOf(now), u.sum(code)
	if u.file == nil {
		return
	}
	// In place, under the lock: the file is never replaced. If it cannot be written
	// the worst is, again, one refusal.
	if u.file.Truncate(0) == nil {
		fmt.Fprintf(&atStart{u.file}, "%d %s\n", u.step, u.hash)
	}
}

// atStart writes from the beginning of a file.
type atStart struct{ *os.File }

func (a *atStart) Write(p []byte) (int, error) { return a.WriteAt(p, 0) }

func (u *usedCodes) close() {
	if u.file != nil {
		u.file.Close() // and with it the lock
	}
}
