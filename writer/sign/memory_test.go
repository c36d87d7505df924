package sign

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"
)

// inUse is the memory of this process.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools have goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestMemory is not parallel: it looks at all memory. What a connection costs here is the difference that it makes whether it
// comes through here, with bodies under way of any length, or between two requests.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	for _, tt := range []struct {
		name            string
		up, down, known bool
		limit           int64
	}{
		{"idle", false, false, false, 64 << 10},
		// crypto/tls has up to 40 KiB for each direction of each connection, and net/http 64 KiB for a body that it sends.
		{"download", false, true, false, 160 << 10},
		{"upload", true, false, true, 224 << 10},
		{"both", true, true, false, 224 << 10},
	} {
		direct := memoryOf(t, "direct", tt.up, tt.down, tt.known)
		for _, way := range []string{"proxy", "endpoint"} {
			more := memoryOf(t, way, tt.up, tt.down, tt.known) - direct
			t.Logf("%s, %s: %.1f KiB a connection, besides the %.1f KiB of the client and the service", tt.name, way, float64(more)/1024, float64(direct)/1024)
			if more > tt.limit {
				t.Errorf("%s, %s: more than %d KiB", tt.name, way, tt.limit>>10)
			}
		}
	}
}

var zeros = make([]byte, 1<<20)

// memoryOf is the memory in use for each of many connections, all ends of which are in this process.
func memoryOf(t *testing.T, way string, up, down, known bool) int64 {
	const connections, much = 50, 1 << 20
	f := newAWS(t, "sts.us-east-1.amazonaws.com")
	defer f.Close()
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	f.then = func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		if up {
			io.CopyN(io.Discard, r.Body, much)
		}
		if down {
			w.Write(zeros)
		}
		http.NewResponseController(w).Flush()
		<-hold
		io.Copy(io.Discard, r.Body) // net/http has trouble with what is left
	}
	w := newWorld(t, f, Options{Endpoints: map[string]string{"": "https://sts.us-east-1.amazonaws.com"}})
	dial := w.transports.dial
	toService := dialFunc(func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, f.host()) })
	w.transports.dial = toService
	base, client := "https://sts.us-east-1.amazonaws.com", w.client(t, false)
	transport := client.Transport.(*http.Transport)
	transport.MaxIdleConnsPerHost = connections
	switch way {
	case "direct":
		transport.Proxy, transport.DialContext = nil, toService
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(f.authority)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	case "endpoint":
		base, transport.Proxy = w.URL(), nil
	}
	before := inUse()
	var ends []func()
	for range connections {
		body, send := io.Pipe()
		r := newRequest(t, "PUT", base+"/b/k", "")
		r.Body, r.ContentLength = body, -1
		if known {
			r.ContentLength = much + 1<<20
		}
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		if !up {
			r.Body, r.ContentLength = nil, 0
		}
		if way != "direct" {
			sign(t, r, w.Local("p"), "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now())
		}
		go send.Write(zeros)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != 200 {
			text, _ := io.ReadAll(answer.Body)
			t.Fatalf("%s %s", answer.Status, text)
		}
		if down {
			io.CopyN(io.Discard, answer.Body, much)
		}
		ends = append(ends, func() {
			send.Close()
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		})
	}
	if !up && !down {
		release()
		for _, end := range ends {
			end()
		}
	}
	cost := (inUse() - before) / connections
	release()
	for _, end := range ends {
		end()
	}
	transport.CloseIdleConnections()
	return cost
}
