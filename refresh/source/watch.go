package source

import (
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

const (
	// idlePoll finds new keys in files that no one tells of: on network file systems, or where
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
// that, and with it the part that others of its pool have in the source.
func (s *Source) Watch(changed func()) (stop func()) {
	var all []*watched
	for _, src := range s.sources() {
		if len(src.spec.Command) == 0 || len(src.spec.Roles) > 0 { // else it reads no file that anyone knows of
			all = append(all, &watched{src: src, changed: changed, before: src.lastFingerprint.Load()})
		}
	}
	s.pool.watcher.add(all)
	endProbes, stopShared := s.probeWhileFallenBack(changed), s.watchShared(changed)
	return func() {
		endProbes()
		stopShared()
		s.pool.watcher.remove(all)
		s.retire()
	}
}

// watched is one source that a watcher looks after.
type watched struct {
	src     *Source
	changed func()
	before  uint64 // fingerprint at the last look; the watcher's goroutine has it, and
	failing bool   // whether the source failed then
}

// watcher looks after all sources of a pool, with one goroutine while there are any: each
// file is looked at once, however many of them it has a part in.
type watcher struct {
	limits limits

	mu   sync.Mutex // guards what follows
	all  map[*watched]bool
	wake chan struct{} // has room for one
	quit chan struct{} // ends the goroutine
	done chan struct{} // it has ended
}

func (w *watcher) add(more []*watched) {
	if len(more) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 {
		w.all = map[*watched]bool{}
		w.wake, w.quit, w.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
		go w.run(w.wake, w.quit, w.done)
	}
	for _, m := range more {
		w.all[m] = true
	}
	w.wakeUp()
}

// remove returns when the goroutine has ended, if nothing is left for it.
func (w *watcher) remove(some []*watched) {
	w.mu.Lock()
	left := len(w.all)
	for _, m := range some {
		delete(w.all, m)
	}
	quit, done := w.quit, w.done
	ends := left > 0 && len(w.all) == 0
	w.mu.Unlock()
	if ends {
		close(quit)
		<-done
	}
}

// wakeUp tells that a source has come, or is another by now. mu is held.
func (w *watcher) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// lookAgain is for a source that begins to fail, or whose configuration has changed.
func (w *watcher) lookAgain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakeUp()
}

// list are those that are watched now, and the files that events are wanted of.
func (w *watcher) list() (all []*watched, files []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for m := range w.all {
		all = append(all, m)
		if path := m.src.absolute(m.src.spec.File); path != "" {
			files = append(files, path)
		}
	}
	return all, files
}

func (w *watcher) run(wake, quit <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	notify := &notifier{}
	defer func() { notify.close() }()
	timer := time.NewTimer(debounce) // for what was changed in the meantime
	defer timer.Stop()
	at := time.Now().Add(debounce) // when the timer is due
	within := func(d time.Duration) {
		if next := time.Now().Add(d); next.Before(at) {
			at = next
			timer.Reset(d)
		}
	}
	known, idle, event := 0, time.Time{}, false // sources at the last look; when all may be looked at again
	for {
		select {
		case <-quit:
			return
		case <-wake:
			all, files := w.list()
			if len(all) != known {
				known = len(all)
				if notify.w == nil && len(files) > 0 && !w.limits.pollOnly {
					notify = newNotifier()
				}
				notify.rewatch(files)
				idle = time.Time{}
				within(debounce)
			} else {
				within(retryPoll)
			}
			continue
		case <-notify.events():
			event = true
			within(debounce)
			continue
		case <-timer.C:
		}
		all, files := w.list()
		known = len(all)
		notify.rewatch(files)
		everything := event || !time.Now().Before(idle)
		failing, keys := look(all, everything)
		event = false
		if everything {
			idle = time.Now().Add(idlePoll)
		}
		next := time.Until(idle)
		if failing {
			next = min(next, retryPoll)
		}
		if w.limits.noPoll || !failing && !keys { // a file that matters only to a source that fails is not looked at until then
			at = never
			continue
		}
		at = time.Now().Add(next)
		timer.Reset(next)
	}
}

// never is later than any look.
var never = time.Unix(1<<40, 0)

// look looks for what has changed for those that fail, or for all. It says whether any fails,
// and whether any has its keys in a file.
func look(all []*watched, everything bool) (fails, keys bool) {
	g := &glance{}
	for _, w := range all {
		failing, hasKeys := w.src.failing.Load(), w.src.hasStaticKeys()
		fails, keys = fails || failing, keys || hasKeys
		if failing && !w.failing && !hasKeys {
			w.before = w.src.lastFingerprint.Load() // the retrieval that failed has seen what was changed until it began
		}
		w.failing = failing
		if !failing && !everything {
			continue
		}
		refresh.Protect(func() error {
			after := w.src.fingerprint(g)
			if after != w.before {
				w.before = after
				if failing || hasKeys {
					w.changed()
				}
			}
			return nil
		})
	}
	return fails, keys
}

// noteOutcome tells the watcher how a retrieval went.
func (s *Source) noteOutcome(err error) {
	if !s.failing.Swap(err != nil) && err != nil {
		s.pool.watcher.lookAgain()
	}
}

// hasStaticKeys says whether the keys themselves stand in a file, so that a change of it
// is new credentials.
func (s *Source) hasStaticKeys() bool {
	f := s.current()
	return s.spec.File != "" || len(f.roles) == 0 && len(f.origins) > 0 && f.origins[len(f.origins)-1] == aws.CredentialSourceProfile
}

// glance is what was seen of files at one look, for all sources that they have a part in.
type glance struct{ seen map[string]string }

func (g *glance) at(what string, look func() string) string {
	text, ok := g.seen[what]
	if !ok {
		text = look()
		if g.seen == nil {
			g.seen = map[string]string{}
		}
		g.seen[what] = text
	}
	return text
}

var printSeed = maphash.MakeSeed()

// markFingerprint notes what files were when f was read.
func (s *Source) markFingerprint(f *resolved) {
	s.lastFingerprint.Store(s.fingerprint(&glance{seen: map[string]string{s.ofConfiguration(): f.fingerprint}}))
}

// fingerprint changes when a file does that has a part in the source.
func (s *Source) fingerprint(g *glance) uint64 {
	f := s.current()
	var b strings.Builder
	file := func(path string) {
		if path != "" {
			path = s.absolute(path)
			b.WriteString(g.at(path, func() string { return s.fileFingerprint(path) }))
		}
	}
	if s.spec.File != "" {
		file(s.spec.File)
		return maphash.String(printSeed, b.String())
	}
	b.WriteString(g.at(s.ofConfiguration(), s.configFingerprint))
	file(f.tokenFile)
	for i := range f.roles { // not a copy: a retrieval may be cutting a duration
		for _, c := range f.roles[i].ProvidedContexts {
			file(c.File)
		}
	}
	if p := s.spec.pair(); p != nil {
		for _, path := range p.files.Files() {
			file(path)
		}
	}
	for _, dir := range s.loginCaches(f) {
		b.WriteString(g.at("entries of "+dir, func() string { return s.dirFingerprint(dir) }))
	}
	return maphash.String(printSeed, b.String())
}

// ofConfiguration is what a glance has the fingerprint of the shared files under.
func (s *Source) ofConfiguration() string { return "configuration of " + s.dir }

// dirFingerprint changes when a file in a directory does.
func (s *Source) dirFingerprint(dir string) string {
	var b strings.Builder
	entries, _ := os.ReadDir(dir) // none: not logged in
	for _, e := range entries {
		b.WriteString(s.fileFingerprint(filepath.Join(dir, e.Name())))
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
