package integration

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/goccy/go-yaml"
	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/integration/fakeanywhere"
	"brs-exec.example/brs-exec/integration/fakeaws"
)

// userland is what a fence may take for granted: the utilities of POSIX, and those that
// every Linux has besides. What else it runs has to be named by a comment above it.
const userland = `[ awk basename cat chgrp chmod chown cksum cmp comm cp cut date dd df diff dirname du echo env expr false find fold
getconf getent grep head hostname id install kill ln logger ls mkdir mkfifo mktemp mv nice nohup od paste pathchk pgrep pkill pr printenv printf ps
pwd readlink rm rmdir sed seq setsid sh sleep sort split stat stty tail tee test timeout touch tr true tty umask uname uniq wc which xargs`

// realTools are commands that a fence may need and that are there in earnest.
var realTools = []string{"aws", "python", "jq", "curl", "tmux", "openssl", "git"}

// standIns are commands that print what the real one does to brs-exec; the others of
// such a name are programs that use AWS.
var standIns = map[string]string{
	"vault": `eval "$(/usr/local/lib/stand-in/keys)"
printf '{"request_id":"r","lease_duration":3600,"data":{"access_key":"%s","secret_key":"%s","security_token":"%s"}}\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"`,
	"my-broker": `eval "$(/usr/local/lib/stand-in/keys)"
printf '{"creds":{"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"%s","Version":1}}\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"`,
	// Each code is good once.
	"ykman":           `code=$(cat /tmp/code 2>/dev/null || echo 234567); echo $((code + 1)) | tee /tmp/code`,
	"buildkite-agent": `exec /usr/local/lib/stand-in/token`,
	"systemctl":       `exit 0`,
	"srun":            `exec "$@"`,
	"./broker": `eval "$(/usr/local/lib/stand-in/keys)"
printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=%s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"`,
	"notify-send": `exit 0`,
	"mail":        `cat >/dev/null`,
}

// profiles are what ~/.aws/config has of the profiles that pages speak of.
var profiles = map[string]string{
	"prod":       "role_arn = arn:aws:iam::123456789012:role/App\nsource_profile = default\n",
	"app":        "role_arn = arn:aws:iam::123456789012:role/App\nsource_profile = dev\n",
	"dev":        "role_arn = arn:aws:iam::123456789012:role/Dev\nsource_profile = default\n",
	"hub":        "role_arn = arn:aws:iam::123456789012:role/Hub\nsource_profile = default\n",
	"management": "role_arn = arn:aws:iam::123456789012:role/Management\nsource_profile = default\n",
	"admin":      "role_arn = arn:aws:iam::123456789012:role/Admin\nsource_profile = default\nmfa_serial = arn:aws:iam::123456789012:mfa/ann\n",
	"backup":     "role_arn = arn:aws:iam::123456789012:role/Backup\nsource_profile = default\n",
}

// machine is what one fence is run on: a root with nothing in it but brs-exec, a
// userland and what the fence says that it needs; a network in which there is nothing
// but a fakeaws on loopback; a user with an empty home.
type machine struct {
	t      *testing.T
	root   string
	server *fakeaws.Server
	in     func(func() error) error // does something in the network
	user   int
	env    []string
	fence  *fence

	cert, key string // of certificate
}

const home = "/home/ann"

// inNetwork makes a network namespace, and returns what runs a function in it: processes
// that it starts and sockets that it opens belong there.
func inNetwork(t *testing.T) func(func() error) error {
	t.Helper()
	work, done := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = raiseLoopback()
		}
		done <- err
		for f := range work {
			done <- f()
		}
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(work) })
	return func(f func() error) error {
		work <- f
		return <-done
	}
}

// raiseLoopback makes 127.0.0.1 usable in a new network namespace.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}

