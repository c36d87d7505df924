package writer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/writer/process"
)

// keepsAccessTimes skips the test on a file system that does not.
func keepsAccessTimes(t *testing.T, p *Private) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(p.Dir(), &st); err != nil {
		t.Fatal(err)
	}
	if st.Flags&unix.ST_NOATIME != 0 {
		t.Skip("the file system of the test keeps no access times")
	}
}

func TestLastReads(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Auto, File, Process, Endpoint} {
		p, err := newPrivate(t, userConfig, userCredentials, Options{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		keepsAccessTimes(t, p)
		file := func(name string) string { return filepath.Join(p.Dir(), name) }
		expect := func(when string, want Reads) {
			t.Helper()
			if diff := cmp.Diff(want, p.LastReads(""), cmpopts.IgnoreFields(process.Read{}, "At")); diff != "" {
				t.Errorf("mode %d, %s (-want +got):\n%s", mode, when, diff)
			}
		}
		set := func(n int) {
			t.Helper()
			if err := deliver(p, numbered(n)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 { // ours are no reads
			set(i)
			set(i)
			p.look()
		}
		expect("before anybody reads", Reads{})

		// At once after it was written, within a tick of the kernel's clock.
		since := time.Now().Add(-time.Second)
		if _, err := process.Output(p.Dir(), time.Now()); err != nil {
			t.Fatal(err)
		}
		want := Reads{State: process.Read{KeyID: "AKID19"}}
		expect("the state", want)
		if at := p.LastReads("").State.At; at.Before(since) || at.After(time.Now()) {
			t.Errorf("mode %d: read at %v, want after %v", mode, at, since)
		}
		set(20)
		expect("what was read of an older set", want)
		read(t, file(credentialsFile))
		set(21) // nobody has looked in between
		want.Credentials = process.Read{KeyID: "AKID20"}
		expect("the credentials, until they were replaced", want)
		for range 2 { // the second time of the same file counts as well
			set(22)
			read(t, file(configFile))
			want.Config = process.Read{KeyID: "AKID22"}
			expect("the config file", want)
		}
		before := p.LastReads("").State.At
		if err := os.Chtimes(file(process.StateFile), time.Now().Add(time.Minute), time.Time{}); err != nil { // a reading later on
			t.Fatal(err)
		}
		if got := p.LastReads("").State; !got.At.After(before) || got.KeyID != "AKID22" {
			t.Errorf("mode %d: state = %+v, want it read again", mode, got)
		}
	}
}

// A reading is remembered when the file is taken away after the next look.
func TestReadsOutliveFile(t *testing.T) {
	t.Parallel()
	p, _ := kept(t)
	keepsAccessTimes(t, p)
	state := filepath.Join(p.Dir(), process.StateFile)
	read(t, state)
	p.look()
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	p.look()
	if got := p.LastReads("").State; got.KeyID != "AKID1" || got.At.IsZero() {
		t.Errorf("State = %+v, want AKID1 read", got)
	}
}
