//go:build unix && awscli2

package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakesso"
)

// Version 2 of the AWS CLI is in no package registry, so that these tests are run
// where someone has it:
//
//	BRS_EXEC_AWSCLI2=/usr/local/bin/aws go test -tags awscli2 -run WithTheirs ./integration

// awsCLI2 is the one that is named there: of version 2.32, for `aws login`, or later.
func awsCLI2(t *testing.T) string {
	t.Helper()
	path := os.Getenv("BRS_EXEC_AWSCLI2")
	cmd := exec.Command(path, "--version")
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true"}
	out, err := cmd.Output()
	var minor int
	if _, scanned := fmt.Sscanf(string(out), "aws-cli/2.%d.", &minor); err != nil || scanned != nil || minor < 32 {
		t.Fatalf("BRS_EXEC_AWSCLI2=%s: not version 2.32 or later of the AWS CLI: %q, %v", path, out, err)
	}
	return path
}

// TestLoginWithTheirs: a login of the AWS CLI's version 2, and a run on it.
func TestLoginWithTheirs(t *testing.T) {
	t.Parallel()
	aws := awsCLI2(t)
	for _, flags := range [][]string{nil, {"--use-device-code"}} {
		t.Run(fmt.Sprint(flags), func(t *testing.T) {
			t.Parallel()
			w, portal := ssoWorld(t, time.Hour, fakesso.Options{})
			w.env["BROWSER"] = w.script("browser", `echo "$1" > address`)
			p := w.start(aws, append([]string{"--profile", "corp", "sso", "login"}, flags...)...)
			eventually(t, patience, "a browser", func() bool { return w.read("address") != "" || p.ended() })
			if resp, err := http.Get(strings.TrimSpace(w.read("address"))); err != nil {
				t.Error(err)
			} else {
				resp.Body.Close()
			}
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d: %s", code, p.stderr.String())
			}
			w.reveals = true
			if code := w.brsExec("credentials", "--profile", "corp").exit(); code != 0 {
				t.Errorf("credentials: exit code %d", code)
			}
			theirs := w.read(w.tokenFile("corp"))
			w.expire("corp")
			if code := w.brsExec("credentials", "--profile", "corp").exit(); code != 0 || portal.Count("CreateToken refresh_token") != 1 {
				t.Errorf("credentials: exit code %d; %+v", code, portal.Calls())
			}
			if got, want := blank(w.read(w.tokenFile("corp"))), blank(theirs); got != want {
				t.Errorf("the cache is\n%s\nand of the AWS CLI\n%s", got, want)
			}
			// Ours, for theirs.
			w.login("--profile", "corp")
			p = w.start(aws, "--profile", "corp", "sts", "get-caller-identity")
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d: %s", code, p.stderr.String())
			}
		})
	}
}

// TestSigninWithTheirs: a login of the AWS CLI's, runs on it, and renewals in turn by
// brs-exec and the CLI, which take what the other has written.
func TestSigninWithTheirs(t *testing.T) {
	t.Parallel()
	aws := awsCLI2(t)
	w, signin := signinWorld(t, 15*time.Minute)
	if err := os.Remove(w.path(signinFile)); err != nil {
		t.Fatal(err)
	}
	w.write("config", "[profile app]\nregion = us-east-1\n")
	w.env["BROWSER"] = w.script("browser", `echo "$1" > address`)
	p := w.start(aws, "--profile", "app", "login")
	eventually(t, patience, "a browser", func() bool { return strings.HasSuffix(w.read("address"), "\n") || p.ended() })
	resp, err := http.Get(strings.TrimSpace(w.read("address")))
	if err != nil {
		t.Fatalf("%v\n%s", err, p.stderr.String())
	}
	resp.Body.Close()
	if code := p.exit(); code != 0 {
		t.Fatalf("aws login: exit code %d: %s", code, p.stderr.String())
	}
	theirs := w.read(signinFile)
	expire := func() {
		w.write(signinFile, regexp.MustCompile(`"expiresAt": "[^"]*"`).ReplaceAllString(w.read(signinFile), `"expiresAt": "2026-01-01T00:00:00Z"`))
	}
	w.reveals = true
	for turn := 1; turn <= 4; turn++ {
		expire()
		var p *process
		if turn%2 == 1 {
			p = w.brsExec("credentials", "--profile", "app")
		} else {
			p = w.start(aws, "--profile", "app", "sts", "get-caller-identity")
		}
		if code := p.exit(); code != 0 || signin.Count("refresh_token") != turn {
			t.Fatalf("turn %d: exit code %d: %s\n%+v", turn, code, p.stderr.String(), signin.Calls())
		}
		if turn == 1 {
			if got, want := blankSet(w.read(signinFile)), blankSet(theirs); got != want {
				t.Errorf("the cache is\n%s\nand of the AWS CLI\n%s", got, want)
			}
		}
	}
}

// blankSet takes out what a renewal replaces.
func blankSet(text string) string {
	return regexp.MustCompile(`"(accessKeyId|secretAccessKey|sessionToken|expiresAt|refreshToken)": "[^"]*"`).ReplaceAllString(text, `"$1": "…"`)
}
