//go:build unix

package integration

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// patience is how long a test waits for something that should take moments; it
// is long because the machine may be busy.
const patience = 8 * time.Minute

// world is what one test runs brs-exec in: a server, directories and an
// environment of its own, into which nothing leaks from the one that runs the
// tests (a preset AWS_CA_BUNDLE or a developer's profile, say).
type world struct {
	t      *testing.T
	server *fakeaws.Server
	dir    string // everything else is in here
	run    string // XDG_RUNTIME_DIR, where run directories go
	env    map[string]string
	// reveals is set by tests of commands whose output is credentials.
	reveals bool
	// secrets are those of a server besides, or nil.
	secrets func() []string
	// user is who starts everything; nil: whoever runs the tests.
	user interface{ attributes() *syscall.SysProcAttr }
	// leaves is set by tests that kill brs-exec before it can tidy up.
	leaves bool
	begun  func() // lets the next test begin
}

// beginning has a place for each test that begins: start-up takes nearly all of the
// work that a test makes, and if all began at once credentials would expire before
// a client has made its first call.
var beginning = make(chan struct{}, max(4, 3*runtime.GOMAXPROCS(0)))

// begin waits for a place. It is given back when the first process prints something
// or ends, or after some seconds, for those that never do.
func begin(t *testing.T) (begun func()) {
	beginning <- struct{}{}
	begun = sync.OnceFunc(func() { <-beginning })
	time.AfterFunc(3*time.Second, begun)
	t.Cleanup(begun)
	return begun
}

// newWorld has a server whose credentials have this lifetime, and a user's keys for it in
// the environment.
func newWorld(t *testing.T, life time.Duration) *world {
	t.Helper()
	return worldIn(t, t.TempDir(), life)
}

func worldIn(t *testing.T, dir string, life time.Duration) *world {
	t.Helper()
	begun := begin(t)
	server, err := fakeaws.Listen(fakeaws.Options{Life: life})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	w := &world{t: t, server: server, dir: dir, run: filepath.Join(dir, "run"), begun: begun}
	for _, d := range []string{w.run, w.path("home"), w.path("tmp"), w.path("cover")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.write("config", "[default]\nregion = eu-central-1\n")
	w.write("credentials", "")
	keys := server.Bootstrap()
	w.env = map[string]string{
		"TZ":                          "UTC", // of what a person reads
		"PATH":                        filepath.Join(clientsDir(), "venv", "bin") + ":" + os.Getenv("PATH"),
		"HOME":                        w.path("home"),
		"TMPDIR":                      w.path("tmp"),
		"XDG_RUNTIME_DIR":             w.run,
		"LC_ALL":                      "C.UTF-8",
		"GOCOVERDIR":                  w.path("cover"),
		"AWS_CONFIG_FILE":             w.path("config"),
		"AWS_SHARED_CREDENTIALS_FILE": w.path("credentials"),
		"AWS_EC2_METADATA_DISABLED":   "true",
		"AWS_REGION":                  "us-east-1",
		"AWS_ENDPOINT_URL":            server.URL(),
		"AWS_ACCESS_KEY_ID":           keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":       keys.SecretAccessKey,
	}
	return w
}

const roleARN = "arn:aws:iam::123456789012:role/App"

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// write makes a file in the world's directory and returns its path.
func (w *world) write(name, content string) string {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}

// unset removes variables.
func (w *world) unset(names ...string) {
	for _, n := range names {
		delete(w.env, n)
	}
}

func (w *world) environ() []string {
	env := make([]string, 0, len(w.env))
	for _, name := range slices.Sorted(maps.Keys(w.env)) {
		env = append(env, name+"="+w.env[name])
	}
	return env
}

// brsExec starts brs-exec with args.
func (w *world) brsExec(args ...string) *process {
	w.t.Helper()
	return w.start(brsExec(w.t), args...)
}

// start runs a command, its standard input a pipe that the test holds.
func (w *world) start(name string, args ...string) *process {
	w.t.Helper()
	return w.startWith(nil, name, args...)
}

// startWith is start with more descriptors, from 3 on.
func (w *world) startWith(files []*os.File, name string, args ...string) *process {
	w.t.Helper()
	p := &process{w: w, done: make(chan struct{})}
	p.stdout.wrote = w.begun
	p.cmd = exec.Command(name, args...)
	p.cmd.ExtraFiles = files
	p.cmd.Env, p.cmd.Dir = w.environ(), w.dir
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// A group of its own: whatever a failed test leaves is ended with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if w.user != nil {
		p.cmd.SysProcAttr = w.user.attributes()
	}
	// A child that outlives brs-exec holds the pipes; don't wait for it.
	p.cmd.WaitDelay = 2 * time.Second
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
		w.begun()
	}()
	w.t.Cleanup(func() {
		if !p.ended() {
			w.leaves = true // the kill that follows is no fair end
		}
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		p.audit()
	})
	return p
}

