//go:build unix

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// atFirst opens the gate when the first call has come, and after do. Whoever waits for that
// call is not kept waiting for the rest of a crowd to start.
func (g *gate) atFirst(do func()) {
	go func() {
		<-g.came
		do()
		g.open()
	}()
}

// holder is the process whose turn it is, 0 if there is none.
func holder(w *world) (pid int) {
	locks, _ := filepath.Glob(w.path("share/*.lock"))
	for _, path := range locks {
		text, _ := os.ReadFile(path)
		word, _, _ := strings.Cut(string(text), " ")
		pid, _ = strconv.Atoi(word)
	}
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
			harmed := make(chan int, 1)
			w.leaves = tt.harm != 0
			g.atFirst(func() {
				pid := 0
				if tt.harm != 0 {
					if pid = holder(w); pid == 0 {
						t.Error("nobody has its turn")
					} else if err := syscall.Kill(pid, tt.harm); err != nil {
						t.Error(err)
					}
				}
				harmed <- pid
			})
			all := crowd(w, tt.n, "--role-arn", roleARN)
			pid := <-harmed
			all = slices.DeleteFunc(all, func(p *process) bool { return p.cmd.Process.Pid == pid })
			sameKey(t, all)
			if got := g.asked(); got > tt.most {
				t.Errorf("%d calls, want %d at most", got, tt.most)
			}
		})
	}
}

// alone has no terminal.
type alone struct{}

func (alone) attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

const mfaDevice = "arn:aws:iam::123456789012:mfa/ann"

