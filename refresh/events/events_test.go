package events

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/supervisor"
)

var update = flag.Bool("update", false, "write the golden files")

// valid fails the test unless each line is as docs/events.schema.json says. It returns the
// kinds of events.
func valid(t *testing.T, lines string) (kinds []string) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../../docs/events.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(lines) {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if err := schema.Validate(v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		kinds = append(kinds, fmt.Sprint(v.(map[string]any)["event"]))
	}
	return kinds
}

// memory is a sink that can be broken.
type memory struct {
	mu     sync.Mutex
	got    strings.Builder
	broken error
	limit  int // bytes that it takes at once, 0 is any number
	writes int
}

func (m *memory) write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.broken != nil {
		return 0, m.broken
	}
	if m.limit > 0 && len(b) > m.limit {
		m.got.WriteString(string(b[:m.limit]) + "\n") // as the next write to a file begins
		return m.limit, errors.New("cut off")
	}
	m.got.Write(b)
	return len(b), nil
}

func (m *memory) close() {}

func (m *memory) set(broken error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = broken
}

func (m *memory) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got.String()
}

func newEvents(s sink) *Events {
	e := open(s, Options{Run: "nightly"})
	e.pid = 4711
	return e
}

// TestLines follows a run with everything that can happen.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		e := newEvents(m)
		now := func() time.Time { return time.Now() }
		set := func(profile string) refresh.Event {
			return refresh.Event{
				Kind: refresh.Refreshed, Profile: profile, Time: now(), KeyID: "ASIAEXAMPLEEXAMPLE01", Expires: now().Add(time.Hour), Next: now().Add(30 * time.Minute),
				Identity: "arn:aws:sts::123456789012:assumed-role/App/nightly", Session: "nightly", Took: 52 * time.Millisecond,
			}
		}
		failed := refresh.Event{
			Kind: refresh.Failed, Profile: "prod", Time: now(), KeyID: "ASIAEXAMPLEEXAMPLE01", Expires: now().Add(time.Hour), Next: now().Add(time.Second), Attempt: 1, Permanent: true, First: true,
			Err: &refresh.Error{Err: errors.New("AccessDenied:\nno"), Permanent: true, Hint: "ask an admin"}, RequestID: "c6104cbe-af31-11e0-8154-cbc7ccf896c7",
		}
		unchanged := set("prod")
		unchanged.Kind = refresh.Unchanged
		recovered := unchanged
		recovered.Attempt = 2
		expired := set("prod")
		expired.Kind = refresh.Expired
		short := set("prod")
		short.Kind = refresh.Short
		e.Engine(set("prod"))
		e.Engine(set("default"))
		e.Engine(short)
		e.Child(supervisor.Event{Kind: supervisor.Started, PID: 4712})
		e.Engine(set("prod"))
		e.Engine(failed)
		e.Engine(unchanged)
		e.Engine(recovered)
		e.Engine(refresh.Event{Kind: refresh.DeliveryFailed, Time: now(), Attempt: 1, Next: now(), Err: errors.New("disk full")})
		e.Engine(expired)
		e.Engine(refresh.Event{Kind: refresh.ClockStep, Time: now(), Step: -time.Hour})
		e.Stale("prod", "file", "ASIAEXAMPLEEXAMPLE01", now(), now().Add(time.Minute))
		e.NotStale("prod")
		e.SourceEnding("prod", "SSO session", "aws sso login", now().Add(time.Hour))
		e.Request(Request{
			Time: now(), Took: 31 * time.Millisecond, Via: "proxy", Profile: "prod", Service: "s3", Region: "eu-west-1", Operation: "PutObject",
			Host: "b.s3.eu-west-1.amazonaws.com", Method: "PUT", Status: 200, Sent: 5 << 30,
		})
		e.Request(Request{Time: now(), Via: "endpoint", Profile: "prod", Service: "ec2", Region: "us-east-1", Host: "ec2.us-east-1.amazonaws.com", Method: "POST", Status: 403, Received: 217, Refused: "AccessDenied"})
		e.Child(supervisor.Event{Kind: supervisor.Stopping, PID: 4712})
		e.Child(supervisor.Event{Kind: supervisor.Ended, PID: 4712, Exit: supervisor.Exit{Code: 1}, Again: true, After: time.Second})
		e.Child(supervisor.Event{Kind: supervisor.Started, PID: 4713})
		e.Engine(refresh.Event{Kind: refresh.Removed, Profile: "default", Time: now()})
		e.Engine(set("default"))
		e.Child(supervisor.Event{Kind: supervisor.Ended, PID: 4713, Exit: supervisor.Exit{Code: 137, Signal: syscall.SIGKILL}})
		e.End(125, supervisor.Exit{Code: 125}, errors.New("no credentials within 30s"))
		e.Close()
		got := m.String()
		valid(t, got)
		path := filepath.Join("testdata", "events.golden")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("(-want +got; -update writes it):\n%s", diff)
		}
	})
}

