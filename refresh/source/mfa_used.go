package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const (
	// usedSteps is for how many periods before and after its own a code may still
	// be taken by AWS, and with that the one that was used.
	usedSteps = 2

	lockPoll = 50 * time.Millisecond
)

// used remembers the last code of a device that AWS has answered, across the
// processes of this user: it takes none twice. Who holds it is alone in asking
// for one. The file holds a time and a hash, and is of no use to anyone a minute
// later. Without a directory for it, only this process remembers.
type used struct {
	file   *os.File // nil: there is none
	serial string
	step   int64 // of the last code, in periods since 1970
	hash   string
}

// openUsed waits for its turn.
func openUsed(ctx context.Context, serial string) (*used, error) {
	u := &used{serial: serial}
	name := "mfa-" + u.sum("")[:16]
	for _, dir := range usedDirs() {
		if os.MkdirAll(dir, 0o700) != nil {
			continue
		}
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			continue
		}
		u.file = file
		break
	}
	if u.file == nil {
		return u, nil
	}
	for {
		if locked, err := tryLock(u.file); locked || err != nil {
			break // a file system without locks has to do
		}
		wait := time.NewTimer(lockPoll)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			u.file.Close()
			return nil, fmt.Errorf("wait for another process to use an MFA code: %w", ctx.Err())
		}
	}
	if _, err := fmt.Fscanf(u.file, "%d %64s\n", &u.step, &u.hash); err != nil {
		u.step, u.hash = 0, "" // new, or broken: the worst is one refusal
	}
	return u, nil
}

// usedDirs are where the file may be, first the one that a login and cron have in
// common. A directory that all may write to is none of them.
func usedDirs() []string {
	var dirs []string
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "brs-exec"))
	}
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" && runtime.GOOS == "linux" {
		dirs = append(dirs, filepath.Join(run, "brs-exec-mfa"))
	}
	return dirs
}

func (u *used) sum(code string) string {
	h := sha256.Sum256([]byte("brs-exec MFA\x00" + u.serial + "\x00" + code))
	return hex.EncodeToString(h[:])
}

func stepOf(t time.Time) int64 { return t.Unix() / int64(period/time.Second) }

// has says whether code is the one that was used last, and not by chance the same
// one again, a day later.
func (u *used) has(code string, now time.Time) bool {
	d := stepOf(now) - u.step
	return u.hash == u.sum(code) && -usedSteps <= d && d <= usedSteps
}

// later says whether a code of this period or of one soon after it was used: AWS
// then takes none from before.
func (u *used) later(now time.Time) bool {
	d := u.step - stepOf(now)
	return u.hash != "" && 0 <= d && d <= usedSteps
}

// burn remembers a code that AWS has answered.
func (u *used) burn(code string, now time.Time) {
	u.step, u.hash = stepOf(now), u.sum(code)
	if u.file == nil {
		return
	}
	// In place, under the lock: the file is never replaced. If it cannot be written
	// the worst is, again, one refusal.
	if u.file.Truncate(0) == nil {
		fmt.Fprintf(&at{u.file}, "%d %s\n", u.step, u.hash)
	}
}

// at writes from the beginning of a file.
type at struct{ *os.File }

func (a *at) Write(p []byte) (int, error) { return a.WriteAt(p, 0) }

func (u *used) close() {
	if u.file != nil {
		u.file.Close() // and with it the lock
	}
}