// TestShareMFA: forty processes use one code, whoever knows it.
func TestShareMFA(t *testing.T) {
	t.Parallel()
	t.Run("command", func(t *testing.T) {
		t.Parallel()
		w, _ := sharing(t, time.Hour)
		g := newGate(t, mfaServer(t).URL)
		w.env["AWS_ENDPOINT_URL"] = g.URL
		code := w.script("code", `echo asked >> asked; echo 123456`)
		g.atFirst(func() {})
		all := crowd(w, 40, "--mfa-serial", mfaDevice, "--mfa-command", code, "--role-arn", roleARN)
		sameKey(t, all)
		other := w.brsExec("credentials", "--mfa-serial", mfaDevice, "--mfa-command", code, "--role-arn", roleARN+"2") // of the same session
		other.keyID()
		if got := w.read("asked"); got != "asked\n" || g.asked() != 3 {
			t.Errorf("%d calls, want 3; asked for codes: %q", g.asked(), got)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		t.Parallel()
		w, _ := sharing(t, time.Hour)
		w.user = alone{}
		g := newGate(t, mfaServer(t).URL)
		w.env["AWS_ENDPOINT_URL"] = g.URL
		g.open()
		args := []string{"--mfa-serial", mfaDevice, "--role-arn", roleARN}
		var all []*process
		screen, _, state := atPrompt(t, w, []string{"123456\n"}, func() {
			all = crowd(w, 10, args...)
			for _, p := range all {
				eventually(t, patience, "it waits for the code", func() bool {
					return strings.Contains(p.stderr.String(), "waiting for the MFA code of "+mfaDevice)
				})
			}
		}, append(args, "--", "true")...)
		if got := strings.Count(screen, "MFA code for"); got != 1 || state.ExitCode() != 0 {
			t.Errorf("%d prompts, %v", got, state)
		}
		sameKey(t, all)
		// It is cached now: nobody is asked, and no server.
		before := g.asked()
		screen, _, state = atTerminal(t, w, nil, append(args, "--", "true")...)
		if state.ExitCode() != 0 || strings.Contains(screen, "MFA code") || g.asked() != before {
			t.Errorf("%v after %d more calls, screen %q", state, g.asked()-before, screen)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		w, g := sharing(t, time.Hour)
		w.user = alone{}
		p := w.brsExec("credentials", "--mfa-serial", mfaDevice, "--role-arn", roleARN)
		if code := p.exit(); code != 125 || g.asked() != 0 || !strings.Contains(p.stderr.String(), "there is no terminal to ask for it") {
			t.Errorf("exit code %d after %d calls\n%s", code, g.asked(), p.stderr.String())
		}
	})
}

// TestShareEntry: an entry that is not what this user's brs-exec has written is not used, and
// what it is does no harm.
func TestShareEntry(t *testing.T) {
	t.Parallel()
	w, g := sharing(t, time.Hour)
	g.open()
	get := func() (key, said string) {
		t.Helper()
		p := w.brsExec("credentials", "--role-arn", roleARN)
		return p.keyID(), p.stderr.String()
	}
	last, _ := get()
	if again, said := get(); again != last || said != "" {
		t.Fatalf("%s after %s\n%s", again, last, said)
	}
	entry := ""
	for _, name := range w.tree(w.path("share")) {
		if len(name) == 64 {
			entry = w.path("share/" + name)
		}
	}
	good, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string, mode os.FileMode) error {
		os.Remove(entry)
		if err := os.WriteFile(entry, []byte(text), mode); err != nil {
			return err
		}
		return os.Chmod(entry, mode)
	}
	tests := []struct {
		name string
		make func() error
		said string
	}{
		{"torn", func() error { return replace(string(good[:len(good)/2]), 0o600) }, "is damaged"},
		{"empty", func() error { return replace("", 0o600) }, "is damaged"},
		{"garbage", func() error { return replace("\x00\xff\n{}", 0o600) }, "is damaged"},
		{"other credentials", func() error { return replace(strings.Replace(string(good), "ASIA", "ASIB", 1), 0o600) }, "is damaged"},
		{"huge", func() error { return replace(strings.Repeat("x", 1<<20), 0o600) }, "is damaged"},
		{"readable by others", func() error { return replace(string(good), 0o644) }, "others can read it (mode 0644)"},
		{"writable by others", func() error { return replace(string(good), 0o620) }, "others can write to it (mode 0620)"},
		{"symbolic link", func() error {
			w.write("elsewhere", string(good))
			os.Remove(entry)
			return os.Symlink(w.path("elsewhere"), entry)
		}, "not a regular file"},
		{"second name", func() error {
			if err := replace(string(good), 0o600); err != nil {
				return err
			}
			return os.Link(entry, w.path("second"))
		}, "has 2 names"},
		{"pipe", func() error { os.Remove(entry); return syscall.Mkfifo(entry, 0o600) }, "not a regular file"},
	}
	for _, tt := range tests {
		if err := tt.make(); err != nil {
			t.Fatal(err)
		}
		key, said := get()
		if key == last || strings.Count(said, tt.said) != 1 {
			t.Errorf("%s: has %s after %s, said %q, want %q once", tt.name, key, last, said, tt.said)
		}
		if again, said := get(); again != key || said != "" {
			t.Errorf("%s: afterwards %s is not %s: %s", tt.name, again, key, said)
		}
		last = key
	}
	if text := w.read("elsewhere"); text != string(good) {
		t.Error("what a link led to was written to")
	}
	// Something that cannot be replaced, and a directory that cannot be used, leave each
	// process to itself.
	os.Remove(entry)
	if err := os.MkdirAll(filepath.Join(entry, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if key, said := get(); key == last || !strings.Contains(said, "credentials are not shared with other processes") {
		t.Errorf("a directory: %s, %s", key, said)
	}
	if err := os.Chmod(w.path("share"), 0o755); err != nil {
		t.Fatal(err)
	}
	if key, said := get(); key == last || !strings.Contains(said, "is open to others (mode 0755): it must be 0700") {
		t.Errorf("open to others: %s, %s", key, said)
	}
}

// TestShareRefresh: of three runs, one refreshes, and the others take what it got.
func TestShareRefresh(t *testing.T) {
	t.Parallel()
	w, g := sharing(t, 6*time.Second)
	g.open()
	var runs []*process
	for range 3 {
		runs = append(runs, w.brsExec("--log-level", "info", "--role-arn", roleARN, "--", "sh", "-c", "read -r _; exit 0"))
	}
	taken := func(p *process) int { return len(takenLine.FindAllString(p.stderr.String(), -1)) }
	for _, p := range runs {
		eventually(t, patience, "it has taken four sets of credentials", func() bool { return p.ended() || taken(p) >= 4 })
	}
	all := 0
	for _, p := range runs {
		p.stdin.Close()
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.stderr.String())
		}
		all += taken(p)
	}
	if got := g.asked(); got > all/2 { // one that was kept from looking in time has missed a set
		t.Errorf("%d calls for the %d sets that three runs took", got, all)
	}
}

// takenLine says that a run has other credentials now.
var takenLine = regexp.MustCompile(`msg="credentials (obtained|refreshed|are refreshed again)"`)

// TestShareList: three runs of one list make the calls of one.
func TestShareList(t *testing.T) {
	t.Parallel()
	w, g := sharing(t, time.Hour)
	var accounts []string
	for i := range 20 {
		accounts = append(accounts, fmt.Sprintf("%q", fmt.Sprintf("%012d", i+1)))
	}
	config := w.write("list.yaml", "profiles:\n  - for-each:\n      account: ["+strings.Join(accounts, ", ")+"]\n"+
		"    name: app-{account}\n    role-arn: arn:aws:iam::{account}:role/App\n")
	var runs []*process
	for range 3 {
		runs = append(runs, w.brsExec("--config", config, "--", "sh", "-c", `grep -c credential_process "$AWS_CONFIG_FILE"`))
	}
	g.await(t)
	g.open()
	for _, p := range runs {
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.stderr.String())
		}
	}
	if got := g.asked(); got != 20 {
		t.Errorf("%d calls, want 20", got)
	}
}

// TestShareRefreshNow: who is told to refresh asks, and the others take what it was given.
func TestShareRefreshNow(t *testing.T) {
	t.Parallel()
	w, g := sharing(t, time.Hour)
	g.open()
	const loop = `last=; while :; do
		now=$(grep -m1 aws_access_key_id "$AWS_SHARED_CREDENTIALS_FILE"); [ "$now" = "$last" ] || echo "$now"; last=$now
		read -t 0.2 x; [ $? -gt 128 ] || exit 0; done`
	var runs []*process
	for range 2 {
		runs = append(runs, w.brsExec("--deliver", "file", "--role-arn", roleARN, "--", "bash", "-c", loop))
	}
	seen := func(n int) {
		t.Helper()
		for _, p := range runs {
			eventually(t, patience, fmt.Sprintf("it has seen %d sets of credentials", n), func() bool { return len(p.stdout.lines()) == n })
		}
	}
	seen(1)
	refresh := w.brsExec("refresh", strconv.Itoa(runs[0].cmd.Process.Pid))
	if code := refresh.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, refresh.stdout.String(), refresh.stderr.String())
	}
	seen(2)
	for _, p := range runs {
		p.stdin.Close()
		p.exit()
	}
	if runs[0].stdout.String() != runs[1].stdout.String() || g.asked() != 2 {
		t.Errorf("%d calls, %q and %q", g.asked(), runs[0].stdout.String(), runs[1].stdout.String())
	}
}
