package endpoint

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// takeAgain gives an endpoint's place up and takes it again. It is zero if another program was faster.
func takeAgain(t *testing.T) (at At) {
	t.Helper()
	first, err := Listen(Options{})
	if err != nil {
		t.Fatal(err)
	}
	at = first.At()
	taken, err := Listen(Options{Again: at})
	if err != nil {
		t.Fatal(err)
	}
	if got := taken.At(); got.Address == at.Address || got.Token == at.Token || got.Prefix == at.Prefix {
		t.Errorf("where another program answers: %v after %v", got, at)
	}
	taken.socket.listener.Close()
	first.socket.listener.Close()
	second, err := Listen(Options{Again: at})
	if err != nil {
		t.Fatal(err)
	}
	defer second.socket.listener.Close()
	if got := second.At(); got != at {
		free, err := net.Listen("tcp", at.Address)
		if err != nil {
			return At{}
		}
		free.Close()
		t.Errorf("is at %v after %v", got, at)
	}
	_, number, _ := net.SplitHostPort(at.Address)
	port, _ := strconv.Atoi(number)
	if _, err := Listen(Options{Port: port}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}
	second.socket.listener.Close()
	fixed, err := Listen(Options{Port: port, Again: at})
	if errors.Is(err, syscall.EADDRINUSE) {
		return At{}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer fixed.socket.listener.Close()
	if got := fixed.At(); got != (At{at.Address, fixedPath, at.Token}) || !got.valid() {
		t.Errorf("at a port that is given: %v after %v", got, at)
	}
	return at
}

// TestAgain: a server takes the place of an earlier one if it can, and has new secrets if
// another program may have been sent the old.
func TestAgain(t *testing.T) {
	t.Parallel()
	at := At{}
	for tries := 0; at == (At{}); tries++ { // another program may take a port that is given up for a moment
		if tries == 20 {
			t.Fatal("the port is another's each time")
		}
		at = takeAgain(t)
	}
	for _, bad := range []At{
		{}, {Address: at.Address}, {at.Address, at.Prefix, at.Token[:62]}, {at.Address, "/x", at.Token}, {at.Address, at.Prefix[1:], at.Token},
		{"192.0.2.1:80", at.Prefix, at.Token}, {"127.0.0.1:0", at.Prefix, at.Token}, {"x", at.Prefix, at.Token}, {at.Address, at.Prefix, strings.ToUpper(at.Token[:63]) + "G"},
	} {
		s, err := Listen(Options{Again: bad})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.At(); got.Token == bad.Token || got.Prefix == bad.Prefix || !got.valid() {
			t.Errorf("takes up %v as %v", bad, got)
		}
		s.socket.listener.Close()
	}
}
