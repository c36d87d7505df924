//go:build unix

package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// scratch holds what is built once for all tests.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	raiseParallel()
	unignore()
	var err error
	if scratch, err = os.MkdirTemp("", "brs-exec-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Some tests run the binary as another user.
	os.Chmod(scratch, 0o755)
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// unignore gives the commands of the tests the default actions, whatever the tests
// are started from: nohup, for one, leaves HUP ignored.
func unignore() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

// raiseParallel lets more tests run at once than there are processors, unless
// -parallel was given: nearly all of their time they wait for credentials to
// expire.
func raiseParallel() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	most := "100"
	if raceEnabled { // which costs several times the work
		most = "48"
	}
	if !given {
		flag.Set("test.parallel", most)
	}
}

// built compiles a package of the module once, with the race detector and
// coverage if the tests themselves have them. Tags are of builds that need C, as that detector does.
func built(name, pkg string, tags ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(scratch, name)
		args := []string{"build", "-o", path}
		if raceEnabled {
			args = append(args, "-race")
		}
		if testing.CoverMode() != "" {
			args = append(args, "-cover")
		}
		if len(tags) > 0 {
			args = append(args, "-tags", strings.Join(tags, ","))
		}
		cmd := exec.Command("go", append(args, pkg)...)
		if len(tags) > 0 || raceEnabled {
			cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1")
		} else { // as releases are
			cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return path, nil
	})
}

var (
	buildBrsExec = built("brs-exec", module)
	buildPKCS11  = built("brs-exec-pkcs11", module, "brs_pkcs11")
	buildGoV2    = built("gov2", module+"/integration/clients/gov2")
)

// brsExec returns the path of the binary under test.
func brsExec(t testing.TB) string {
	t.Helper()
	path, err := buildBrsExec()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// goClient returns the path of the client that is made with the SDK for Go.
func goClient(t testing.TB) string {
	t.Helper()
	path, err := buildGoV2()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// missing skips the test for want of something that .ci/install-clients or
// .ci/install-tools brings, or fails it where nothing may be skipped.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("BRS_EXEC_REQUIRE_CLIENTS") == "1" {
		t.Fatalf("%s is missing: run .ci/install-clients and .ci/install-tools", what)
	}
	t.Skipf("%s is missing: .ci/install-clients or .ci/install-tools brings it", what)
}

// slow skips a test that waits for credentials to expire.
func slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("waits for credentials to expire: left out by -short")
	}
}

// clientsDir is where .ci/install-clients puts things.
func clientsDir() string {
	if dir := os.Getenv("BRS_EXEC_CLIENTS"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "/nonexistent"
	}
	return filepath.Join(home, ".cache", "brs-exec-clients")
}

// installed is the path of something that those scripts put among the clients.
func installed(t testing.TB, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{clientsDir()}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		missing(t, filepath.Base(path))
	}
	return path
}

// program finds a program of the clients' Python environment, among those that were
// built for the tests, or of the system.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{filepath.Join("venv", "bin"), "bin"} {
		path := filepath.Join(clientsDir(), dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	// The Python environment's programs come from there alone, so that the
	// versions are the pinned ones.
	if name != "python" && name != "aws" {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, name)
	return ""
}
