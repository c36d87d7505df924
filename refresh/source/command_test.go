package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the command as well: the first argument after "helper" says
// what it does.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		helper(os.Args[2], os.Args[3:])
		return
	}
	for _, kv := range os.Environ() { // each test has an environment of its own
		if k, _, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "AWS_") {
			os.Unsetenv(k)
		}
	}
	time.Local = time.UTC // what is compared with texts is written so
	os.Exit(m.Run())
}

func helper(what string, args []string) {
	const set = `{"Version":1,"AccessKeyId":"AKIACMD","SecretAccessKey":"` + baseSecret + `","SessionToken":"` + baseToken + `","Expiration":"2100-01-01T00:00:00Z"}`
	switch what {
	case "print":
		fmt.Print(args[0])
	case "set":
		fmt.Fprintln(os.Stderr, "touch your key")
		fmt.Print(set)
	case "environment": // proves that ours came through, and that input is not there
		n, err := os.Stdin.Read(make([]byte, 1))
		fmt.Printf("AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=stdin-%d-%v\n", os.Getenv("HELPER_ID"), n, err)
	case "assume":
		src, err := New(context.Background(), Spec{Roles: []Role{{ARN: roleA}}})
		if err != nil {
			panic(err)
		}
		c, err := src.Retrieve(context.Background())
		fmt.Print(c.AccessKeyID)
		if err != nil {
			panic(err)
		}
	case "exit":
		fmt.Print(set) // must not be taken for an answer
		os.Exit(3)
	case "chatter":
		for range 100 {
			os.Stderr.Write(bytes.Repeat([]byte("0123456789 "), 1000))
		}
		fmt.Print(set)
	case "flood":
		line := bytes.Repeat([]byte(baseSecret), 1000)
		for {
			if _, err := os.Stdout.Write(line); err != nil {
				os.Exit(1)
			}
		}
	case "tree": // hangs with a child that holds our output
		child := exec.Command(os.Args[0], "helper", "sleep", args[0])
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			panic(err)
		}
		hang()
	case "daemon": // answers, and leaves a child that holds our output
		child := exec.Command(os.Args[0], "helper", "sleep", args[0])
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Print(set)
	case "sleep":
		os.WriteFile(args[0], []byte(fmt.Sprint(os.Getpid())), 0o600)
		hang()
	}
}

// hang waits to be killed, but not for ever.
func hang() {
	<-time.After(3 * patient)
	fmt.Fprintln(os.Stderr, "BUG: helper was not killed")
	os.Exit(9)
}

func helperCommand(args ...string) []string { return append([]string{os.Args[0], "helper"}, args...) }

func TestCommand(t *testing.T) {
	t.Parallel()
	isolate(t)
	var stderr bytes.Buffer
	src := mustNew(t, Spec{Command: helperCommand("set"), Stderr: &stderr, Region: "eu-west-1"})
	c := mustRetrieve(t, src)
	if c.AccessKeyID != "AKIACMD" || c.SessionToken != baseToken || c.Expires.Year() != 2100 {
		t.Errorf("credentials = %+v", c)
	}
	if got := stderr.String(); got != "touch your key\n" {
		t.Errorf("stderr = %q", got)
	}
	if got, want := src.Describe(), "command "+filepath.Base(os.Args[0]); got != want || src.Profile() != "" || src.Region() != "eu-west-1" {
		t.Errorf("Describe = %q, want %q; Profile = %q, Region = %q", got, want, src.Profile(), src.Region())
	}
}

func TestCommandWithRole(t *testing.T) {
	t.Parallel()
	isolate(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL, "AWS_ACCESS_KEY_ID=AKIAENV", "AWS_SECRET_ACCESS_KEY=x")
	mustRetrieve(t, mustNew(t, Spec{Command: helperCommand("set"), Roles: []Role{{ARN: roleA}}}))
	if c := sts.got(); len(c) != 1 || c[0].keyID != "AKIACMD" {
		t.Errorf("calls = %+v, want one signed by the command's key", c)
	}
}

