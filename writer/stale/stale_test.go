package stale

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/process"
)

// story is a run of a command: what happens at which minute.
type story struct {
	w     *Watch
	began time.Time
	sets  int
	last  string // key id

	mu      sync.Mutex // guards the following: Run asks from its own goroutine
	reads   map[Delivery]process.Read
	started time.Time
	alarms  []string
}

// play runs a story of steps such as "30 set", "31 process": sets live 60
// minutes unless the step says otherwise, and readers get the newest one. It
// returns the alarms.
func play(t *testing.T, keys bool, steps string) []string {
	t.Helper()
	s := &story{reads: map[Delivery]process.Read{}}
	synctest.Test(t, func(t *testing.T) {
		s.began = time.Now()
		reads := map[Delivery]func(string) process.Read{}
		for _, c := range []Delivery{File, Process, Endpoint, IMDS} {
			reads[c] = func(string) process.Read {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.reads[c]
			}
		}
		s.w = New(Options{Watched: func(profile string) bool { return profile == "x" }, Reads: reads, KeysInProfile: keys, Started: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.started
		}, Notify: func(a Alarm) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.alarms = append(s.alarms, fmt.Sprintf("%s: %s %s read at %s ends at %s", s.minute(time.Now()), a.Delivery, a.KeyID, s.minute(a.Read), s.minute(a.Expires)))
		}, Cleared: func(string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.alarms = append(s.alarms, s.minute(time.Now())+": cleared")
		}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := s.w.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		for line := range strings.SplitSeq(steps, ",") {
			var at float64
			var what string
			var arg float64
			if n, err := fmt.Sscanf(strings.TrimSpace(line)+" 0", "%g %s %g", &at, &what, &arg); n < 3 {
				t.Fatalf("step %q: %v", line, err)
			}
			time.Sleep(time.Until(s.began.Add(minutes(at))))
			s.step(t, what, arg)
			synctest.Wait()
		}
		cancel()
		running.Wait()
	})
	return s.alarms
}

func minutes(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }

func (s *story) minute(t time.Time) string { return fmt.Sprintf("%g", t.Sub(s.began).Minutes()) }

func (s *story) step(t *testing.T, what string, arg float64) {
	name, start := strings.CutSuffix(what, "+start")
	switch name {
	case "set", "pending": // delivered to all, or not to all yet
		s.sets++
		s.last = fmt.Sprintf("AKID%d", s.sets)
		s.deliver(t, arg)
		if name == "set" {
			s.w.Refreshed("x")
		}
	case "again": // the same set
		s.deliver(t, arg)
	case "refreshed":
		s.w.Refreshed("x")
	case "restart":
		s.w.Restarted()
	case "look":
		s.w.Look()
	case "end":
	case "file", "process", "endpoint", "imds":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reads[Delivery(name)] = process.Read{KeyID: s.last, At: time.Now().Round(0)}
		if start {
			s.started = time.Now().Round(0)
		}
	default:
		t.Fatalf("step %q", what)
	}
}

