package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// TestSignDirect: without a proxy of the user's, in a network where the names of AWS are this machine's
// own: the listener resolves and dials by itself, and leaves alone what the user's NO_PROXY names.
func TestSignDirect(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a network of its own")
	}
	python := program(t, "python")
	w := newWorld(t, time.Hour)
	authority, err := fakeaws.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w.unset("AWS_ENDPOINT_URL")
	w.env["AWS_CA_BUNDLE"] = w.write("authority.pem", string(authority.PEM()))
	w.env["AWS_DEFAULT_REGION"] = "us-east-1"
	w.env["AWS_MAX_ATTEMPTS"] = "1"
	hosts := "127.0.0.1 localhost"
	for _, name := range []string{"sts.us-east-1", "s3.us-east-1", "jobs.s3.us-east-1", "dynamodb.us-east-1", "s3", "jobs.s3"} {
		hosts += " " + name + ".amazonaws.com"
	}
	w.write("hosts", hosts+"\n")
	for _, way := range []string{byProxy, byEndpoint, "both"} {
		w.env["NO_PROXY"] = "localhost,.amazonaws.com"
		before := len(w.sent())
		p := w.apart(t, authority, brsExec(t), "--role-arn", roleARN, "--deliver", "sign", "--sign-via", way, "--",
			"sh", "-c", `"$@"; echo "$NO_PROXY"`, "sh", python, source("boto3", "client.py"), "6")
		if code := p.exit(); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", way, code, p.stderr.String())
		}
		lines := p.stdout.lines()
		if len(lines) != 7 || strings.Contains(lines[6], "amazonaws.com") && way != byEndpoint {
			t.Fatalf("%s: the command says %q\n%s", way, lines, p.stderr.String())
		}
		for _, line := range lines[:6] {
			if !strings.HasPrefix(line, "ok ") {
				t.Errorf("%s: the command says %q", way, line)
			}
		}
		calls := w.sent()[before:]
		if len(calls) < 6 {
			t.Errorf("%s: %d calls arrived", way, len(calls))
		}
		for _, call := range calls {
			if !call.Accepted || "ok "+call.KeyID == lines[0] {
				t.Errorf("%s: %s", way, call)
			}
		}
	}
}

// apart starts a command in a network of loopback alone, with the world's server at port 443, and in
// mounts where the file "hosts" of the world says which names are here.
func (w *world) apart(t *testing.T, authority *fakeaws.Authority, name string, args ...string) *process {
	t.Helper()
	started := make(chan *process)
	failed := make(chan error)
	go func() {
		// The thread ends with this goroutine: what it is in is nobody else's.
		runtime.LockOSThread()
		p, err := func() (*process, error) {
			if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return nil, fmt.Errorf("unshare: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return nil, fmt.Errorf("private mounts: %w", err)
			}
			if err := unix.Mount(w.path("hosts"), "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
				return nil, fmt.Errorf("mount hosts: %w", err)
			}
			if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
				return nil, fmt.Errorf("ip: %w: %s", err, out)
			}
			// By hand: the package net may open a socket on another thread.
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("socket: %w", err)
			}
			file := os.NewFile(uintptr(fd), "listener")
			defer file.Close()
			if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 443, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				return nil, fmt.Errorf("bind: %w", err)
			}
			if err := unix.Listen(fd, syscall.SOMAXCONN); err != nil {
				return nil, fmt.Errorf("listen: %w", err)
			}
			l, err := net.FileListener(file)
			if err != nil {
				return nil, err
			}
			w.server.ServeTLS(l, authority.Config())
			return w.start(name, args...), nil
		}()
		if err != nil {
			failed <- err
			return
		}
		started <- p
	}()
	select {
	case p := <-started:
		return p
	case err := <-failed:
		t.Fatal(err)
		return nil
	}
}
