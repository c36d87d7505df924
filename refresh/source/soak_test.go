package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
)

// pipeNet is a network in memory, so that servers can be in a synctest bubble:
// a real socket would keep its clock from advancing.
type pipeNet struct {
	down  atomic.Bool // nobody can connect
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// serve answers all addresses with h, in the bubble of t, until the test ends.
func serve(t *testing.T, h http.Handler) *pipeNet {
	n := &pipeNet{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A pipe has no buffer: a client who is answered before all of its request was
		// read would fail to write the rest of it.
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})}
	go srv.Serve(n)
	t.Cleanup(func() { srv.Close() })
	return n
}

func (n *pipeNet) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if n.down.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("network is unreachable")}
	}
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return socket{here}, nil
	case <-n.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// socket is an end of a pipe whose errors are those of a socket.
type socket struct{ net.Conn }

// Read implements net.Conn.
func (s socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if errors.Is(err, io.ErrClosedPipe) {
		err = net.ErrClosed
	}
	return n, err
}

func (n *pipeNet) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

func (n *pipeNet) Close() error   { n.once.Do(func() { close(n.done) }); return nil }
func (n *pipeNet) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// desk is a delivery that remembers the last set, and how many there were.
type desk struct {
	mu   sync.Mutex
	last aws.Credentials
	sets int
}

func (d *desk) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range sets {
		d.last = c
		d.sets++
	}
	return nil
}

func (d *desk) get() (aws.Credentials, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last, d.sets
}

// engine runs the real one over src, in the bubble of t, until the test ends.
func engine(t *testing.T, src *Source, notify func(refresh.Event)) *desk {
	t.Helper()
	d := &desk{}
	e := refresh.New(refresh.Options{
		Profiles: []refresh.Profile{{Name: "a", Source: src}}, Deliveries: []refresh.Delivery{d}, Notify: notify,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-e.Ready():
	case <-done:
		t.FailNow()
	}
	return d
}

// soak lets two weeks pass over src. Each day the network is away for ten
// minutes at an hour of its own, of which a reader must not notice anything: at
// all times what it holds lives for another margin.
func soak(t *testing.T, src *Source, n *pipeNet, margin time.Duration, fewest, most int) {
	t.Helper()
	soakOver(t, src, n.down.Store, margin, fewest, most)
}

// soakOver is soak for what reaches its source by other ways than a network.
func soakOver(t *testing.T, src *Source, down func(bool), margin time.Duration, fewest, most int) {
	t.Helper()
	failed := 0
	d := engine(t, src, func(e refresh.Event) {
		switch e.Kind {
		case refresh.Failed:
			failed++ // of the engine's goroutine, which has ended, or waits, when it is read
			if e.Permanent {
				t.Errorf("%s: permanent: %v", e.Time, e.Err)
			}
		case refresh.Expired:
			t.Errorf("%s: expired", e.Time)
		}
	})
	for day := range 14 {
		for minute := range 24 * 60 {
			// Long enough to meet a refresh on some days.
			down(minute >= day*97 && minute < day*97+10)
			time.Sleep(time.Minute)
			synctest.Wait()
			if c, _ := d.get(); !c.CanExpire || time.Until(c.Expires) < margin {
				t.Fatalf("day %d, minute %d: what is held lives for %s, want %s", day, minute, time.Until(c.Expires), margin)
			}
		}
	}
	down(false)
	if _, sets := d.get(); sets < fewest || sets > most {
		t.Errorf("%d sets in 14 days, want %d to %d", sets, fewest, most)
	}
	t.Logf("%d failures on the way", failed)
}
