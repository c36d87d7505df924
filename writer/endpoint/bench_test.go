//go:build unix

package endpoint

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// BenchmarkServer measures whole fetches, connection and all as SDKs make them, and on connections that are kept, while credentials
// are being replaced.
func BenchmarkServer(b *testing.B) {
	s := startServer(b, Options{Profile: "p"}, map[string]aws.Credentials{"p": testSet("ASIABENCH", time.Hour)})
	address := s.socket.listener.Addr().String()
	request := "GET " + s.prefix + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\nAuthorization: " + s.token + "\r\n\r\n"
	measure(b, s.Deliver, func() error { return fetch(address, request) })
	b.Run("eight", func(b *testing.B) { measureWith(b, 8, s.Deliver, func() error { return fetch(address, request) }) })
	request = strings.Replace(request, "Connection: close\r\n", "", 1)
	ask := keep(address, 8)
	b.Run("eight kept", func(b *testing.B) { measureWith(b, 8, s.Deliver, func() error { return ask(request) }) })
}

// BenchmarkProfiles measures a program that asks for one profile after the other on connections that it keeps.
func BenchmarkProfiles(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		sets := map[string]aws.Credentials{"p": testSet("ASIABENCH", time.Hour)}
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("%012d-eu-west-1-ReadOnly", i))
			sets[names[i]] = aws.Credentials{AccessKeyID: "ASIABENCH", SecretAccessKey: "s", SessionToken: strings.Repeat("t", 800), CanExpire: true, Expires: time.Now().Add(time.Hour)}
		}
		s := startServer(b, Options{Profile: "p"}, sets)
		address := s.socket.listener.Addr().String()
		requests := make([]string, n)
		for i, name := range names {
			requests[i] = "GET " + s.prefix + "/" + name + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: Boto3/1.40 md/Botocore#1.40\r\nAccept: application/json\r\nAuthorization: " + s.token + "\r\n\r\n"
		}
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("%d/%d", n, clients), func(b *testing.B) {
				ask := keep(address, clients)
				var next atomic.Int64
				measureWith(b, clients, s.Deliver, func() error { return ask(requests[int(next.Add(1))%n]) })
			})
		}
	}
}

// keep returns what fetches on one of n connections.
func keep(address string, n int) (fetch func(request string) error) {
	conns := make(chan *kept, n)
	for range n {
		conns <- &kept{address: address}
	}
	return func(request string) error {
		c := <-conns
		defer func() { conns <- c }()
		return c.fetch(request)
	}
}

// kept is a connection that is used again until the server ends it.
type kept struct {
	address string
	conn    net.Conn
	buffer  [4 << 10]byte
}

// fetch reads one answer, which comes in one piece.
func (k *kept) fetch(request string) (err error) {
	if k.conn == nil {
		if k.conn, err = net.Dial("tcp", k.address); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(k.conn, request); err != nil {
		return err
	}
	n, err := k.conn.Read(k.buffer[:])
	answer := k.buffer[:n]
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK")) || !bytes.HasSuffix(answer, []byte("\"}")) {
		return fmt.Errorf("%w: %q", cmp.Or(err, io.ErrUnexpectedEOF), answer)
	}
	if bytes.Contains(answer, []byte("\r\nConnection: close\r\n")) {
		k.conn.Close()
		k.conn = nil
	}
	return nil
}

// BenchmarkIMDS measures one metadata GET with a session token.
func BenchmarkIMDS(b *testing.B) {
	m := startIMDS(b, Options{Profile: "p"}, map[string]aws.Credentials{"p": testSet("ASIABENCH", time.Hour)})
	address := m.socket.listener.Addr().String()
	request := "GET " + credentialsPath + "/brs-exec HTTP/1.1\r\nConnection: close\r\nHost: " + address + "\r\n" +
		sessionHeader + ": " + session(b, m) + "\r\n\r\n"
	measure(b, m.Deliver, func() error { return fetch(address, request) })
}

// BenchmarkAnswer is the handler alone.
func BenchmarkAnswer(b *testing.B) {
	store := newStore(containerBody, "")
	if err := store.Deliver(b.Context(), map[string]aws.Credentials{"p": testSet("ASIABENCH", time.Hour)}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var w recorder
	for b.Loop() {
		w.body.Reset()
		store.serve(&w, "p")
	}
}

func measure(b *testing.B, deliver func(context.Context, map[string]aws.Credentials) error, fetch func() error) {
	b.Run("alone", func(b *testing.B) { measureWith(b, 1, deliver, fetch) })
	b.Run("crowd", func(b *testing.B) { measureWith(b, 64, deliver, fetch) })
}

func measureWith(b *testing.B, clients int, deliver func(context.Context, map[string]aws.Credentials) error, fetch func() error) {
	ctx, cancel := context.WithCancel(b.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if err := deliver(ctx, map[string]aws.Credentials{"p": testSet("ASIABENCH", time.Hour)}); err != nil {
				b.Error(err)
			}
			<-tick.C
		}
	})
	var before syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	var mu sync.Mutex
	var took []time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	var crowd sync.WaitGroup
	for i := range clients {
		crowd.Go(func() {
			var mine []time.Duration
			for range (b.N + i) / clients { // all of them together make b.N
				begin := time.Now()
				if err := fetch(); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(begin))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	crowd.Wait()
	b.StopTimer()
	cancel()
	writer.Wait()
	var after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	slices.Sort(took)
	if n := len(took); n > 0 {
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "req/s")
		b.ReportMetric(float64(used)/float64(n)/1000, "cpu-µs/op") // of the clients, too
		b.ReportMetric(float64(took[n/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[n*99/100].Microseconds()), "p99-µs")
		b.ReportMetric(float64(took[n-1].Microseconds()), "max-µs")
	}
}

// fetch reads to the end of the connection, which the server closes.
func fetch(address, request string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err == nil && string(answer[:min(15, len(answer))]) != "HTTP/1.1 200 OK" {
		return io.ErrUnexpectedEOF
	}
	return err
}

// BenchmarkMemory tells how much each profile takes, without its credentials themselves.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				sets := map[string]aws.Credentials{}
				for i := range n {
					sets[fmt.Sprintf("%012d-eu-west-1-ReadOnly", i)] = aws.Credentials{AccessKeyID: "ASIABENCH", SecretAccessKey: "s", SessionToken: strings.Repeat("t", 800)}
				}
				s := newStore(containerBody, "p")
				before := heap()
				if err := s.Deliver(b.Context(), sets); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(heap()-before)/float64(n), "B/profile")
				runtime.KeepAlive(s)
				runtime.KeepAlive(sets)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
