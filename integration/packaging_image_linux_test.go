package integration

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// store is where buildah keeps its images: without a daemon, and apart from the machine's.
type store struct {
	t   *testing.T
	dir string
}

// buildah returns what it prints, without the line end.
func (s store) buildah(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("buildah", append([]string{"--storage-driver", "vfs", "--root", filepath.Join(s.dir, "root"), "--runroot", filepath.Join(s.dir, "run")}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("buildah %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// policy has buildah take an image without a signature.
func (s store) policy() []string {
	return []string{"--signature-policy", filepath.Join(s.dir, "policy.json")}
}

// build makes an image of a Dockerfile.
func (s store) build(tag, file, context string, more ...string) {
	s.t.Helper()
	s.buildah(slices.Concat([]string{"build", "--isolation", "chroot", "--format", "docker", "--pull-never"}, s.policy(), []string{"-t", tag, "-f", file}, more, []string{context})...)
}

// from makes a container of an image, and returns its name.
func (s store) from(image string) string {
	s.t.Helper()
	return s.buildah(slices.Concat([]string{"from", "--pull-never"}, s.policy(), []string{image})...)
}

// golangImage stands for golang:1.26, which no registry gives here: a shell and what it
// runs, certificates, and the machine's own Go, its modules and what it has built, as volumes.
func (s store) golangImage() (volumes []string) {
	s.t.Helper()
	base := filepath.Join(s.dir, "base")
	for _, err := range []error{os.MkdirAll(filepath.Join(base, "bin"), 0o755), os.MkdirAll(filepath.Join(base, "etc/ssl/certs"), 0o755), os.Mkdir(filepath.Join(base, "tmp"), 0o777)} {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for from, to := range map[string]string{program(s.t, "busybox"): "bin/busybox", "/etc/ssl/certs/ca-certificates.crt": "etc/ssl/certs/ca-certificates.crt"} {
		if out, err := exec.Command("cp", "-L", from, filepath.Join(base, to)).CombinedOutput(); err != nil {
			s.t.Fatalf("%v: %s", err, out)
		}
	}
	for _, name := range []string{"sh", "mkdir", "cp", "chown", "chmod"} {
		if err := os.Symlink("busybox", filepath.Join(base, "bin", name)); err != nil {
			s.t.Fatal(err)
		}
	}
	c := s.from("scratch")
	s.buildah("add", "-q", c, base, "/")
	s.buildah("config", "--env", "PATH=/usr/local/go/bin:/bin", "--env", "GOPATH=/go", "--env", "GOPROXY=off", "--env", "GOCACHE=/go/cache", "--env", "GOTOOLCHAIN=local", c)
	s.buildah(slices.Concat([]string{"commit", "-q"}, s.policy(), []string{c, "localhost/golang"})...)
	s.buildah("rm", c)
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	dirs := strings.Fields(string(out))
	return []string{"-v", dirs[0] + ":/usr/local/go:ro", "-v", dirs[1] + ":/go/pkg/mod:ro", "-v", dirs[2] + ":/go/cache"}
}

// sourceTree is the tree as git knows it, with what is changed in it.
func (s store) sourceTree() string {
	s.t.Helper()
	dir := filepath.Join(s.dir, "source")
	cmd := exec.Command("sh", "-c", `mkdir "$1" && cd .. && git ls-files -z --cached --others --exclude-standard -- '*.go' go.mod go.sum refresh writer supervisor LICENSE ':!integration' |
		tar --null --files-from=- --ignore-failed-read -cf - | tar -xf - -C "$1"`, "sh", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// imageConfig is what an image says of itself.
type imageConfig struct {
	User            string
	Env             []string
	Entrypoint, Cmd []string
	Labels          map[string]string
	Healthcheck     struct{ Test []string }
}

func (s store) config(tag string) imageConfig {
	s.t.Helper()
	var image struct {
		Docker struct{ Config imageConfig }
	}
	if err := json.Unmarshal([]byte(s.buildah("inspect", "--type", "image", tag)), &image); err != nil {
		s.t.Fatal(err)
	}
	return image.Docker.Config
}

// root is the root directory of a container of the image.
func (s store) root(tag string) string {
	s.t.Helper()
	return s.buildah("mount", s.from(tag))
}

// TestImage: packaging/docker/Dockerfile makes an image of nothing but the program, the
// certificates and directories, whose user has no privileges; app.Dockerfile copies the
// program out of it, and a program in an image from scratch outlives its credentials.
func TestImage(t *testing.T) {
	slow(t)
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, as buildah has no user namespaces to build in")
	}
	program(t, "buildah")
	w := newWorld(t, life)
	s := store{t, w.path("images")}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "policy.json"), []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	const ours, app = "localhost/brs-exec:1", "localhost/app:1"
	tree := s.sourceTree()
	s.build(ours, "../packaging/docker/Dockerfile", tree, append(s.golangImage(), "--build-arg", "GO_IMAGE=localhost/golang")...)

	is := s.config(ours)
	if is.User != "65532:65532" || !slices.Equal(is.Entrypoint, []string{"brs-exec"}) || !slices.Equal(is.Healthcheck.Test, []string{"CMD", "brs-exec", "status", "--ready"}) {
		t.Errorf("%+v", is)
	}
	if is.Labels["org.opencontainers.image.title"] != "brs-exec" || is.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" {
		t.Errorf("labels %q", is.Labels)
	}
	root := s.root(ours)
	found := map[string]string{}
	filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			t.Error(err)
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			t.Error(err)
			return nil
		}
		owner := map[uint32]string{0: "root", 65532: "65532"}[info.Sys().(*syscall.Stat_t).Uid]
		found[strings.TrimPrefix(path, root)] = info.Mode().String() + " " + owner
		return nil
	})
	delete(found, "") // buildah's own
	if diff := cmp.Diff(map[string]string{
		"/usr": "drwxr-xr-x root", "/usr/bin": "drwxr-xr-x root", "/usr/bin/brs-exec": "-rwxr-xr-x root",
		"/etc": "drwxr-xr-x root", "/etc/ssl": "drwxr-xr-x root", "/etc/ssl/certs": "drwxr-xr-x root", "/etc/ssl/certs/ca-certificates.crt": "-rw-r--r-- root",
		"/home": "drwxr-xr-x root", "/home/brs-exec": "drwxr-xr-x 65532", "/tmp": "dtrwxrwxrwx root",
	}, found); diff != "" {
		t.Errorf("in the image (-want +got):\n%s", diff)
	}

	context := w.path("app-context")
	for _, err := range []error{os.Mkdir(context, 0o755), os.Link(filepath.Join(static(t), "gov2"), filepath.Join(context, "app"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.build(app, "../packaging/docker/app.Dockerfile", context, "--build-arg", "BRS_EXEC="+ours)
	is = s.config(app)
	c := &containers{world: w, group: 65532, base: map[string]string{"AWS_REGION": "eu-central-1"}}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} {
		c.base[name] = w.env[name]
	}
	w.leaves = true
	one := member{name: "app", argv: append(is.Entrypoint, is.Cmd...), user: 65532, env: map[string]string{}}
	for _, v := range is.Env {
		name, value, _ := strings.Cut(v, "=")
		one.env[name] = value
	}
	if is.User != "65532:65532" {
		t.Errorf("the app's user is %s", is.User)
	}
	root = s.root(app)
	for _, dir := range []string{"proc", "dev"} { // which a container's runtime makes
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := c.begin(one, root)
	health := is.Healthcheck.Test[1:]
	c.until(p, "calls past three expirations", func() bool { used, ended := c.usedSets(); return len(used) >= 4 && ended >= 3 })
	if err := c.probe(p, one, health...); err != nil {
		t.Error(err)
	}
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	checkOutlived(t, w, p)
}