func TestCommandLifetime(t *testing.T) {
	t.Parallel()
	isolate(t)
	c := mustRetrieve(t, mustNew(t, Spec{Command: helperCommand("print", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S"), AssumeLifetime: time.Hour}))
	if life := time.Until(c.Expires); !c.CanExpire || life < 50*time.Minute || life > time.Hour {
		t.Errorf("expires %v in %s, want in 1h", c.CanExpire, life)
	}
	c = mustRetrieve(t, mustNew(t, Spec{Command: helperCommand("print", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S")}))
	if c.CanExpire {
		t.Errorf("expires %s, want never", c.Expires)
	}
}

// A command gets our environment, and nothing of our standard input: that is the
// child's, as it is for a profile's credential_process.
func TestCommandInput(t *testing.T) {
	conf, _ := isolate(t)
	setenv(t, "HELPER_ID=AKIAENV")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("for the child")
	w.Close()
	stdin := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = stdin }()
	sts := newSTS(t)
	process := fmt.Sprintf("credential_process = '%s' helper environment\n", os.Args[0])
	if runtime.GOOS == "windows" {
		process = fmt.Sprintf("credential_process = \"%s\" helper environment\n", os.Args[0])
	}
	write(t, conf, "[default]\n"+process+
		"[profile app]\nrole_arn = "+roleA+"\nsource_profile = base\nendpoint_url = "+sts.URL+"\n[profile base]\n"+process)
	want := "stdin-0-EOF"
	for name, spec := range map[string]Spec{"command": {Command: helperCommand("environment")}, "profile": {}} {
		if c := mustRetrieve(t, mustNew(t, spec)); c.AccessKeyID != "AKIAENV" || c.SecretAccessKey != want {
			t.Errorf("%s: credentials = %+v, want secret %s", name, c, want)
		}
	}
	mustRetrieve(t, mustNew(t, Spec{Profile: "app"}))
	if c := sts.got(); len(c) != 1 || c[0].keyID != "AKIAENV" {
		t.Errorf("calls = %+v, want one signed by the process's key", c)
	}
	if left := make([]byte, 20); true {
		if n, _ := r.Read(left); string(left[:n]) != "for the child" {
			t.Errorf("left of standard input: %q", left[:n])
		}
	}
}

func TestCommandErrors(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	self := filepath.Base(os.Args[0])
	tests := []struct {
		name      string
		command   []string
		want      string
		permanent bool
		hint      string
	}{
		{"exit status", helperCommand("exit"), "command " + self + ": exit status 3", false, "neither standard input nor a terminal"},
		{"not found by a shell", []string{"sh", "-c", "brs-no-such-program 2>/dev/null"}, "command sh: exit status 127", true, "the full path"},
		{"not executable for a shell", []string{"sh", "-c", filepath.Dir(conf) + " 2>/dev/null"}, "command sh: exit status 126", true, "its mode"},
		{"no token", helperCommand("print", `{"AccessKeyId":"ASIA1","SecretAccessKey":"`+baseSecret+`"}`), "command " + self + ": prints a temporary access key without its session token", true, "SessionToken"},
		{"no such program", []string{"brs-no-such-program"}, "command brs-no-such-program: executable file not found in $PATH", true, "without a shell"},
		{"no such file", []string{conf + "/none"}, "command none: ", true, "without a shell"},
		{"no output", helperCommand("print", ""), "command " + self + ": prints neither JSON", true, "it must print"},
		{"secret in broken JSON", helperCommand("print", `{"SecretAccessKey":"`+shortSecret), "command " + self + ": prints broken JSON", true, "it must print"},
		{"flood", helperCommand("flood"), "command " + self + ": prints more than 65536 bytes", true, "it must print"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := mustNew(t, Spec{Command: tt.command})
			_, err := src.Retrieve(t.Context())
			e := failure(t, err)
			if !strings.HasPrefix(e.Error(), tt.want) || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.want, tt.permanent, tt.hint)
			}
		})
	}
	// The SDK quotes what it cannot parse; that the profile's process is not run by
	// the SDK is what this would show.
	write(t, conf, fmt.Sprintf("[profile p]\ncredential_process = \"%s\" helper print %s\n", os.Args[0], shortSecret))
	_, err := mustNew(t, Spec{Profile: "p"}).Retrieve(t.Context())
	if e := failure(t, err); !e.Permanent || !strings.Contains(e.Error(), `profile "p": `) || !strings.Contains(e.Error(), "credential_process: prints neither") {
		t.Errorf("error %q, permanent %v", e, e.Permanent)
	}
}

func TestCommandTimeout(t *testing.T) {
	t.Parallel()
	isolate(t)
	for _, how := range []string{"timeout", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			spec := Spec{Command: helperCommand("tree", pidFile), CommandTimeout: 500 * time.Millisecond, Stderr: &bytes.Buffer{}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if how == "cancelled" {
				spec.CommandTimeout = time.Minute
				defer time.AfterFunc(300*time.Millisecond, cancel).Stop()
			}
			src := mustNew(t, spec)
			inTime(t, func() {
				_, err := src.Retrieve(ctx)
				e := failure(t, err)
				if e.Permanent {
					t.Errorf("error %q is permanent", e)
				}
				if how == "timeout" && (!strings.Contains(e.Error(), "no answer within 500ms") || !strings.Contains(e.Hint, "terminal")) {
					t.Errorf("error %q, hint %q", e, e.Hint)
				}
				if how == "cancelled" && !errors.Is(err, context.Canceled) {
					t.Errorf("error %q is not context.Canceled", e)
				}
			})
			if runtime.GOOS != "windows" {
				gone(t, pidFile)
			}
		})
	}
}

// Every kind of program has its time, also one that prints something all the time.
func TestProgramsAreLate(t *testing.T) {
	t.Parallel()
	drip := []string{"sh", "-c", "while :; do printf 1; sleep 0.02; done"}
	tests := []struct {
		name string
		spec Spec
		want string
	}{
		{"credentials", Spec{Command: drip, CommandTimeout: 200 * time.Millisecond}, "command sh: no answer within 200ms"},
		{"token", Spec{WebIdentity: WebIdentity{Command: drip}, Roles: []Role{{ARN: roleA}}}, "web identity token of command sh: no answer within 200ms"},
		{"code", Spec{MFA: MFA{Serial: device, Command: drip}}, "environment variables: MFA command sh: no answer within 200ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mfaEnv(t)
			tt.spec.limits.program = 200 * time.Millisecond
			_, err := mustNew(t, tt.spec).Retrieve(t.Context())
			if e := failure(t, err); e.Error() != tt.want || e.Permanent || !strings.Contains(e.Hint, "neither standard input nor a terminal") {
				t.Errorf("error %q, permanent %v, hint %q; want %q", e, e.Permanent, e.Hint, tt.want)
			}
		})
	}
	for what, limits := range map[string][2]time.Duration{
		"a code": {mfaCommandTimeout, 30 * time.Second}, "everything else": {commandTimeout, time.Minute},
	} {
		if limits[0] != limits[1] {
			t.Errorf("%s may take %s, and the documentation says %s", what, limits[0], limits[1])
		}
	}
}

// What a command leaves running (an agent, say) neither holds up the answer nor is
// killed.
func TestCommandLeavesDaemon(t *testing.T) {
	t.Parallel()
	isolate(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	inTime(t, func() {
		if c := mustRetrieve(t, mustNew(t, Spec{Command: helperCommand("daemon", pidFile)})); c.AccessKeyID != "AKIACMD" {
			t.Errorf("credentials = %+v", c)
		}
	})
	var pid int
	eventually(t, "the daemon runs", func() bool {
		text, _ := os.ReadFile(pidFile)
		_, err := fmt.Sscan(string(text), &pid)
		return err == nil
	})
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("the daemon was killed: %v", err)
	}
}

// A machine that is short of something for a moment is no reason to give up.
func TestProgramThatDoesNotStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cause     error
		permanent bool
	}{
		{syscall.EAGAIN, false}, {syscall.EMFILE, false}, {syscall.ENOMEM, false}, {syscall.ETXTBSY, false},
		{syscall.ENOEXEC, true}, {syscall.EACCES, true}, {syscall.ENOENT, true},
	} {
		e := programFailed("a: ", &fs.PathError{Op: "fork/exec", Path: "/b", Err: tt.cause}, true)
		if e.Permanent != tt.permanent || e.Error() != "a: "+tt.cause.Error() {
			t.Errorf("%v: %q, permanent %v, want %v", tt.cause, e, e.Permanent, tt.permanent)
		}
	}
}
