package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// member is a container of a pod or a task, whatever file says so.
type member struct {
	name, image string
	argv        []string
	user        int
	env         map[string]string
	mounts      []mount
	sidecar     bool     // goes on beside those that follow
	startup     []string // what succeeds when those may start
}

type mount struct {
	volume, path string
	readOnly     bool
}

// imageOfOurs is what manifests call the image of packaging/docker.
const imageOfOurs = "registry.example.com/brs-exec:1"

// inContainer makes a container of an image's root directory: processes, mounts and devices
// of its own, and nothing in it can be written but the volumes and /dev/shm. As PID 1 its
// user has no privileges.
const inContainer = `
set -e
mount --make-rprivate /
mount --bind "$root" /mnt
mount -t proc none /mnt/proc
mount -t tmpfs -o mode=0755 none /mnt/dev
for device in null zero random urandom; do
	touch "/mnt/dev/$device"
	mount --bind "/dev/$device" "/mnt/dev/$device"
done
mkdir /mnt/dev/shm
mount -t tmpfs -o mode=1777,size=64m none /mnt/dev/shm
echo "$mounts" | while read -r from to how; do
	[ -n "$from" ] || continue
	mount --bind "$from" "/mnt$to"
	mount -o "remount,bind,$how" "/mnt$to"
done
mount -o remount,bind,ro /mnt
setpriv=$(command -v setpriv) chroot=$(command -v chroot)
exec env -i $variables "$setpriv" --no-new-privs --bounding-set -all,+sys_chroot,+setuid,+setgid \
	"$chroot" --userspec "$user:$user" --groups "$group" /mnt "$@"
`

// containers are what a test runs them in.
type containers struct {
	*world
	group int // of the volumes, as fsGroup has it
	base  map[string]string
}

