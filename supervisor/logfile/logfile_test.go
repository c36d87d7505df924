//go:build unix

package logfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// patience is for what should take milliseconds, and may be starved by other tests.
const patience = 2 * time.Minute

func TestLogFile(t *testing.T) {
	t.Parallel()
	pipe := func(t *testing.T) (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		return r, w
	}
	t.Run("pipe", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		l := New(w)
		for _, s := range []string{"one\n", "two\n"} {
			if n, err := io.WriteString(l, s); n != len(s) || err != nil {
				t.Errorf("write: %d, %v", n, err)
			}
		}
		l.Flush(patience)
		w.Close()
		if b, _ := io.ReadAll(r); string(b) != "one\ntwo\n" {
			t.Errorf("got %q", b)
		}
	})
	t.Run("nobody reads", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		l := New(w)
		line := strings.Repeat("x", 999) + "\n"
		began := time.Now()
		for range 1000 {
			if n, err := io.WriteString(l, line); n != len(line) || err != nil {
				t.Fatalf("write: %d, %v", n, err)
			}
		}
		l.Flush(10 * time.Millisecond)
		if d := time.Since(began); d > 30*time.Second { // milliseconds, if no write waits
			t.Errorf("took %v", d)
		}
		// then somebody reads: what was kept, whole lines, and how much was lost
		scan := bufio.NewScanner(r)
		kept := 0
		for scan.Scan() && len(scan.Text()) == 999 {
			kept++
		}
		if kept < 60 || kept > 250 || !strings.HasSuffix(scan.Text(), strings.TrimPrefix(droppedLine, "brs-exec: %d")) {
			t.Errorf("%d lines, then %q", kept, scan.Text())
		}
		// Before the descriptor is closed, and its number another file's.
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			io.Copy(io.Discard, r)
		}()
		l.Flush(patience)
		w.Close()
		<-drained
	})
	t.Run("reader gone", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		r.Close()
		l := New(w)
		if n, err := io.WriteString(l, "x\n"); n != 2 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		l.Flush(patience)
	})
	t.Run("regular file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "log")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l := New(f)
		want := ""
		for i := range 500 {
			line := fmt.Sprintf("line %d\n", i)
			io.WriteString(l, line)
			want += line
		}
		l.Flush(patience)
		if b, _ := os.ReadFile(path); string(b) != want {
			t.Errorf("got %q, want 500 lines in their order", b)
		}
	})
	t.Run("mode is left alone", func(t *testing.T) {
		t.Parallel()
		var fds [2]int
		if err := unix.Pipe(fds[:]); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(fds[1], true); err != nil {
			t.Fatal(err)
		}
		w := os.NewFile(uintptr(fds[1]), "w")
		defer w.Close()
		r := os.NewFile(uintptr(fds[0]), "r")
		defer r.Close()
		l := New(w)
		// More than the pipe takes: the rest waits for its reader.
		line := strings.Repeat("x", maxPending-1) + "\n"
		io.WriteString(l, "first\n")
		l.Flush(patience)
		io.WriteString(l, line)
		l.Flush(10 * time.Millisecond)
		got := make([]byte, len("first\n"+line))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "first\n"+line {
			t.Errorf("got %d bytes, %v, or others", len(bytes.TrimRight(got, "\x00")), err)
		}
		l.Flush(patience)
		flags, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("flags = %o, %v: O_NONBLOCK is gone", flags, err)
		}
	})
}

// TestHungFile: a write does not come back, as to a file of a server that is gone.
// Who logs goes on; what is written at last is in order, with the count of what is
// missing in its place.
func TestHungFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l := New(f)
		var got bytes.Buffer
		hangs := make(chan struct{})
		l.write = func(b []byte) {
			<-hangs
			got.Write(b)
		}
		l.hasRoom = func() bool { return false }
		io.WriteString(l, "first\n")
		synctest.Wait()
		long := strings.Repeat("x", maxPending-len("second\n")-1) + "\n"
		for _, line := range []string{"second\n", long, "third\n", "fourth\n"} {
			io.WriteString(l, line)
		}
		began := time.Now()
		l.Flush(time.Second)
		if d := time.Since(began); d != time.Second {
			t.Errorf("flushed for %v, want 1s", d)
		}
		hangs <- struct{}{} // the first
		synctest.Wait()
		io.WriteString(l, "fifth\n")
		close(hangs)
		l.Flush(time.Second)
		want := "first\nsecond\n" + fmt.Sprintf(droppedLine+"\n", 2) + "fifth\n"
		if diff := cmp.Diff(want, strings.ReplaceAll(got.String(), long, "")); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
	})
}

// TestFlush: who has no reader is waited for no longer than was asked, who only gets
// no time on a busy machine for longer.
func TestFlush(t *testing.T) {
	for _, test := range []struct {
		name    string
		hasRoom bool
		takes   time.Duration
		want    time.Duration
	}{
		{"done at once", false, 0, 0},
		{"full, and read at last", false, 3 * time.Second, time.Second},
		{"busy machine", true, 20 * time.Second, 20 * time.Second},
		{"room, and never written", true, time.Hour, slowMachine},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &File{
					write:   func([]byte) { time.Sleep(test.takes) },
					hasRoom: func() bool { return test.hasRoom },
				}
				io.WriteString(l, "x\n")
				began := time.Now()
				l.Flush(time.Second)
				if d := time.Since(began); d != test.want {
					t.Errorf("waited %v, want %v", d, test.want)
				}
				<-l.idle
			})
		})
	}
}

func TestHasRoom(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(w.Fd())
	if !hasRoom(fd) {
		t.Error("an empty pipe has no room")
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 4096))
	}
	if hasRoom(fd) {
		t.Error("a full pipe has room")
	}
}
