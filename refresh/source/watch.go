package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
)

const (
	// idlePoll finds what no one tells: changes on network file systems, or where
	// there are no watches left. It is the engine's own heartbeat.
	idlePoll = 30 * time.Second

	// retryPoll is for when a source has failed, and a person may be busy
	// repairing it.
	retryPoll = 3 * time.Second

	// debounce is how long after an event one looks: they come in bursts.
	debounce = 100 * time.Millisecond
)

// Watch has changed called when it is worth retrieving before new credentials are due:
// a credentials file was changed; or, after a failure, something that the failure
// may be about: the AWS configuration, the cache of `aws sso login` and `aws
// login`, a token, a certificate; or another process has refreshed what is shared. stop ends
// that.
func (s *Source) Watch(changed func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	stopShared := s.watchShared(changed)
	go func() {
		defer close(done)
		refresh.Protect(func() error { s.watch(ctx, changed); return nil })
	}()
	return func() {
		stopShared()
		cancel()
		<-done
	}
}

func (s *Source) watch(ctx context.Context, changed func()) {
	if len(s.fallbacks) > 0 {
		s.watchAll(ctx, changed)
		return
	}
	s.watchOne(ctx, changed)
}

func (s *Source) watchOne(ctx context.Context, changed func()) {
	if len(s.spec.Command) > 0 && len(s.spec.Roles) == 0 {
		return // it reads no file that anyone knows of
	}
	notify := s.notifier()
	defer notify.close()
	before, soon := s.lastFingerprint, false
	timer := time.NewTimer(debounce) // for what was changed in the meantime
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.failed:
			if !soon {
				timer.Reset(retryPoll)
			}
			continue
		case <-notify.events():
			if !soon {
				timer.Reset(debounce)
			}
			soon = true
			continue
		case <-timer.C:
		}
		soon = false
		failing := s.failing.Load()
		if s.spec.limits.noPoll {
			timer.Stop()
		} else if failing {
			timer.Reset(retryPoll)
		} else {
			timer.Reset(idlePoll)
		}
		notify.rewatch()
		if after := s.fingerprint(); after != before {
			before = after
			if failing || s.hasStaticKeys() {
				changed()
			}
		}
	}
}

// noteOutcome tells Watch how a retrieval went.
func (s *Source) noteOutcome(err error) {
	if s.failing.Swap(err != nil) || err == nil {
		return
	}
	select {
	case s.failed <- struct{}{}:
	default:
	}
}

// hasStaticKeys says whether the keys themselves stand in a file, so that a change of it
// is new credentials.
func (s *Source) hasStaticKeys() bool {
	f := s.current()
	return s.spec.File != "" || len(f.roles) == 0 && len(f.origins) > 0 && f.origins[len(f.origins)-1] == aws.CredentialSourceProfile
}

// fingerprint changes when a file does that has a part in the source.
func (s *Source) fingerprint() string {
	f := s.current()
	if s.spec.File != "" {
		return s.fileFingerprint(s.spec.File)
	}
	var b strings.Builder
	b.WriteString(s.configFingerprint())
	b.WriteString(s.fileFingerprint(f.tokenFile))
	for i := range f.roles { // not a copy: a retrieval may be cutting a duration
		for _, c := range f.roles[i].ProvidedContexts {
			b.WriteString(s.fileFingerprint(c.File))
		}
	}
	if p := s.spec.pair(); p != nil {
		for _, path := range p.files.Files() {
			b.WriteString(s.fileFingerprint(path))
		}
	}
	for _, dir := range s.loginCaches(f) {
		entries, _ := os.ReadDir(dir) // none: not logged in
		for _, e := range entries {
			b.WriteString(s.fileFingerprint(filepath.Join(dir, e.Name())))
		}
	}
	return b.String()
}

// absolute is where a path leads that was relative when the source was made: Watch runs
// at times when the process is elsewhere.
func (s *Source) absolute(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.dir, path)
}

// fileFingerprint is what tells a file from what it was: also its mode, because a person
// may change that.
func (s *Source) fileFingerprint(path string) string {
	if path == "" {
		return ""
	}
	info, err := os.Stat(s.absolute(path))
	if err != nil {
		return "none\n"
	}
	return fmt.Sprintf("%s %d %d %s %d\n", filepath.Base(path), info.Size(), info.ModTime().UnixNano(), info.Mode(), inode(info))
}

// loginCaches are where the AWS CLI puts what a login has brought.
func (s *Source) loginCaches(f *resolved) []string {
	var dirs []string
	if path, err := s.vars().tokenPath(""); err == nil && f.from(aws.CredentialSourceSSO, aws.CredentialSourceSSOLegacy) {
		dirs = append(dirs, filepath.Dir(path))
	}
	if path, err := s.vars().loginPath(""); err == nil && f.from(aws.CredentialSourceLogin) {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}
