package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestUnits holds the units against systemd's own parser, and its judgement of how much they
// leave to a program: 0 is nothing, 100 all. Each version of it judges a little otherwise: with 252
// it is 20, and 64 for the user's.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := program(t, "systemd-analyze")
	dir := t.TempDir()
	for name, target := range map[string]string{"brs-exec": brsExec(t), "app": "/bin/true"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "user"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, u := range []struct{ name, exposure string }{
		{"brs-exec-keep@.service", "25"},
		{"brs-exec@.service", "25"},
		{"brs-exec-job@.service", "25"},
		{"brs-exec-job@.timer", ""},
		{"user/brs-exec@.service", "70"}, // nothing that is done by mounts, or by root
	} {
		path := filepath.Join(dir, strings.Replace(u.name, "@", "@app", 1))
		text := strings.ReplaceAll(unit(t, u.name, filepath.Join(dir, "brs-exec"), dir, "1000"), "%h/.local/bin", dir)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		of := "--system"
		if strings.HasPrefix(u.name, "user/") {
			of = "--user"
		}
		cmd := exec.Command(analyze, of, "verify", "--man=no", "--recursive-errors=no", path)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", u.name, err, out)
		}
		if u.exposure == "" {
			continue
		}
		if out, err := exec.Command(analyze, "security", "--offline=yes", "--no-pager", "--threshold="+u.exposure, path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", u.name, err, out)
		}
	}
}

// TestUnitsStarted: a real systemd runs the service, the job by its timer, and a user's
// service; and a job that runs already is no failure.
func TestUnitsStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	says := "[Service]\nStandardOutput=append:" + w.path("said") + "\nStandardError=append:" + w.path("errors") + "\n"
	target := "[Unit]\nDefaultDependencies=no\n"
	system := func(name string) string { return unit(t, name, "/run/bin/brs-exec", "/run/etc", "brs-exec") }
	p, uid := w.systemd("drive.service", "role-arn: "+roleARN+"\n", map[string]string{
		"brs-exec@.service":                 system("brs-exec@.service"),
		"brs-exec@.service.d/test.conf":     w.reachAWS() + says + "Environment=STAYS=1\n",
		"brs-exec-job@.service":             system("brs-exec-job@.service"),
		"brs-exec-job@.service.d/test.conf": w.reachAWS() + says + "[Unit]\nOnSuccess=seen.service\nOnFailure=seen.service\n",
		"brs-exec-job@.timer":               system("brs-exec-job@.timer"),
		"brs-exec-job@.timer.d/test.conf":   "[Timer]\nRandomizedDelaySec=0\n",
		// What the job came to.
		"seen.service": says + `Type=oneshot
ExecStart=systemctl show -p Id,Result,ExecMainStatus brs-exec-job@app.service
ExecStart=sh -c 'echo >/run/seen'
`,
		// Of root, because a cgroup can't be delegated to others on every machine.
		"user.service": `[Service]
Type=notify
Delegate=yes
RuntimeDirectory=user
Environment=HOME=/run/home XDG_RUNTIME_DIR=/run/user SYSTEMD_UNIT_PATH=/run/units/user SYSTEMD_LOG_TARGET=null
ExecStart=/lib/systemd/systemd --user
`,
		"user/brs-exec@.service":             strings.ReplaceAll(unit(t, "user/brs-exec@.service", "/run/bin/brs-exec", "", ""), "%h/.local", "/run"),
		"user/brs-exec@.service.d/test.conf": w.reachAWS() + says + "Environment=STAYS=1\n",
		"user/default.target":                target + "Wants=brs-exec@app.service\nAfter=brs-exec@app.service\n",
		"user/basic.target":                  target,
		"user/shutdown.target":               target,
		"user/exit.target":                   target,
		"drive.service":                      says + "Type=oneshot\nExecStart=sh -e /run/units/drive\n",
		"drive":                              drive,
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.read("said"), w.read("errors"))
		}
	})
	w.until(p, "all was started", func() bool { return strings.Contains(w.read("said"), "over\n") })
	said := regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`).ReplaceAllString(anonymous(w.read("said")), "TIME")
	if diff := cmp.Diff(strings.ReplaceAll(unitsSaid, "UID", uid), said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("brs-exec: error: lock app: held by process PID (brs-exec)\n", anonymous(w.read("errors"))); diff != "" {
		t.Errorf("on standard error (-want +got):\n%s", diff)
	}
}

const unitsSaid = `== service
StatusText=credentials expire TIME +00:00, next refresh TIME +00:00
Result=success
ExecMainStatus=0
Id=brs-exec@app.service
ActiveState=active
ok ASIA
app of UID ran
Result=success
ExecMainStatus=0
Id=brs-exec@app.service
ActiveState=inactive
== job that runs already
Result=success
ExecMainStatus=75
Id=brs-exec-job@app.service
== job by its timer
ok ASIA
app of UID ran
Result=success
ExecMainStatus=0
Id=brs-exec-job@app.service
== user
ok ASIA
app of 0 ran
over
`

// drive is what an administrator does with the units.
const drive = `
trap 'echo over' EXIT
cat >/run/bin/app <<'E'
#!/bin/sh
[ -z "$STAYS" ] || read x </run/begin
/run/bin/client 1 </dev/zero
echo "app of $(id -u) ran"
[ -z "$STAYS" ] || { echo >/run/seen; exec sleep infinity; }
E
chmod 755 /run/bin/app
show() { systemctl show -p Id,ActiveState,Result,ExecMainStatus "$@"; }
mkfifo -m 666 /run/held /run/go /run/begin /run/seen

echo "== service"
systemctl start brs-exec@app.service
show -p StatusText brs-exec@app.service
echo >/run/begin
read x </run/seen
systemctl stop brs-exec@app.service
show brs-exec@app.service

echo "== job that runs already"
setpriv --reuid brs-exec --regid brs-exec --clear-groups env $(systemctl show -P Environment brs-exec-job@app.service) /run/bin/brs-exec --lock app -- sh -c 'echo >/run/held; read x </run/go' &
read x </run/held
systemctl start brs-exec-job@app.service
read x </run/seen
echo >/run/go
wait

echo "== job by its timer"
# The last time was missed, as after a boot.
mkdir -p /var/lib/systemd/timers
touch -d '2 days ago' /var/lib/systemd/timers/stamp-brs-exec-job@app.timer
systemctl start brs-exec-job@app.timer
read x </run/seen

echo "== user"
mkdir -p /run/home/.config/brs-exec
cp /run/etc/app.yaml /run/home/.config/brs-exec/
systemctl start user.service
echo >/run/begin
read x </run/seen
`