// posix makes a directory with the userland's commands, links into /.host, once for all.
var posix = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "userland")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range strings.Fields(userland) {
		path, err := exec.LookPath(name)
		if err != nil {
			continue // such as umask, which is the shell's own
		}
		if err := linkHost(path, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// linkHost makes a link to a command of this machine as it is seen in a root.
func linkHost(path, link string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	return os.Symlink("/.host"+real, link)
}

func newMachine(t *testing.T, f *fence) *machine {
	t.Helper()
	m := &machine{t: t, root: filepath.Join(t.TempDir(), "root"), in: inNetwork(t), user: 1000, fence: f}
	if slices.Contains(f.needs, "root") {
		m.user = 0
	}
	err := m.in(func() (err error) {
		m.server, err = fakeaws.Listen(fakeaws.Options{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.server.Close)
	for _, dir := range []string{"etc", "proc", "dev/shm", "run", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/local/bin", "usr/local/lib/stand-in", "dev/pts", ".host", "var/log", "var/run", home} {
		m.mkdir(dir, 0o755)
	}
	for _, dir := range []string{"tmp", "dev/shm"} {
		m.mkdir(dir, 0o1777)
	}
	m.own(home)
	for _, dir := range []string{"bin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(m.root, dir)); err != nil {
			t.Fatal(err)
		}
	}
	m.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n", 0o644)
	m.write("etc/group", "root:x:0:\nann:x:1000:\n", 0o644)
	m.write("etc/hosts", "127.0.0.1 localhost\n", 0o644)
	m.write("etc/nsswitch.conf", "hosts: files\n", 0o644)
	m.copy(brsExec(t), "usr/local/bin/brs-exec")
	client := goClient(t)
	m.copy(client, "usr/local/lib/stand-in/client")
	m.script("usr/local/lib/stand-in/asker", asker)
	m.write("stand-ins", "", 0o666) // what they have to say
	m.env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + home, "USER=ann", "LOGNAME=ann", "SHELL=/bin/sh", "LC_ALL=C.UTF-8", "TZ=UTC",
		"XDG_RUNTIME_DIR=/run/user/1000",
		// Where AWS is here, and that there is no metadata service.
		"AWS_ENDPOINT_URL=" + m.server.URL(), "AWS_EC2_METADATA_DISABLED=true",
		"GOCOVERDIR=/tmp",
	}
	if m.user == 0 {
		m.env[1], m.env[2], m.env[3], m.env[7] = "HOME=/root", "USER=root", "LOGNAME=root", "XDG_RUNTIME_DIR="
		m.mkdir("root", 0o700)
	}
	// Who programs that print credentials have them from.
	keys := m.server.Issue("arn:aws:sts::"+fakeaws.Account+":assumed-role/Vault/job", time.Hour)
	m.script("usr/local/lib/stand-in/keys", fmt.Sprintf("echo AWS_ACCESS_KEY_ID='%s' AWS_SECRET_ACCESS_KEY='%s' AWS_SESSION_TOKEN='%s'", keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken))
	m.script("usr/local/lib/stand-in/token", "echo '"+m.server.IssueWebIdentity(time.Hour)+"'")
	for _, need := range f.needs {
		m.supply(need)
	}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) mkdir(name string, mode os.FileMode) {
	m.t.Helper()
	if err := errors.Join(os.MkdirAll(m.path(name), 0o755), unix.Chmod(m.path(name), uint32(mode))); err != nil {
		m.t.Fatal(err)
	}
}

// own gives a file to the user.
func (m *machine) own(name string) {
	m.t.Helper()
	if err := os.Chown(m.path(name), m.user, m.user); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) write(name, content string, mode os.FileMode) {
	m.t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(m.path(name)), 0o755), os.WriteFile(m.path(name), []byte(content), mode), os.Chmod(m.path(name), mode))
	if err != nil {
		m.t.Fatal(err)
	}
}

// copy has a file of the tests in the root, by a link where that goes.
func (m *machine) copy(from, to string) {
	m.t.Helper()
	if os.Link(from, m.path(to)) == nil {
		return
	}
	b, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, string(b), 0o755)
}

func (m *machine) script(name, text string) {
	m.t.Helper()
	m.write(name, "#!/bin/sh\n"+text+"\n", 0o755)
}

// below is where a path of a fence is in the root: those without a slash in front
// are in the home.
func (m *machine) below(name string) string {
	dir := home
	if m.user == 0 {
		dir = "/root"
	}
	switch {
	case strings.HasPrefix(name, "~/"):
		return filepath.Join(dir, name[2:])
	case strings.HasPrefix(name, "/"):
		return name
	}
	return filepath.Join(dir, name)
}

// asker is a program that uses AWS once, with what it finds, and says with which
// key; it fails if that was refused.
const asker = `said=$(AWS_REGION=${AWS_REGION:-eu-west-1} /usr/local/lib/stand-in/client 1 </dev/null) || exit
echo "$0 ${AWS_CONFIG_FILE:+under brs-exec} $said" >>/stand-ins
case $said in ok*) echo "$said" ;; *) echo "$0: $said" >&2; exit 1 ;; esac`

// pythonJob is one in Python.
const pythonJob = `import os
import boto3
session = boto3.Session()
session.client("sts", region_name="eu-west-1").get_caller_identity()
key = session.get_credentials().access_key
with open("/stand-ins", "a") as f:
    f.write("job.py %s ok %s\n" % ("AWS_CONFIG_FILE" in os.environ and "under brs-exec", key))
print("ok", key)
`

