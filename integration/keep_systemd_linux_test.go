package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// unit is one of packaging/systemd, with the program and the settings where this test has them.
func unit(t *testing.T, name, program, etc, user string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "packaging", "systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("/usr/bin/brs-exec", program, "/usr/local/bin/", filepath.Dir(program)+"/", "/etc/brs-exec", etc,
		"User=brs-exec", "User="+user, "Group=brs-exec", "Group="+user).Replace(string(text))
}

// asSystemd is the script that becomes a systemd of its own, with the units of $units alone.
const asSystemd = `
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /run
mount -t tmpfs none /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /var/lib/systemd
mount -t tmpfs -o mode=1777 none /dev/shm
mkdir /run/etc /run/bin
mkdir -m 1777 /run/lock
{ cat /etc/passwd; echo "brs-exec:x:$uid:$uid::/:/usr/sbin/nologin"; } >/run/passwd
{ cat /etc/group; echo "brs-exec:x:$uid:"; } >/run/group
mount --bind /run/passwd /etc/passwd
mount --bind /run/group /etc/group
cp -r "$units" /run/units
cp "$settings" /run/etc/app.yaml
cp "$program" /run/bin/brs-exec
cp "$client" /run/bin/client
chmod -R a+rX /run/units /run/etc /run/bin
exec env -i container=test PATH="$PATH" SYSTEMD_UNIT_PATH=/run/units "$systemd" --system --unit="$begin" --log-target=null --show-status=no
`

// systemd starts a systemd of its own, which begins with the unit begin of units: their paths
// below its directory of units, and what they are. Its user brs-exec has the user id that is
// returned. Besides, there are /run/bin/brs-exec, /run/bin/client, which asks STS who it is, and
// settings in /run/etc/app.yaml.
func (w *world) systemd(begin, settings string, units map[string]string) (p *process, uid string) {
	t := w.t
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, for a systemd in namespaces")
	}
	if out, err := exec.Command("unshare", "--mount", "--cgroup", "sh", "-c", "mount --make-rprivate / && mount -t cgroup2 none /mnt").CombinedOutput(); err != nil {
		t.Skipf("a cgroup of its own is not permitted: %v: %s", err, out)
	}
	goV2 := goClient(t)
	w.leaves = true
	uid = strconv.Itoa(21_000_000 + os.Getpid())
	forgetLocks(t, uid)
	for _, name := range []string{"sysinit", "basic", "shutdown"} {
		w.unit(name+".target", "[Unit]\nDefaultDependencies=no\n")
	}
	for name, text := range units {
		w.unit(name, text)
	}
	for name, value := range map[string]string{"uid": uid, "units": w.path("units"), "begin": begin, "program": brsExec(t),
		"client": goV2, "systemd": program(t, "/lib/systemd/systemd"), "settings": w.write("app.yaml", settings)} {
		w.env[name] = value
	}
	argv := asPID1(t, "--mount", "--cgroup", "--uts", "--ipc", "--", "sh", "-c", asSystemd)
	return w.start(argv[0], argv[1:]...), uid
}

// forgetLocks removes the lock files that a user of the test's own leaves in /tmp.
func forgetLocks(t *testing.T, uid string) {
	t.Cleanup(func() { os.RemoveAll("/tmp/brs-exec-" + uid) })
}

// unit makes a file among the units of this world.
func (w *world) unit(name, text string) {
	w.t.Helper()
	path := w.path(filepath.Join("units", name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// reachAWS is what a unit needs to reach this world's server as its user.
func (w *world) reachAWS() string {
	text := "[Service]\n"
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_EC2_METADATA_DISABLED"} {
		text += "Environment=" + name + "=" + w.env[name] + "\n"
	}
	return text
}

// TestKeepSystemd: a real systemd starts keep before its neighbour, which finds
// credentials by EnvironmentFile= as another user of the group; and ends it as a success.
func TestKeepSystemd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, life*100)
	p, keeper := w.systemd("neighbour.service", "role-arn: "+roleARN+"\n", map[string]string{
		"brs-exec-keep@.service":             unit(t, "brs-exec-keep@.service", "/run/bin/brs-exec", "/run/etc", "brs-exec"),
		"brs-exec-keep@.service.d/test.conf": w.reachAWS(),
		"neighbour.service": `[Unit]
Wants=brs-exec-keep@app.service
After=brs-exec-keep@app.service
[Service]
Type=oneshot
Environment=AWS_ENDPOINT_URL=` + w.server.URL() + ` CLIENT_SERVICES=sts HOME=/nonexistent
EnvironmentFile=/run/brs-exec-keep/app/env
SupplementaryGroups=brs-exec
StandardInput=file:/dev/zero
StandardOutput=append:` + w.path("said") + `
StandardError=append:` + w.path("errors") + `
ExecStart=` + program(t, "python") + ` ` + source("boto3", "client.py") + ` 3
ExecStart=systemctl stop brs-exec-keep@app.service
ExecStart=systemctl show -p Result,ExecMainCode,ExecMainStatus,NRestarts brs-exec-keep@app.service
ExecStart=sh -c "stat -c '%%a %%u %%g %%n' /run/brs-exec-keep/app /run/brs-exec-keep/app/*; echo over"
`,
	})
	w.until(p, "the neighbour has ended", func() bool { return strings.Contains(w.read("said"), "over") || w.read("errors") != "" })
	said := w.read("said")
	if strings.Count(said, "ok ASIA") != 3 || w.read("errors") != "" {
		t.Errorf("the neighbour said:\n%s%s", said, w.read("errors"))
	}
	for _, want := range []string{
		"Result=success\n", "ExecMainCode=1\n", "ExecMainStatus=0\n", "NRestarts=0\n",
		"750 " + keeper + " " + keeper + " /run/brs-exec-keep/app\n",
		"640 " + keeper + " " + keeper + " /run/brs-exec-keep/app/env\n",
		"640 " + keeper + " " + keeper + " /run/brs-exec-keep/app/token\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in:\n%s", want, said)
		}
	}
}
