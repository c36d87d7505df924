//go:build unix

package supervisor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/supervisor/job"
	"brs-exec.example/brs-exec/supervisor/siginfo"
)

// The model: random events against the supervisor and a child that is none. Each
// event is handled to its end before the next one comes, so that what has to
// follow is known.

// world is what the supervisor runs in.
type world struct {
	t     *testing.T
	bytes []byte   // decide everything
	log   []string // what has happened
	mu    sync.Mutex

	s      *Supervisor
	cancel context.CancelFunc
	ready  chan struct{}
	child  *modelChild // nil: none yet
	pids   int
	fails  bool // the next start fails

	told      bool // to end: by a signal that has reached the child, or in a pause
	cut       bool // the wait for orphans may be: a signal has come that asks for the end
	cancelled bool
	failed    bool // a start has
	stopOver  time.Time
	orphans   int
	left      chan struct{} // closed when what the last child has left behind has ended

	returned chan struct{}
	exit     Exit
	err      error
}

// modelChild stands for the child.
type modelChild struct {
	w       *world
	pid     int
	changes []change
	ended   bool // a zombie, or reaped
	reaped  bool
	last    Exit
	stopped bool
	pending Exit // of a signal that came while it was stopped
	ignores bool // TERM and the like
	foreign bool // may not be signalled
}

// pick is the next decision, between 0 and n-1; 0 at the end of the bytes.
func (w *world) pick(n int) int {
	if len(w.bytes) == 0 {
		return 0
	}
	b := w.bytes[0]
	w.bytes = w.bytes[1:]
	return int(b) % n
}

// order is for the race detector, to which time that passes orders nothing: what
// the supervisor does when a timer fires comes after what was done before the sleep.
func (w *world) order() {
	w.mu.Lock()
	defer w.mu.Unlock()
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\nafter:\n  %s", fmt.Sprintf(format, args...), strings.Join(w.log, "\n  "))
}

// send has the supervisor catch a signal.
func (w *world) send(sig syscall.Signal) {
	w.cut = w.cut || asksForEnd(sig)
	w.s.signals.stream.Put(siginfo.Info{Signal: sig, Origin: siginfo.Process, PID: 1})
	select {
	case w.s.signals.arrived <- struct{}{}:
	default:
	}
}

// happens is a change of the child that the kernel tells of; or, where many
// signals come at once, that which tells is lost, and another one is there.
func (c *modelChild) happens(ch change) {
	c.changes = append(c.changes, ch)
	sig := unix.SIGCHLD
	if c.w.pick(4) == 0 {
		sig = unix.SIGWINCH
	}
	c.w.send(sig)
}

func (c *modelChild) end(exit Exit) {
	if c.ended {
		return
	}
	c.w.note("pid %d ends: %v", c.pid, exit)
	c.ended, c.last = true, exit
	c.happens(change{kind: ended, exit: exit})
}

func (c *modelChild) Pid() int       { return c.pid }
func (c *modelChild) OwnGroup() bool { return false }
func (c *modelChild) Terminal() bool { return false }
func (c *modelChild) Ended()         { c.w.order(); c.reaped = true }

func (c *modelChild) Suspended(syscall.Signal) error { return nil }

func (c *modelChild) SignalGroup(sig syscall.Signal) error { return c.Signal(sig) }

func (c *modelChild) Forward(_ siginfo.Info, as syscall.Signal, _ bool) error { return c.Signal(as) }

func (c *modelChild) Signal(sig syscall.Signal) error {
	c.w.order()
	c.w.note("pid %d is sent %s", c.pid, SignalName(sig))
	switch {
	case c.reaped:
		c.w.fail("a signal to pid %d, which is reaped", c.pid)
	case c.foreign:
		return unix.EPERM
	case c.ended:
	case sig == unix.SIGKILL:
		c.end(signalled(sig))
	case sig == unix.SIGCONT:
		if c.stopped {
			c.stopped = false
			c.happens(change{kind: continued})
			if c.pending.Signal != 0 {
				c.end(c.pending)
			}
		}
	case (sig == unix.SIGTERM || sig == unix.SIGINT || sig == unix.SIGQUIT) && !c.ignores:
		if c.pending = signalled(sig); !c.stopped {
			c.end(c.pending)
		}
	}
	return nil
}

