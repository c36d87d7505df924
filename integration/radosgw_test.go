//go:build unix

package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const gatewaySecret = "RadosgwOpsSecretKey0123456789abcdefghij"

// gateway is a running Ceph radosgw: a server not of our making that speaks STS
// and S3, and that refuses credentials within moments of their expiry.
type gateway struct {
	dir  string
	port int
	pid  int // of radosgw itself, 0 once it was killed
}

// startGateway starts one for the test.
func startGateway(t *testing.T, w *world) *gateway {
	t.Helper()
	for _, name := range []string{"radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "curl"} {
		program(t, name)
	}
	g := &gateway{dir: w.path("ceph"), port: twoFreePorts(t)}
	cmd := exec.Command("bash", "radosgw.sh", g.dir, strconv.Itoa(g.port))
	cmd.Env = append(os.Environ(), "RADOSGW_SECRET="+gatewaySecret)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // the script then ends what it started
		cmd.Wait()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	if !poll(2*time.Minute, func() bool {
		return strings.Contains(said.String(), "ready ") || strings.Contains(said.String(), "failed\n")
	}) ||
		!strings.Contains(said.String(), "ready ") {
		t.Fatalf("radosgw did not start:\n%s", said.String())
	}
	_, pid, _ := strings.Cut(said.String(), "ready ")
	if g.pid, err = strconv.Atoi(strings.TrimSpace(pid)); err != nil {
		t.Fatal(err)
	}
	w.env["AWS_ENDPOINT_URL"] = fmt.Sprintf("http://127.0.0.1:%d", g.port)
	w.env["AWS_ACCESS_KEY_ID"] = "AKIATESTOPS"
	w.env["AWS_SECRET_ACCESS_KEY"] = gatewaySecret
	w.env["CLIENT_SERVICES"] = "s3"
	w.env["AWS_MAX_ATTEMPTS"] = "1" // every refusal is to be seen
	return g
}

// givenPorts are given out once in a run of the tests, from below those that the system
// gives to whoever asks for any: it is seconds until a server listens on its own.
var givenPorts = struct {
	sync.Mutex
	next int
}{next: 20000 + rand.IntN(6000)*2}

// twoFreePorts returns a port that is free as the one after it is.
func twoFreePorts(t *testing.T) int {
	t.Helper()
	givenPorts.Lock()
	defer givenPorts.Unlock()
	for range 100 {
		port := givenPorts.next
		if givenPorts.next += 2; givenPorts.next > 32000 {
			givenPorts.next = 20000
		}
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		next, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port+1))
		l.Close()
		if err == nil {
			next.Close()
			return port
		}
	}
	t.Fatal("no two free ports in a row")
	return 0
}

// admin runs radosgw-admin.
func (g *gateway) admin(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("radosgw-admin", append([]string{"-n", "client.rgw", "--tenant", "123456789012"}, args...)...)
	cmd.Env = append(os.Environ(), "CEPH_CONF="+filepath.Join(g.dir, "ceph.conf"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("radosgw-admin %q: %v\n%s", args, err, out)
	}
}

func (g *gateway) kill(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(g.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.pid = 0
}

// restart starts radosgw again on the same cluster.
func (g *gateway) restart(t *testing.T) {
	t.Helper()
	cmd := exec.Command("radosgw", "-n", "client.rgw", "-f")
	cmd.Env = append(os.Environ(), "CEPH_CONF="+filepath.Join(g.dir, "ceph.conf"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// counts tells how many calls of a client went well and how many did not.
func counts(p *process) (ok, refused int) {
	for _, line := range p.stdout.lines() {
		if strings.HasPrefix(line, "ok ") {
			ok++
		} else {
			refused++
		}
	}
	return ok, refused
}

// TestRealServer takes credentials from a third party's STS and uses them at its S3.
func TestRealServer(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 0)
	g := startGateway(t, w)
	const lifetime = 16 * time.Second
	p := w.brsExec("--role-arn", roleARN, "--duration", lifetime.String(), "--log-level", "debug", "--",
		program(t, "python"), source("boto3", "client.py"))

	used := map[string]bool{}
	eventually(t, patience, "calls with five sets of credentials, most of which have expired", func() bool {
		for _, line := range p.stdout.lines() {
			used[line] = true
		}
		return len(used) >= 5 || p.ended()
	})
	if p.ended() {
		t.Fatalf("ended early with %d\n%s", p.exit(), p.stderr.String())
	}
	for line := range used {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("the command printed %q", line)
		}
	}

	// Without brs-exec's work the calls are refused: the test can fail.
	p.signal(syscall.SIGSTOP)
	eventually(t, 2*lifetime+patience, "a refused call while brs-exec is stopped", func() bool {
		_, refused := counts(p)
		return refused > 0
	})
	p.signal(syscall.SIGCONT)
	recovers(t, p, "after brs-exec goes on")

	// An outage of the server: brs-exec backs off, and the command lives.
	before := len(p.stderr.lines())
	g.kill(t)
	_, refused := counts(p)
	eventually(t, patience, "refused calls without a server", func() bool {
		_, now := counts(p)
		return now >= refused+8
	})
	if p.ended() {
		t.Fatalf("ended with the server: %d\n%s", p.exit(), p.stderr.String())
	}
	if said := len(p.stderr.lines()) - before; said > 40 {
		t.Errorf("%d lines of log in an outage of seconds: no back-off", said)
	}
	g.restart(t)
	recovers(t, p, "after the server is back")

	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if strings.Contains(p.stderr.String(), gatewaySecret) {
		t.Error("the secret was printed")
	}
}

// recovers waits for five calls in a row that go well.
func recovers(t *testing.T, p *process, when string) {
	t.Helper()
	eventually(t, patience, "calls go well again "+when, func() bool {
		lines := p.stdout.lines()
		if len(lines) < 5 {
			return false
		}
		for _, line := range lines[len(lines)-5:] {
			if !strings.HasPrefix(line, "ok ") {
				return false
			}
		}
		return true
	})
}
