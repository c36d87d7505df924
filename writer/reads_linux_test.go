package writer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"brs-exec/writer/process"
)

// watched is a Private whose readers are watched until the test ends.
func watched(t *testing.T, opt Options) *Private {
	t.Helper()
	p, err := newPrivate(t, userConfig, userCredentials, opt)
	if err != nil {
		t.Fatal(err)
	}
	run, err := p.WatchReads()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// settled waits until reports of everything that has happened are in: that of
// an opening of the config file comes last.
func settled(t *testing.T, p *Private) Reads {
	t.Helper()
	before := p.LastReads().Config.Count
	read(t, filepath.Join(p.Dir(), configFile))
	deadline := time.Now().Add(10 * time.Second)
	for {
		switch got := p.LastReads(); {
		case got.Config.Count > before:
			return got
		case time.Now().After(deadline):
			t.Fatal("an opening is not reported")
		}
		<-time.After(time.Millisecond)
	}
}

var withoutTime = cmpopts.IgnoreFields(Read{}, "At")

func TestWatchReads(t *testing.T) {
	for _, mode := range []Mode{Auto, File, Process, Endpoint} {
		p := watched(t, Options{Mode: mode})
		for i := range 20 { // ours are no reads
			if err := deliver(p, numbered(i)); err != nil {
				t.Fatal(err)
			}
			if err := deliver(p, numbered(i)); err != nil {
				t.Fatal(err)
			}
		}
		got := settled(t, p)
		if got.Config.KeyID != "AKID19" || got.State.Count != 0 || got.Credentials.Count != 0 {
			t.Errorf("mode %d: before anybody reads: %+v", mode, got)
		}
		since := time.Now()
		if _, err := process.Output(p.Dir(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := deliver(p, numbered(20)); err != nil {
			t.Fatal(err)
		}
		read(t, filepath.Join(p.Dir(), credentialsFile))
		if err := deliver(p, numbered(21)); err != nil {
			t.Fatal(err)
		}
		got = settled(t, p)
		want := Reads{State: Read{KeyID: "AKID19", Count: 1}, Credentials: Read{KeyID: "AKID20", Count: 1}, Config: Read{KeyID: "AKID21", Count: 2}}
		if diff := cmp.Diff(want, got, withoutTime); diff != "" {
			t.Errorf("mode %d: (-want +got):\n%s", mode, diff)
		}
		if at := got.State.At; at.Before(since.Round(0)) || at.After(time.Now()) {
			t.Errorf("mode %d: read at %v, want after %v", mode, at, since)
		}
	}
}

// TestWatchReadsLate: who read before the watch began is known as well.
func TestWatchReadsLate(t *testing.T) {
	p, err := newPrivate(t, userConfig, userCredentials, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(1)); err != nil {
		t.Fatal(err)
	}
	// Access times move in steps of the kernel's clock.
	state := filepath.Join(p.Dir(), process.StateFile)
	for deadline := time.Now().Add(10 * time.Second); ; {
		read(t, state)
		if _, ok := readAt(state); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Skip("the file system of the test keeps no access times")
		}
		// relatime moves it once: begin anew.
		if err := deliver(p, numbered(2)); err != nil {
			t.Fatal(err)
		}
		if err := deliver(p, numbered(1)); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Millisecond)
	}
	run, err := p.WatchReads()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx); err != nil {
		t.Fatal(err)
	}
	want := Reads{State: Read{KeyID: "AKID1", Count: 1}}
	if diff := cmp.Diff(want, p.LastReads(), withoutTime); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

// TestWatchReadsOrder has readers and a writer at the same time: what is said
// to have been read last is what the last reader got.
func TestWatchReadsOrder(t *testing.T) {
	p := watched(t, Options{Mode: Process})
	if err := deliver(p, numbered(0)); err != nil {
		t.Fatal(err)
	}
	for round := range 30 {
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := range 10 {
				if err := deliver(p, numbered(round*10+i)); err != nil {
					t.Error(err)
				}
			}
		})
		var state string
		for range 10 {
			state = read(t, filepath.Join(p.Dir(), process.StateFile))
		}
		writer.Wait()
		if got := settled(t, p).State.KeyID; got == "" || !strings.Contains(state, `"`+got+`"`) {
			t.Fatalf("the last reader is said to have got %q, and got %s", got, state)
		}
	}
}

