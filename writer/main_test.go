package writer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test binary is also the processes that the tests need: TestMain runs one
// of these instead of the tests if the variable names it.
const helperVariable = "BRS_WRITER_TEST_HELPER"

var helpers = map[string]func(args []string) error{
	"rewrite": helpRewrite, "count": helpCount, "private": helpPrivate, "drop": helpDrop, "umask": helpUmask,
	"shared": helpShared, "inplace": helpInPlace,
}

func TestMain(m *testing.M) {
	name := os.Getenv(helperVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := helpers[name](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// helper returns the command that runs a helper, which is killed when the test
// ends or hangs.
func helper(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// startHelper starts a helper and returns the first line that it prints. It
// lives until its standard input is closed, or it is killed.
func startHelper(t *testing.T, name string, args ...string) (*exec.Cmd, io.Closer, string) {
	t.Helper()
	cmd := helper(t, name, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("helper %s said %q: %v", name, line, err)
	}
	return cmd, stdin, strings.TrimSuffix(line, "\n")
}

// helpRewrite rewrites the file PATH for ever, each time with other content of
// the form that wholeSet accepts.
func helpRewrite(args []string) error {
	for i := 0; ; i++ {
		_, err := Replace(args[0], 0o600, func([]byte) ([]byte, error) { return setOf(i%7*3000 + 1), nil })
		if err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("started")
		}
	}
}

// setOf returns a file of n lines that all say n.
func setOf(n int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%d\n", n), n))
}

// wholeSet tells whether data is what setOf returned, and nothing less.
func wholeSet(data []byte) bool {
	first, _, ok := strings.Cut(string(data), "\n")
	n, err := strconv.Atoi(first)
	return ok && err == nil && string(data) == string(setOf(n))
}

// helpCount adds one to the number in the file PATH, N times.
func helpCount(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range n {
		if err := increment(args[0]); err != nil {
			return err
		}
	}
	return nil
}

func increment(path string) error {
	_, err := Replace(path, 0o600, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, errors.New("the file is gone")
		}
		n, err := strconv.Atoi(string(old))
		return []byte(strconv.Itoa(n + 1)), err
	})
	return err
}
