//go:build unix

package integration

import (
	"encoding/json"

	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gate stands in front of a server, and lets nothing through until it is opened.
type gate struct {
	*httptest.Server
	came chan struct{} // something has come
	open func()

	mu    sync.Mutex
	calls int
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{came: make(chan struct{}, 1000)}
	opened := make(chan struct{})
	g.open = sync.OnceFunc(func() { close(opened) })
	behind := httputil.NewSingleHostReverseProxy(u) // which keeps the Host, and so the signature
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.calls++
		g.mu.Unlock()
		g.came <- struct{}{}
		select {
		case <-opened:
			behind.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { g.open(); g.Server.CloseClientConnections(); g.Server.Close() })
	return g
}

func (g *gate) asked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

func (g *gate) await(t *testing.T) {
	t.Helper()
	select {
	case <-g.came:
	case <-time.After(patience):
		t.Fatal("nobody asks")
	}
}

// sharing is a world with a cache, and a gate in front of its server.
func sharing(t *testing.T, life time.Duration) (*world, *gate) {
	t.Helper()
	w := newWorld(t, life)
	w.reveals = true
	g := newGate(t, w.server.URL())
	w.env["AWS_ENDPOINT_URL"] = g.URL
	w.env["BRS_EXEC_SHARE_DIR"] = w.path("share")
	w.env["BRS_EXEC_SHARE"] = "true"
	return w, g
}

// crowd starts n processes at once, half of them runs and half of them `credentials`.
func crowd(w *world, n int, args ...string) (all []*process) {
	for i := range n {
		if i%2 == 0 {
			all = append(all, w.brsExec(append([]string{"credentials"}, args...)...))
			continue
		}
		all = append(all, w.brsExec(append(append([]string{"--deliver", "env", "--on-refresh", "restart"}, args...), "--", "sh", "-c", `echo "{\"AccessKeyId\": \"$AWS_ACCESS_KEY_ID\"}"`)...))
	}
	return all
}

// keyID is that of the credentials that a process has printed.
func (p *process) keyID() string {
	p.w.t.Helper()
	if code := p.exit(); code != 0 {
		p.w.t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	var printed struct{ AccessKeyId string }
	if err := json.Unmarshal([]byte(p.stdout.String()), &printed); err != nil || printed.AccessKeyId == "" {
		p.w.t.Fatalf("printed %q: %v", p.stdout.String(), err)
	}
	return printed.AccessKeyId
}

func sameKey(t *testing.T, all []*process) {
	t.Helper()
	for _, p := range all {
		if got, want := p.keyID(), all[0].keyID(); got != want {
			t.Errorf("one has %s, another one %s", got, want)
		}
	}
}

// holder is the process whose turn it is.
func holder(t *testing.T, w *world) int {
	t.Helper()
	pid := 0
	eventually(t, patience, "a process has its turn", func() bool {
		locks, _ := filepath.Glob(w.path("share/*.lock"))
		for _, path := range locks {
			text, _ := os.ReadFile(path)
			word, _, _ := strings.Cut(string(text), " ")
			pid, _ = strconv.Atoi(word)
		}
		return pid != 0
	})
	return pid
}

// TestShare: forty processes at once ask once, whatever becomes of the one that asks.
func TestShare(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		harm    syscall.Signal // to the process that asks; 0: none
		n, most int            // processes, and calls
	}{
		{"forty", 0, 40, 1},
		{"the one that asks is killed", syscall.SIGKILL, 40, 2},
		{"the one that asks is stopped", syscall.SIGSTOP, 12, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, g := sharing(t, time.Hour)
			all := crowd(w, tt.n, "--role-arn", roleARN)
			g.await(t)
			if tt.harm != 0 {
				pid := holder(t, w)
				if err := syscall.Kill(pid, tt.harm); err != nil {
					t.Fatal(err)
				}
				w.leaves = true
				for i, p := range all {
					if p.cmd.Process.Pid == pid {
						all = append(all[:i:i], all[i+1:]...)
						break
					}
				}
			}
			g.open()
			sameKey(t, all)
			if got := g.asked(); got > tt.most {
				t.Errorf("%d calls, want %d at most", got, tt.most)
			}
		})
	}
}
