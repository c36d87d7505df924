//go:build linux

package main

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// lifetime is that of the credentials.
const lifetime = 20 * time.Second

const (
	roleARN = "arn:aws:iam::123456789012:role/App"
	region  = "us-east-1"
)

// world is what a client runs in: a server, directories and an environment of
// its own, into which nothing leaks from the one that runs the driver.
type world struct {
	order
	client client
	server *fakeaws.Server
	dir    string
	run    string // where run directories go
	bare   string // key id of what export handed over, until its lifetime begins
	env    map[string]string
	names  *strings.Replacer
}

func newWorld(o order, c client) (*world, error) {
	server, err := fakeaws.Listen(fakeaws.Options{Life: lifetime, Hold: c.hold})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "brs-exec-cell-")
	if err != nil {
		server.Close()
		return nil, err
	}
	w := &world{order: o, client: c, server: server, dir: dir, run: filepath.Join(dir, "run")}
	server.PutObject("/jobs/data.csv", []byte("n\n1\n2\n"))
	w.names = strings.NewReplacer("$DIR", dir, "$ENDPOINT", server.URL(), "$ADDRESS", strings.TrimPrefix(server.URL(), "http://"))
	if err := w.fill(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) close() {
	w.server.Close()
	os.RemoveAll(w.dir)
}

// fill makes the directories, files and variables that the client finds before
// brs-exec changes anything.
func (w *world) fill() error {
	for _, d := range []string{w.run, w.path("home"), w.path("tmp"), w.path("files")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	files := map[string]string{
		"config":      "[default]\nregion = " + region + "\n" + w.client.config,
		"credentials": "",
	}
	for i := range w.client.files {
		files[fmt.Sprintf("files/%03d", i)] = strings.Repeat("x", 1000)
	}
	if w.client.noise > 0 {
		noise := make([]byte, w.client.noise<<20)
		rand.Read(noise)
		files["noise"] = string(noise)
	}
	for name, content := range files {
		if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	keys := w.server.Bootstrap()
	w.env = map[string]string{
		"PATH":                        os.Getenv("PATH"),
		"HOME":                        w.path("home"),
		"TMPDIR":                      w.path("tmp"),
		"XDG_RUNTIME_DIR":             w.run,
		"LC_ALL":                      "C.UTF-8",
		"AWS_CONFIG_FILE":             w.path("config"),
		"AWS_SHARED_CREDENTIALS_FILE": w.path("credentials"),
		"AWS_REGION":                  region,
		"AWS_DEFAULT_REGION":          region,
		"AWS_ENDPOINT_URL":            w.server.URL(),
		"CLIENT_ENDPOINT":             w.server.URL(), // for programs on an SDK that knows no variable
		"AWS_ACCESS_KEY_ID":           keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":       keys.SecretAccessKey,
	}
	if w.Cell.Delivery != "imds" {
		w.env["AWS_EC2_METADATA_DISABLED"] = "true"
	}
	maps.Copy(w.env, w.client.env)
	if signs(w.Cell.Delivery) {
		delete(w.env, "AWS_ENDPOINT_URL")
		delete(w.env, "CLIENT_ENDPOINT")
		maps.Copy(w.env, w.client.signedEnv)
		if err := w.becomeAWS(); err != nil {
			return err
		}
	}
	for name, value := range w.env {
		w.env[name] = w.expand(value)
	}
	return nil
}

// export hands one set to the client as people do without brs-exec. Its lifetime begins
// at the first call, however long the client takes to that.
func (w *world) export() error {
	set := w.server.Issue("arn:aws:sts::"+fakeaws.Account+":assumed-role/App/bare", longest)
	w.bare = set.AccessKeyID
	if w.client.reads {
		delete(w.env, "AWS_ACCESS_KEY_ID")
		delete(w.env, "AWS_SECRET_ACCESS_KEY")
		var b strings.Builder
		for _, section := range []string{"default", "brs-static"} {
			fmt.Fprintf(&b, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n",
				section, set.AccessKeyID, set.SecretAccessKey, set.SessionToken)
		}
		return os.WriteFile(w.path("credentials"), []byte(b.String()), 0o600)
	}
	w.env["AWS_ACCESS_KEY_ID"] = set.AccessKeyID
	w.env["AWS_SECRET_ACCESS_KEY"] = set.SecretAccessKey
	w.env["AWS_SESSION_TOKEN"] = set.SessionToken
	return nil
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) expand(text string) string { return w.names.Replace(w.Places.expand(text)) }

func (w *world) environ() []string {
	env := make([]string, 0, len(w.env))
	for _, name := range slices.Sorted(maps.Keys(w.env)) {
		env = append(env, name+"="+w.env[name])
	}
	return env
}

// command is argv, expanded, in this world's environment.
func (w *world) command(argv ...string) *exec.Cmd {
	expanded := make([]string, len(argv))
	for i, arg := range argv {
		expanded[i] = w.expand(arg)
	}
	cmd := exec.Command(expanded[0], expanded[1:]...)
	cmd.Env, cmd.Dir = w.environ(), w.dir
	// A group of its own: whatever is left at the end is ended with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// port is that of the server.
func (w *world) port() uint16 {
	_, text, _ := net.SplitHostPort(strings.TrimPrefix(w.server.URL(), "http://"))
	var port uint16
	fmt.Sscan(text, &port)
	return port
}

var versionNumber = regexp.MustCompile(`\d+\.\d+(\.\d+)*`)

// version is the first version number that a command prints.
func (w *world) version(command []string) (string, error) {
	cmd := w.command(command...)
	out, err := cmd.CombinedOutput()
	v := versionNumber.Find(out)
	if v == nil {
		return "", fmt.Errorf("version of %s: %w\n%s", w.client.name, err, out)
	}
	return string(v), nil
}

var (
	colours = regexp.MustCompile("\x1b\\[[0-9;]*m")
	// changing are ports, durations and run directories, other ones each time.
	changing = regexp.MustCompile(`(127\.0\.0\.1:|\bin |/brs-exec-)\d+(\.\d+|-[0-9a-f]+)?`)
)

// clean makes a client's message fit for a page: one line, without what is
// different each time or secret.
func (w *world) clean(message string) string {
	for _, secret := range w.server.Secrets() {
		message = strings.ReplaceAll(message, secret, "…")
	}
	message = colours.ReplaceAllString(message, "")
	message = strings.NewReplacer(w.server.URL(), "http://…", w.dir, "…", w.Places.Clients, "…", w.Places.Module, "…").Replace(message)
	message = changing.ReplaceAllString(message, "$1…")
	message = strings.Join(strings.Fields(message), " ")
	if r := []rune(message); len(r) > 120 {
		message = string(r[:120]) + "…"
	}
	return message
}