// process is one started command.
type process struct {
	w      *world
	cmd    *exec.Cmd
	stdin  interface{ Close() error }
	stdout output
	stderr output
	done   chan struct{}
	err    error // of Wait, once done is closed
}

// audit checks what holds for every run: nothing that was printed holds a secret
// that the server issued, and no run directory is left.
func (p *process) audit() {
	t := p.w.t
	t.Helper()
	if !p.w.reveals {
		secrets := p.w.server.Secrets()
		if p.w.secrets != nil {
			secrets = append(secrets, p.w.secrets()...)
		}
		if s := leaked(p.stdout.String()+p.stderr.String(), secrets); s != "" {
			t.Errorf("a secret (%s…) was printed by %q\nstderr:\n%s", s[:4], p.cmd.Args, p.stderr.String())
		}
	}
	if !p.w.leaves {
		if left := p.w.tree(p.w.run); len(left) > 0 {
			t.Errorf("left behind in the run directory's parent: %q", left)
		}
	}
	if t.Failed() {
		t.Logf("%q printed on standard error:\n%s", p.cmd.Args, p.stderr.String())
	}
}

// leaked returns the first of secrets that text holds.
func leaked(text string, secrets []string) string {
	for _, s := range secrets {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}

// tree lists what is below dir. Lock files of nobody are fine to stay.
func (w *world) tree(dir string) []string {
	var found []string
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return nil
	})
	return found
}

// exit waits for the process and returns its exit code, 128+n if signal n ended
// it.
func (p *process) exit() int {
	p.w.t.Helper()
	return p.exitWithin(patience)
}

func (p *process) exitWithin(d time.Duration) int {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-time.After(d):
		p.w.t.Fatalf("%q still runs after %v\nstdout:\n%s\nstderr:\n%s", p.cmd.Args, d, p.stdout.String(), p.stderr.String())
	}
	if p.err != nil && !errors.As(p.err, new(*exec.ExitError)) && !errors.Is(p.err, exec.ErrWaitDelay) {
		p.w.t.Fatal(p.err)
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// ended tells whether the process is over.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(s syscall.Signal) {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.w.t.Fatal(err)
	}
}

// output collects what a process prints.
type output struct {
	wrote func()     // called at each write, if it is set
	mu    sync.Mutex // guards buf
	buf   bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	if o.wrote != nil {
		o.wrote()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// String is everything so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// lines are the complete lines so far.
func (o *output) lines() []string {
	lines := strings.Split(o.String(), "\n")
	return lines[:len(lines)-1]
}

// eventually waits until ok, and fails the test with what it waited for.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	if !poll(within, ok) {
		t.Fatalf("not within %v: %s", within, what)
	}
}

// poll asks ok again and again, and returns false if it was never true.
func poll(within time.Duration, ok func() bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			return ok()
		case <-tick.C:
		}
	}
	return true
}

// read is the content of a file in the world's directory, "" if there is none.
func (w *world) read(name string) string {
	b, err := os.ReadFile(w.path(name))
	if err != nil {
		return ""
	}
	return string(b)
}
