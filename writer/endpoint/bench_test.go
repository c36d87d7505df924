package endpoint

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// BenchmarkServer measures whole fetches, connection and all, as SDKs make them, while credentials are being replaced.
func BenchmarkServer(b *testing.B) {
	s := startServer(b, Options{Profile: "p"}, map[string]aws.Credentials{"p": testSet("ASIABENCH", time.Hour)})
	address := s.socket.listener.Addr().String()
	request := "GET " + s.prefix + " HTTP/1.1\r\nHost: " + address + "\r\nAuthorization: " + s.token + "\r\n\r\n"
	measure(b, s.Deliver, func() error { return fetch(address, request) })
}

// BenchmarkIMDS measures one metadata GET with a session token.
func BenchmarkIMDS(b *testing.B) {
	m := startIMDS(b, Options{Profile: "p"}, map[string]aws.Credentials{"p": testSet("ASIABENCH", time.Hour)})
	address := m.socket.listener.Addr().String()
	request := "GET " + credentialsPath + "/brs-exec HTTP/1.1\r\nHost: " + address + "\r\n" +
		sessionHeader + ": " + session(b, m) + "\r\n\r\n"
	measure(b, m.Deliver, func() error { return fetch(address, request) })
}

// BenchmarkAnswer is the handler alone.
func BenchmarkAnswer(b *testing.B) {
	store := newStore(containerBody)
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
	slices.Sort(took)
	if n := len(took); n > 0 {
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "req/s")
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
