package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/writer/pathsafe"
)

// Options are what a [Server] answers with.
type Options struct {
	// Dir opens the run directory as it is now.
	Dir func() (*os.Root, error)

	// Status tells what the run holds, within moments.
	Status func(context.Context) Record

	// Refresh retrieves now, and returns when the credentials of these profiles are delivered,
	// or why they are not. No names mean all profiles.
	Refresh func(ctx context.Context, names []string) error
}

// Server answers clients.
type Server struct {
	opts      Options
	clients   chan struct{} // has one for each
	refreshes chan struct{}
	work      sync.WaitGroup
}

// NewServer returns a server that does nothing until Run.
func NewServer(o Options) *Server {
	return &Server{opts: o, clients: make(chan struct{}, maxClients), refreshes: make(chan struct{}, maxRefreshes)}
}

// lookEvery is how long the socket may be missing when something has removed it.
const lookEvery = 15 * time.Second

// Run answers until ctx ends, and then returns nil; at once where there can be no such
// socket. It makes the socket again if something removes it.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.work.Wait()
	defer cancel()
	l, err := s.listen()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return fmt.Errorf("listen on %s: %w", socketName, err)
	}
	look := time.NewTimer(refresh.NextBeat(lookEvery))
	defer look.Stop()
	for {
		current := l
		s.work.Go(func() { s.accept(ctx, current) })
		for there := true; there; {
			select {
			case <-ctx.Done():
				l.Close()
				return nil
			case <-look.C:
				look.Reset(refresh.NextBeat(lookEvery))
				there = s.isThere(l)
			}
		}
		l.Close()
		if l, err = s.listen(); err != nil {
			return fmt.Errorf("listen on %s: %w", socketName, err)
		}
	}
}

// listener is a socket, and what it is in the run directory.
type listener struct {
	*net.UnixListener
	is os.FileInfo
}

func (s *Server) listen() (*listener, error) {
	dir, err := s.opts.Dir()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	dir.Remove(socketName)
	sock, err := bind(dir)
	if err != nil {
		return nil, err
	}
	sock.SetUnlinkOnClose(false) // whatever has the name by then
	l := &listener{UnixListener: sock}
	if err = dir.Chmod(socketName, 0o600); err == nil || runtime.GOOS == "windows" {
		l.is, err = dir.Lstat(socketName)
	}
	if err != nil {
		sock.Close()
		return nil, err
	}
	return l, nil
}

// bind makes the socket in a directory that is open, by its descriptor if it can: its path
// may be too long for one, and the directory may have come to have another.
func bind(dir *os.Root) (*net.UnixListener, error) {
	by, done, err := pathsafe.ByDescriptor(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	path := filepath.Join(by, socketName)
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s: a path of more than %d characters: %w", path, maxPath, errors.ErrUnsupported)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.EPERM) { // mknod(2): the file system has no sockets
		err = errors.Join(errors.ErrUnsupported, err)
	}
	return l, err
}

// maxPath is what all systems have room for (sun_path of 104 bytes with a zero, unix(4)).
const maxPath = 103

// isThere tells whether the socket still has its name. If nothing can be known it is
// taken to have it: the run directory is made again by who made it.
func (s *Server) isThere(l *listener) bool {
	dir, err := s.opts.Dir()
	if err != nil {
		return true
	}
	defer dir.Close()
	is, err := dir.Lstat(socketName)
	return err == nil && os.SameFile(is, l.is)
}

// accept answers clients, each in a goroutine of its own, until l is closed.
func (s *Server) accept(ctx context.Context, l *listener) {
	for {
		select {
		case s.clients <- struct{}{}:
		case <-ctx.Done():
			return
		}
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			<-s.clients
			return
		}
		if err != nil { // no descriptor is free
			<-s.clients
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			continue
		}
		s.work.Go(func() {
			defer func() { <-s.clients }()
			defer conn.Close()
			_ = refresh.Protect(func() error { s.serve(ctx, conn); return nil })
		})
	}
}

// serve answers one client.
func (s *Server) serve(ctx context.Context, conn *net.UnixConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if uid, _, err := peer(conn); err != nil || !mayAsk(uid) {
		return
	}
	conn.SetReadDeadline(time.Now().Add(requestTime))
	in := bufio.NewReader(io.LimitReader(conn, maxRequest))
	line, err := in.ReadBytes('\n')
	if err != nil {
		return
	}
	a := s.answer(ctx, cancel, conn, line)
	a.Version = Version
	text, err := json.Marshal(a)
	if err != nil || ctx.Err() != nil {
		return
	}
	conn.SetWriteDeadline(time.Now().Add(answerTime))
	conn.Write(append(text, '\n'))
}

// mayAsk tells whether a user gets an answer: this one, and root.
func mayAsk(uid int) bool { return uid == unknownUID || uid == 0 || uid == os.Geteuid() }

func (s *Server) answer(ctx context.Context, cancel func(), conn *net.UnixConn, line []byte) Answer {
	var q Request
	switch err := json.Unmarshal(line, &q); {
	case err != nil:
		return Answer{Error: "the request cannot be parsed: " + err.Error()}
	case q.Version != Version:
		return Answer{Error: fmt.Sprintf("this run speaks version %d of the protocol, not %d", Version, q.Version), Hint: "use the brs-exec that the run was started with"}
	case q.Do == Status:
		r := s.opts.Status(ctx)
		return Answer{Record: &r}
	case q.Do == Refresh:
		// Whoever goes away waits no longer.
		conn.SetReadDeadline(time.Time{})
		s.work.Go(func() {
			conn.Read(make([]byte, 1))
			cancel()
		})
		return s.refresh(ctx, q.Profiles)
	}
	return Answer{Error: strconv.Quote(q.Do) + " is not a request that this run knows"}
}

func (s *Server) refresh(ctx context.Context, names []string) Answer {
	known := s.opts.Status(ctx)
	for _, name := range names {
		if !slices.ContainsFunc(known.Profiles, func(p Profile) bool { return p.Name == name }) {
			return Answer{Error: fmt.Sprintf("the run has no profile %q", name), Hint: "brs-exec status --wide lists them"}
		}
	}
	select {
	case s.refreshes <- struct{}{}:
		defer func() { <-s.refreshes }()
	default:
		return Answer{Error: fmt.Sprintf("%d others already wait for a refresh of this run", maxRefreshes), Hint: "try again when they are done"}
	}
	if len(names) == 0 {
		names = nil // all
	}
	var a Answer
	if err := s.opts.Refresh(ctx, names); err != nil {
		a.Error, a.Hint = err.Error(), refresh.HintOf(err)
	}
	r := s.opts.Status(ctx)
	if len(names) > 0 {
		r.Profiles = slices.DeleteFunc(r.Profiles, func(p Profile) bool { return !slices.Contains(names, p.Name) })
	}
	a.Record = &r
	return a
}
