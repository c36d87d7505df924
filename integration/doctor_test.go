//go:build unix

package integration

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestDoctor holds what doctor says of real clients against what these say of
// themselves, and holds it to asking no one and changing nothing.
func TestDoctor(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	goV2 := goClient(t)
	says := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			t.Fatalf("%s %q: %v", name, args, err)
		}
		return strings.TrimSpace(string(out))
	}
	botocore := says(python, "-c", "import botocore; print(botocore.__version__)")
	cli := strings.TrimPrefix(strings.Fields(says(program(t, "aws"), "--version"))[0], "aws-cli/")
	const comes = " takes credentials from credential_process, and goes on with newer ones"
	for _, tt := range []struct {
		name string
		argv func(w *world) []string
		want string
		code int
	}{
		{"boto3", func(w *world) []string {
			return []string{"python", "-u", w.write("job.py", "import boto3, time\n")}
		}, "botocore " + botocore + comes, 0},
		{"AWS CLI", func(w *world) []string { return []string{"aws", "sts", "get-caller-identity"} }, "AWS CLI " + cli + comes, 0},
		{"Go", func(w *world) []string { return []string{goV2} }, "aws-sdk-go-v2 ", 0},
		{"script", func(w *world) []string {
			return []string{"bash", w.write("nightly", "set -e\naws s3 ls\nenv A=b python -c 'import boto3'\n")}
		}, "is a shell script, and doctor does not know what AWS clients it starts", 0},
		{"keys of its own", func(w *world) []string {
			return []string{"env", "AWS_ACCESS_KEY_ID=x", "aws", "s3", "ls"}
		}, "env sets AWS_ACCESS_KEY_ID, which wins", 1},
		{"profile that is nowhere", func(w *world) []string { return []string{"aws", "--profile", "gone", "s3", "ls"} }, `it selects profile "gone", which it will not find`, 1},
		{"no client", func(w *world) []string { return []string{"true"} }, "no AWS client that is known here was found", 0},
		{"no command", func(w *world) []string { return []string{"gone"} }, `run "gone": not found in PATH`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			argv := tt.argv(w)
			before := w.tree(w.dir)
			p := w.brsExec(append([]string{"doctor", "--role-arn", roleARN, "--"}, argv...)...)
			if code := p.exit(); code != tt.code || p.stderr.String() != "" {
				t.Errorf("exit code %d, want %d; standard error %q", code, tt.code, p.stderr.String())
			}
			if !strings.Contains(p.stdout.String(), tt.want) {
				t.Errorf("doctor says\n%swant %q in it", p.stdout.String(), tt.want)
			}
			if calls := w.server.Calls(); len(calls) > 0 {
				t.Errorf("doctor has asked: %v", calls)
			}
			if after := w.tree(w.dir); !sameFiles(before, after) {
				t.Errorf("doctor has changed the files from\n%q\nto\n%q", before, after)
			}
		})
	}
}

// sameFiles leaves out what a binary that measures its coverage writes.
func sameFiles(a, b []string) bool {
	plain := func(list []string) string {
		var kept []string
		for _, path := range list {
			if !strings.HasPrefix(path, "cover/") {
				kept = append(kept, path)
			}
		}
		return strings.Join(kept, "\n")
	}
	return plain(a) == plain(b)
}

// TestDoctorAsks is about --ask: whose the credentials are, and their lifetime.
func TestDoctorAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30*time.Minute)
	p := w.brsExec("doctor", "--ask", "--role-arn", roleARN, "--role-session-name", "me", "--min-ttl", "20m")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, p.stderr.String())
	}
	for _, want := range []string{"assumed-role/App/me", "session: expires in ", ", which is shorter than the 40 minutes", "clock: differs from the server's by less than a minute"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("doctor says\n%swant %q in it", p.stdout.String(), want)
		}
	}
	if calls := w.server.Calls(); len(calls) != 2 || !calls[0].Accepted || !calls[1].Accepted {
		t.Errorf("calls = %v, want two that were accepted", calls)
	}
	p = w.brsExec("doctor", "--ask", "--role-arn", roleARN, "--min-ttl", "45m")
	if code := p.exit(); code != 1 || !strings.Contains(p.stdout.String(), "less than --min-ttl 45m0s: the command would not be started") {
		t.Errorf("exit code %d, want 1; doctor says\n%s", code, p.stdout.String())
	}
}

// TestDoctorLimits gives it too little of something, and has it say so.
func TestDoctorLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, before, want string }{
		{"open files", "ulimit -n 40", "at most 40 open files"},
		{"file size", "ulimit -f 1", "(ulimit -f)"},
		{"address space", "ulimit -v 1000000", "1024000000 bytes (ulimit -v)"},
		{"loopback", "exec unshare -rn", "the loopback interface is down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			line := tt.before + "; exec "
			switch {
			case tt.name == "address space" && (raceEnabled || runtime.GOOS != "linux"):
				t.Skip("the race detector needs more than that to start; other systems have no such limit")
			case tt.name == "loopback":
				if out, err := exec.Command("unshare", "-rn", "true").CombinedOutput(); err != nil {
					t.Skipf("no network namespaces here: %v %s", err, out)
				}
				line = tt.before + " "
			}
			p := w.start("bash", "-c", line+brsExec(t)+" doctor")
			if code := p.exit(); code != 1 || !strings.Contains(p.stdout.String(), tt.want) {
				t.Errorf("exit code %d, want 1; doctor says\n%swant %q in it\n%s", code, p.stdout.String(), tt.want, p.stderr.String())
			}
		})
	}
}
