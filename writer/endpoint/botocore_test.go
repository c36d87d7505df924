package endpoint

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// botocoreScript prints what the default chain gives, once at the start and once for each line of standard input.
const botocoreScript = `
import sys, json
import botocore.session
session = botocore.session.get_session()
creds = session.get_credentials()
region = None
if "region" in sys.argv:
    from botocore.utils import IMDSRegionProvider
    region = IMDSRegionProvider(session).provide()
def show():
    frozen = creds.get_frozen_credentials()
    print(json.dumps({"id": frozen.access_key, "secret": frozen.secret_key, "token": frozen.token,
                      "method": creds.method, "region": region or ""}), flush=True)
show()
for line in sys.stdin:
    show()
`

// botocore runs the script and returns a function that reads its next line and one that asks for another.
func botocore(t *testing.T, env []string, args ...string) (next func() map[string]string, ask func()) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: no python3")
	}
	if exec.Command(python, "-c", "import botocore").Run() != nil {
		t.Skip("SKIPPED: python3 has no botocore")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // outlives t.Context, which ends before the clean-up
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, python, append([]string{"-c", botocoreScript}, args...)...)
	home := t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AWS_CONFIG_FILE=" + filepath.Join(home, "none")}, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
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
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("python: %v\n%s", err, stderr.String())
		}
	})
	lines := bufio.NewScanner(stdout)
	next = func() map[string]string {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("python wrote no line")
		}
		var m map[string]string
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatalf("line %q: %v", lines.Text(), err)
		}
		return m
	}
	return next, func() { stdin.Write([]byte("\n")) }
}

// survive checks that one botocore session sees both of two sets of credentials. Under 10 minutes left it refreshes at every use.
func survive(t *testing.T, env []string, method string, deliver func(context.Context, map[string]aws.Credentials) error, args ...string) map[string]string {
	t.Helper()
	set := func(id string) map[string]aws.Credentials {
		return map[string]aws.Credentials{"p": testSet(id, 5*time.Minute)}
	}
	if err := deliver(t.Context(), set("ASIAONE")); err != nil {
		t.Fatal(err)
	}
	next, ask := botocore(t, env, args...)
	first := next()
	if first["id"] != "ASIAONE" || first["secret"] != "secret/of+ASIAONE" || first["token"] != "token==of/ASIAONE" || first["method"] != method {
		t.Errorf("first = %v, want ASIAONE by %s", first, method)
	}
	if err := deliver(t.Context(), set("ASIATWO")); err != nil {
		t.Fatal(err)
	}
	ask()
	// What botocore got from a metadata service it extends rather than asks again, however little is left.
	if second := next(); method == "container-role" && second["id"] != "ASIATWO" {
		t.Errorf("second = %v, want ASIATWO", second)
	}
	return first
}

func TestBotocoreContainer(t *testing.T) {
	t.Parallel()
	t.Run("token", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, Options{Profile: "p"}, nil)
		survive(t, append(s.Env(), "AWS_EC2_METADATA_DISABLED=true"), "container-role", s.Deliver)
	})
	t.Run("named", func(t *testing.T) {
		t.Parallel()
		const odd = "team/a b%2F+é?#"
		s := startServer(t, Options{Profile: "p"}, map[string]aws.Credentials{odd: testSet("ASIAODD", time.Hour)})
		next, _ := botocore(t, []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + s.URL(odd), s.Env()[1], "AWS_EC2_METADATA_DISABLED=true"})
		if got := next(); got["id"] != "ASIAODD" {
			t.Errorf("%s: %v", odd, got)
		}
	})
	t.Run("token file", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, Options{Profile: "p"}, nil)
		survive(t, []string{s.Env()[0], tokenFile(t, s), "AWS_EC2_METADATA_DISABLED=true"}, "container-role", s.Deliver)
	})
}

func TestBotocoreIMDS(t *testing.T) {
	t.Parallel()
	m := startIMDS(t, Options{Profile: "p", Region: "ap-southeast-2"}, nil)
	// Without version 1 botocore must come with a token, or it would get nothing.
	first := survive(t, m.Env(), "iam-role", m.Deliver, "region")
	if first["region"] != "ap-southeast-2" {
		t.Errorf("region = %q, want ap-southeast-2", first["region"])
	}
}
