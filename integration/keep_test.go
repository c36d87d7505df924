//go:build unix

package integration

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// keeping starts brs-exec keep with a directory, and returns once that leads to credentials.
func (w *world) keeping(dir string, args ...string) *process {
	w.t.Helper()
	p := w.brsExec(append([]string{"keep", "--role-arn", roleARN, "--run-dir", dir}, args...)...)
	w.until(p, "it is ready", func() bool { return strings.Contains(p.stderr.String(), "READY=1") || w.ready(dir) })
	return p
}

// ready tells whether the directory leads to credentials.
func (w *world) ready(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "env"))
	return err == nil
}

// until waits for ok as long as the process runs.
func (w *world) until(p *process, what string, ok func() bool) {
	w.t.Helper()
	eventually(w.t, patience, what, func() bool { return p.ended() || ok() })
	if p.ended() && !ok() {
		w.t.Fatalf("%q has ended: %s", p.cmd.Args, p.stderr.String())
	}
}

// kept are the variables that the directory says to set.
func kept(t *testing.T, dir string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") {
			name, value, ok := strings.Cut(line, "=")
			if !ok {
				t.Errorf("the file of variables has %q", line)
			}
			set[name] = value
		}
	}
	return set
}

// neighbourOf runs a program with what the directory says, and nothing of ours.
func (w *world) neighbourOf(dir, name string, args ...string) *process {
	w.t.Helper()
	n := *w
	n.env = map[string]string{"PATH": w.env["PATH"], "HOME": w.env["HOME"], "LC_ALL": "C.UTF-8", "AWS_ENDPOINT_URL": w.server.URL(), "AWS_DEFAULT_REGION": "us-east-1"}
	for name, value := range kept(w.t, dir) {
		n.env[name] = value
	}
	return n.start(name, args...)
}

// TestKeepEndsAtOnce: a signal that asks for the end is obeyed at once, with an exit code
// that is no failure, and what was delivered stays.
func TestKeepEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		w := newWorld(t, time.Hour)
		dir := w.path("volume")
		p := w.keeping(dir)
		p.signal(sig)
		if code := p.exit(); code != 0 || p.stderr.String() != "" {
			t.Errorf("%v: exit code %d: %s", sig, code, p.stderr.String())
		}
		for _, name := range []string{"config", "credentials", "token", "env"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != 0o600 {
				t.Errorf("%v: %s: %v, %v", sig, name, info, err)
			}
		}
	}
	w := newWorld(t, time.Hour)
	dir := w.path("volume")
	p := w.keeping(dir, "--run-dir-at-exit", "remove")
	p.signal(syscall.SIGTERM)
	if code, left := p.exit(), w.tree(dir); code != 0 || len(left) != 0 {
		t.Errorf("exit code %d, left %q", code, left)
	}
}

// TestKeepOnce: an init container delivers and ends, and the program that comes after it
// has credentials; what else was in the directory is as it was.
func TestKeepOnce(t *testing.T) {
	t.Parallel()
	program(t, "aws")
	for _, how := range []string{"auto", "file", "process"} {
		w := newWorld(t, time.Hour)
		dir := w.path("volume")
		for _, err := range []error{os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "notes"), []byte("mine"), 0o644)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		p := w.brsExec("keep", "--role-arn", roleARN, "--run-dir", dir, "--once", "--deliver", how, "--credentials-file", w.path("merged"))
		if code := p.exit(); code != 0 || p.stderr.String() != "" {
			t.Fatalf("%s: exit code %d: %s", how, code, p.stderr.String())
		}
		n := w.neighbourOf(dir, "aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
		if code := n.exit(); code != 0 || !strings.Contains(n.stdout.String(), "assumed-role/App") {
			t.Errorf("%s: exit code %d: %s%s", how, code, n.stdout.String(), n.stderr.String())
		}
		if w.read("volume/notes") != "mine" || !strings.Contains(w.read("merged"), "aws_session_token") {
			t.Errorf("%s: notes %q, and the user's file:\n%d bytes", how, w.read("volume/notes"), len(w.read("merged")))
		}
	}
}

// TestKeepVariables: each of the readers takes the file of variables as it stands.
func TestKeepVariables(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	dir := w.path("volume")
	p := w.keeping(dir, "--run-dir-as", "/seen/here")
	defer p.exit()
	defer p.signal(syscall.SIGTERM)
	want := kept(t, dir)
	if want["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] != "/seen/here/token" || want["AWS_CONFIG_FILE"] != "/seen/here/config" || want["AWS_REGION"] != "us-east-1" {
		t.Errorf("variables %q", want)
	}
	out, err := exec.Command("env", "-i", "sh", "-c", `set -a; . "$1"; set +a; exec env`, "sh", filepath.Join(dir, "env")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if !strings.Contains("\n"+string(out), "\n"+name+"="+value+"\n") {
			t.Errorf("sh has read no %s", name)
		}
	}
}

// TestKeepLocked: a second one of the same directory is refused as with --lock.
func TestKeepLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	dir := w.path("volume")
	first := w.keeping(dir)
	p := w.brsExec("keep", "--role-arn", roleARN, "--run-dir", dir)
	defer first.exit()
	defer first.signal(syscall.SIGTERM)
	if code := p.exit(); code != 75 || !strings.Contains(p.stderr.String(), dir+": kept by pid ") {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
}