// supply puts into the root what a fence needs.
func (m *machine) supply(need string) {
	t := m.t
	t.Helper()
	need = strings.TrimPrefix(need, "a file ")
	if dir, ok := strings.CutPrefix(need, "a directory "); ok {
		need = strings.TrimSuffix(dir, "/") + "/"
	}
	if slices.ContainsFunc(m.fence.page.fences, func(f *fence) bool { return f.file() == need }) {
		return // the page shows it
	}
	name, isProfile := strings.CutPrefix(need, "profile ")
	if isProfile || profiles[name] != "" {
		m.supply("AWS credentials") // which each of them begins with
	}
	_, known := profiles[name]
	body, standIn := standIns[name]
	switch ext := filepath.Ext(need); {
	case need == "root" || need == "boto3" || strings.HasPrefix(need, "a run ") || strings.HasPrefix(need, "a keep "): // begun by the script
	case need == "a web identity token in $AWS_TOKEN":
		m.env = append(m.env, "AWS_TOKEN="+m.server.IssueWebIdentity(time.Hour))
	case need == "GitHub Actions":
		m.github()
	case strings.HasSuffix(need, "/token"):
		m.file(need, m.server.IssueWebIdentity(time.Hour), 0o600)
	case need == "a profile saml in ~/.aws/credentials" || strings.HasSuffix(need, "/credentials"):
		keys := m.server.Issue("arn:aws:sts::"+fakeaws.Account+":assumed-role/Saml/ann", time.Hour)
		name := need
		if strings.HasPrefix(need, "a profile ") {
			name = "~/.aws/credentials"
		}
		old, _ := os.ReadFile(m.path(m.below(name)))
		m.file(name, fmt.Sprintf("%s[saml]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\nx_security_token_expires = %s\n",
			old, keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken, keys.Expires.Format(time.RFC3339)), 0o600)
	case need == "~/.config/aws-totp":
		m.file(need, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n", 0o600)
	case ext == ".crt" || ext == ".pem":
		cert, _ := m.certificate()
		m.file(need, cert, 0o644)
	case ext == ".key":
		_, key := m.certificate()
		m.file(need, key, 0o600)
	case strings.Contains(need, "AWS credentials"):
		if _, err := os.Stat(m.path(m.below("~/.aws/credentials"))); err == nil {
			break
		}
		keys := m.server.Bootstrap()
		m.file("~/.aws/credentials", fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey), 0o600)
		m.file("~/.aws/config", "[default]\nregion = eu-west-1\n", 0o600)
	case isProfile || known:
		if !known {
			t.Fatalf("needs %s: the test knows no such profile", need)
		}
		config, _ := os.ReadFile(m.path(m.below("~/.aws/config")))
		m.file("~/.aws/config", string(config)+"[profile "+name+"]\nregion = eu-west-1\n"+profiles[name], 0o600)
	case strings.HasSuffix(need, "/"):
		m.mkdir(m.below(need), 0o755)
		m.own(m.below(need))
	case slices.Contains(realTools, need):
		m.tool(need)
	case standIn:
		if !strings.Contains(name, "/") {
			name = "/usr/local/bin/" + name
		}
		m.script(m.below(name), body)
	case need == "s3cmd": // as far as doctor looks at it
		m.write("opt/s3cmd/pyvenv.cfg", "home = /.host/usr/bin\nversion = 3.11.2\n", 0o644)
		m.write("opt/s3cmd/bin/s3cmd", "#!/opt/s3cmd/bin/python3\nfrom S3 import S3\n", 0o755)
		m.write("opt/s3cmd/lib/python3.11/site-packages/s3cmd-2.3.0.dist-info/METADATA", "", 0o644)
		for link, to := range map[string]string{"opt/s3cmd/bin/python3": "python3.11", "opt/s3cmd/bin/python3.11": "/.host/usr/bin/python3.11", "usr/local/bin/s3cmd": "/opt/s3cmd/bin/s3cmd"} {
			if err := os.Symlink(to, m.path(link)); err != nil {
				t.Fatal(err)
			}
		}
	case ext == ".py":
		m.file(need, pythonJob, 0o644)
	case ext == "" || ext == ".sh" || strings.HasPrefix(need, "./"):
		name := m.below(need)
		if !strings.Contains(need, "/") {
			name = "/usr/local/bin/" + need
		}
		m.script(name, asker)
	default:
		t.Fatalf("needs %s: the test does not know what that is", need)
	}
}

// file writes a file of the user's.
func (m *machine) file(name, content string, mode os.FileMode) {
	m.t.Helper()
	name = m.below(name)
	m.write(name, content, mode)
	m.own(name)
	for dir := filepath.Dir(name); strings.HasPrefix(dir, home); dir = filepath.Dir(dir) {
		m.own(dir)
	}
}

// github is what a job of GitHub Actions finds.
func (m *machine) github() {
	m.t.Helper()
	var listener net.Listener
	err := m.in(func() (err error) {
		listener, err = net.Listen("tcp4", "127.0.0.1:0")
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	service := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-job" || r.URL.Query().Get("audience") != "sts.amazonaws.com" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"value": m.server.IssueWebIdentity(time.Hour)})
	})}}
	service.Start()
	m.t.Cleanup(service.Close)
	m.env = append(m.env, "ACTIONS_ID_TOKEN_REQUEST_URL="+service.URL+"/token?api-version=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-job")
}

// hosts are those of AWS that a fence names and that know machines by certificates.
var hosts = regexp.MustCompile(`[\w-]+\.credentials\.iot\.[\w-]+\.amazonaws\.com`)

