package loopback

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// broken has what notify is given.
type broken chan error

func (b broken) next(t *testing.T) error {
	t.Helper()
	select {
	case err := <-b:
		return err
	case <-time.After(3 * time.Minute):
		t.Fatal("nothing is said")
		return nil
	}
}

func listen(t *testing.T) (*Listener, broken) {
	t.Helper()
	said := make(broken, 10)
	l, err := Listen("", func(err error) { said <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, said
}

// connect has a client come and be accepted, and checks that it counts as our own.
func connect(t *testing.T, l *Listener) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := CheckPeer(server.RemoteAddr(), server.LocalAddr()); PeersKnown != (err == nil) {
		t.Errorf("our own client: %v", err)
	}
}

// TestListensAgain breaks the socket underneath: the address has to stay.
func TestListensAgain(t *testing.T) {
	t.Parallel()
	l, said := listen(t)
	for range 3 {
		accepted := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				c.Close()
			}
			accepted <- err
		}()
		l.current().Close()
		if err := said.next(t); err == nil {
			t.Error("it is not said that the socket broke")
		}
		if err := said.next(t); err != nil {
			t.Errorf("then %v is said, want that it works", err)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := <-accepted; err != nil {
			t.Errorf("Accept: %v", err)
		}
	}
}

// TestTaken has another program at the address for a while.
func TestTaken(t *testing.T) {
	t.Parallel()
	l, said := listen(t)
	stranger := make(chan net.Listener, 1)
	l.bind = func(address string) (*net.TCPListener, error) {
		other, err := net.Listen("tcp", address)
		if err != nil { // a client of some other test has the port for a moment
			return nil, err
		}
		l.bind = bind
		stranger <- other
		return bind(address)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	l.current().Close()
	if err := said.next(t); err == nil || !strings.Contains(err.Error(), "bind") {
		t.Errorf("said %v, want that the port is taken", err)
	}
	(<-stranger).Close()
	for said.next(t) != nil {
	}
	if !l.Taken() {
		t.Error("the address does not count as another program's")
	}
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed listener: %v", err)
	}
}

func TestCheckPeer(t *testing.T) {
	t.Parallel()
	if !PeersKnown {
		t.Skip("nobody tells whose a connection is")
	}
	no := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	if err := CheckPeer(no, no); !errors.Is(err, ErrStranger) {
		t.Errorf("a connection that there is not: %v", err)
	}
	if err := CheckPeer(&net.UnixAddr{Name: "x"}, no); !errors.Is(err, ErrStranger) {
		t.Errorf("what is no address: %v", err)
	}
}
