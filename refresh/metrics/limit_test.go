package metrics

import (
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// piped accepts as many connections as anybody wants.
type piped struct{ net.Listener }

func (piped) Accept() (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}

// TestLimited: where there is no room, who says nothing goes first, then who does not take
// what it has asked for; nobody goes sooner.
func TestLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := newLimited(piped{}, 2)
		accept := func() net.Conn {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			go func() { // as the server does
				c.Read(make([]byte, 1))
				l.state(c, http.StateClosed)
			}()
			return c
		}
		asked := accept()
		l.state(asked, http.StateActive)
		accept() // says nothing
		for _, want := range []time.Duration{dawdle, 2 * dawdle} {
			accept()
			if took := time.Since(began); took != want {
				t.Errorf("accepted after %v, want %v", took, want)
			}
		}
		synctest.Wait()
		l.state(l.open[1].Conn, http.StateActive)
		accept()
		if took := time.Since(began); took != slow {
			t.Errorf("who asked is closed after %v, want %v", took, slow)
		}
		l.mu.Lock()
		left := slices.Clone(l.open)
		l.mu.Unlock()
		for _, c := range left {
			c.Close()
		}
	})
}

// TestTexts: those who ask while an answer is under way do not make us hold one for each.
func TestTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		text := func() []byte { made++; return []byte{byte(made)} }
		var s texts
		get := func(want byte) *sharedText {
			t.Helper()
			got := s.get(text)
			if got.b[0] != want {
				t.Errorf("text %d, want %d", got.b[0], want)
			}
			return got
		}
		s.put(get(1))
		a := get(2) // nobody else had the first one
		b := get(2)
		s.put(a)
		get(2)
		s.put(b)
		time.Sleep(time.Second + 1)
		c := get(3)
		s.put(c)
		get(4)
	})
}