// certificate is that of the machine, and its key. AWS IoT Core and IAM Roles Anywhere, which
// trust who issued it, are in the network from then on.
func (m *machine) certificate() (cert, key string) {
	t := m.t
	t.Helper()
	if m.cert != "" {
		return m.cert, m.key
	}
	ca := newCertifier(t)
	made, private := ca.make(device("machine"), time.Hour)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	m.cert, m.key = pemText("CERTIFICATE", made.Raw), pemText("PRIVATE KEY", der)

	const anywhere = "rolesanywhere.eu-west-1.amazonaws.com"
	names := append(hosts.FindAllString(m.fence.text, -1), anywhere)
	server, serverKey := ca.make(&x509.Certificate{Subject: pkix.Name{CommonName: "AWS"}, DNSNames: names}, time.Hour)
	m.write("etc/ssl/certs/ca-certificates.crt", pemText("CERTIFICATE", ca.cert.Raw), 0o644)
	m.write("etc/hosts", "127.0.0.1 localhost "+strings.Join(names, " ")+"\n", 0o644)
	m.env = append(m.env, "AWS_ENDPOINT_URL_ROLESANYWHERE=https://"+anywhere)
	issue := func(role string, _ *x509.Certificate) fakeanywhere.Session {
		c := m.server.Issue(strings.Replace(role, ":iam:", ":sts:", 1)+"/machine", time.Hour)
		return fakeanywhere.Session{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires}
	}
	mux := http.NewServeMux()
	mux.Handle(anywhere+"/", &fakeanywhere.Handler{Anchor: ca.cert, Region: "eu-west-1", Issue: issue})
	mux.HandleFunc("/role-aliases/{alias}/credentials", func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.VerifiedChains) == 0 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c := issue("arn:aws:iam::"+fakeaws.Account+":role/"+r.PathValue("alias"), nil)
		json.NewEncoder(w).Encode(map[string]any{"credentials": map[string]string{
			"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken, "expiration": c.Expires.UTC().Format(time.RFC3339),
		}})
	})
	authority := x509.NewCertPool()
	authority.AddCert(ca.cert)
	var listener net.Listener
	err = m.in(func() (err error) {
		listener, err = net.Listen("tcp4", "127.0.0.1:443")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	service := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}, TLS: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: authority,
	}}
	service.StartTLS()
	t.Cleanup(service.Close)
	return m.cert, m.key
}

// tool has a command of this machine in the root.
func (m *machine) tool(name string) {
	m.t.Helper()
	path := program(m.t, name)
	if venv := filepath.Join(clientsDir(), "venv"); strings.HasPrefix(path, venv) {
		// Where Python is, too, and at the same place.
		python, err := filepath.EvalSymlinks(filepath.Join(venv, "bin", "python"))
		if err != nil {
			m.t.Fatal(err)
		}
		m.env = append(m.env, "BOUND="+venv+" "+filepath.Dir(filepath.Dir(python)))
		if name != "python" {
			m.script("usr/local/bin/"+name, fmt.Sprintf(`exec %s "$@"`, path))
			return
		}
		m.write("opt/python/pyvenv.cfg", "home = "+filepath.Dir(python)+"\n", 0o644)
		m.mkdir("opt/python/bin", 0o755)
		for link, to := range map[string]string{"bin/python": python, "lib": filepath.Join(venv, "lib")} {
			if err := os.Symlink(to, m.path("opt/python/"+link)); err != nil {
				m.t.Fatal(err)
			}
		}
		m.env[0] = strings.Replace(m.env[0], ":", ":/opt/python/bin:", 1)
		return
	}
	if err := linkHost(path, m.path("usr/local/bin/"+name)); err != nil {
		m.t.Fatal(err)
	}
}

// build makes the root what it should be, in a mount namespace of its own, and runs a
// shell's script there as the user.
const build = `set -e
root=$1 userland=$2 user=$3
bind() { mkdir -p "$root$2"; mount --bind -o ro "$1" "$root$2"; }
bind /usr/lib /usr/lib
[ ! -d /usr/lib64 ] || bind /usr/lib64 /usr/lib64
bind "$userland" /usr/bin
mkdir -p "$root/.host/usr/bin"
bind /usr/bin /.host/usr/bin
for dir in $BOUND; do [ -e "$root$dir/bin" ] || bind "$dir" "$dir"; done
unset BOUND
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/run/user/1000" "$root/run/lock"
chmod 1777 "$root/run/lock"
chmod 700 "$root/run/user/1000"
chown 1000:1000 "$root/run/user/1000"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 pts "$root/dev/pts"
ln -sf pts/ptmx "$root/dev/ptmx"
for name in null zero full random urandom tty; do
	: >"$root/dev/$name"
	mount --bind "/dev/$name" "$root/dev/$name"
done
exec /usr/sbin/chroot --userspec="$user:$user" --groups= "$root" /bin/sh /script
`

