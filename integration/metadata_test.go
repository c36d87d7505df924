//go:build unix

package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startMetadata starts AWS's own mock of the instance metadata service (version 2
// alone) on loopback, as what the world's instance has. Credentials are put into it with
// instanceSet; without one it gives its own, which ended in 2020.
func startMetadata(t *testing.T, w *world, own bool) {
	t.Helper()
	mock := program(t, "ec2-metadata-mock")
	port := fmt.Sprint(twoFreePorts(t))
	args := []string{"--hostname", "127.0.0.1", "--port", port, "--imdsv2"}
	if !own {
		args = append(args, "--watch-config-file", "--config-file", w.path("metadata.json"))
	}
	cmd := exec.Command(mock, args...)
	cmd.Env = []string{"HOME=" + w.path("home"), "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, patience, "the metadata service listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
	w.write("config", "")
	w.env["AWS_EC2_METADATA_DISABLED"] = "false"
	w.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:" + port
}

// instanceSet makes credentials what the metadata service gives, and returns its key id.
func (w *world) instanceSet(life time.Duration) string {
	w.t.Helper()
	c := w.server.Issue("arn:aws:sts::123456789012:assumed-role/Instance/i-1", life)
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"values": map[string]any{
		"iam-security-credentials": map[string]string{
			"Code": "Success", "LastUpdated": time.Now().UTC().Format(time.RFC3339), "Type": "AWS-HMAC",
			"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken,
			"Expiration": c.Expires.UTC().Format(time.RFC3339),
		},
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.swap("metadata.json", string(text))
	return c.AccessKeyID
}

// TestInstance: a command outlives the credentials of its instance's role. When the
// service has no newer one and goes on giving one that has ended (which AWS calls
// static stability), this is said, and not taken for a fresh one.
func TestInstance(t *testing.T) {
	slow(t)
	t.Parallel()
	python := program(t, "python")
	w := newWorld(t, time.Hour)
	const life = 16 * time.Second
	w.instanceSet(life)
	startMetadata(t, w, false)
	p := w.brsExec("--", python, source("boto3", "client.py"))
	used := func(id string) bool { return strings.Contains(p.stdout.String(), "ok "+id+"\n") }
	var last string
	for n := range 3 {
		var made time.Time
		eventually(t, life+patience, fmt.Sprintf("calls with set %d", n+1), func() bool {
			if time.Since(made) > life/2 { // on a busy machine one can end before a call
				last, made = w.instanceSet(life), time.Now()
			}
			return p.ended() || used(last)
		})
	}
	if p.ended() {
		t.Fatalf("ended early with %d\n%s", p.exit(), p.stderr.String())
	}
	for _, line := range p.stdout.lines() {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("the command printed %q", line)
		}
	}
	// From now on the last credentials stay what the service gives.
	ended := `credentials have expired, and there are no newer ones" key=` + last
	eventually(t, life+patience, "that the credentials have expired", func() bool { return strings.Contains(p.stderr.String(), ended) })
	eventually(t, patience, "a refused call", func() bool {
		_, refused := counts(p)
		return refused > 0
	})
	id := w.instanceSet(time.Hour)
	eventually(t, patience, "calls with the newest set", func() bool { return used(id) })
	if n := strings.Count(p.stderr.String(), ended); n != 1 {
		t.Errorf("said %d times that the credentials have expired", n)
	}
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestInstanceEnded: the mock's own set ended in 2020. No command is started with it.
func TestInstanceEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	startMetadata(t, w, true)
	p := w.brsExec("--start-timeout", "10s", "--", "sh", "-c", "echo started")
	if code := p.exit(); code != 125 {
		t.Errorf("exit code %d, want 125", code)
	}
	if said := p.stderr.String(); !strings.Contains(said, "expired at 2020-04-02T00:49:51Z") {
		t.Errorf("standard error %q", said)
	}
	if out := p.stdout.String(); out != "" {
		t.Errorf("the command printed %q", out)
	}
}

// TestInstanceRole: the region of a role's STS, and of the command, is the instance's.
func TestInstanceRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.instanceSet(time.Hour)
	startMetadata(t, w, false)
	p := w.brsExec("--role-arn", roleARN, "--duration", "2h", "--log-level", "info", "--", "sh", "-c", `echo "$AWS_REGION"`)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	if got := p.stdout.String(); got != "us-east-1\n" {
		t.Errorf("the command's region is %q, want the mock's", got)
	}
	calls := w.server.Calls()
	if len(calls) != 1 || !calls[0].Accepted || calls[0].Params["DurationSeconds"][0] != "3600" {
		t.Errorf("calls %v, want one that asks for no more than a chained role gets", calls)
	}
	if said := p.stderr.String(); !strings.Contains(said, "its session lasts 1h, not 2h") {
		t.Errorf("standard error %q, want that the session was cut", said)
	}
}
