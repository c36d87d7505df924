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
	return strings.NewReplacer("/usr/bin/brs-exec", program, "/usr/local/bin/%i", "/bin/true", "/etc/brs-exec", etc,
		"User=brs-exec", "User="+user, "Group=brs-exec", "Group="+user).Replace(string(text))
}

// TestUnits holds the units against systemd's own parser.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := program(t, "systemd-analyze")
	dir := t.TempDir()
	for _, name := range []string{"brs-exec-keep@.service", "brs-exec@.service"} {
		path := filepath.Join(dir, strings.Replace(name, "@", "@app", 1))
		if err := os.WriteFile(path, []byte(unit(t, name, brsExec(t), dir, "1000")), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", path).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	// 100 is the exposure of a unit without any restriction.
	out, err := exec.Command(analyze, "security", "--offline=yes", "--no-pager", "--threshold=25", filepath.Join(dir, "brs-exec-keep@app.service")).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// asSystemd is the script that becomes a systemd of its own, with the units of $units alone.
const asSystemd = `
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /run
mount -t tmpfs none /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir /run/units /run/etc /run/bin
{ cat /etc/passwd; echo "brs-exec:x:$uid:$uid::/:/usr/sbin/nologin"; } >/run/passwd
{ cat /etc/group; echo "brs-exec:x:$uid:"; } >/run/group
mount --bind /run/passwd /etc/passwd
mount --bind /run/group /etc/group
cp "$units"/*.service "$units"/*.target /run/units
mkdir /run/units/brs-exec-keep@.service.d
cp "$units"/keep.conf /run/units/brs-exec-keep@.service.d
cp "$settings" /run/etc/app.yaml
cp "$program" /run/bin/brs-exec
chmod -R a+rX /run/units /run/etc /run/bin
exec env -i container=test SYSTEMD_UNIT_PATH=/run/units "$systemd" --system --unit=neighbour.service --log-target=null --show-status=no
`

// TestKeepSystemd: a real systemd starts keep before its neighbour, which finds
// credentials by EnvironmentFile= as another user of the group; and ends it as a success.
func TestKeepSystemd(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, for a systemd in namespaces")
	}
	if out, err := exec.Command("unshare", "--mount", "--cgroup", "sh", "-c", "mount --make-rprivate / && mount -t cgroup2 none /mnt").CombinedOutput(); err != nil {
		t.Skipf("a cgroup of its own is not permitted: %v: %s", err, out)
	}
	w := newWorld(t, life*100)
	w.leaves = true
	systemd := program(t, "/lib/systemd/systemd")
	keeper := strconv.Itoa(21_000_000 + os.Getpid())
	for name, text := range map[string]string{
		"brs-exec-keep@.service": unit(t, "brs-exec-keep@.service", "/run/bin/brs-exec", "/run/etc", "brs-exec"),
		"keep.conf":              "[Service]\nEnvironment=" + w.setting("AWS_ENDPOINT_URL") + w.setting("AWS_ACCESS_KEY_ID") + w.setting("AWS_SECRET_ACCESS_KEY") + w.setting("AWS_REGION") + "\n",
		"sysinit.target":         "[Unit]\nDefaultDependencies=no\n",
		"basic.target":           "[Unit]\nDefaultDependencies=no\n",
		"shutdown.target":        "[Unit]\nDefaultDependencies=no\n",
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
	} {
		w.write(name, text)
	}
	w.env["uid"], w.env["units"], w.env["program"], w.env["systemd"] = keeper, w.dir, brsExec(t), systemd
	w.env["settings"] = w.write("app.yaml", "role-arn: "+roleARN+"\n")
	argv := asPID1(t, "--mount", "--cgroup", "--uts", "--ipc", "--", "sh", "-c", asSystemd)
	p := w.start(argv[0], argv[1:]...)
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

// setting is a variable as a unit sets it.
func (w *world) setting(name string) string { return " " + name + "=" + w.env[name] }