// run runs e until the function that it returns is called.
func run(t *testing.T, e *Events) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		e.Close()
	}
}

// TestRequestsLeaveRoom: requests that nobody reads keep no line about credentials out.
func TestRequestsLeaveRoom(t *testing.T) {
	m := &memory{}
	e := newEvents(m)
	for range 2 * maxKept {
		e.Request(Request{Host: "a", Method: "GET", Status: 200})
	}
	e.Engine(refresh.Event{Kind: refresh.Expired, Profile: "last", Time: time.Now(), Expires: time.Now()})
	e.Close()
	kinds := valid(t, m.String())
	if n := len(kinds); n != maxKept-reserved+2 || kinds[n-2] != "dropped" || kinds[n-1] != "expired" {
		t.Errorf("%d lines, the last of which are %q", n, kinds[max(0, n-2):])
	}
}

// TestOutage: while lines cannot be written a thousand are kept, in order, and what is
// more is counted; it is said once, and once that it is over.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.set(errors.New("down"))
		e := newEvents(m)
		var told []string
		e.notify = func(err error) { told = append(told, fmt.Sprint(err)) }
		end := run(t, e)
		for i := range maxKept + 500 {
			e.Engine(refresh.Event{Kind: refresh.Refreshed, Profile: fmt.Sprint(i), Time: time.Now(), KeyID: "ASIAEXAMPLEEXAMPLE01"})
		}
		time.Sleep(time.Hour)
		m.mu.Lock()
		n := m.writes
		m.mu.Unlock()
		if n < 100 || n > 200 {
			t.Errorf("%d tries in an hour", n)
		}
		m.set(nil)
		time.Sleep(lastWait)
		synctest.Wait()
		e.Engine(refresh.Event{Kind: refresh.Expired, Profile: "last", Time: time.Now(), Expires: time.Now()})
		synctest.Wait()
		end()
		kinds := valid(t, m.String())
		if n := len(kinds); n != maxKept+2 || kinds[0] != "obtained" || kinds[n-2] != "dropped" || kinds[n-1] != "expired" {
			t.Errorf("%d lines, the last are %q", n, kinds[max(0, n-3):])
		}
		if !strings.Contains(m.String(), `"dropped":500}`) {
			t.Error("it is not told how many were dropped")
		}
		if diff := cmp.Diff([]string{"down", "<nil>"}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// slowly is a sink whose writes wait to be told how they end.
type slowly struct {
	memory
	begun chan struct{}
	end   chan error
}

func (s *slowly) write(b []byte) (int, error) {
	s.begun <- struct{}{}
	s.set(<-s.end)
	return s.memory.write(b)
}

// TestDropped: the count of what was dropped is not itself dropped by a write that fails
// while more comes.
func TestDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowly{begun: make(chan struct{}), end: make(chan error)}
		e := newEvents(s)
		stop := run(t, e)
		add := func(n int) {
			for range n {
				e.Engine(refresh.Event{Kind: refresh.Refreshed, Profile: "main", Time: time.Now(), KeyID: "ASIAEXAMPLEEXAMPLE01"})
			}
		}
		add(1)
		<-s.begun // of the first line
		add(maxKept + 99)
		s.end <- errors.New("down")
		<-s.begun
		add(10)
		s.end <- errors.New("down")
		for done := false; !done; {
			select {
			case <-s.begun:
				s.end <- nil
			case <-time.After(time.Hour):
				done = true
			}
		}
		stop()
		if n := len(valid(t, s.String())); n != maxKept+1 {
			t.Errorf("%d lines, want %d", n, maxKept+1)
		}
		if !strings.Contains(s.String(), `"dropped":110}`) {
			t.Error("it is not told how many were dropped")
		}
	})
}