// launch, watch, tick and poll are what the kernel does.
func (w *world) launch(job.Spec) (subprocess, error) {
	w.order()
	switch {
	case w.fails:
		w.failed = true
		w.note("a start fails")
		return nil, unix.ENOENT
	case w.cancelled, w.told:
		w.fail("started again after it was to end")
	case w.child != nil && !w.child.reaped:
		w.fail("two children at once")
	}
	w.pids++
	w.child = &modelChild{w: w, pid: 1<<23 + w.pids, ignores: w.pick(3) == 0, foreign: w.pick(8) == 1}
	w.note("pid %d is started: %+v", w.child.pid, *w.child)
	return w.child, nil
}

func (w *world) watch(subprocess) {}

func (w *world) tick() <-chan struct{} { return nil }

func (w *world) poll(p subprocess) (change, error) {
	w.order()
	c := p.(*modelChild)
	if len(c.changes) == 0 {
		return change{}, nil
	}
	next := c.changes[0]
	c.changes = c.changes[1:]
	return next, nil
}

const modelGrace = 10 * time.Second

// play lets the supervisor live through what the bytes say.
func play(t *testing.T, bytes []byte) {
	w := &world{t: t, bytes: bytes, ready: make(chan struct{}), returned: make(chan struct{}), left: make(chan struct{})}
	dropsTERM := w.pick(4) == 1
	o := Options{
		Argv: []string{"/command"}, StopTimeout: modelGrace, StopOrphans: time.Second, WaitOrphans: w.pick(2) == 1,
		Restart: Restart{Policy: RestartPolicy(w.pick(3)), Max: w.pick(3), Delay: time.Second, DelayMax: time.Minute},
	}
	if dropsTERM {
		o.Rewrite = map[syscall.Signal]syscall.Signal{unix.SIGTERM: 0}
	}
	w.note("policy %d, at most %d, TERM is dropped: %v, orphans are waited for: %v", o.Restart.Policy, o.Restart.Max, dropsTERM, o.WaitOrphans)
	signals := &Signals{stream: &siginfo.Stream{}, arrived: make(chan struct{}, 1), stop: func() {}}
	var err error
	if w.s, err = New(o, signals); err != nil {
		t.Fatal(err)
	}
	w.s.shrink = time.AfterFunc(time.Hour, func() {})
	w.s.launch, w.s.wait, w.s.stopOrphans = w.launch, w, func(time.Duration) { w.order(); w.orphans++ }
	w.s.waitOrphans = func() { <-w.left }
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() {
		defer close(w.returned)
		w.exit, w.err = w.s.Run(ctx, w.ready)
	}()
	synctest.Wait()
	for len(w.bytes) > 0 && !w.over() {
		w.event(dropsTERM)
		synctest.Wait()
		w.check()
	}
	w.finish()
}

func (w *world) over() bool {
	select {
	case <-w.returned:
		return true
	default:
		return false
	}
}

// alive is the child if it has not ended.
func (w *world) alive() *modelChild {
	if w.child == nil || w.child.ended {
		return nil
	}
	return w.child
}

func (w *world) event(dropsTERM bool) {
	switch w.pick(13) {
	case 0:
		if w.child == nil && !w.fails {
			w.note("ready")
			select {
			case <-w.ready:
			default:
				close(w.ready)
			}
		}
	case 1, 2:
		if c := w.alive(); c != nil && !c.stopped {
			c.end(Exit{Code: w.pick(3)})
		}
	case 3:
		if c := w.alive(); c != nil && !c.stopped {
			w.note("pid %d is stopped by another process", c.pid)
			c.stopped = true
			c.happens(change{kind: stopped, signal: unix.SIGSTOP})
		}
	case 4:
		w.toEnd(unix.SIGTERM, dropsTERM)
	case 5:
		w.toEnd(unix.SIGINT, false)
	case 6:
		sig := []syscall.Signal{unix.SIGUSR1, unix.SIGWINCH, unix.SIGCONT, unix.SIGCHLD, unix.SIGHUP, unix.SIGTSTP}[w.pick(6)]
		w.note("we are sent %s", SignalName(sig))
		if sig == unix.SIGHUP && w.child == nil {
			w.told = true
		}
		w.send(sig)
	case 7:
		if w.pick(3) == 0 {
			w.stop()
		}
	case 8:
		w.note("the orphans end")
		w.orphansEnd()
	case 9, 12:
		w.note("a restart is asked for")
		w.s.Restart()
	case 10:
		w.note("a reaction signals")
		w.s.Signal(unix.SIGUSR1, true)
	case 11:
		pass := []time.Duration{time.Millisecond, time.Second, modelGrace + time.Second, time.Hour}[w.pick(4)]
		w.note("%v pass", pass)
		w.fails = w.pick(16) == 1
		w.order()
		time.Sleep(pass)
	}
}