// TestWatchReadsAfterFailure: a set that could not be written was read by nobody.
func TestWatchReadsAfterFailure(t *testing.T) {
	p := watched(t, Options{Mode: Process})
	if err := deliver(p, numbered(1)); err != nil {
		t.Fatal(err)
	}
	credentials := filepath.Join(p.Dir(), credentialsFile)
	if err := os.Remove(credentials); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(credentials, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(2)); err == nil {
		t.Fatal("Deliver over a directory = nil")
	}
	if err := os.Remove(credentials); err != nil {
		t.Fatal(err)
	}
	if err := deliver(p, numbered(3)); err != nil {
		t.Fatal(err)
	}
	read(t, credentials)
	if got := settled(t, p); got.Credentials.KeyID != "AKID3" || got.Config.KeyID != "AKID3" {
		t.Errorf("got %+v, want AKID3", got)
	}
}

// TestReadEvents are queues as the kernel makes them.
func TestReadEvents(t *testing.T) {
	event := func(mask uint32, name string) string {
		var b [unix.SizeofInotifyEvent]byte
		put := func(at int, v uint32) { b[at], b[at+1] = byte(v), byte(v>>8) } // both systems are little-endian
		put(4, mask&0xffff)
		b[6], b[7] = byte(mask>>16), byte(mask>>24)
		if name != "" {
			name += strings.Repeat("\x00", 16-len(name)%16)
		}
		put(12, uint32(len(name)))
		return string(b[:]) + name
	}
	for _, tt := range []struct {
		name   string
		events string
		want   Reads
	}{
		{"nothing", "", Reads{}},
		{"cut off", event(unix.IN_OPEN, "state")[:20], Reads{}},
		{"other files, and the directory", event(unix.IN_OPEN, "lock") + event(unix.IN_OPEN, ".state.brs-exec-0123.tmp") + event(unix.IN_OPEN|unix.IN_ISDIR, ""), Reads{}},
		{
			"before, between and after", event(unix.IN_OPEN, "state") + event(unix.IN_MOVED_TO, "state") + event(unix.IN_OPEN, "credentials") + event(unix.IN_OPEN, "config"),
			Reads{State: Read{KeyID: "one", Count: 1}, Credentials: Read{KeyID: "one", Count: 1}, Config: Read{KeyID: "two", Count: 1}},
		},
		{"renamed by somebody else", event(unix.IN_MOVED_TO, "credentials") + event(unix.IN_MOVED_TO, "credentials") + event(unix.IN_MOVED_TO, "credentials") + event(unix.IN_OPEN, "credentials"), Reads{Credentials: Read{KeyID: "three", Count: 1}}},
		{"reports were lost", event(unix.IN_Q_OVERFLOW, ""), Reads{State: Read{KeyID: "two", Count: 1}, Credentials: Read{KeyID: "three", Count: 1}, Config: Read{KeyID: "two", Count: 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Private{reads: &readWatch{
				holds:  map[string]string{"state": "one", "credentials": "one"},
				coming: map[string][]string{"state": {"two"}, "credentials": {"two", "three"}},
				last:   map[string]Read{},
			}}
			p.reads.events([]byte(tt.events), time.Now())
			if diff := cmp.Diff(tt.want, p.LastReads(), withoutTime); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWatchReadsUnavailable(t *testing.T) {
	p, err := newPrivate(t, "", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.dir.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.WatchReads(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("WatchReads = %v, want ENOENT", err)
	}
	if got := p.LastReads(); got != (Reads{}) {
		t.Errorf("LastReads = %+v", got)
	}
}
