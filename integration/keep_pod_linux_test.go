package integration

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// inPod is the script of a container: a process id and a mount namespace of its own, in
// which the volume is at /mnt/aws, and the user is $uid, in the volume's group. What is
// in root's home, as Python may be, is there for all to read.
const inPod = `
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /mnt
mkdir /mnt/aws /mnt/home /mnt/src
mount --bind "$volume" /mnt/aws
mount --bind "$clients" /mnt/src
mount --bind "$home" /mnt/home
mount -t tmpfs -o mode=0755 none "$home"
for dir in .pyenv .cache go; do
	[ -d "/mnt/home/$dir" ] && mkdir "$home/$dir" && mount --bind "/mnt/home/$dir" "$home/$dir"
done
mount -t tmpfs -o mode=0700 none "$volume"
exec setpriv --reuid "$uid" --regid "$uid" --groups "$gid" --no-new-privs -- "$@"
`

// pod is what two containers share, as the kubelet makes a volume with fsGroup.
type pod struct {
	*world
	volume string
	gid    int
}

func newPod(t *testing.T, w *world) *pod {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, to be two users in namespaces")
	}
	program(t, "setpriv")
	for dir := w.dir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"config", "credentials"} { // of the keeper's own
		if err := os.Chmod(w.path(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &pod{w, w.path("volume"), 20_000_000 + os.Getpid()}
	for _, err := range []error{os.Mkdir(p.volume, 0o700), os.Chown(p.volume, 0, p.gid), os.Chmod(p.volume, 0o770|fs.ModeSetgid)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.unset("XDG_RUNTIME_DIR", "TMPDIR", "GOCOVERDIR")
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	w.env["volume"], w.env["clients"], w.env["home"], w.env["gid"] = p.volume, source(), home, strconv.Itoa(p.gid)
	return p
}

// container starts a program as PID 1 of a container, as the user uid.
func (p *pod) container(uid int, argv ...string) *process {
	p.t.Helper()
	p.env["uid"] = strconv.Itoa(uid)
	argv = asPID1(p.t, append([]string{"--mount", "--", "sh", "-c", inPod, "sh"}, argv...)...)
	return p.start(argv[0], argv[1:]...)
}

// init returns the first process of a container, as we see it.
func (p *process) init() int { return childOf(p.w.t, p.cmd.Process.Pid) }

// answers tells whether something listens where the file of variables says.
func answers(t *testing.T, env string) bool {
	t.Helper()
	text, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "AWS_CONTAINER_CREDENTIALS_FULL_URI=")
	address, _, _ := strings.Cut(strings.TrimPrefix(strings.Trim(rest, `"'`), "http://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// TestKeepPod: boto3 in one container lives on what another one keeps in a volume with
// fsGroup, past expirations and the death of the keeper, as another user and under
// another path; and the keeper ends at once when the pod does.
func TestKeepPod(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, life)
	w.leaves = true
	pod := newPod(t, w)
	keeper, client := 21_000_000+os.Getpid(), 22_000_000+os.Getpid()
	argv := []string{brsExec(t), "keep", "--role-arn", roleARN, "--run-dir", "/mnt/aws", "--file-mode", "0640", "--quiet"}
	first := pod.container(keeper, argv...)
	w.until(first, "it is ready", func() bool { return w.ready(pod.volume) })
	for name, mode := range map[string]fs.FileMode{"config": 0o640, "credentials": 0o640, "token": 0o640, "env": 0o640, ".brs-exec": 0o600} {
		info, err := os.Stat(filepath.Join(pod.volume, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); info.Mode() != mode || int(st.Uid) != keeper || int(st.Gid) != pod.gid {
			t.Errorf("%s: %v, user %d, group %d", name, info.Mode(), st.Uid, st.Gid)
		}
	}
	// The neighbour has nothing of the keeper's environment but what the file says.
	kept := w.env
	w.env = map[string]string{"PATH": kept["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "AWS_ENDPOINT_URL": w.server.URL()}
	for _, name := range []string{"volume", "clients", "home", "gid"} {
		w.env[name] = kept[name]
	}
	n := pod.container(client, "sh", "-c", `set -a; . /mnt/aws/env; set +a; exec "$@"`, "sh", program(t, "python"), "/mnt/src/boto3/client.py")
	w.env = kept
	w.until(n, "calls past an expiration", func() bool { _, ended := w.usedSets(); return ended >= 1 })
	// Sessions are so short here that boto3 asks at each call: it is held while nobody answers.
	syscall.Kill(n.init(), syscall.SIGSTOP)
	syscall.Kill(first.init(), syscall.SIGKILL)
	first.exit()
	second := pod.container(keeper, argv...)
	w.until(second, "the endpoint of before answers", func() bool { return answers(t, filepath.Join(pod.volume, "env")) })
	syscall.Kill(n.init(), syscall.SIGCONT)
	w.until(n, "calls past three expirations", func() bool {
		used, ended := w.usedSets()
		return len(used) >= 4 && ended >= 3 && len(n.stdout.lines()) >= 10
	})
	n.stdin.Close()
	if code := n.exit(); code != 0 {
		t.Errorf("the neighbour's exit code is %d: %s", code, n.stderr.String())
	}
	checkOutlived(t, w, n)
	syscall.Kill(second.init(), syscall.SIGTERM)
	if code := second.exit(); code != 0 || second.stderr.String() != "" {
		t.Errorf("exit code %d of the keeper: %s", code, second.stderr.String())
	}
}

// TestKeepInit: what an init container has delivered is there for the next one, which is
// another user of the group.
func TestKeepInit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, life*100)
	w.leaves = true
	pod := newPod(t, w)
	p := pod.container(21_000_000+os.Getpid(), brsExec(t), "keep", "--once", "--role-arn", roleARN, "--run-dir", "/mnt/aws", "--file-mode", "0640")
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	n := pod.container(22_000_000+os.Getpid(), "env", "-i", "AWS_ENDPOINT_URL="+w.server.URL(), "CLIENT_SERVICES=sts", "HOME=/nonexistent",
		"sh", "-c", `set -a; . /mnt/aws/env; set +a; exec "$@"`, "sh", program(t, "python"), "/mnt/src/boto3/client.py", "3")
	if code := n.exit(); code != 0 || strings.Count(n.stdout.String(), "ok ASIA") != 3 {
		t.Errorf("exit code %d: %s%s", code, n.stdout.String(), n.stderr.String())
	}
}

// reloads is a program as nginx is: it has a file with its number, and at HUP it reads
// anew what it lives on.
const reloads = `
trap 'echo reloaded' HUP
echo $$ >"$1"
echo running
while :; do sleep 0.1; done
`

// TestKeepSignals: a neighbour that reloads at HUP learns of each refresh, by the file with
// its number and by its name.
func TestKeepSignals(t *testing.T) {
	slow(t)
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"file", "name"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, life)
			name := fmt.Sprintf("%s%d", by, os.Getpid())
			program := w.path(name) // what it is called, as no other process is
			if err := os.Symlink(shell, program); err != nil {
				t.Fatal(err)
			}
			n := w.start(program, "-c", reloads, "sh", w.path("pid"))
			w.until(n, "it runs", func() bool { return strings.Contains(n.stdout.String(), "running") })
			to := []string{"--pid-file", w.path("pid")}
			if by == "name" {
				to = []string{"--signal-process", name}
			}
			p := w.brsExec(append([]string{"keep", "--role-arn", roleARN, "--credentials-file", w.path("kept"), "--on-refresh", "signal:HUP"}, to...)...)
			w.until(p, "the neighbour has reloaded twice", func() bool { return strings.Count(n.stdout.String(), "reloaded") >= 2 })
			p.signal(syscall.SIGTERM)
			if code := p.exit(); code != 0 || strings.Contains(p.stderr.String(), "no signal sent") {
				t.Errorf("exit code %d: %s", code, p.stderr.String())
			}
		})
	}
}

// TestKeepExpires: without newer credentials keep can end, with the exit code of a run.
func TestKeepExpires(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, life/4)
	p := w.brsExec("keep", "--credential-command", w.fiveSeconds(), "--run-dir", w.path("volume"), "--on-expiry", "stop", "--log-level", "error")
	if code := p.exit(); code != 124 {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
}

// fiveSeconds is a program that gives credentials once, with five seconds to live.
func (w *world) fiveSeconds() string {
	path := w.write("once", `#!/bin/sh
[ -e "$0.given" ] && exit 1
touch "$0.given"
echo '{"Version":1,"AccessKeyId":"ASIAONCEONCEONCEONCE","SecretAccessKey":"once","SessionToken":"once","Expiration":"'$(date -u -d +5seconds +%FT%TZ)'"}'
`)
	if err := os.Chmod(path, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// TestKeepNginx: nginx reads its configuration anew at each refresh, by the file with its
// number.
func TestKeepNginx(t *testing.T) {
	slow(t)
	t.Parallel()
	nginx := ""
	for _, path := range []string{"nginx", "/usr/sbin/nginx"} {
		if found, err := exec.LookPath(path); err == nil {
			nginx = found
		}
	}
	if nginx == "" {
		missing(t, "nginx")
	}
	w := newWorld(t, life/2)
	n := w.start(nginx, "-p", w.dir, "-e", w.path("errors"), "-c", w.write("nginx.conf", `
daemon off;
pid `+w.path("pid")+`;
error_log `+w.path("errors")+` notice;
events {}
http { access_log off; client_body_temp_path `+w.path("tmp")+`; server { listen unix:`+w.path("nginx.sock")+`; } }
`))
	w.until(n, "it has written its number", func() bool { return strings.TrimSpace(w.read("pid")) != "" })
	p := w.brsExec("keep", "--role-arn", roleARN, "--run-dir", w.path("volume"), "--on-refresh", "signal:HUP", "--pid-file", w.path("pid"))
	w.until(p, "nginx has reconfigured itself", func() bool { return strings.Count(w.read("errors"), ", reconfiguring") >= 2 })
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 || n.ended() {
		t.Errorf("exit code %d, nginx ended: %v: %s", code, n.ended(), p.stderr.String())
	}
	n.signal(syscall.SIGTERM)
	n.exit()
}