// TestKeepForeign: files of the user's are never replaced, and a keep whose names they
// have does not start.
func TestKeepForeign(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"config", "credentials", "env", "token"} {
		w := newWorld(t, time.Hour)
		dir := w.path("volume")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		w.write("volume/"+name, "[mine]\n")
		p := w.brsExec("keep", "--role-arn", roleARN, "--run-dir", dir)
		if code := p.exit(); code != 125 || !strings.Contains(p.stderr.String(), dir+"/"+name+" is not from brs-exec") {
			t.Errorf("%s: exit code %d: %s", name, code, p.stderr.String())
		}
		if got := w.read("volume/" + name); got != "[mine]\n" {
			t.Errorf("%s: is %q now", name, got)
		}
	}
}

// TestKeepTakenOver: a neighbour goes on asking where it was told to ask, whatever becomes
// of the keeper meanwhile.
func TestKeepTakenOver(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	w := newWorld(t, time.Hour)
	w.leaves, w.reveals = true, true
	dir := w.path("volume")
	p := w.keeping(dir)
	before := kept(t, dir)
	ask := func() string {
		out, _ := exec.Command("curl", "-sS", "-H", "Authorization: "+before["AWS_CONTAINER_AUTHORIZATION_TOKEN"], before["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).CombinedOutput()
		return string(out)
	}
	if got := ask(); !strings.Contains(got, "AccessKeyId") {
		t.Fatalf("answered %q", got)
	}
	p.signal(syscall.SIGKILL)
	p.exit()
	p = w.brsExec("keep", "--role-arn", roleARN, "--run-dir", dir)
	w.until(p, "the neighbour is answered again", func() bool { return strings.Contains(ask(), "AccessKeyId") })
	if p.stderr.String() != "" {
		t.Errorf("said: %s", p.stderr.String())
	}
}

// TestKeepManifest runs what the manifest for Kubernetes has the sidecar run, and a program
// with what it has that find.
func TestKeepManifest(t *testing.T) {
	t.Parallel()
	type container struct {
		Args         []string
		Env          []struct{ Name, Value string }
		StartupProbe struct{ Exec struct{ Command []string } } `yaml:"startupProbe"`
	}
	var pod struct {
		Kind string
		Spec struct {
			InitContainers []container `yaml:"initContainers"`
			Containers     []container
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "packaging", "kubernetes", "sidecar.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &pod); err != nil || pod.Kind != "Pod" {
		t.Fatalf("the manifest: %v, %q", err, pod.Kind)
	}
	w := newWorld(t, time.Hour)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	here := strings.NewReplacer("/run/aws", w.path("volume"), "9911", port)
	sidecar, app := pod.Spec.InitContainers[0], pod.Spec.Containers[0]
	for i := range sidecar.Args {
		sidecar.Args[i] = here.Replace(sidecar.Args[i])
	}
	p := w.brsExec(sidecar.Args...)
	probe := sidecar.StartupProbe.Exec.Command
	w.until(p, "the probe succeeds", func() bool {
		cmd := exec.Command(brsExec(t), probe[1:]...)
		cmd.Env = w.environ()
		return cmd.Run() == nil
	})
	n := *w
	n.env = map[string]string{"PATH": w.env["PATH"], "HOME": w.env["HOME"], "AWS_ENDPOINT_URL": w.server.URL(), "CLIENT_SERVICES": "sts"}
	for _, v := range app.Env {
		n.env[v.Name] = here.Replace(v.Value)
	}
	client := n.start(program(t, "python"), source("boto3", "client.py"), "2")
	if code := client.exit(); code != 0 || strings.Count(client.stdout.String(), "ok ASIA") != 2 {
		t.Errorf("exit code %d: %s%s", code, client.stdout.String(), client.stderr.String())
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 || p.stderr.String() != "" {
		t.Errorf("exit code %d of the sidecar: %s", code, p.stderr.String())
	}
}

// TestKeepList: profiles of a list are found by their names, the first by those who name
// none, and an SDK gets newer credentials of each for as long as it runs.
func TestKeepList(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, life)
	dir := w.path("volume")
	config := w.write("fleet.yaml", `
run-dir: `+dir+`
profiles:
  - {name: prod, role-arn: "arn:aws:iam::111111111111:role/Prod"}
  - {name: test/one, role-arn: "arn:aws:iam::222222222222:role/Test"}
`)
	p := w.brsExec("keep", "--config", config, "--quiet")
	w.until(p, "it is ready", func() bool { return w.ready(dir) })
	n := w.neighbourOf(dir, program(t, "python"), "-c", `
import boto3, sys, select
clients = {name: boto3.Session(profile_name=name).client("sts") for name in (None, "prod", "test/one")}
while not select.select([sys.stdin], [], [], 0.5)[0]:
    print(" ".join(c.get_caller_identity()["Arn"].split("/")[1] for c in clients.values()), flush=True)
`)
	w.until(n, "calls past two expirations", func() bool {
		used, ended := w.usedSets()
		return len(used) >= 6 && ended >= 4
	})
	n.stdin.Close()
	if code := n.exit(); code != 0 {
		t.Errorf("exit code %d: %s", code, n.stderr.String())
	}
	for _, line := range n.stdout.lines() {
		if line != "Prod Prod Test" {
			t.Errorf("the neighbour is %q", line)
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 || p.stderr.String() != "" {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
}
