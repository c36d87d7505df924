//go:build unix

package integration

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// mfaServer is the little of STS that MFA needs: 123456 and 234567 are right, once
// each.
func mfaServer(t *testing.T) *httptest.Server {
	t.Helper()
	var mu sync.Mutex
	right := map[string]bool{"123456": true, "234567": true}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		r.ParseForm()
		w.Header().Set("Content-Type", "text/xml")
		action, code := r.Form.Get("Action"), r.Form.Get("TokenCode")
		if action == "GetSessionToken" && !right[code] {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>MultiFactorAuthentication failed with invalid MFA one time pass code. </Message></Error></ErrorResponse>`)
			return
		}
		delete(right, code)
		fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>ASIA%[1]s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%[2]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
			action, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(s.Close)
	return s
}

// atTerminal runs brs-exec with a terminal that is not its standard input,
// output or error. typed is what a person types at each prompt.
func atTerminal(t *testing.T, w *world, typed []string, args ...string) (screen, stdout string, state *os.ProcessState) {
	t.Helper()
	return atPrompt(t, w, typed, func() {}, args...)
}

// atPrompt is atTerminal with something that happens at each prompt before anything is typed.
func atPrompt(t *testing.T, w *world, typed []string, before func(), args ...string) (screen, stdout string, state *os.ProcessState) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	cmd := exec.Command(brsExec(t), args...)
	cmd.Env = w.environ()
	var out, errs output
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.ExtraFiles = []*os.File{slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var seen output
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 1024)
		for {
			n, err := master.Read(buf)
			seen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	for i, answer := range typed {
		eventually(t, patience, fmt.Sprintf("prompt %d", i+1), func() bool {
			return strings.Count(seen.String(), "MFA code for") == i+1
		})
		before()
		if sig, ok := strings.CutPrefix(answer, "signal "); ok && sig == "TERM" {
			cmd.Process.Signal(syscall.SIGTERM)
		} else {
			fmt.Fprint(master, answer)
		}
	}
	cmd.Wait()
	master.SetReadDeadline(time.Now()) // other programs may have inherited the terminal
	<-read
	if errs.String() != "" {
		t.Logf("standard error: %s", errs.String())
	}
	return seen.String() + errs.String(), out.String(), cmd.ProcessState
}

func TestMFAPrompt(t *testing.T) {
	t.Parallel()
	const device = "arn:aws:iam::123456789012:mfa/ann"
	args := []string{"--mfa-serial", device, "--role-arn", roleARN, "--", "sh", "-c", "grep -c ASIAAssumeRole \"$AWS_SHARED_CREDENTIALS_FILE\""}
	tests := []struct {
		name   string
		typed  []string
		screen string
		stdout string
		code   int
		signal syscall.Signal
	}{
		{"typed", []string{"123456\n"}, "brs-exec: MFA code for " + device + ": 123456", "1\n", 0, 0},
		{"mistyped", []string{"654321\n", "123456\n"}, "invalid MFA one time pass code. MFA code for " + device, "1\n", 0, 0},
		{"no number", []string{"what?\n", "123456\n"}, "A code has six digits. MFA code for", "1\n", 0, 0},
		{"three times wrong", []string{"111111\n", "222222\n", "333333\n"}, "hint: type the code that the device shows now", "", 125, 0},
		{"end of file", []string{"\x04"}, "MFA code: EOF", "", 125, 0},
		{"Ctrl-C", []string{"\x03"}, "^C", "", 0, syscall.SIGINT},
		{"told to end", []string{"signal TERM"}, "", "", 0, syscall.SIGTERM},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			w.env["AWS_ENDPOINT_URL"] = mfaServer(t).URL
			screen, stdout, state := atTerminal(t, w, tt.typed, args...)
			if !strings.Contains(screen, tt.screen) || !strings.HasSuffix(stdout, tt.stdout) || tt.stdout == "" && stdout != "" {
				t.Errorf("screen %q, standard output %q; want %q, %q", screen, stdout, tt.screen, tt.stdout)
			}
			status := state.Sys().(syscall.WaitStatus)
			if tt.signal != 0 && status.Signal() != tt.signal || tt.signal == 0 && status.ExitStatus() != tt.code {
				t.Errorf("ended with %v, want code %d or signal %v", state, tt.code, tt.signal)
			}
			if left := w.tree(w.run); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestMFATwoProcesses: a code that one brs-exec has used is remembered by the next
// one, which asks for another without trying it. Its session is its own: no file
// holds that of the first.
func TestMFATwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.env["AWS_ENDPOINT_URL"] = mfaServer(t).URL
	const device = "arn:aws:iam::123456789012:mfa/ann"
	args := []string{"--mfa-serial", device, "--role-arn", roleARN, "--role-arn", "arn:aws:iam::123456789012:role/Next", "--", "echo", "started"}
	for _, step := range []struct {
		typed  []string
		screen string // in the place of the second prompt
	}{
		{[]string{"123456\n"}, ""},
		{[]string{"123456\n", "234567\n"}, "That code was used already. MFA code for " + device},
	} {
		screen, stdout, state := atTerminal(t, w, step.typed, args...)
		if state.ExitCode() != 0 || stdout != "started\n" || !strings.Contains(screen, step.screen) {
			t.Errorf("%v, screen %q, standard output %q; want %q", state, screen, stdout, step.screen)
		}
	}
	for _, name := range w.tree(w.path("home")) {
		text := w.read("home/" + name)
		if strings.Contains(text, "123456") || strings.Contains(text, "234567") || strings.Contains(text, "ASIA") {
			t.Errorf("%s holds a code or a session", name)
		}
	}
	if len(w.tree(w.path("home"))) == 0 {
		t.Error("nothing is remembered")
	}
}

// deviceCode is what a virtual device with this secret shows: RFC 6238.
func deviceCode(secret []byte, now time.Time) string {
	mac := hmac.New(sha1.New, secret)
	binary.Write(mac, binary.BigEndian, uint64(now.Unix()/30))
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&0xf:])&0x7fffffff%1e6)
}

// TestMFAWithoutAPerson: codes that a program prints or that are made of a secret
// need no terminal. Each begins a session of the length that was asked for, which
// all roles are assumed from.
func TestMFAWithoutAPerson(t *testing.T) {
	t.Parallel()
	const device, secret = "arn:aws:iam::123456789012:mfa/ann", "12345678901234567890"
	encoded := base32.StdEncoding.EncodeToString([]byte(secret))
	tests := []struct {
		name string
		run  func(w *world) (before string, flags []string)
		said string // "" if it goes well
	}{
		{"command", func(w *world) (string, []string) {
			code := w.script("ykman", `echo "111111 touch your key" >&2; echo "AWS:ann@123456  $(cat code)  (9 s left)"`)
			return "", []string{"--mfa-command", code + " oath accounts code -s aws"}
		}, ""},
		{"file", func(w *world) (string, []string) {
			return "", []string{"--mfa-totp-file", w.write("totp", encoded+"\n")}
		}, ""},
		{"URI", func(w *world) (string, []string) {
			return "", []string{"--mfa-totp-file", w.write("totp", "otpauth://totp/AWS:ann?secret="+encoded+"&issuer=AWS")}
		}, ""},
		{"descriptor", func(w *world) (string, []string) {
			return "exec 3<" + w.write("totp", encoded) + "; ", []string{"--mfa-totp-file", "/dev/fd/3"}
		}, ""},
		{"pipe", func(*world) (string, []string) {
			return "exec 3< <(echo " + encoded + "); ", []string{"--mfa-totp-file", "/dev/fd/3"}
		}, ""},
		{"file that others may read", func(w *world) (string, []string) {
			path := w.write("totp", encoded)
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
			return "", []string{"--mfa-totp-file", path}
		}, "totp: others may read it (mode 0640)\nbrs-exec: hint: chmod 600 "},
		{"command without a code", func(w *world) (string, []string) { return "", []string{"--mfa-command", "echo no key"} },
			"MFA command echo: prints no number of six digits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			var mu sync.Mutex
			var calls []string
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				r.ParseForm()
				code, now := r.Form.Get("TokenCode"), time.Now()
				known := code == ""
				for age := range 10 { // the machine may be busy
					known = known || code == deviceCode([]byte(secret), now.Add(time.Duration(-age)*30*time.Second))
				}
				if !known {
					t.Errorf("the code is %q", code)
				}
				calls = append(calls, fmt.Sprintf("%s %s %s", r.Form.Get("Action"), r.Form.Get("DurationSeconds"), r.Form.Get("SerialNumber")))
				rw.Header().Set("Content-Type", "text/xml")
				fmt.Fprintf(rw, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>ASIA%[1]s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%[2]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
					r.Form.Get("Action"), now.Add(time.Hour).UTC().Format(time.RFC3339))
			}))
			t.Cleanup(server.Close)
			w.env["AWS_ENDPOINT_URL"] = server.URL
			before, flags := tt.run(w)
			w.write("code", deviceCode([]byte(secret), time.Now()))
			args := append([]string{"-c", before + `exec "$0" "$@"`, brsExec(t), "--mfa-serial", device, "--mfa-session", "36h",
				"--role-arn", roleARN, "--role-arn", "arn:aws:iam::123456789012:role/Next"}, flags...)
			p := w.start("bash", append(args, "--", "true")...)
			code, said := p.exit(), p.stderr.String()
			if strings.Contains(said, encoded) {
				t.Error("the secret was printed")
			}
			mu.Lock()
			defer mu.Unlock()
			if tt.said != "" {
				if code != 125 || !strings.Contains(said, tt.said) || len(calls) > 0 {
					t.Errorf("exit code %d after calls %q, want 125, none and %q\n%s", code, calls, tt.said, said)
				}
				return
			}
			want := []string{"GetSessionToken 129600 " + device, "AssumeRole  ", "AssumeRole  "}
			if code != 0 || !slices.Equal(calls, want) {
				t.Errorf("exit code %d after calls %q, want %q\n%s", code, calls, want, said)
			}
		})
	}
}

// Without a terminal nobody is asked, and the command is not started.
func TestMFANoTerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	cmd := exec.Command(brsExec(t), "--mfa-serial", "x", "--", "true")
	cmd.Env = w.environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, _ := cmd.CombinedOutput()
	const want = "brs-exec: error: an MFA code of x is needed, and there is no terminal to ask for it\n" +
		"brs-exec: hint: pass --mfa-command COMMAND or --mfa-totp-file FILE, or start it in a terminal\n"
	if string(out) != want || cmd.ProcessState.ExitCode() != 125 {
		t.Errorf("%v, output %q, want %q", cmd.ProcessState, out, want)
	}
}