// deliver gives the last credentials another lifetime: 60 minutes for 0, none for -1.
func (s *story) deliver(t *testing.T, life float64) {
	c := aws.Credentials{AccessKeyID: s.last, SecretAccessKey: "s", CanExpire: life >= 0}
	if life == 0 {
		life = 60
	}
	c.Expires = time.Now().Add(minutes(life))
	if err := s.w.Deliver(t.Context(), map[string]aws.Credentials{"x": c, "y": {AccessKeyID: "OTHER"}}); err != nil {
		t.Error(err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		steps string
		want  []string
	}{
		{"never read", "0 set, 30 set, 60 set, 90 set, 300 end", nil},
		{"read, and never replaced", "0 set, 1 file, 2 process, 300 end", nil},
		{"credentials without an expiry", "0 set -1, 1 file, 30 set, 300 end", nil},

		{"the file, once", "0 set, 1 file, 30 set, 60 set, 90 set, 300 end", []string{"55: file AKID1 read at 1 ends at 60"}},
		{"the file, once, by an SDK", "0 set, 1 file+start, 30 set, 60 set, 300 end", []string{"55: file AKID1 read at 1 ends at 60"}},
		{"the file, again in time", "0 set, 1 file, 30 set, 54 file, 60 set, 84 file, 90 set, 114 file, 300 end", nil},
		{"the file, again too late", "0 set, 1 file, 30 set, 56 file, 60 set, 300 end", []string{"55: file AKID1 read at 1 ends at 60", "85: file AKID2 read at 56 ends at 90"}},
		{"the file, by one program after the other", "0 set, 1 file, 30 set, 35 file, 60 set, 300 end", []string{"85: file AKID2 read at 35 ends at 90"}},
		{"the file, now and then by new programs", "0 set, 1 file, 30 set, 35 file, 60 set, 65 file, 90 set, 300 end", nil},
		{"the file, of credentials of a minute", "0 set 1, 0.1 file, 0.5 set 1, 10 end", []string{"0.75: file AKID1 read at 0.1 ends at 1"}},
		{"the file, of credentials that were replaced late", "0 set, 1 file, 58 set, 300 end", []string{"59: file AKID1 read at 1 ends at 60"}},
		{"the file, of credentials that were replaced too late", "0 set, 1 file, 70 set, 300 end", []string{"75: file AKID1 read at 1 ends at 60"}},

		// Credentials of an hour are reported to expire at 58.
		{"the process, once", "0 set, 1 process+start, 30 set, 60 set, 90 set, 300 end", []string{"59: process AKID1 read at 1 ends at 60"}},
		{"the endpoint, once", "0 set, 1 endpoint, 30 set, 60 set, 90 set, 300 end", []string{"59: endpoint AKID1 read at 1 ends at 60"}},
		{"the metadata service, once", "0 set, 1 imds, 30 set, 60 set, 300 end", []string{"59: imds AKID1 read at 1 ends at 60"}},
		{"at the reported end, as Go does", "0 set, 1 process+start, 30 set, 58.1 process, 60 set, 88.1 process, 90 set, 118.1 process, 300 end", nil},
		{"a quarter of an hour early, as Python does", "0 set, 1 process+start, 30 set, 45 process, 60 set, 75 process, 90 set, 120 end", nil},
		{"at each request", "0 set 2, 0.1 process, 0.2 process, 1 set 2, 1.1 process, 1.9 process, 2 set 2, 2.1 process, 3 set 2, 60 end", nil},
		{"only when there is something to do", "0 set, 1 process+start, 30 set, 60 set, 90 set, 120 set, 125 process, 150 set, 180 set, 210 set, 300 end", []string{"59: process AKID1 read at 1 ends at 60", "150: cleared"}},
		{"a client that waits, and another that is started", "0 set, 1 process+start, 30 set, 60 set, 65 process+start, 90 set, 300 end", []string{"59: process AKID1 read at 1 ends at 60", "119: process AKID3 read at 65 ends at 120"}},
		{"in a script that starts a client now and then", "0 set, 1 process+start, 30 set, 50 process+start, 60 set, 80 process+start, 90 set, 120 set, 150 set, 300 end", nil},
		{"by one client and then another", "0 set, 1 process+start, 30 set, 35 process+start, 60 set, 300 end", []string{"89: process AKID2 read at 35 ends at 90"}},
		{"credentials that were replaced after their reported expiry", "0 set, 1 process+start, 59 set, 300 end", []string{"60: process AKID1 read at 1 ends at 60"}},
		{"which the client was told at that time", "0 set, 1 process+start, 58.1 process, 59 set, 60.5 process, 300 end", nil},
		{"and did not come back at the real one", "0 set, 1 process+start, 58.1 process, 59 set, 300 end", []string{"61: process AKID1 read at 58.1 ends at 60"}},

		{"back through another channel", "0 set, 1 file, 30 set, 40 process, 60 set, 70 process, 120 end", nil},
		{"the same set through two channels", "0 set, 1 file, 2 process, 30 set, 300 end", []string{"59: process AKID1 read at 2 ends at 60"}},

		{"newer credentials that are not everywhere", "0 set, 1 file, 30 pending, 300 end", nil},
		{"and then is", "0 set, 1 file, 30 pending, 52 refreshed, 300 end", []string{"56: file AKID1 read at 1 ends at 60"}},
		{"after many that never were", "0 set, 1 file, 2 look, 10 pending, 20 pending, 30 pending, 40 pending, 50 set, 300 end", []string{"55: file AKID1 read at 1 ends at 60"}},
		{"the end has moved with the clock", "0 set, 1 file, 10 again 80, 30 set, 300 end", []string{"85: file AKID1 read at 1 ends at 90"}},
		{"the command was started anew", "0 set, 1 file, 30 set, 31 restart, 60 set, 300 end", nil},
		{"and read once again", "0 set, 1 file, 30 set, 31 restart, 32 file, 60 set, 300 end", []string{"85: file AKID2 read at 32 ends at 90"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, play(t, true, tt.steps)); diff != "" {
				t.Errorf("alarms (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProfileWithoutKeys: an SDK that starts reads the file, and gets no keys there.
func TestProfileWithoutKeys(t *testing.T) {
	t.Parallel()
	if got := play(t, false, "0 set, 1 file+start, 30 set, 300 end"); got != nil {
		t.Errorf("read for the profile alone: %q", got)
	}
	want := []string{"59: file AKID1 read at 1 ends at 60"}
	if diff := cmp.Diff(want, play(t, false, "0 set, 0.5 process+start, 1 file, 30 set, 300 end")); diff != "" {
		t.Errorf("read for its keys (-want +got):\n%s", diff)
	}
}

// TestManyProfiles: alarms are about one profile each, and name it.
func TestManyProfiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		read := map[Delivery]map[string]process.Read{Process: {}, File: {}}
		var got []string
		tell := func(line string) { got = append(got, fmt.Sprintf("%g: %s", time.Since(began).Minutes(), line)) }
		by := func(d Delivery) func(string) process.Read {
			return func(profile string) process.Read { mu.Lock(); defer mu.Unlock(); return read[d][profile] }
		}
		w := New(Options{
			Watched: func(profile string) bool { return profile != "unwatched" },
			Reads:   map[Delivery]func(string) process.Read{Process: by(Process), File: by(File)},
			Started: func() time.Time { return time.Time{} }, KeysInProfile: true,
			Notify: func(a Alarm) {
				mu.Lock()
				defer mu.Unlock()
				tell(fmt.Sprintf("%s of %s: %s", a.Delivery, a.Profile, a.KeyID))
			},
			Cleared: func(profile string) { mu.Lock(); defer mu.Unlock(); tell(profile + " cleared") },
		})
		go w.Run(t.Context())
		names := []string{"a", "b", "c", "d", "gone", "unwatched"}
		deliver := func(n int) {
			for _, name := range names {
				c := aws.Credentials{AccessKeyID: fmt.Sprint(name, n), SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(time.Hour)}
				if err := w.Deliver(t.Context(), map[string]aws.Credentials{name: c}); err != nil {
					t.Error(err)
				}
				w.Refreshed(name)
			}
			synctest.Wait()
		}
		reads := func(d Delivery, n int, names ...string) {
			mu.Lock()
			defer mu.Unlock()
			for _, name := range names {
				read[d][name] = process.Read{KeyID: fmt.Sprint(name, n), At: time.Now().Round(0)}
			}
		}
		deliver(1)
		reads(Process, 1, "a", "b", "gone", "unwatched")
		reads(File, 1, "c", "d") // it is one reading
		time.Sleep(30 * time.Minute)
		deliver(2)
		if err := w.Deliver(t.Context(), map[string]aws.Credentials{"gone": {}}); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Minute)
		reads(Process, 2, "b")
		time.Sleep(30 * time.Minute)
		reads(Process, 2, "a")
		w.Look()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []string{"55: file of c: c1", "59: process of a: a1", "80: a cleared"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