// run runs a script, and returns what it printed. A person sits at the terminal, and types a
// code where one is asked for.
func (m *machine) run(script string) (string, int) {
	t := m.t
	t.Helper()
	m.write("script", script, 0o755)
	bin, err := posix()
	if err != nil {
		t.Fatal(err)
	}
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	var out output
	cmd := exec.Command("/usr/bin/unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private",
		"/bin/sh", "-c", build, "build", m.root, bin, fmt.Sprint(m.user))
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = m.env, &out, &out, "/"
	cmd.ExtraFiles = []*os.File{slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := m.in(cmd.Start); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go typeCodes(master)
	hung := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	cmd.Wait()
	if !hung.Stop() {
		t.Errorf("still running after %v", patience)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// typeCodes is a person with an MFA device.
func typeCodes(terminal *os.File) {
	buf := make([]byte, 1024)
	for code := 123456; ; {
		n, err := terminal.Read(buf)
		if err != nil {
			return
		}
		if strings.Contains(strings.ToLower(string(buf[:n])), "code") {
			fmt.Fprintln(terminal, code)
			code++
		}
	}
}

// statement is one command of a fence.
type statement struct {
	line   int
	text   string
	code   int      // that it exits with
	sample []string // what it prints, in a fence of the console
}

var exitCode = regexp.MustCompile(`# exit code (\d+)`)

// statements splits a script where a line ends outside of quotes.
func statements(line int, text string) []statement {
	var found []statement
	var current strings.Builder
	begun := line
	for row := range strings.SplitSeq(text, "\n") {
		if current.Len() == 0 {
			begun = line
		}
		line++
		current.WriteString(row + "\n")
		code, open := uncomment(current.String())
		if open {
			continue
		}
		if code != "" {
			s := statement{line: begun, text: code}
			if m := exitCode.FindStringSubmatch(current.String()); m != nil {
				fmt.Sscan(m[1], &s.code)
			}
			found = append(found, s)
		}
		current.Reset()
	}
	return found
}

// uncomment takes comments away, and tells whether the last line goes on.
func uncomment(text string) (code string, open bool) {
	var b strings.Builder
	var quote rune
	blank, escaped, inComment := true, false, false
	for _, r := range strings.TrimRight(text, "\n") {
		switch {
		case inComment:
			inComment = r != '\n'
			if inComment {
				continue
			}
		case escaped:
			escaped = false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
		case r == '#' && blank:
			inComment = true
			continue
		}
		blank = r == ' ' || r == '\n' || r == '\t'
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String()), quote != 0 || escaped
}

// consoleStatements are the lines behind a prompt, with what they are said to print.
func consoleStatements(line int, text string) []statement {
	var found []statement
	rows := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := 0; i < len(rows); i++ {
		command, isCommand := strings.CutPrefix(rows[i], "$ ")
		if !isCommand {
			if len(found) > 0 {
				last := &found[len(found)-1]
				last.sample = append(last.sample, rows[i])
			}
			continue
		}
		begun := i
		for {
			_, open := uncomment(command)
			if !open || i+1 == len(rows) {
				break
			}
			i++
			command += "\n" + strings.TrimPrefix(rows[i], "> ")
		}
		found = append(found, statements(line+begun, command)...)
	}
	for i, s := range found { // as doctor's page says
		if strings.HasPrefix(s.text, "brs-exec doctor ") && slices.ContainsFunc(s.sample, func(l string) bool { return strings.HasPrefix(l, "problem ") }) {
			found[i].code = 1
		}
	}
	return found
}

// prelude is in front of each script: what it does when a command has ended, and how to
// end those that would go on for ever.
const prelude = `cd
_ended() { [ "$1" = "$2" ] || { echo "line $3: exit code $1, and not $2" >&2; exit 99; }; }
_kept() {
	until brs-exec status --ready "$1" >/dev/null 2>&1; do
		kill -0 "$1" 2>/dev/null || { wait "$1"; echo "line $2: exit code $?, and no credentials were kept" >&2; exit 99; }
		sleep 0.1
	done
	if [ -n "$3" ]; then
		(set -a; . "$3/env"; set +a; exec /usr/local/lib/stand-in/asker) || { echo "line $2: a neighbour got no credentials" >&2; exit 99; }
	fi
	kill "$1"
	wait "$1"
}
_until_ready() { until brs-exec status --ready "$1" >/dev/null 2>&1; do kill -0 "$1" || exit 99; sleep 0.1; done; }
`

var (
	keeps      = regexp.MustCompile(`^(?:\S*/)?brs-exec keep\b`)
	atOnce     = regexp.MustCompile(`--once\b`)
	runDir     = regexp.MustCompile(`--run-dir[ =](\S+)`)
	gets       = regexp.MustCompile(`--(role-arn|profile|credential-command|config|source|iot-|trust-|from-|web-|github-)`)
	background = regexp.MustCompile(`(?m) &$|^tmux new -d`)
	without    = regexp.MustCompile(`^(doctor|demo)\b`)
	behind     = regexp.MustCompile(`(?s)brs-exec ((?:.*? )?)-- `)
)

// programs counts those that brs-exec runs and that are to use AWS.
func programs(all []statement) int {
	n := 0
	for _, s := range all {
		if before := behind.FindStringSubmatch(s.text); before != nil && !without.MatchString(before[1]) {
			n++
		}
	}
	return n
}

const separator = "\x1e"

// scriptOf makes one script of a fence's statements, in the surroundings that it needs.
func scriptOf(needs []string, all []statement) string {
	var b strings.Builder
	b.WriteString(prelude)
	for _, need := range needs {
		name, named := strings.CutPrefix(need, "a run named ")
		socket, listens := strings.CutPrefix(need, "a run that listens at ")
		if named || listens {
			flags := "--listen unix:" + socket
			if named {
				flags = "--name " + name + " --listen unix:/run/user/1000/" + name + ".sock"
			}
			source := "--role-arn " + roleARN
			if slices.Contains(needs, "prod") || slices.Contains(needs, "profile prod") {
				source = "--profile prod"
			}
			fmt.Fprintf(&b, `mkfifo .held
brs-exec %s %s -- cat .held &
_held=$!
_until_ready $_held
`, flags, source)
		}
		if dir, ok := strings.CutPrefix(need, "a keep in "); ok {
			fmt.Fprintf(&b, "brs-exec keep --role-arn %s --run-dir %s &\n_until_ready $!\n", roleARN, dir)
		}
		if strings.HasPrefix(need, "a run of a list ") {
			fmt.Fprintf(&b, `cat >fleet.yaml <<'EOF'
profiles:
- {name: app-111111111111, role-arn: "arn:aws:iam::111111111111:role/App"}
- {name: app-222222222222, role-arn: "arn:aws:iam::222222222222:role/App"}
EOF
cat >inside <<'END OF THE FENCE'
%sEND OF THE FENCE
exec brs-exec --config fleet.yaml -- sh inside
`, scriptOf(nil, all))
			return b.String()
		}
	}
	for _, s := range all {
		fmt.Fprintf(&b, "echo '%s%d'\n%s", separator, s.line, s.text)
		if keeps.MatchString(s.text) && !atOnce.MatchString(s.text) {
			dir := ""
			if m := runDir.FindStringSubmatch(s.text); m != nil {
				dir = m[1]
			}
			fmt.Fprintf(&b, " &\n_kept $! %d '%s'", s.line, dir)
		}
		fmt.Fprintf(&b, "\n_ended $? %d %d\n", s.code, s.line)
	}
	if n := programs(all); background.MatchString(b.String()) {
		fmt.Fprintf(&b, "until [ $(grep -c ' ok ' /stand-ins) -ge %d ]; do sleep 0.1; done\n", n)
	}
	b.WriteString("[ -z \"$_held\" ] || kill $_held\nwait\n")
	return b.String()
}

// TestPagesRun runs and checks the fences of all pages, each on a machine of its own.
func TestPagesRun(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, to make machines for what the pages say")
	}
	count := map[string]int{}
	for _, p := range pages(t) {
		written := map[string]string{} // files that the page shows before
		for _, f := range p.fences {
			what := "checked: " + f.lang
			switch {
			case f.notRun != "":
				what = "marked: " + f.notRun
			case !languages[f.lang]:
				what = "sample text"
			case slices.Contains([]string{"sh", "console", "cron"}, f.lang):
				what = "run: " + f.lang
			}
			count[what]++
			files := map[string]string{}
			for name, content := range written {
				files[name] = content
			}
			if name := f.file(); name != "" {
				written[name], files[name] = f.text, f.text
			}
			if f.notRun != "" || !languages[f.lang] {
				continue
			}
			t.Run(f.String(), func(t *testing.T) {
				t.Parallel()
				begin(t)
				checkFence(t, f, files)
			})
		}
	}
	var lines []string
	for what, n := range count {
		lines = append(lines, fmt.Sprintf("%4d %s", n, what))
	}
	slices.Sort(lines)
	t.Logf("fences:\n%s", strings.Join(lines, "\n"))
}

var fileName = regexp.MustCompile(`^# ([\w.-]+\.(?:yaml|csv|json|jsonl|py|sh))\b`)

// file is the name of the file that a fence shows, "" if it shows none.
func (f *fence) file() string {
	if m := fileName.FindStringSubmatch(f.text); m != nil {
		return m[1]
	}
	return ""
}

func checkFence(t *testing.T, f *fence, files map[string]string) {
	switch f.lang {
	case "sh", "console":
		runFence(t, f, files)
	case "cron":
		runCron(t, f)
	case "yaml":
		checkYAML(t, f, files)
	case "json":
		d := json.NewDecoder(strings.NewReader(f.text))
		for {
			var v any
			if err := d.Decode(&v); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	case "csv":
		if f.file() == "" {
			t.Error("whose file is this? begin with a comment that names it")
		}
	case "ini":
		checkINI(t, f)
	case "dockerfile":
		checkDockerfile(t, f)
	default:
		t.Errorf("nothing here checks %s: mark it", f.lang)
	}
}

func runFence(t *testing.T, f *fence, files map[string]string) {
	all := statements(f.line, f.text)
	if f.lang == "console" {
		all = consoleStatements(f.line, f.text)
	}
	if len(all) == 0 {
		t.Fatal("there is no command in it")
	}
	for _, s := range all {
		if strings.Contains(s.text, "…") {
			t.Errorf("line %d: who pastes this gets an error for its …", s.line)
		}
	}
	if t.Failed() {
		return
	}
	m := newMachine(t, f)
	for name, content := range files {
		m.file(name, content, 0o644)
	}
	out, code := m.run(scriptOf(f.needs, all))
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkSamples(t, all, out)
	m.checkStandIns(all)
	if t.Failed() {
		t.Logf("it printed:\n%s", strings.ReplaceAll(out, separator, "line "))
	}
}

// checkStandIns: each program that brs-exec ran had credentials that AWS takes, and that were
// got for it.
func (m *machine) checkStandIns(all []statement) {
	t := m.t
	t.Helper()
	want := programs(all)
	own := false // keys are what a program should have, as nothing else is asked for
	for _, s := range all {
		if before := behind.FindStringSubmatch(s.text); before != nil {
			own = own || !gets.MatchString(before[1])
		}
	}
	said, err := os.ReadFile(m.path("stand-ins"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	for _, line := range lines {
		_, key, _ := strings.Cut(line, " ok ")
		if key == m.server.Bootstrap().AccessKeyID && (!strings.Contains(line, "under brs-exec") || want > 0 && !own) {
			t.Errorf("%s: those are the keys that the machine had, and none that brs-exec got", line)
		}
		// With --deliver sign, and in a rehearsal, the program has keys that AWS never sees.
		signed := strings.Contains(m.fence.text, "--deliver sign") || strings.Contains(m.fence.text, "brs-exec rehearse")
		elsewhere := strings.Contains(m.fence.text, "brs-exec demo") || strings.Contains(m.fence.text, "--simulate") // which have a server of their own
		accepted := slices.ContainsFunc(m.server.Calls(), func(c fakeaws.Call) bool {
			return (c.KeyID == key || signed && c.KeyID != m.server.Bootstrap().AccessKeyID) && c.Action == "GetCallerIdentity" && c.Accepted
		})
		if line != "" && !accepted && !elsewhere {
			t.Errorf("%s: AWS knows nothing of it", line)
		}
	}
	if n := strings.Count(string(said), " ok "); n < want {
		t.Errorf("%d programs were run by brs-exec, and %d used AWS:\n%s", want, n, said)
	}
}

func checkSamples(t *testing.T, all []statement, out string) {
	t.Helper()
	for _, s := range all {
		_, printed, _ := strings.Cut(out, fmt.Sprintf("%s%d\n", separator, s.line))
		printed, _, _ = strings.Cut(printed, separator)
		lines := strings.Split(printed, "\n")
		for _, want := range s.sample {
			if strings.TrimSpace(want) == "" {
				continue
			}
			at := slices.IndexFunc(lines, loosely(want).MatchString)
			if at < 0 {
				t.Errorf("line %d: it does not print %q", s.line, want)
				continue
			}
			lines = lines[at+1:]
		}
	}
}

var (
	anything = regexp.MustCompile(`\[…\]|…`)
	variable = regexp.MustCompile(`\d+ [KMG]iB|ASIA\w*|AKIA\w*|\[[-=|^X]+\]|(?:/[\w.@-]+)+|\d{4}-\d\d-\d\dT[\d:.]+Z|(?:\d+(?:\.\d+)?(?:h|ms|µs|m|s|d))+|\d+(?:\.\d+)*| +`)
)

// loosely matches what a sample stands for: other numbers, times, keys and paths.
func loosely(sample string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^\s*`)
	for i, part := range anything.Split(strings.TrimSpace(sample), -1) {
		if i > 0 {
			b.WriteString(`.*`)
		}
		last := 0
		for _, at := range variable.FindAllStringIndex(part, -1) {
			b.WriteString(regexp.QuoteMeta(part[last:at[0]]))
			switch what := part[at[0]:at[1]]; {
			case what[0] == ' ':
				b.WriteString(`\s+`)
			case what[0] == '[':
				b.WriteString(`\[[-=|^X]+\]`)
			case what[0] == 'A':
				b.WriteString(`\w+`)
			case what[0] == '/':
				b.WriteString(`\S+`)
			case strings.HasSuffix(what, "iB"):
				b.WriteString(`\d+ [KMG]iB`)
			default:
				b.WriteString(`[\w.:-]+`)
			}
			last = at[1]
		}
		b.WriteString(regexp.QuoteMeta(part[last:]))
	}
	b.WriteString(`\s*$`)
	return regexp.MustCompile(b.String())
}

var crontab = regexp.MustCompile(`^(?:@\w+|(?:[\d*/,-]+ +){5})(.*)$`)

func runCron(t *testing.T, f *fence) {
	m := newMachine(t, f)
	m.env = slices.DeleteFunc(m.env, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return !slices.Contains([]string{"HOME", "LOGNAME", "SHELL", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED", "BOUND", "GOCOVERDIR"}, name)
	})
	path := "/usr/bin:/bin"
	var all []statement
	for i, line := range strings.Split(strings.TrimSpace(f.text), "\n") {
		name, value, isSetting := strings.Cut(line, "=")
		switch entry := crontab.FindStringSubmatch(line); {
		case line == "" || line[0] == '#':
		case entry != nil:
			all = append(all, statement{line: f.line + i, text: entry[1]})
		case isSetting && name == "PATH":
			path = value
		case isSetting:
			m.env = append(m.env, name+"="+value)
		default:
			t.Errorf("line %d is no line of a crontab", f.line+i)
		}
	}
	m.env = append(m.env, "PATH="+path)
	out, code := m.run(scriptOf(f.needs, all))
	if code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	m.checkStandIns(all)
}

var withConfig = regexp.MustCompile(`^# (?:.*: )?(brs-exec .*)`)

func checkYAML(t *testing.T, f *fence, files map[string]string) {
	var inside []string
	d := yaml.NewDecoder(strings.NewReader(f.text))
	for {
		var v any
		if err := d.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		inside = append(inside, commandsIn(v)...)
	}
	m := withConfig.FindStringSubmatch(f.text)
	if m == nil {
		if len(inside) > 0 {
			command := *f
			command.lang, command.text = "sh", strings.Join(inside, "\n")+"\n"
			runFence(t, &command, files)
		}
		return
	}
	name := regexp.MustCompile(`--config (\S+)`).FindStringSubmatch(m[1])
	if name == nil {
		t.Fatal("the command names no file of --config")
	}
	files[name[1]] = f.text
	command := *f
	command.lang, command.text = "sh", m[1]+"\n"
	runFence(t, &command, files)
}

// commandsIn finds commands of brs-exec in what a YAML file says: whole texts, and lists of
// arguments.
func commandsIn(v any) (found []string) {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "brs-exec ") {
			found = append(found, strings.TrimSpace(v))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = append(found, commandsIn(v[name])...)
		}
	case []any:
		args := make([]string, len(v))
		for i, arg := range v {
			args[i] = fmt.Sprint(arg)
		}
		if len(v) > 0 && filepath.Base(args[0]) == "brs-exec" {
			return append(found, "'"+strings.Join(args, "' '")+"'")
		}
		for _, arg := range v {
			found = append(found, commandsIn(arg)...)
		}
	}
	return found
}

// checkINI has AWS's configuration read by the AWS CLI, and units by systemd.
func checkINI(t *testing.T, f *fence) {
	if regexp.MustCompile(`(?m)^\[(Unit|Service|Timer|Install)\]`).MatchString(f.text) {
		checkUnit(t, f)
		return
	}
	sections := regexp.MustCompile(`(?m)^\[(?:profile )?([^\]]+)\]\n(\w+)`).FindAllStringSubmatch(f.text, -1)
	if sections == nil {
		t.Fatal("neither a unit nor AWS's configuration")
	}
	c := *f
	c.needs = []string{"AWS credentials", "aws"} // no profile that the page has before
	m := newMachine(t, &c)
	config, _ := os.ReadFile(m.path(m.below("~/.aws/config")))
	m.file("~/.aws/config", string(config)+f.text, 0o600)
	var all []statement
	for _, s := range sections {
		if strings.HasPrefix(s[1], "sso-session ") {
			continue
		}
		command := "aws --profile '" + s[1] + "' configure get '" + s[2] + "'"
		if s[2] == "credential_process" {
			command = "AWS_DEFAULT_REGION=eu-west-1 aws --profile '" + s[1] + "' sts get-caller-identity"
		}
		all = append(all, statement{line: f.line, text: command})
	}
	if out, code := m.run(scriptOf(f.needs, all)); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func checkUnit(t *testing.T, f *fence) {
	analyze := program(t, "systemd-analyze")
	dir := t.TempDir()
	unit := f.text
	if !strings.Contains(unit, "ExecStart=") {
		unit += "[Service]\nExecStart=/bin/true\n"
	}
	// What it starts is not on this machine.
	unit = regexp.MustCompile(`(?m)^(Exec\w+=)[-+!:@]*\S+`).ReplaceAllString(unit, "${1}/bin/true")
	path := filepath.Join(dir, "page.service")
	if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), path) {
		t.Errorf("%v\n%s", err, out)
	}
}

// checkDockerfile: each line has an instruction, and brs-exec takes the arguments that an
// entrypoint has for it.
func checkDockerfile(t *testing.T, f *fence) {
	instruction := regexp.MustCompile(`^(FROM|RUN|CMD|LABEL|EXPOSE|ENV|ADD|COPY|ENTRYPOINT|VOLUME|USER|WORKDIR|ARG|HEALTHCHECK|STOPSIGNAL|SHELL)\s+(.+)$`)
	var command []string
	for _, s := range statements(f.line, f.text) {
		m := instruction.FindStringSubmatch(strings.ReplaceAll(s.text, "\\\n", " "))
		if m == nil {
			t.Fatalf("line %d: no instruction: %s", s.line, s.text)
		}
		if m[1] == "ENTRYPOINT" || m[1] == "CMD" {
			var args []string
			if err := json.Unmarshal([]byte(m[2]), &args); err != nil {
				t.Fatalf("line %d: %v", s.line, err)
			}
			command = append(command, args...)
		}
	}
	if len(command) == 0 || filepath.Base(command[0]) != "brs-exec" {
		return
	}
	c := *f
	c.needs = append(slices.Clone(f.needs), command[len(command)-1])
	c.text = "brs-exec '" + strings.Join(command[1:], "' '") + "'\n"
	runFence(t, &c, nil)
}

// TestPagesScripts: how fences are taken apart, and what a sample stands for.
func TestPagesScripts(t *testing.T) {
	t.Parallel()
	text := "# a comment\none \\\n  two   # exit code 124\n\nthree 'a # b\nc' \"$d\"\n"
	want := []statement{{line: 8, text: "one \\\n  two", code: 124}, {line: 11, text: "three 'a # b\nc' \"$d\""}}
	if got := statements(7, text); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	want = []statement{{line: 3, text: "one \\\ntwo", sample: []string{"a", "b"}}, {line: 7, text: "three"}}
	if got := consoleStatements(3, "$ one \\\n> two\na\nb\n$ three\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, tt := range []struct {
		sample, line string
		want         bool
	}{
		{"nightly (11339): running for 3h12m, child 1", "nightly (7): running for 2s, child 12", true},
		{"nightly (11339): running for 3h12m, child 1", "nightly (7): stopped for 2s, child 12", false},
		{"  prod  ASIA…1348  [|--^---]  59m left", "  prod  ASIA…ZZZZ  [==|-^--]  1m left", true},
		{"a […] z", "a b c z", true}, {"a […] z", "a b c", false}, {"made in /run/user/1000", "made in /dev/shm", true},
	} {
		if got := loosely(tt.sample).MatchString(tt.line); got != tt.want {
			t.Errorf("%q is like %q: %v", tt.line, tt.sample, got)
		}
	}
}
