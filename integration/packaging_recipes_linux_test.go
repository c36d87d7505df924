package integration

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// recipe is a file of packaging/, with replacements: old, new, old, new. Each has to be there,
// so that what is run is what the file says.
func recipe(t *testing.T, name string, replacements ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(text, replacements[i]) {
			t.Fatalf("packaging/%s: no %q", name, replacements[i])
		}
		text = strings.ReplaceAll(text, replacements[i], replacements[i+1])
	}
	return text
}

// anonymous is text without key ids and process ids.
func anonymous(text string) string {
	text = regexp.MustCompile("ASIA[A-Z0-9]{16}").ReplaceAllString(text, "ASIA")
	return regexp.MustCompile(`process \d+`).ReplaceAllString(text, "process PID")
}

// asCron is the script of a machine on which Debian's cron runs the recipe for the user
// backup, and sendmail prints what it is to send. It "boots" twice: with the lock held, and without.
const asCron = `
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /run
mount -t tmpfs -o mode=1777 none /dev/shm
mkdir -p /run/bin /run/sbin /run/etc/pam.d /run/etc/cron.d
mkdir -m 1777 /run/lock
cp -P /etc/ld.so.cache /run/etc
printf "root:x:0:0::/root:/bin/sh\nbackup:x:$uid:$uid::/nonexistent:/usr/sbin/nologin\n" >/run/etc/passwd
printf "root:x:0:\ncrontab:x:105:\n" >/run/etc/group
for kind in auth account session; do echo "$kind required pam_permit.so"; done >/run/etc/pam.d/cron
cp "$program" /run/bin/brs-exec
cp "$client" /run/bin/client
cp "$crontab" /run/etc/cron.d/nightly
printf '#!/bin/sh\necho "PATH=$PATH SHELL=$SHELL"\nexec /run/bin/client 1 </dev/zero\n' >/run/bin/nightly
printf '#!/bin/sh\nsed 1,/^$/d >/run/mail\n' >/run/sbin/sendmail
chmod 755 /run/bin/* /run/sbin/*
chmod 644 /run/etc/cron.d/*
mkfifo -m 666 /run/mail /run/held /run/go
mount -t tmpfs -o mode=0755 none /var/spool
mount --bind /run/sbin /usr/sbin
mount --bind /run/etc /etc

/run/bin/as-backup /run/bin/brs-exec --lock nightly -- sh -c 'echo >/run/held; read x </run/go' &
read x </run/held
"$cron" -f &
cat /run/mail
kill "$!"
echo >/run/go
wait
rm -f /run/crond.reboot
"$cron" -f &
cat /run/mail
`

// TestCron: Debian's cron takes the recipe, and runs it with its own environment. Its fields
// of time are read, and then @reboot takes their place, which is now.
func TestCron(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, for a cron in namespaces")
	}
	cron := installed(t, "cron", "usr", "sbin", "cron")
	goV2 := goClient(t)
	w := newWorld(t, time.Hour)
	w.leaves = true
	uid := fmt.Sprint(22_000_000 + os.Getpid())
	forgetLocks(t, uid)
	text := recipe(t, "cron/nightly", "/usr/bin/brs-exec", "/run/bin/brs-exec", "/usr/local/bin/", "/run/bin/")
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"} {
		text = name + "=" + w.env[name] + "\n" + text
	}
	const when = "\n0 3 * * * "
	_, job, ok := strings.Cut(text, when)
	if !ok {
		t.Fatalf("no %q in %s", when, text)
	}
	w.env["crontab"] = w.write("crontab", text+"@reboot "+job)
	w.env["uid"], w.env["cron"], w.env["program"], w.env["client"] = uid, cron, brsExec(t), goV2
	as := strings.ReplaceAll(asCron, "/run/bin/as-backup", "setpriv --reuid "+uid+" --regid "+uid+" --clear-groups")
	argv := asPID1(t, "--mount", "--ipc", "--", "sh", "-c", as)
	p := w.start(argv[0], argv[1:]...)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	const want = "brs-exec: error: lock nightly: held by process PID (brs-exec)\n" +
		"PATH=/usr/bin:/bin SHELL=/bin/sh\nok ASIA\n"
	if diff := cmp.Diff(want, anonymous(p.stdout.String())); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	if t.Failed() {
		t.Log(p.stderr.String())
	}
}

// version is that of the next release, or of the last: the one that recipes name.
func version(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(brsExec(t), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	is, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(out), "brs-exec ")), "+")
	return is
}