// newContainers has the images of the names in a world: ours, and those with the
// program of a user, which is the Go client, under each path.
func newContainers(t *testing.T, w *world, all []member) *containers {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, for the namespaces of containers")
	}
	for _, name := range []string{"setpriv", "chroot", "nsenter"} {
		program(t, name)
	}
	c := &containers{world: w, group: 30_000_000 + os.Getpid(), base: map[string]string{}}
	// What the platform gives a container for its role.
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} {
		c.base[name] = w.env[name]
	}
	w.leaves = true
	for _, one := range all {
		root := c.root(one.image)
		files := map[string]string{}
		if one.image == imageOfOurs {
			files["usr/bin/brs-exec"] = filepath.Join(static(t), "brs-exec")
		} else {
			files[one.argv[len(one.argv)-1]] = filepath.Join(static(t), "gov2")
		}
		dirs := []string{"proc", "dev", "tmp"}
		for _, m := range one.mounts {
			dirs = append(dirs, m.path)
			c.volume(m.volume)
		}
		for _, dir := range dirs {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, from := range files {
			to := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(from, to); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
	}
	return c
}

func (c *containers) root(image string) string {
	return c.path("image-" + strings.NewReplacer("/", "-", ":", "-").Replace(image))
}

// volume returns the directory of one, and makes it as a kubelet does.
func (c *containers) volume(name string) string {
	dir := c.path("volume-" + name)
	if err := os.Mkdir(dir, 0o700); err == nil {
		for _, err := range []error{os.Chown(dir, 0, c.group), os.Chmod(dir, 0o777|fs.ModeSetgid)} {
			if err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return dir
}

// begin starts a container in a root directory.
func (c *containers) begin(one member, root string) *process {
	c.t.Helper()
	var mounts strings.Builder
	for _, m := range one.mounts {
		how := map[bool]string{true: "ro", false: "rw"}[m.readOnly]
		fmt.Fprintf(&mounts, "%s %s %s\n", c.volume(m.volume), m.path, how)
	}
	c.env = map[string]string{"PATH": os.Getenv("PATH"), "root": root, "mounts": mounts.String(), "user": strconv.Itoa(one.user), "group": strconv.Itoa(c.group), "variables": strings.Join(c.environOf(one), " ")}
	argv := asPID1(c.t, append([]string{"--mount", "--", "sh", "-c", inContainer, "sh"}, one.argv...)...)
	return c.start(argv[0], argv[1:]...)
}

// environOf is the environment of a container.
func (c *containers) environOf(one member) (env []string) {
	given := c.base
	if one.image != imageOfOurs && !strings.HasSuffix(one.argv[0], "brs-exec") {
		given = map[string]string{"AWS_ENDPOINT_URL": c.base["AWS_ENDPOINT_URL"]} // no role of its own
	}
	env = []string{"PATH=/usr/bin", "HOME=/", "AWS_EC2_METADATA_DISABLED=true"}
	for _, vars := range []map[string]string{given, one.env} {
		for name, value := range vars {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// probe runs a command in a container that runs, as a kubelet does.
func (c *containers) probe(p *process, one member, argv ...string) error {
	target := strconv.Itoa(p.init())
	cmd := exec.Command("nsenter", append([]string{"--target", target, "--mount", "--pid", "--root", "--wd=/", "--setuid", strconv.Itoa(one.user),
		"--setgid", strconv.Itoa(one.user), "--"}, argv...)...)
	cmd.Env = c.environOf(one)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", argv, err, out)
	}
	return nil
}

// run starts the containers one after the other, as their files say, and has the last one
// use its credentials until enough.
func (c *containers) run(all []member, enough func() bool) (last *process) {
	c.t.Helper()
	var beside []*process
	for i, one := range all {
		p := c.begin(one, c.root(one.image))
		switch {
		case i == len(all)-1:
			c.until(p, "enough calls", enough)
			if one.startup != nil {
				if err := c.probe(p, one, one.startup...); err != nil {
					c.t.Error(err)
				}
			}
			last = p
		case one.sidecar:
			var err error
			c.until(p, "the probe succeeds", func() bool { err = c.probe(p, one, one.startup...); return err == nil })
			beside = append(beside, p)
		default:
			if code := p.exit(); code != 0 {
				c.t.Fatalf("%s: exit code %d: %s", one.name, code, p.stderr.String())
			}
		}
	}
	last.stdin.Close()
	if code := last.exit(); code != 0 {
		c.t.Errorf("%s: exit code %d: %s", all[len(all)-1].name, code, last.stderr.String())
	}
	for _, p := range beside {
		syscall.Kill(p.init(), syscall.SIGTERM)
		if code := p.exit(); code != 0 {
			c.t.Errorf("exit code %d of the sidecar: %s", code, p.stderr.String())
		}
	}
	return last
}

// outlives has the last container live on past three expirations.
func (c *containers) outlives(all []member) {
	c.t.Helper()
	last := c.run(all, func() bool { used, ended := c.usedSets(); return len(used) >= 4 && ended >= 3 })
	checkOutlived(c.t, c.world, last)
}

// PodSpec is what of a pod these tests need; the parser of YAML wants it exported.
type PodSpec struct {
	SecurityContext struct {
		RunAsUser int `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	InitContainers []podContainer `yaml:"initContainers"`
	Containers     []podContainer `yaml:"containers"`
}

type podContainer struct {
	Name, Image   string
	Command, Args []string
	RestartPolicy string `yaml:"restartPolicy"`
	Env           []struct{ Name, Value string }
	StartupProbe  struct {
		Exec struct{ Command []string }
	} `yaml:"startupProbe"`
	SecurityContext struct {
		RunAsUser int `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

// manifest returns the containers of the one pod in a manifest of Kubernetes, in the order
// in which they start.
func manifest(t *testing.T, name string, change func(string) string) (all []member) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "packaging", "kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	var spec PodSpec
	for d := yaml.NewDecoder(strings.NewReader(change(string(text)))); ; {
		var object struct {
			Kind string
			Spec struct {
				PodSpec  `yaml:",inline"`
				Template struct{ Spec PodSpec }
			}
		}
		if err := d.Decode(&object); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch object.Kind {
		case "Pod":
			spec = object.Spec.PodSpec
		case "Deployment", "Job":
			spec = object.Spec.Template.Spec
		}
	}
	for _, from := range append(spec.InitContainers, spec.Containers...) {
		one := member{name: from.Name, image: from.Image, argv: append(from.Command, from.Args...), user: from.SecurityContext.RunAsUser,
			env: map[string]string{}, sidecar: from.RestartPolicy == "Always", startup: from.StartupProbe.Exec.Command}
		if one.user == 0 {
			one.user = spec.SecurityContext.RunAsUser
		}
		if from.Command == nil { // the image's entrypoint
			one.argv = append([]string{"brs-exec"}, one.argv...)
		}
		for _, v := range from.Env {
			one.env[v.Name] = v.Value
		}
		for _, m := range from.VolumeMounts {
			one.mounts = append(one.mounts, mount{m.Name, m.MountPath, m.ReadOnly})
		}
		all = append(all, one)
	}
	if len(all) != 2 {
		t.Fatalf("%d containers in %s, want 2: %+v", len(all), name, all)
	}
	return all
}

func asItIs(text string) string { return text }

// TestKubernetesSchema: the manifests are right by the schemas that Kubernetes publishes, in
// which no other field is.
func TestKubernetesSchema(t *testing.T) {
	t.Parallel()
	schemas := installed(t, "kubernetes")
	check := func(argv ...string) *exec.Cmd {
		return exec.Command(program(t, "kubeconform"), append([]string{"-strict", "-summary", "-schema-location", schemas + "/{{.ResourceKind}}{{.KindSuffix}}.json"}, argv...)...)
	}
	wrong := check("-")
	wrong.Stdin = strings.NewReader("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: x, imagee: x}]}\n")
	if out, err := wrong.CombinedOutput(); err == nil || !strings.Contains(string(out), "'imagee' not allowed") {
		t.Errorf("a misspelt field is taken: %v: %s", err, out)
	}
	if out, err := check("../packaging/kubernetes").CombinedOutput(); err != nil || !strings.Contains(string(out), "Invalid: 0, Errors: 0, Skipped: 0") || strings.Contains(string(out), "Valid: 0") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestKubernetesEntrypoint(t *testing.T) {
	slow(t)
	t.Parallel()
	all := manifest(t, "entrypoint.yaml", asItIs)
	newContainers(t, newWorld(t, life), all).outlives(all)
}

func TestKubernetesSidecar(t *testing.T) {
	slow(t)
	t.Parallel()
	// The port is the machine's here, not the pod's.
	port := strconv.Itoa(twoFreePorts(t))
	all := manifest(t, "sidecar.yaml", func(text string) string { return strings.ReplaceAll(text, "9911", port) })
	newContainers(t, newWorld(t, life), all).outlives(all)
}

func TestKubernetesInit(t *testing.T) {
	t.Parallel()
	all := manifest(t, "init.yaml", asItIs)
	c := newContainers(t, newWorld(t, time.Hour), all)
	c.run(all, func() bool { used, _ := c.usedSets(); return len(used) == 1 })
	for _, call := range c.server.Calls() {
		if !call.Accepted {
			t.Errorf("refused: %s", call)
		}
	}
}

// checkECS has botocore check a task definition as it does before a call, and makes none.
const checkECS = `
import json, sys, botocore.session, botocore.validate
model = botocore.session.get_session().get_service_model("ecs")
report = botocore.validate.ParamValidator().validate(json.load(sys.stdin), model.operation_model("RegisterTaskDefinition").input_shape)
sys.exit(report.generate_report() or 0)
`

// TestECS: the task definition is right by the model of AWS's SDK, and does what it is for.
func TestECS(t *testing.T) {
	slow(t)
	t.Parallel()
	text, err := os.ReadFile("../packaging/ecs/task-definition.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text []byte) ([]byte, error) {
		cmd := exec.Command(program(t, "python"), "-c", checkECS)
		cmd.Stdin = bytes.NewReader(text)
		return cmd.CombinedOutput()
	}
	if out, err := check(bytes.Replace(text, []byte(`"essential"`), []byte(`"esential"`), 1)); err == nil || !strings.Contains(string(out), "esential") {
		t.Errorf("a misspelt field is taken: %v: %s", err, out)
	}
	if out, err := check(text); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	var task struct {
		ContainerDefinitions []struct {
			Name, Image, User   string
			EntryPoint, Command []string
			MountPoints         []struct {
				SourceVolume, ContainerPath string
				ReadOnly                    bool
			}
			HealthCheck struct{ Command []string }
		}
	}
	if err := json.Unmarshal(text, &task); err != nil {
		t.Fatal(err)
	}
	var all []member
	for _, from := range task.ContainerDefinitions {
		one := member{name: from.Name, image: from.Image, argv: append(from.EntryPoint, from.Command...)}
		if one.user, err = strconv.Atoi(from.User); err != nil {
			t.Fatal(err)
		}
		if from.EntryPoint == nil {
			one.argv = append([]string{"brs-exec"}, one.argv...)
		}
		if len(from.HealthCheck.Command) > 0 {
			one.startup = from.HealthCheck.Command[1:]
		}
		for _, m := range from.MountPoints {
			one.mounts = append(one.mounts, mount{m.SourceVolume, m.ContainerPath, m.ReadOnly})
		}
		all = append(all, one)
	}
	c := newContainers(t, newWorld(t, life), all)
	if err := os.Chmod(c.volume("brs-exec"), 0o755); err != nil { // as ECS makes it
		t.Fatal(err)
	}
	c.outlives(all)
}

// TestNomad: Nomad's parser takes the job, and its tasks do what they are for.
func TestNomad(t *testing.T) {
	slow(t)
	t.Parallel()
	parser := program(t, "nomadjob")
	path := "../packaging/nomad/worker.nomad.hcl"
	w := newWorld(t, life)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wrong := w.write("wrong.hcl", strings.Replace(string(text), "sidecar =", "sidecarr =", 1))
	if out, err := exec.Command(parser, wrong).CombinedOutput(); err == nil || !strings.Contains(string(out), "sidecarr") {
		t.Errorf("a misspelt field is taken: %v: %s", err, out)
	}
	out, err := exec.Command(parser, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		TaskGroups []struct {
			Tasks []struct {
				Name, User string
				Config     struct {
					Image            string
					Entrypoint, Args []string
				}
			}
		}
	}
	// What Nomad puts in for these with the docker driver.
	out = bytes.ReplaceAll(bytes.ReplaceAll(out, []byte("${NOMAD_ALLOC_DIR}"), []byte("/alloc")), []byte("${NOMAD_SECRETS_DIR}"), []byte("/secrets"))
	if err := json.Unmarshal(out, &job); err != nil {
		t.Fatal(err)
	}
	var all []member
	for _, from := range job.TaskGroups[0].Tasks {
		one := member{name: from.Name, image: from.Config.Image, argv: append(from.Config.Entrypoint, from.Config.Args...), user: 65532}
		if from.Config.Entrypoint == nil {
			one.argv = append([]string{"brs-exec"}, one.argv...)
		}
		one.mounts = []mount{{"alloc", "/alloc/data", false}, {"secrets", "/secrets", false}}
		all = append(all, one)
	}
	c := newContainers(t, w, all)
	if err := os.WriteFile(filepath.Join(c.volume("secrets"), "nomad_aws.jwt"), []byte(w.server.IssueWebIdentity(time.Hour)), 0o644); err != nil {
		t.Fatal(err)
	}
	delete(c.base, "AWS_ACCESS_KEY_ID") // Nomad gives no credentials
	delete(c.base, "AWS_SECRET_ACCESS_KEY")
	last := c.run(all, func() bool { used, ended := c.usedSets(); return len(used) >= 5 && ended >= 3 }) // one is that of the calls for a role, without a key
	for _, line := range last.stdout.lines() {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("the command printed %q", line)
		}
	}
}