func (w *world) toEnd(sig syscall.Signal, dropped bool) {
	w.note("we are sent %s", SignalName(sig))
	if !dropped || w.child == nil {
		w.told = true
	}
	w.send(sig)
}

func (w *world) orphansEnded() bool {
	select {
	case <-w.left:
		return true
	default:
		return false
	}
}

func (w *world) orphansEnd() {
	if !w.orphansEnded() {
		close(w.left)
	}
}

func (w *world) stop() {
	w.note("cancelled")
	if !w.cancelled {
		w.stopOver = time.Now().Add(modelGrace)
	}
	w.cancelled = true
	w.cancel()
}

// check holds what must be true after each event.
func (w *world) check() {
	w.t.Helper()
	c := w.child
	if w.over() {
		return
	}
	switch {
	case c != nil && c.ended && !c.reaped:
		w.fail("pid %d has ended, and is not waited for", c.pid)
	case w.cancelled && (c == nil || c.reaped):
		w.fail("cancelled without a child, and Run goes on")
	case w.told && (c == nil || c.reaped):
		w.fail("told to end without a child, and Run goes on")
	case w.cancelled && !c.foreign && !c.ignores:
		w.fail("cancelled, and pid %d has not seen that it is to end", c.pid)
	case w.cancelled && !c.foreign && time.Now().After(w.stopOver):
		w.fail("the grace period is over, and pid %d lives", c.pid)
	}
}

// finish brings the run to its end, and looks at what came out.
func (w *world) finish() {
	w.t.Helper()
	defer w.orphansEnd()
	if !w.over() {
		w.stop()
		synctest.Wait()
		w.order()
		time.Sleep(modelGrace + time.Second)
		synctest.Wait()
		if c := w.alive(); c != nil && c.foreign {
			c.end(Exit{Code: 9})
			synctest.Wait()
		}
	}
	if !w.over() {
		w.fail("Run has not returned")
	}
	started := w.child != nil
	want := 0
	if started && (w.err == nil || w.failed) {
		want = 1
	}
	inPause := w.exit.Signal != 0 && started && w.exit != endOf(w.child, w.exit.Stopped)
	switch {
	case w.s.child.wasStarted() != started:
		w.fail("was started = %v, want %v", w.s.child.wasStarted(), started)
	case w.orphans != want:
		w.fail("orphans were ended %d times, want %d", w.orphans, want)
	case w.failed:
	case w.err != nil:
		w.fail("Run: %v", w.err)
	case w.s.opts.WaitOrphans && started && !w.orphansEnded() && !w.cut && !w.cancelled:
		w.fail("the orphans live, and Run has returned")
	case w.exit.Stopped && !w.cancelled, w.cancelled && !w.exit.Stopped && !w.told:
		w.fail("Stopped is wrong: %+v", w.exit)
	case !started && w.exit.Stopped && w.exit != Exit{Code: exitFailed, Stopped: true}:
		w.fail("exit without a child = %+v", w.exit)
	case started && inPause && !w.told:
		w.fail("exit = %+v, want that of pid %d: %+v", w.exit, w.child.pid, w.child.last)
	case started && !inPause && w.exit.Code != w.child.last.Code:
		w.fail("exit = %+v, want that of pid %d: %+v", w.exit, w.child.pid, w.child.last)
	case !w.cancelled && !w.told && w.s.opts.Restart.Policy == RestartAlways && w.s.opts.Restart.Max == 0:
		w.fail("ended for good, though always started again")
	}
}

// endOf is the exit of a run that ended with the child.
func endOf(c *modelChild, stopped bool) Exit {
	e := c.last
	e.Stopped = stopped
	return e
}

func modelRuns() int {
	if testing.Short() {
		return 500
	}
	return 5000
}

func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for n := range modelRuns() {
		rnd := rand.New(rand.NewPCG(seed, uint64(n)))
		bytes := make([]byte, 8+rnd.IntN(120))
		for i := range bytes {
			bytes[i] = byte(rnd.Uint32())
		}
		if !t.Run("", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { play(t, bytes) }) }) {
			t.Fatalf("run %d of seed %d: %q", n, seed, bytes)
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x04\x0b\x01"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) > 4<<10 {
			t.Skip()
		}
		synctest.Test(t, func(t *testing.T) { play(t, bytes) })
	})
}