// release serves an archive of a release, as CI systems take it, and returns the server's address.
func release(t *testing.T, version string) string {
	t.Helper()
	name := "brs-exec_" + version + "_linux_amd64"
	binary, err := os.ReadFile(brsExec(t))
	if err != nil {
		t.Fatal(err)
	}
	var archive strings.Builder
	zip, _ := gzip.NewWriterLevel(&archive, gzip.NoCompression)
	files := tar.NewWriter(zip)
	if err := files.WriteHeader(&tar.Header{Name: name + "/brs-exec", Mode: 0o755, Size: int64(len(binary))}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write(binary); err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/releases/v" + version + "/" + name + ".tar.gz":
			fmt.Fprint(w, archive.String())
		case "/releases/v" + version + "/SHA256SUMS":
			fmt.Fprintf(w, "%064x  brs-exec_%s_other\n%x  %s.tar.gz\n", 0, version, sha256.Sum256([]byte(archive.String())), name)
		default:
			t.Errorf("asked for %s", r.URL)
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// deploy is the program that the recipes of CI systems run.
func (w *world) deploy(dir string) {
	w.t.Helper()
	goV2 := goClient(w.t)
	if err := os.WriteFile(filepath.Join(dir, "deploy"), []byte("#!/bin/sh\nexec '"+goV2+"' 1 </dev/zero\n"), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

// TestGitHubActions: actionlint takes the workflow, and this project's own; and its steps
// install brs-exec from a release, and run it on tokens of a runner.
func TestGitHubActions(t *testing.T) {
	t.Parallel()
	lint := program(t, "actionlint")
	workflows, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(workflows) == 0 {
		t.Fatal(workflows, err)
	}
	// Without shellcheck and pyflakes, which are there or not.
	args := append([]string{"-shellcheck=", "-pyflakes=", "../packaging/github-actions/deploy.yml"}, workflows...)
	if out, err := exec.Command(lint, args...).CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}

	var workflow struct {
		Jobs map[string]struct {
			Env   map[string]string
			Steps []struct{ Run string }
		}
	}
	w := newWorld(t, time.Hour)
	if err := yaml.Unmarshal([]byte(recipe(t, "github-actions/deploy.yml", "https://brs-exec.example", release(t, version(t)))), &workflow); err != nil {
		t.Fatal(err)
	}
	w.deploy(w.dir)
	runner := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, `{"count":1,"value":%q}`, w.server.IssueWebIdentity(time.Minute))
	}))
	t.Cleanup(runner.Close)
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.env["ACTIONS_ID_TOKEN_REQUEST_URL"], w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = runner.URL+"/?api-version=2.0", "job"
	w.env["RUNNER_TEMP"], w.env["GITHUB_PATH"] = w.path("tmp"), w.write("github-path", "")
	job := workflow.Jobs["deploy"]
	for name, value := range job.Env {
		w.env[name] = value
	}
	var out string
	for _, step := range job.Steps {
		if step.Run == "" {
			continue
		}
		p := w.start("bash", "-e", w.write("step", step.Run))
		if code := p.exit(); code != 0 || p.stderr.String() != "" {
			t.Fatalf("exit code %d of\n%s\n%s", code, step.Run, p.stderr.String())
		}
		out += p.stdout.String()
		w.env["PATH"] = strings.TrimSpace(w.read("github-path")) + ":" + w.env["PATH"]
	}
	if diff := cmp.Diff("brs-exec_"+version(t)+"_linux_amd64.tar.gz: OK\nok ASIA\n", anonymous(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestGitLabCI: gitlab-ci-local holds the job against GitLab's schema, and runs it.
func TestGitLabCI(t *testing.T) {
	t.Parallel()
	local := installed(t, "gitlab-ci-local", "node_modules", ".bin", "gitlab-ci-local")
	w := newWorld(t, time.Hour)
	repository := w.path("repository")
	if err := os.Mkdir(repository, 0o755); err != nil {
		t.Fatal(err)
	}
	w.deploy(repository)
	text := recipe(t, "gitlab-ci/.gitlab-ci.yml", "https://brs-exec.example", release(t, version(t)))
	w.write("repository/.gitlab-ci.yml", text)
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	w.env["AWS_TOKEN"] = w.server.IssueWebIdentity(time.Hour)
	w.env["GIT_SSH_COMMAND"] = "false"
	p := w.start("sh", "-ec", `cd repository
git init -q -b main
git add -A
git -c user.name=a -c user.email=a@example.com commit -q -m a
git remote add origin git@gitlab.example:group/project.git
git update-ref refs/remotes/origin/main HEAD
git remote set-head origin main
`+local+` --list
exec `+local+` --force-shell-executor --variable AWS_TOKEN="$AWS_TOKEN" deploy`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	out := p.stdout.String() + p.stderr.String()
	for _, want := range []string{"json schema validated", "brs-exec_" + version(t) + "_linux_amd64.tar.gz: OK", "ok ASIA"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestAirflow: Airflow loads the file of tasks and runs the operator, which skips a task whose
// lock is held. Its note on Kubernetes is a call that brs-exec takes, too.
func TestAirflow(t *testing.T) {
	t.Parallel()
	python := installed(t, "airflow", "bin", "python")
	goV2 := goClient(t)
	w := newWorld(t, time.Hour)
	lock := w.path("lock")
	w.write("report.py", recipe(t, "airflow/report.py", "/usr/bin/brs-exec", brsExec(t), "--lock report", "--lock "+lock,
		"python3 /opt/jobs/report.py", goV2+" 1 </dev/zero"))
	w.env["AIRFLOW_HOME"], w.env["AIRFLOW__CORE__LOAD_EXAMPLES"], w.env["NO_PROXY"] = w.path("airflow"), "False", "*"
	w.write("run.py", `import os, subprocess, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowSkipException

bag = DagBag("report.py")
assert not bag.import_errors, bag.import_errors
task = bag.dags["report"].get_task("report")
task.render_template_fields({"ts_nodash": "20260101T030000"})
held = subprocess.Popen([os.environ["BRS"], "--lock", os.environ["LOCK"], "--", "sh", "-c", "echo held; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
held.stdout.readline()
try:
    task.execute({})
    print("== not skipped")
except AirflowSkipException as e:
    print("== skipped:", e)
held.communicate(b"\n")
print("== returned:", task.execute({}))
`)
	w.env["BRS"], w.env["LOCK"] = brsExec(t), lock
	p := w.start(python, "run.py")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	out := anonymous(p.stdout.String())
	for _, want := range []string{"held by process PID (brs-exec)", "== skipped: Bash command returned exit code 75", "== returned: ok ASIA"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	session := func(call fakeaws.Call) bool {
		return slices.Equal(call.Params["RoleSessionName"], []string{"airflow-20260101T030000"})
	}
	if !slices.ContainsFunc(w.server.Calls(), session) {
		t.Error("the session is not named after the run of the task")
	}

	_, list, _ := strings.Cut(recipe(t, "airflow/report.py", `"python3", "/app/report.py"`, `"`+goV2+`", "1"`), "arguments=")
	list, _, _ = strings.Cut(list, ",\n")
	var args []string
	if err := json.Unmarshal([]byte(list), &args); err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	pod := w.brsExec(args...)
	if code := pod.exit(); code != 0 || !strings.HasPrefix(pod.stdout.String(), "ok ASIA") {
		t.Errorf("exit code %d, and it said %q", code, pod.stdout.String())
	}
}

// asSlurm is the script of a cluster of one node, on which the user of $uid has the recipe run
// as an array of two. The second task is told to stop as the time limit would tell it.
const asSlurm = `
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /run
mount -t tmpfs -o mode=1777 none /dev/shm
hostname node
mkdir -p /run/etc /run/bin /run/sbin /run/slurm /run/state /run/spool
mkdir -m 1777 /run/lock /run/work
cp -P /etc/ld.so.cache /run/etc
printf "root:x:0:0::/root:/bin/sh\nuser:x:$uid:$uid::/nonexistent:/bin/sh\n" >/run/etc/passwd
printf "root:x:0:\nuser:x:$uid:\n" >/run/etc/group
printf "127.0.0.1 localhost node\n" >/run/etc/hosts
printf "hosts: files\n" >/run/etc/nsswitch.conf
cp "$program" /run/bin/brs-exec
cp "$client" /run/bin/client
cp "$batch" /run/work/array.sbatch
cp "$AWS_CONFIG_FILE" /run/config
cat >/run/bin/report <<'E'
#!/bin/sh
/run/bin/client 1 </dev/zero
[ "$1" = 1 ] || exit 0
trap 'echo "task $1 got TERM"; kill $!; exit 3' TERM
sleep infinity &
echo >/run/ready
wait
E
chmod -R a+rX /run/bin /run/config /run/work/array.sbatch
chmod 755 /run/bin/report
mkfifo -m 666 /run/ready
mount --bind "$slurm" /run/slurm
lib=$(echo /run/slurm/usr/lib/*/slurm-wlm)
cat >/run/slurm.conf <<E
ClusterName=test
SlurmctldHost=node
SlurmctldPort=$ctldport
SlurmdPort=$slurmdport
AuthType=auth/none
CredType=cred/none
SlurmUser=root
StateSaveLocation=/run/state
SlurmdSpoolDir=/run/spool
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
PluginDir=$lib
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MailProg=/bin/true
SchedulerType=sched/builtin
SelectType=select/linear
NodeName=node CPUs=1 State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:2
E
export SLURM_CONF=/run/slurm.conf LD_LIBRARY_PATH=$lib:${lib%/*} PATH=$PATH:/run/slurm/usr/bin
for name in slurmctld slurmd slurmstepd; do # as update-alternatives does
	cp "/run/slurm/usr/sbin/$name-wlm" "/run/sbin/$name"
done
mount --bind /run/sbin /usr/sbin
mount --bind /run/etc /etc
slurmctld -D >&2 &
slurmd -D >&2 &

unset XDG_RUNTIME_DIR TMPDIR
export HOME=/nonexistent AWS_CONFIG_FILE=/run/config
cd /run/work
until scontrol ping >/dev/null 2>&1; do sleep 0.2; done
setpriv --reuid "$uid" --regid "$uid" --clear-groups sbatch --wait --array=0-1 array.sbatch &
read x </run/ready
scancel --batch --signal=TERM 1_1
code=0
wait "$!" || code=$?
echo "exit code $code"
for log in *.log; do
	echo "== $log"
	grep -v ^slurmstepd "$log"
done
`

// TestSlurm: a real Slurm takes the recipe and its options and runs it; both tasks have the
// credentials of one call of STS, and TERM to the batch script reaches the program.
func TestSlurm(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, for a cluster in namespaces")
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(addresses, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		return ok && ip.IP.To4() != nil && !ip.IP.IsLoopback()
	}) {
		t.Skip("NOT TESTED: Slurm finds no name where loopback is the only network")
	}
	slurm := installed(t, "slurm")
	goV2 := goClient(t)
	w := newWorld(t, time.Hour)
	w.leaves = true
	w.write("config", "[profile prod]\nrole_arn = "+roleARN+"\ncredential_source = Environment\nregion = eu-central-1\n")
	w.unset("AWS_SHARED_CREDENTIALS_FILE", "GOCOVERDIR")
	for name, value := range map[string]string{
		"uid": fmt.Sprint(23_000_000 + os.Getpid()), "slurm": slurm, "program": brsExec(t), "client": goV2,
		"batch": w.write("array.sbatch", recipe(t, "slurm/array.sbatch", "/usr/bin/brs-exec", "/run/bin/brs-exec", "python3 report.py", "/run/bin/report")),
	} {
		w.env[name] = value
	}
	port := twoFreePorts(t)
	w.env["ctldport"], w.env["slurmdport"] = fmt.Sprint(port), fmt.Sprint(port+1)
	argv := asPID1(t, "--mount", "--ipc", "--uts", "--", "sh", "-c", asSlurm)
	p := w.start(argv[0], argv[1:]...)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	const want = `Submitted batch job 1
exit code 3
== report-1_0.log
ok ASIA
== report-1_1.log
ok ASIA
task 1 got TERM
`
	if diff := cmp.Diff(want, anonymous(p.stdout.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var assumed int
	for _, call := range w.server.Calls() {
		if call.Action == "AssumeRole" {
			assumed++
		}
	}
	if assumed != 1 {
		t.Errorf("%d calls of AssumeRole, want one for both tasks", assumed)
	}
}

// TestPackagingIndex: each file of packaging/ is in its index, with tests that there are.
func TestPackagingIndex(t *testing.T) {
	t.Parallel()
	index := recipe(t, "README.md")
	err := filepath.WalkDir("../packaging", func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, "../packaging/")
		if err == nil && !d.IsDir() && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("packaging/README.md: no %s", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, test := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(index, -1) {
		if !strings.Contains(tests.String(), "\nfunc "+test[1]+"(") {
			t.Errorf("packaging/README.md: there is no %s", test[1])
		}
	}
}
