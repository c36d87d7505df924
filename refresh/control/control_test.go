//go:build unix

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

// served is a server in a directory of its own.
type served struct {
	Options
	path string
	stop func() error
}

// serve starts one, and returns when it has its socket.
func serve(t *testing.T, o Options) *served {
	t.Helper()
	s := &served{Options: o, path: t.TempDir()}
	if err := os.Chmod(s.path, 0o700); err != nil {
		t.Fatal(err)
	}
	if s.Dir == nil {
		s.Dir = func() (*os.Root, error) { return os.OpenRoot(s.path) }
	}
	if s.Status == nil {
		s.Status = func(context.Context) Record {
			return Record{Version: Version, PID: os.Getpid(), Profiles: []Profile{{Name: "a"}, {Name: "b"}}}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- NewServer(s.Options).Run(ctx) }()
	s.stop = func() error {
		cancel()
		return <-done
	}
	t.Cleanup(func() { cancel() })
	for {
		if info, err := os.Lstat(filepath.Join(s.path, socketName)); err == nil && info.Mode().Perm() == 0o600 {
			return s
		}
		runtime.Gosched()
	}
}

// ask is [Ask] with the patience of a test.
func (s *served) ask(t *testing.T, q Request) (Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	return Ask(ctx, s.path, os.Geteuid(), q)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	a, err := s.ask(t, Request{Do: Status})
	if err != nil || a.Record == nil || a.Record.PID != os.Getpid() || len(a.Record.Profiles) != 2 || a.Error != "" {
		t.Errorf("%+v, %v", a, err)
	}
	if runtime.GOOS == "linux" && a.PID != os.Getpid() {
		t.Errorf("the kernel says that process %d has answered", a.PID)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if _, err := s.ask(t, Request{Do: Status}); err == nil {
		t.Error("something answers after the end")
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	denied := &refresh.Error{Err: errors.New("denied"), Hint: "ask for it"}
	got := make(chan []string, 1)
	s := serve(t, Options{Refresh: func(_ context.Context, names []string) error {
		got <- names
		if len(names) == 1 && names[0] == "b" {
			return fmt.Errorf("profile b: %w", denied)
		}
		return nil
	}})
	for _, tt := range []struct {
		ask, want []string
		err, hint string
	}{
		{nil, []string{"a", "b"}, "", ""},
		{[]string{"a"}, []string{"a"}, "", ""},
		{[]string{"b"}, []string{"b"}, "profile b: denied", "ask for it"},
	} {
		a, err := s.ask(t, Request{Do: Refresh, Profiles: tt.ask})
		if err != nil || a.Error != tt.err || a.Hint != tt.hint || a.Record == nil {
			t.Fatalf("%q: %+v, %v", tt.ask, a, err)
		}
		var names []string
		for _, p := range a.Record.Profiles {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("%q: the answer is of (-want +got):\n%s", tt.ask, diff)
		}
		if diff := cmp.Diff(tt.ask, <-got); diff != "" {
			t.Errorf("%q: refreshed (-want +got):\n%s", tt.ask, diff)
		}
	}
	a, err := s.ask(t, Request{Do: Refresh, Profiles: []string{"a", "c"}})
	if err != nil || a.Error != `the run has no profile "c"` || len(got) != 0 {
		t.Errorf("of a profile that there is not: %+v, %v", a, err)
	}
}

// TestRefreshIsLeft: whoever goes away ends the wait of the server, and many that wait for a
// refresh keep nobody from asking for the status.
func TestRefreshIsLeft(t *testing.T) {
	t.Parallel()
	began, ended := make(chan bool), make(chan bool)
	s := serve(t, Options{Refresh: func(ctx context.Context, _ []string) error {
		began <- true
		<-ctx.Done()
		ended <- true
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for range maxRefreshes {
		work.Go(func() {
			if _, err := Ask(ctx, s.path, os.Geteuid(), Request{Do: Refresh}); !errors.Is(err, ErrSilent) {
				t.Errorf("a refresh that was given up: %v", err)
			}
		})
		<-began
	}
	if a, err := s.ask(t, Request{Do: Refresh}); err != nil || a.Error == "" {
		t.Errorf("one more: %+v, %v", a, err)
	}
	if a, err := s.ask(t, Request{Do: Status}); err != nil || a.Record == nil {
		t.Errorf("status meanwhile: %+v, %v", a, err)
	}
	cancel()
	for range maxRefreshes {
		<-ended
	}
	work.Wait()
}

// TestNonsense: what is no request costs its sender the connection, or has an answer that says
// so; and nobody else anything.
func TestNonsense(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Status: func(context.Context) Record { panic("verysecret") }})
	for _, tt := range []struct{ send, want string }{
		{"garbage\n", "cannot be parsed"},
		{"{}\n", "speaks version 1 of the protocol, not 0"},
		{`{"v":2,"do":"status"}` + "\n", "speaks version 1 of the protocol, not 2"},
		{`{"v":1,"do":"format"}` + "\n", `"format" is not a request`},
		{`{"v":1,"do":"status"}` + "\n", ""}, // the panic
		{strings.Repeat("x", maxRequest+1), ""},
		{"", ""},
	} {
		conn, err := net.Dial("unix", filepath.Join(s.path, socketName))
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(tt.send))
		conn.(*net.UnixConn).CloseWrite()
		var a Answer
		err = json.NewDecoder(conn).Decode(&a)
		if tt.want == "" && err == nil || !strings.Contains(a.Error, tt.want) {
			t.Errorf("%.20q: %+v, %v", tt.send, a, err)
		}
		conn.Close()
	}
}

// TestSlowClients: more than there is room for, none of which says anything, keep others
// waiting no longer than a request may take.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	for range maxClients + 5 {
		conn, err := net.Dial("unix", filepath.Join(s.path, socketName))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if a, err := s.ask(t, Request{Do: Status}); err != nil || a.Record == nil {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestSilent: a process that takes connections and says nothing, or nonsense.
func TestSilent(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"silence": "", "garbage": "garbage\n", "no end": strings.Repeat("x", 100), "another version": `{"v":9}` + "\n",
		"a bomb":  `{"v":1,"record":{"profiles":[` + strings.Repeat("{},", 1000) + `{}]}}` + "\n",
		"endless": strings.Repeat("x", maxAnswer+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			os.Chmod(dir, 0o700)
			l, err := net.Listen("unix", filepath.Join(dir, socketName))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			os.Chmod(filepath.Join(dir, socketName), 0o600)
			held := make(chan net.Conn, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Write([]byte(answer))
				held <- conn
			}()
			limit := time.Minute
			if name == "silence" || name == "no end" {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err = Ask(ctx, dir, os.Geteuid(), Request{Do: Status})
			if silent := errors.Is(err, ErrSilent); err == nil || silent != (limit < time.Minute) {
				t.Errorf("%v", err)
			}
			(<-held).Close()
		})
	}
	if _, err := Ask(t.Context(), t.TempDir(), os.Geteuid(), Request{}); runtime.GOOS == "linux" && err == nil {
		t.Error("a directory that others can read is believed")
	}
}

// TestRemoved: the socket is made again where something has removed it, or the directory.
func TestRemoved(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	srv := NewServer(s.Options)
	l, err := srv.listen() // takes the place of the other one
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !srv.isThere(l) {
		t.Error("the socket is not there")
	}
	if err := os.Remove(filepath.Join(s.path, socketName)); err != nil {
		t.Fatal(err)
	}
	if srv.isThere(l) {
		t.Error("the socket is there after it was removed")
	}
	if err := os.RemoveAll(s.path); err != nil {
		t.Fatal(err)
	}
	if !srv.isThere(l) {
		t.Error("without its directory, which others make again, the socket is made at once")
	}
	if _, err := srv.listen(); err == nil {
		t.Error("a socket in no directory")
	}
}

// TestLongPath: a directory whose path is longer than a socket's may be.
func TestLongPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{Dir: func() (*os.Root, error) { return os.OpenRoot(path) }, Status: func(context.Context) Record { return Record{} }})
	if runtime.GOOS != "linux" {
		if err := s.Run(t.Context()); err != nil {
			t.Errorf("where there can be no socket: %v", err)
		}
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for {
		a, err := Ask(ctx, path, os.Geteuid(), Request{Do: Status})
		if err == nil {
			if a.Record == nil {
				t.Errorf("%+v", a)
			}
			break
		}
		if !errors.Is(err, ErrNone) && !errors.Is(err, os.ErrPermission) && !strings.Contains(err.Error(), "open to others") && !strings.Contains(err.Error(), "refused") {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