// stuck is a sink that takes nothing.
type stuck struct{ memory }

func (s *stuck) write(b []byte) (int, error) { <-make(chan struct{}); return 0, nil }

// TestStuck: who does not read holds up nothing but the end, for a second.
func TestStuck(t *testing.T) {
	s := &stuck{}
	e := newEvents(s)
	end := run(t, e)
	for range 3 * maxKept {
		e.Engine(refresh.Event{Kind: refresh.Refreshed, Time: time.Now()})
	}
	end()
}

// TestStuckForLong: and not even that, if it has not read for longer.
func TestStuckForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &waits{until: make(chan struct{})}
		e := newEvents(s)
		end := run(t, e)
		expect := func(want time.Duration) {
			t.Helper()
			synctest.Wait()
			if got := e.patience(); got != want {
				t.Errorf("the end waits for %v, want %v", got, want)
			}
		}
		time.Sleep(time.Minute)
		expect(endTime)
		e.Child(supervisor.Event{Kind: supervisor.Started, PID: 1})
		expect(endTime)
		time.Sleep(endTime / 4)
		expect(endTime * 3 / 4)
		time.Sleep(time.Minute)
		expect(0)
		close(s.until)
		expect(endTime)
		end()
	})
}

// waits is a sink that takes nothing for some time.
type waits struct {
	memory
	until chan struct{}
}

func (w *waits) write(b []byte) (int, error) { <-w.until; return w.memory.write(b) }

// TestPart: a line that was written in part comes whole.
func TestPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{limit: 150}
		e := newEvents(m)
		end := run(t, e)
		for range 3 {
			e.Child(supervisor.Event{Kind: supervisor.Started, PID: 1})
		}
		time.Sleep(time.Minute)
		end()
		whole := 0
		for _, text := range strings.Split(m.String(), "\n") {
			var l line
			if json.Unmarshal([]byte(text), &l) == nil && l.V == version {
				whole++
			}
		}
		if whole < 3 {
			t.Errorf("%d whole lines in %q", whole, m.String())
		}
	})
}

// TestFile: lines are added to a file, to the new one after its rotation, and to none of
// a kind that is dangerous.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	if err := os.WriteFile(path, []byte("{}\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	e, err := Open(Options{To: Target{File: path}, Run: "r"})
	if err != nil {
		t.Fatal(err)
	}
	e.NotStale("one")
	e.flush()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	e.NotStale("two")
	e.flush()
	if err := os.Truncate(path, 0); err != nil { // logrotate's copytruncate
		t.Fatal(err)
	}
	e.NotStale("three")
	e.flush()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	e.NotStale("four") // to the file that has no name any more
	if !e.flush() {
		t.Error("a line without a directory is kept for ever")
	}
	e.Close()
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	e, err := Open(Options{To: Target{File: path}, Run: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range 3 {
		e.NotStale(strconv.Itoa(i))
		e.flush()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		valid(t, string(text))
		if n := strings.Count(string(text), "\n"); n != 1 {
			t.Errorf("%d lines in the new file", n)
		}
		if err := os.Rename(path, fmt.Sprint(path, i)); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path + "0"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestSocket: who listens gets lines; when it goes away and comes back it gets those of
// meanwhile.
func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	e, err := Open(Options{To: Target{Socket: path}, Run: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.NotStale("before anybody listens")
	if e.flush() {
		t.Fatal("written to nobody")
	}
	for i := range 2 {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		e.NotStale(fmt.Sprint(i))
		if !e.flush() {
			t.Fatal("not written")
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for range 2 {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			valid(t, line)
		}
		conn.Close()
		l.Close()
		e.NotStale("meanwhile")
		if e.flush() {
			t.Error("written to a connection that is closed")
		}
	}
}
